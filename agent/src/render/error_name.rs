//! The static names of errors on their way between processes: there are few of them, and all are the program's own. Pure.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// More names than the program has.
const MOST: usize = 1000;

/// The static name of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(pub &'static str);

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let name = String::deserialize(deserializer)?;
        let mut known = KNOWN.lock();
        if let Some(known) = known.get(name.as_str()) {
            return Ok(Self(known));
        }
        if known.len() >= MOST {
            return Ok(Self("RenderFailed"));
        }
        let name: &'static str = Box::leak(name.into_boxed_str());
        known.insert(name);
        Ok(Self(name))
    }
}

//! The static names of errors on their way between processes: there are few of them, and all are the program's own. Pure.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serializer};

/// More names than the program has.
const MOST: usize = 1000;

pub fn serialize<S: Serializer>(name: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let name = String::deserialize(deserializer)?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(name.as_str()) {
        return Ok(known);
    }
    if known.len() >= MOST {
        return Ok("RenderFailed");
    }
    let name: &'static str = Box::leak(name.into_boxed_str());
    known.insert(name);
    Ok(name)
}

//! Fields that left Git and that other managers owned too. A manager that writes one again after its removal is a controller at
//! work, whatever its name, so the field is not removed a second time. No I/O.

use std::collections::HashMap;

use holdfast_diff::object::ObjectId;
use holdfast_diff::takeover::{Set, has_any, not_in, still_in};
use serde_json::Value;

use super::View;
use crate::cluster::entry;

/// Removed fields of live objects.
#[derive(Default)]
pub(super) struct Returns(HashMap<ObjectId, Gone>);

#[derive(Clone)]
struct Gone {
    fields: Set,
    /// The resourceVersion of the object without them.
    version: u64,
    /// True if they were written again.
    back: bool,
}

impl Returns {
    /// True if removed fields are back in this version of an object, for the first time.
    pub fn come_back(&mut self, object: &ObjectId, live: &Value) -> bool {
        let Some(gone) = self.0.get_mut(object).filter(|gone| !gone.back) else { return false };
        gone.back = entry::version(live) > gone.version && has_any(live, &gone.fields);
        gone.back
    }

    /// A copy for some objects.
    pub fn copy(&self, of: impl Fn(&ObjectId) -> bool) -> Self {
        let own = self.0.iter().filter(|(object, _)| of(object));
        Self(own.map(|(object, gone)| (object.clone(), gone.clone())).collect())
    }

    pub fn forget(&mut self, object: &ObjectId) {
        self.0.remove(object);
    }
}

impl View {
    /// Records fields of an object that were removed although others owned them too. `live` is the object after the removal.
    pub fn expect_gone(&self, object: &ObjectId, fields: &Set, live: &Value) {
        // A field that returned as a default of the API server was not removed.
        let fields = not_in(fields, live);
        if fields.is_empty() {
            return;
        }
        let mut state = self.lock();
        let version = entry::version(live);
        let Some(entry) = state.objects.get_mut(object) else { return };
        // A watch event that arrived meanwhile may contain the field again.
        let news = (entry.version > version).then(|| entry.owner.clone());
        if news.is_some() {
            entry.verified = None;
        }
        state.returns.0.insert(object.clone(), Gone { fields, version, back: news.is_some() });
        drop(state);
        if let Some(owner) = news {
            self.wake(owner);
        }
    }

    /// True if a removed field of an object was written again.
    pub fn is_back(&self, object: &ObjectId) -> bool {
        self.lock().returns.0.get(object).is_some_and(|gone| gone.back)
    }

    /// Returns removed fields of an object that are live again although its manifest does not have them.
    pub fn returned(&self, object: &ObjectId, live: &Value, manifest: &Value) -> Set {
        let state = self.lock();
        state.returns.0.get(object).map(|gone| still_in(&gone.fields, live, manifest)).unwrap_or_default()
    }
}

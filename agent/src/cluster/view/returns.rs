//! Fields that left git and that others owned too: who writes one again after it was removed is a controller at work, whatever
//! its name is. It is not removed a second time. No I/O.

use std::collections::HashMap;

use holdfast_diff::object::ObjectId;
use holdfast_diff::takeover::{Set, has_any, not_in, still_in};
use serde_json::Value;

use super::View;
use crate::cluster::entry;

/// What was removed of objects that exist.
#[derive(Default)]
pub(super) struct Returns(HashMap<ObjectId, Gone>);

struct Gone {
    fields: Set,
    /// The version of the object without them.
    version: u64,
    /// They came back.
    back: bool,
}

impl Returns {
    /// True if what was removed has come back with this form of an object, for the first time.
    pub fn come_back(&mut self, object: &ObjectId, live: &Value) -> bool {
        let Some(gone) = self.0.get_mut(object).filter(|gone| !gone.back) else { return false };
        gone.back = entry::version(live) > gone.version && has_any(live, &gone.fields);
        gone.back
    }

    pub fn forget(&mut self, object: &ObjectId) {
        self.0.remove(object);
    }
}

impl View {
    /// Notes what was removed of an object though others owned it too. `live` is what the object became.
    pub fn expect_gone(&self, object: &ObjectId, fields: &Set, live: &Value) {
        // What came back as a default of the server did not leave.
        let fields = not_in(fields, live);
        if fields.is_empty() {
            return;
        }
        let mut state = self.lock();
        let version = entry::version(live);
        let Some(entry) = state.objects.get_mut(object) else { return };
        // News that came meanwhile may be the return of it.
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

    /// True if something that was removed of an object came back.
    pub fn is_back(&self, object: &ObjectId) -> bool {
        self.lock().returns.0.get(object).is_some_and(|gone| gone.back)
    }

    /// What was removed of an object, and is there again though its manifest does not have it.
    pub fn returned(&self, object: &ObjectId, live: &Value, manifest: &Value) -> Set {
        let state = self.lock();
        state.returns.0.get(object).map(|gone| still_in(&gone.fields, live, manifest)).unwrap_or_default()
    }
}

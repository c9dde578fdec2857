//! Objects that are being written now: what is seen of them meanwhile is kept until the write ends, however it ends. No I/O.

use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::SeenAt;
use serde_json::Value;

use super::View;
use crate::cluster::entry::Entry;

/// Forms of one object that are kept while it is written.
const SEEN: usize = 8;

/// What is known of a write that is under way.
pub(super) struct Flight {
    /// How the object was when the write was planned, if it overwrites something.
    pub planned: Option<SeenAt>,
    /// What was seen of it since.
    pub seen: Vec<Value>,
    /// The newest form of an object that is in no view yet. The answer of the write shows whether the write created it.
    pub newest: Option<Entry>,
}

impl Flight {
    pub fn new(planned: Option<SeenAt>) -> Self {
        Self { planned, seen: Vec::new(), newest: None }
    }

    /// Keeps what was seen, if the write may overwrite it.
    pub fn see(&mut self, live: &Value) {
        if self.planned.is_some() && self.seen.len() < SEEN {
            self.seen.push(live.clone());
        }
    }

    /// Keeps an object that is in no view yet.
    pub fn hold(&mut self, entry: Entry) {
        if self.newest.as_ref().is_none_or(|newest| newest.version < entry.version) {
            self.newest = Some(entry);
        }
    }
}

/// An object is being written.
pub struct Writing<'a> {
    view: &'a View,
    object: &'a ObjectId,
}

impl<'a> Writing<'a> {
    pub(super) fn new(view: &'a View, object: &'a ObjectId) -> Self {
        Self { view, object }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.view.lock().writing.remove(self.object);
    }
}

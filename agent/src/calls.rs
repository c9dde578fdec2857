//! Webhook calls that no run has answered yet: the next run of the object contacts the server, whatever the interval. No I/O.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::sync_ref::SyncRef;

/// The objects of one kind whose server announced something new.
#[derive(Default)]
pub struct Calls(Mutex<HashSet<SyncRef>>);

impl Calls {
    /// Notes a call for an object.
    pub fn note(&self, name: &SyncRef) {
        self.0.lock().insert(name.clone());
    }

    /// True if a call is unanswered.
    pub fn is_open(&self, name: &SyncRef) -> bool {
        self.0.lock().contains(name)
    }

    /// True if a call was unanswered. The caller answers it from now on.
    pub fn take(&self, name: &SyncRef) -> bool {
        self.0.lock().remove(name)
    }

    /// The objects that have an unanswered call.
    pub fn open(&self) -> Vec<SyncRef> {
        self.0.lock().iter().cloned().collect()
    }
}

//! Webhook calls that no run has answered yet: the next run of the object contacts the server, whatever the interval. No I/O.

use std::collections::HashSet;
use std::hash::Hash;

use parking_lot::Mutex;

/// The objects of one kind whose server announced something new.
pub struct Calls<K>(Mutex<HashSet<K>>);

impl<K> Default for Calls<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Calls<K> {
    /// Notes a call for an object.
    pub fn note(&self, name: &K) {
        self.0.lock().insert(name.clone());
    }

    /// True if a call is unanswered.
    pub fn is_open(&self, name: &K) -> bool {
        self.0.lock().contains(name)
    }

    /// True if a call was unanswered. The caller answers it from now on.
    pub fn take(&self, name: &K) -> bool {
        self.0.lock().remove(name)
    }

    /// The objects that have an unanswered call.
    pub fn open(&self) -> Vec<K> {
        self.0.lock().iter().cloned().collect()
    }
}

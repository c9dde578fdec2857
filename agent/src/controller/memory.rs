//! What a controller remembers of each object between two runs, and the current runs. All of it can be computed again.
//!
//! No I/O.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::api::SyncStatus;
use crate::reconcile::past::Past;
use crate::report::Done;
use crate::sync_ref::SyncRef;

/// The memories of all objects of one kind.
pub struct Memories<K, M>(Mutex<HashMap<K, Arc<tokio::sync::Mutex<M>>>>);

/// The memory of one Sync.
#[derive(Default)]
pub struct Memory {
    /// The UID of the Sync, since another one can have the same name later.
    pub uid: Option<String>,
    /// The memory of the pipeline.
    pub past: Past,
    /// The status that was written last. The watch may not have delivered it yet.
    pub status: Option<SyncStatus>,
    /// The status on the server, if it reports progress and so differs from `status`.
    pub shown: Option<Shown>,
    /// When progress was written last.
    pub progressed: Option<Timestamp>,
    /// Changes that are not reported yet: one report covers them and the health of the objects.
    pub unreported: Option<Unreported>,
    /// Time of the last report of objects that are not healthy yet.
    pub reported: Option<Timestamp>,
    /// Consecutive failures, for the backoff.
    pub failures: u32,
}

/// A status that reports the progress of a run.
pub struct Shown {
    pub status: SyncStatus,
    /// The message about the progress.
    pub said: String,
}

/// Findings of earlier runs that are not reported yet.
pub struct Unreported {
    /// A plan that was applied.
    pub done: Option<Done>,
    pub warnings: Option<Vec<String>>,
    pub since: Timestamp,
}

/// The current runs, each with the form of its object at the start.
#[derive(Default)]
pub struct Runs(Mutex<HashMap<SyncRef, (u64, CancellationToken)>>);

/// A current run, until this is dropped.
pub struct Running<'a> {
    runs: &'a Runs,
    name: &'a SyncRef,
    /// Cancelled when the object has changed or is gone.
    pub superseded: CancellationToken,
}

impl Shown {
    /// A status whose message about progress is unknown.
    pub fn unknown(status: SyncStatus) -> Self {
        Self { status, said: String::new() }
    }
}

impl<K, M> Default for Memories<K, M> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, M: Default> Memories<K, M> {
    /// The memory of an object.
    pub fn of(&self, name: &K) -> Arc<tokio::sync::Mutex<M>> {
        self.0.lock().entry(name.clone()).or_default().clone()
    }

    /// All objects that have a memory.
    pub fn names(&self) -> Vec<K> {
        self.0.lock().keys().cloned().collect()
    }

    /// Forgets an object.
    pub fn forget(&self, name: &K) {
        self.0.lock().remove(name);
    }
}

impl Runs {
    /// Registers a run of an object in this form. Cancelling `end` cancels all runs.
    pub fn begin<'a>(&'a self, name: &'a SyncRef, form: u64, end: &CancellationToken) -> Running<'a> {
        let superseded = end.child_token();
        self.0.lock().insert(name.clone(), (form, superseded.clone()));
        Running { runs: self, name, superseded }
    }

    /// The number of current runs.
    pub fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// Cancels the run of an object whose form differs; `None` if the object is gone.
    pub fn supersede(&self, name: &SyncRef, form: Option<u64>) {
        if let Some((runs, superseded)) = self.0.lock().get(name)
            && Some(*runs) != form
        {
            superseded.cancel();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.runs.0.lock().remove(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thousand_objects_that_are_gone_leave_nothing_behind() {
        let (memories, runs, end) =
            (Memories::<SyncRef, Memory>::default(), Runs::default(), CancellationToken::new());
        for at in 0..2000 {
            let name = SyncRef::new("tenant", format!("sync-{at}"));
            drop(memories.of(&name));
            drop(runs.begin(&name, 1, &end));
        }
        assert_eq!(memories.names().len(), 2000);
        assert!(runs.0.lock().is_empty());
        memories.names().iter().for_each(|name| memories.forget(name));
        assert!(memories.names().is_empty());
    }

    #[test]
    fn a_run_is_superseded_by_another_form_of_its_object_alone() {
        let (runs, end) = (Runs::default(), CancellationToken::new());
        let name = SyncRef::new("tenant", "sync");
        let running = runs.begin(&name, 1, &end);
        runs.supersede(&name, Some(1));
        runs.supersede(&SyncRef::new("tenant", "other"), None);
        assert!(!running.superseded.is_cancelled());
        runs.supersede(&name, Some(2));
        assert!(running.superseded.is_cancelled());
        let gone = runs.begin(&name, 2, &end);
        runs.supersede(&name, None);
        assert!(gone.superseded.is_cancelled());
    }
}

//! What a controller remembers of each object between two of its runs, and the runs that go on. All of it can be made again.
//!
//! No I/O.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::api::SyncStatus;
use crate::reconcile::past::Past;
use crate::report::Done;
use crate::sync_ref::SyncRef;

/// The memories of all objects of one kind.
pub struct Memories<M>(Mutex<HashMap<SyncRef, Arc<tokio::sync::Mutex<M>>>>);

/// What is remembered of one Sync.
#[derive(Default)]
pub struct Memory {
    /// Of the Sync that is remembered: another one can have the same name later.
    pub uid: Option<String>,
    /// What the pipeline remembers.
    pub past: Past,
    /// The status as it was written last; the watch may not have delivered it yet.
    pub status: Option<SyncStatus>,
    /// The status on the server, if that says what a run is doing in place of `status`.
    pub shown: Option<Shown>,
    /// When the progress of a run was written last.
    pub progressed: Option<Timestamp>,
    /// Changes that are not reported yet: one report says them and the health of the objects, a moment later.
    pub unreported: Option<Unreported>,
    /// When the last report said that objects are not healthy yet.
    pub reported: Option<Timestamp>,
    /// Failures in a row, for the backoff.
    pub failures: u32,
}

/// A status that says what a run is doing.
pub struct Shown {
    pub status: SyncStatus,
    /// The message of it.
    pub said: String,
}

/// What a run found a moment ago.
pub struct Unreported {
    /// A plan that was carried out.
    pub done: Option<Done>,
    pub warnings: Option<Vec<String>>,
    pub since: Timestamp,
}

/// The runs that go on, each with the form that its object had when it began.
#[derive(Default)]
pub struct Runs(Mutex<HashMap<SyncRef, (u64, CancellationToken)>>);

/// A run that goes on until this is dropped.
pub struct Running<'a> {
    runs: &'a Runs,
    name: &'a SyncRef,
    /// Cancelled when the object has changed or is gone.
    pub superseded: CancellationToken,
}

impl Shown {
    /// A status of which it is not known what it says.
    pub fn unknown(status: SyncStatus) -> Self {
        Self { status, said: String::new() }
    }
}

impl<M> Default for Memories<M> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<M: Default> Memories<M> {
    /// The memory of an object.
    pub fn of(&self, name: &SyncRef) -> Arc<tokio::sync::Mutex<M>> {
        self.0.lock().entry(name.clone()).or_default().clone()
    }

    /// The objects that something is remembered of.
    pub fn names(&self) -> Vec<SyncRef> {
        self.0.lock().keys().cloned().collect()
    }

    /// Forgets an object.
    pub fn forget(&self, name: &SyncRef) {
        self.0.lock().remove(name);
    }
}

impl Runs {
    /// Notes that an object runs, in the form that it has now. `end` ends all runs.
    pub fn begin<'a>(&'a self, name: &'a SyncRef, form: u64, end: &CancellationToken) -> Running<'a> {
        let superseded = end.child_token();
        self.0.lock().insert(name.clone(), (form, superseded.clone()));
        Running { runs: self, name, superseded }
    }

    /// Ends the run of an object that has another form now; `None` if the object is gone.
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
            (Memories::<Memory>::default(), Runs::default(), CancellationToken::new());
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

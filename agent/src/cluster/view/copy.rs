//! A copy of the view, for plans that must leave no trace in it. No I/O.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_diff::object::ObjectId;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::View;
use super::entry::Entry;
use super::state::State;
use crate::sync_ref::SyncRef;

impl View {
    /// Copies the objects of the Syncs that `of` names, and the claims of all Syncs, which decide who may want an object. Nothing
    /// feeds the copy, and it wakes no Sync.
    #[must_use]
    pub fn copy(&self, of: impl Fn(&SyncRef) -> bool) -> Self {
        let state = self.lock();
        let members: HashMap<_, _> = state
            .members
            .iter()
            .filter(|(sync, _)| of(sync))
            .map(|(sync, members)| (sync.clone(), members.clone()))
            .collect();
        let present = |object: &ObjectId| Some((object.clone(), state.objects.get(object)?.clone()));
        let objects: HashMap<ObjectId, Entry> = members.values().flatten().filter_map(present).collect();
        let own = |object: &ObjectId| objects.contains_key(object);
        let copy = State {
            claims: state.claims.clone(),
            refused: state.refused.clone(),
            claimants: state.claimants.clone(),
            lost: state.lost.clone(),
            returns: state.returns.copy(own),
            members,
            objects,
            ..State::default()
        };
        drop(state);
        // No receiver is left, so no run is started.
        let (wake, _) = mpsc::unbounded_channel();
        Self { judges: self.judges.copy(of), marks: Arc::clone(&self.marks), state: Mutex::new(copy), wake }
    }
}

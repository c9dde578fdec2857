//! Who uses which watch: a watch that no Sync uses any more ends, and the view forgets what only it fed. No I/O.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::object::ObjectId;
use tracing::warn;

use super::{Key, REFUSED, State, Watches};
use crate::cluster::requests::ResourceType;
use crate::cluster::view::Listed;
use crate::cluster::watch::feed::Trouble;
use crate::identity::Identity;
use crate::sync_ref::SyncRef;

/// The longest time between two tries to begin a watch anew, and what they may take.
const SILENCE: Duration = Duration::from_secs(45);

impl Watches {
    /// Notes what a Sync acts as. Where that is another identity than before, the watches of that identity list anew, since
    /// they passed over the members of the Sync until now.
    pub(super) fn acts(&self, owner: &SyncRef, identity: &Identity) {
        let mut state = self.lock();
        let before = state.acting.get(owner);
        if before == Some(identity) {
            return;
        }
        let changed = before.is_some();
        state.acting.insert(owner.clone(), identity.clone());
        let keys = state.running.keys().filter(|key| changed && key.identity == *identity);
        let keys: Vec<Key> = keys.cloned().collect();
        for key in keys {
            let kind = Arc::new(key.kind.clone());
            match self.spawn(&key, &kind) {
                Ok(mut handle) => {
                    if let Some(former) = state.running.remove(&key) {
                        former.task.abort();
                        handle.users = former.users;
                    }
                    state.running.insert(key, handle);
                }
                Err(error) => warn!(kind = %key.kind.kind, error, "Cannot restart a watch"),
            }
        }
    }

    /// Ends the watches that a Sync used and does not use any more, if no other Sync uses them.
    pub fn keep(&self, owner: &SyncRef, used: &[Key]) {
        let mut state = self.lock();
        let used: HashSet<&Key> = used.iter().collect();
        let left: Vec<Key> = state
            .running
            .iter_mut()
            .filter(|(key, handle)| handle.users.contains(owner) && !used.contains(key))
            .filter_map(|(key, handle)| {
                handle.users.remove(owner);
                handle.users.is_empty().then(|| key.clone())
            })
            .collect();
        for key in left {
            self.end(&mut state, &key);
        }
    }

    /// Forgets a Sync that is gone.
    pub fn forget(&self, owner: &SyncRef) {
        self.lock().acting.remove(owner);
        self.keep(owner, &[]);
    }

    /// Forgets refusals of long ago.
    pub fn sweep(&self, now: Instant) {
        let mut state = self.lock();
        state.refused.retain(|_, at| now.saturating_duration_since(*at) < REFUSED);
    }

    /// What is wrong with the watches of these kinds that a Sync uses, so that the view may miss what changes.
    pub fn trouble(&self, owner: &SyncRef, kinds: &[Arc<ResourceType>]) -> Option<String> {
        let state = self.lock();
        let used = state.running.iter().filter(|(key, handle)| {
            handle.users.contains(owner) && kinds.iter().any(|kind| **kind == key.kind)
        });
        used.into_iter().find_map(|(key, handle)| {
            let trouble = handle.trouble.lock();
            let Trouble { said, .. } = trouble.as_ref().filter(|trouble| trouble.last.elapsed() < SILENCE)?;
            Some(format!("the watch of {} is broken: {said}", key.kind.kind))
        })
    }

    /// Ends a watch, and forgets what no other watch of the identity feeds. A watch of the same kind in another version feeds
    /// its objects too.
    fn end(&self, state: &mut State, key: &Key) {
        let Some(handle) = state.running.remove(key) else { return };
        handle.task.abort();
        let others: Vec<&Key> = state
            .running
            .keys()
            .filter(|other| other.identity == key.identity && other.kind.kind == key.kind.kind)
            .collect();
        let within = |object: &ObjectId, owner: &SyncRef| {
            let ours = (self.acts_as)(owner).is_none_or(|identity| identity == key.identity);
            ours && key.covers(&object.namespace)
                && !others.iter().any(|other| other.covers(&object.namespace))
        };
        self.view.replace(&key.kind, within, Listed::default(), false);
    }
}

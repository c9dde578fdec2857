//! Objects that move from one Sync to another: until the Syncs of the same source and trust domain have reached the same
//! revision, nothing is removed, and an object of another Sync is not an error. No I/O: Syncs are read from the store of the
//! watch.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::reflector::Store;

use super::peers::Peers;
use super::sync_at::SyncAt;
use crate::api::{Sync, conditions};
use crate::identity::Identity;
use crate::policy::Policy;
use crate::sync_ref::SyncRef;

/// The longest wait for another Sync.
const LONGEST: Duration = Duration::from_mins(1);
/// Minimum duration of the longest wait, also if the interval of the Sync is shorter.
const SHORTEST: Duration = Duration::from_secs(20);

/// The Syncs that may have a claim on the objects of another one.
#[derive(Clone, Copy)]
pub struct Claims<'a> {
    pub syncs: &'a Store<Sync>,
    pub peers: &'a Peers,
    pub policy: &'a Policy,
    /// False if other Syncs do not run in this process, so that their progress is unknown.
    pub together: bool,
}

/// A Sync that has not reached a revision yet, and how much longer to wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    pub sync: SyncRef,
    pub left: Duration,
}

impl Claims<'_> {
    /// Returns a Sync of the same source and trust domain that works and has not reached this revision yet. Until it has, an
    /// object may have left the source or moved to that Sync. The Sync `at` is woken when the other one reaches the revision.
    pub fn behind(&self, at: SyncAt<'_>, revision: &str) -> Option<Behind> {
        if !self.together {
            return None;
        }
        let SyncAt { sync, owner, now, .. } = at;
        let found = self.syncs.state().into_iter().find_map(|other| {
            let name = name(&other)?;
            let awaited = name != *owner
                && other.spec.source == sync.spec.source
                && trusts(self.policy, (owner, sync), (&name, &other))
                && self.works(&other, &name, now)
                && self.peers.revision(&name).as_deref() != Some(revision);
            awaited.then_some(name)
        });
        let Some(sync_behind) = found else {
            self.peers.stop_waiting(owner);
            return None;
        };
        let longest = LONGEST.min(sync.spec.interval().max(SHORTEST));
        let left = longest.saturating_sub(self.peers.wait(owner, revision, now));
        (!left.is_zero()).then_some(Behind { sync: sync_behind, left })
    }

    /// True if a Sync is expected to reach the next revision soon: nothing that a person must change stopped its last run, or it has
    /// not run yet.
    fn works(&self, sync: &Arc<Sync>, name: &SyncRef, now: Timestamp) -> bool {
        let is_suspended = sync.spec.suspend.as_ref().is_some_and(|suspend| suspend.holds(now).is_some());
        let runs = sync.metadata.deletion_timestamp.is_none() && !is_suspended;
        runs && self.peers.works(name).unwrap_or_else(|| {
            let status = sync.status.as_ref();
            status.is_none_or(|status| !conditions::is_true(&status.conditions, conditions::STALLED))
        })
    }
}

/// True if two Syncs belong to one trust domain: they are in one namespace, or both act as the agent itself.
pub fn trusts(
    policy: &Policy,
    (owner, sync): (&SyncRef, &Sync),
    (other_owner, other): (&SyncRef, &Sync),
) -> bool {
    owner.namespace() == other_owner.namespace()
        || (acts_as_agent(policy, owner, sync) && acts_as_agent(policy, other_owner, other))
}

/// True if a Sync acts as the agent itself.
pub fn acts_as_agent(policy: &Policy, owner: &SyncRef, sync: &Sync) -> bool {
    Identity::of(owner, &sync.spec, policy).is_ok_and(|identity| identity.is_agent())
}

/// Returns the name of a Sync; `None` for one from a file without a namespace.
pub fn name(sync: &Sync) -> Option<SyncRef> {
    Some(SyncRef::new(sync.metadata.namespace.clone()?, sync.metadata.name.clone()?))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use kube::runtime::{reflector, watcher};
    use serde_json::json;

    use super::*;
    use crate::api::SyncStatus;
    use crate::source::Location;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn sync(name: &str) -> Sync {
        let value = json!({
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Sync",
            "metadata": {"name": name, "namespace": "team"},
            "spec": {"source": {"git": {"url": "https://git.example.com/config"}}, "interval": "5s"},
        });
        serde_json::from_value(value).expect("a Sync")
    }

    /// Whether the Sync `one` waits for `two`, some time after it has reached the revision `b`.
    fn waits(peers: &Peers, seconds: i64) -> bool {
        let (syncs, mut writer) = reflector::store();
        for name in ["one", "two"] {
            writer.apply_watcher_event(&watcher::Event::Apply(sync(name)));
        }
        let (one, owner, policy) = (sync("one"), SyncRef::new("team", "one"), Policy::default());
        let claims = Claims { syncs: &syncs, peers, policy: &policy, together: true };
        let (status, now) = (SyncStatus::default(), NOW + SignedDuration::from_secs(seconds));
        claims.behind(SyncAt { sync: &one, owner: &owner, status: &status, now }, "b").is_some()
    }

    #[test]
    fn a_sync_waits_a_while_for_one_that_fails_and_not_for_one_that_is_stalled() {
        let (peers, two) = (Peers::default(), SyncRef::new("team", "two"));
        peers.reads_from(
            &two,
            Location::parse("https://git.example.com/config", None).expect("a URL").mirror(),
        );
        assert!(waits(&peers, 0));
        peers.ended(&two, true);
        assert!(waits(&peers, 19));
        assert!(!waits(&peers, 20));
        peers.ended(&two, false);
        assert!(!waits(&peers, 1));
        peers.ended(&two, true);
        peers.reached(&two, "b");
        assert!(!waits(&peers, 1));
    }
}

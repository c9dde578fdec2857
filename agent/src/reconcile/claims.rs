//! Objects that move from one Sync to another: until the Syncs of the same source and trust domain have reached the same
//! revision, no object is removed that left the source lately, and an object of another Sync is not an error.
//!
//! The wait is counted for each object, from when it was first held back: newer revisions do not prolong it. No I/O: Syncs are
//! read from the store of the watch.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::reflector::Store;

use super::past::{self, Since};
use super::peers::{Ended, Peers};
use super::sync_at::SyncAt;
use crate::api::{Sync, conditions};
use crate::identity::Identity;
use crate::policy::Policy;
use crate::sync_ref::SyncRef;

/// The longest time that an object is held back for other Syncs.
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

/// A Sync that has not reached a revision yet, and the objects that are held back for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    pub sync: SyncRef,
    pub held: HashSet<String>,
    /// Time until the first of them is no longer held back.
    pub left: Duration,
}

impl Claims<'_> {
    /// Returns a Sync of the same source and trust domain that works and has not reached this revision yet, with those of the
    /// objects that are held back for it. Until it has reached the revision, an object may have left the source or moved to that
    /// Sync. `before` is what the last run returned beside it. The Sync `at` is woken when the other one reaches the revision.
    pub fn behind(
        &self,
        at: SyncAt<'_>,
        revision: &str,
        objects: impl Iterator<Item = String>,
        before: &Since,
    ) -> (Since, Option<Behind>) {
        let Some(sync) = self.awaited(at, revision) else { return (Since::new(), None) };
        let longest = longest(at.sync);
        let since = |object: String| {
            let first = before.get(&object).copied().unwrap_or(at.now);
            (object, first)
        };
        let all: Since = objects.map(since).collect();
        let (mut held, mut next) = (HashSet::new(), longest);
        for (object, first) in &all {
            let left = longest.saturating_sub(past::since(*first, at.now));
            if !left.is_zero() {
                held.insert(object.clone());
                next = next.min(left);
            }
        }
        let behind = (!held.is_empty()).then_some(Behind { sync, held, left: next });
        (all, behind)
    }

    /// Returns a Sync that has not reached a revision yet and is expected to.
    fn awaited(&self, at: SyncAt<'_>, revision: &str) -> Option<SyncRef> {
        if !self.together {
            return None;
        }
        let SyncAt { sync, owner, now, .. } = at;
        let longest = longest(sync);
        let found = self.syncs.state().into_iter().find_map(|other| {
            let name = name(&other)?;
            let awaited = name != *owner
                && other.spec.source == sync.spec.source
                && trusts(self.policy, (owner, sync), (&name, &other))
                && self.works(&other, &name, (revision, longest), now)
                && self.peers.revision(&name).as_deref() != Some(revision);
            awaited.then_some(name)
        });
        match found {
            Some(_) => self.peers.wait(owner),
            None => self.peers.stop_waiting(owner),
        }
        found
    }

    /// True if a Sync is expected to reach a revision soon: nothing that a person must change stopped its last run, and it has not
    /// failed to render for longer than an object is held back, this revision included. The same if it has not run yet.
    fn works(
        &self,
        sync: &Sync,
        name: &SyncRef,
        (revision, longest): (&str, Duration),
        now: Timestamp,
    ) -> bool {
        let is_suspended = sync.spec.suspend.as_ref().is_some_and(|suspend| suspend.holds(now).is_some());
        if sync.metadata.deletion_timestamp.is_some() || is_suspended {
            return false;
        }
        match self.peers.last_end(name) {
            Some(Ended::Working) => true,
            Some(Ended::NotRendered { revision: failed, since: first }) => {
                failed != revision || past::since(first, now) < longest
            }
            Some(Ended::Stopped) => false,
            None => {
                let status = sync.status.as_ref();
                status.is_none_or(|status| !conditions::is_true(&status.conditions, conditions::STALLED))
            }
        }
    }
}

/// The longest time that an object of a Sync is held back.
fn longest(sync: &Sync) -> Duration {
    LONGEST.min(sync.spec.interval().max(SHORTEST))
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

    fn after(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    /// The Sync `one`, whose objects may move to `two`.
    struct Fixture {
        peers: Peers,
        two: SyncRef,
        since: Since,
    }

    impl Fixture {
        fn new() -> Self {
            let fixture =
                Self { peers: Peers::default(), two: SyncRef::new("team", "two"), since: Since::new() };
            let source = Location::parse("https://git.example.com/config", None).expect("a URL");
            fixture.peers.reads_from(&fixture.two, source.mirror());
            fixture
        }

        /// Which objects that left the source `one` holds back some time after the begin, at a revision.
        fn held(&mut self, seconds: i64, revision: &str, objects: &str) -> String {
            let (syncs, mut writer) = reflector::store();
            for name in ["one", "two"] {
                writer.apply_watcher_event(&watcher::Event::Apply(sync(name)));
            }
            let (one, owner, policy) = (sync("one"), SyncRef::new("team", "one"), Policy::default());
            let claims = Claims { syncs: &syncs, peers: &self.peers, policy: &policy, together: true };
            let status = SyncStatus::default();
            let at = SyncAt { sync: &one, owner: &owner, status: &status, now: after(seconds) };
            let objects = objects.split_whitespace().map(str::to_owned);
            let (since, behind) = claims.behind(at, revision, objects, &self.since);
            self.since = since;
            let mut held: Vec<String> = behind.into_iter().flat_map(|behind| behind.held).collect();
            held.sort();
            held.join(" ")
        }
    }

    #[test]
    fn an_object_is_held_back_for_a_while_for_a_sync_that_works_and_not_for_one_that_is_stopped() {
        let mut fixture = Fixture::new();
        let two = fixture.two.clone();
        assert_eq!(fixture.held(0, "b", "x"), "x");
        fixture.peers.ended(&two, Ended::Working);
        assert_eq!(fixture.held(19, "b", "x"), "x");
        assert_eq!(fixture.held(20, "b", "x"), "");
        fixture.peers.ended(&two, Ended::Stopped);
        assert_eq!(fixture.held(21, "b", "x y"), "");
        fixture.peers.ended(&two, Ended::Working);
        assert_eq!(fixture.held(22, "b", "x y"), "x y");
        fixture.peers.reached(&two, "b");
        assert_eq!(fixture.held(23, "b", "x y"), "");
    }

    #[test]
    fn commits_do_not_prolong_the_time_for_which_an_object_is_held_back() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.held(0, "b", "x"), "x");
        assert_eq!(fixture.held(12, "c", "x y"), "x y");
        // The time of x is over, and that of y, which left the source 12 seconds later, is not.
        assert_eq!(fixture.held(24, "d", "x y"), "y");
        assert_eq!(fixture.held(32, "e", "x y"), "");
        assert_eq!(fixture.held(33, "e", "x y z"), "z");
        // An object that came back and leaves again may move this time.
        assert_eq!(fixture.held(34, "f", "z"), "z");
        assert_eq!(fixture.held(35, "g", "x z"), "x z");
    }

    #[test]
    fn nothing_is_held_back_for_a_sync_that_has_long_failed_to_render_and_also_this_revision() {
        let mut fixture = Fixture::new();
        let two = fixture.two.clone();
        let fails = |revision: &str, seconds: i64| Ended::NotRendered {
            revision: revision.to_owned(),
            since: after(seconds),
        };
        fixture.peers.ended(&two, fails("a", 0));
        assert_eq!(fixture.held(10, "b", "x"), "x");
        fixture.peers.ended(&two, fails("b", 11));
        assert_eq!(fixture.held(12, "b", "x"), "x", "it has failed for less than the longest wait");
        assert_eq!(fixture.held(21, "b", "x"), "", "it has failed since the revision a");
        // It has not seen this revision yet, and may be able to render it.
        assert_eq!(fixture.held(22, "c", "x y"), "x y");
        fixture.peers.ended(&two, fails("c", 23));
        assert_eq!(fixture.held(24, "c", "x y"), "");
        fixture.peers.ended(&two, Ended::Working);
        assert_eq!(fixture.held(25, "c", "x y"), "x y");
    }
}

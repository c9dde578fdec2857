//! What is remembered of a Sync between two of its runs. All of it can be made again from the source and the cluster, so that
//! a restart loses nothing. Time is an argument. No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::digest::Digest;
use holdfast_diff::mask::Masks;
use holdfast_diff::object::ObjectId;
use jiff::Timestamp;

use super::drift::fights::Fights;
use super::rendered_commit::RenderedCommit;
use super::sync_at::SyncAt;
use crate::api::{DriftObject, DriftStatus, Sync, SyncStatus};
use crate::cluster::parent::Former;
use crate::cluster::view::{Differing, Differs, View};
use crate::render::kept::Kept;
use crate::source::Checkout;

/// What is remembered of one Sync.
#[derive(Default)]
pub struct Past {
    /// The last contact with the source.
    pub source: Contact,
    /// The last render, as far as a new commit is compared with it.
    pub read: Option<RenderedCommit>,
    /// What became of the last render.
    pub state: State,
    /// Parts of former manifests that the manifests of now do not have, and that may still be live.
    pub leftovers: Leftovers,
    /// How often in a row a plan was not applied because its objects had changed.
    pub replans: u8,
    /// Values that no message may show: of the last render, and of those before whose values it replaces.
    pub masks: Arc<Masks>,
    pub drift: PastDrift,
    /// The status with drift that was written before its correction, until the report of the run has taken it.
    pub announced: Option<SyncStatus>,
    pub notices: Notices,
    /// Kinds and namespaces that the Sync names of its set, and does not need when their last member is gone.
    pub former: Former,
    pub ending: Ending,
}

/// Parts of former manifests that the manifests of now do not have.
pub type Leftovers = HashMap<ObjectId, Arc<serde_json::Value>>;

/// What became of the last render of a Sync.
#[derive(Default)]
pub enum State {
    /// This process has compared no render of the Sync with the cluster yet.
    #[default]
    New,
    /// The same, and the revision that was applied before the restart could not be rendered again.
    Unknown,
    /// Not every object of it could be compared and applied, so that the next run does all of it again.
    Failing(DesiredSet),
    /// Every object of it satisfied its manifest. A run in which no object has changed since makes no request.
    Verified(DesiredSet),
}

/// The objects of a render, and what each of them must satisfy.
pub struct DesiredSet {
    tree: String,
    generation: Option<i64>,
    /// In the order of the render.
    pub objects: Arc<Vec<(ObjectId, Digest)>>,
    /// Their manifests.
    pub kept: Kept,
}

/// The last contact with the source.
#[derive(Default)]
pub struct Contact {
    /// What the source had at the last successful contact.
    pub checkout: Option<Checkout>,
    /// When the source was contacted last.
    pub at: Option<Timestamp>,
    /// A contact was due, and drift came first.
    pub postponed: bool,
    /// The value of `holdfast.dev/reconcile-at` that was answered last.
    pub answered: Option<String>,
}

/// What is remembered of drift.
#[derive(Default)]
pub struct PastDrift {
    /// Objects that differ and stay so for now. While one differs in the same way, it causes no request.
    pub left: HashMap<ObjectId, Left>,
    pub fights: Fights,
    /// What other managers added to objects, under the digest of it that was read.
    pub unmanaged: BTreeMap<ObjectId, (Digest, DriftObject)>,
    /// Fields that left the source and stay, because controllers own them too.
    pub kept: BTreeMap<ObjectId, DriftObject>,
    /// The episode that goes on, whole; the status has a part of it.
    pub episode: Option<DriftStatus>,
    /// When an object was corrected last; when the process started, if none was.
    pub corrected_at: Option<Timestamp>,
}

/// An object that differs and stays so.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    pub seen: Differs,
    /// When it is compared again, even if it did not change.
    pub until: Option<Timestamp>,
    pub told: DriftObject,
}

/// The warnings of the last run that found them.
#[derive(Default)]
pub struct Notices {
    /// Problems in the source that stop nothing; `None` before all of it was compared.
    pub mistakes: Option<Vec<String>>,
    /// Objects that are not removed though they left the source.
    pub notes: Vec<String>,
    /// Files of web servers that have other content than what is applied.
    pub elsewhere: Vec<String>,
    /// Objects that carry the marks of the Sync and are no members of its set.
    pub ignored: BTreeSet<ObjectId>,
}

/// What is remembered of a Sync that is being deleted.
#[derive(Default)]
pub struct Ending {
    /// Since when objects of it are out of reach.
    pub since: Option<Timestamp>,
    /// The objects that it may not remove.
    pub refused: BTreeSet<ObjectId>,
}

/// The time from one moment to another. A clock that was set back counts as a long time, so that nothing waits for it.
pub fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or(Duration::MAX)
}

impl Past {
    /// Keeps what a run compared: as verified if nothing of it failed. `None` keeps the set that the run took a part of.
    pub fn keep(&mut self, compared: Option<DesiredSet>, is_verified: bool) {
        let newest = match (compared, std::mem::take(&mut self.state)) {
            (Some(compared), _) => compared,
            (None, State::Verified(before)) => before,
            (None, state) => {
                self.state = state;
                return;
            }
        };
        self.state = if is_verified { State::Verified(newest) } else { State::Failing(newest) };
    }

    /// What differs from the verified set of this tree and was not compared like this yet. `None` if the set of this tree is not
    /// verified, so that all of it must be compared.
    pub fn differing(
        &self,
        view: &View,
        at: SyncAt<'_>,
        tree: &str,
        is_done: impl Fn(&ObjectId, Digest) -> bool,
    ) -> Option<Differing> {
        let verified = self.state.verified().filter(|set| set.is_of(tree, at.sync))?;
        let mut differing = view.differing(at.owner, &verified.objects, is_done);
        differing.manifests.retain(|(position, seen)| {
            let (object, _) = &verified.objects[*position];
            self.drift.is_news(object, *seen, at.now)
        });
        Some(differing)
    }
}

impl State {
    /// The set whose objects satisfied their manifests.
    pub fn verified(&self) -> Option<&DesiredSet> {
        match self {
            Self::Verified(set) => Some(set),
            Self::New | Self::Unknown | Self::Failing(_) => None,
        }
    }

    /// The set that the source had before, whatever became of it.
    pub fn before(&self) -> Option<&DesiredSet> {
        match self {
            Self::Verified(set) | Self::Failing(set) => Some(set),
            Self::New | Self::Unknown => None,
        }
    }
}

impl DesiredSet {
    /// The set of a tree, for a Sync as it is now.
    pub fn new(tree: &str, sync: &Sync, objects: Arc<Vec<(ObjectId, Digest)>>, kept: Kept) -> Self {
        Self { tree: tree.to_owned(), generation: sync.metadata.generation, objects, kept }
    }

    /// True if it is of this tree and of the Sync as it is now. An empty set never is, so that it is always compared again.
    pub fn is_of(&self, tree: &str, sync: &Sync) -> bool {
        !self.objects.is_empty() && self.tree == tree && self.generation == sync.metadata.generation
    }
}

impl Contact {
    /// True if the source has to be contacted, because the interval is over.
    pub fn is_due(&self, interval: Duration, now: Timestamp) -> bool {
        self.left(interval, now).is_zero()
    }

    /// How long it is until then.
    pub fn left(&self, interval: Duration, now: Timestamp) -> Duration {
        self.at.map_or(Duration::ZERO, |at| interval.saturating_sub(since(at, now)))
    }
}

impl PastDrift {
    /// True if an object that differs was not compared like this yet, or is to be compared again.
    pub fn is_news(&self, object: &ObjectId, seen: Differs, now: Timestamp) -> bool {
        let left = self.left.get(object);
        left.is_none_or(|left| left.seen != seen || left.until.is_some_and(|until| until <= now))
    }
}

#[cfg(test)]
mod tests {
    use holdfast_diff::object::GroupKind;
    use jiff::SignedDuration;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn set() -> DesiredSet {
        let object = ObjectId::new(Arc::new(GroupKind::new("", "ConfigMap")), "shop", "a");
        let objects = Arc::new(vec![(object, Digest::of_bytes(b"a"))]);
        let kept = Kept::of(std::iter::empty::<holdfast_diff::object::Manifest>()).expect("nothing to pack");
        DesiredSet { tree: "tree".to_owned(), generation: None, objects, kept }
    }

    #[test]
    fn a_set_is_verified_until_a_run_fails_and_again_after_one_that_does_not() {
        let mut past = Past::default();
        assert!(past.state.before().is_none());
        past.keep(Some(set()), false);
        assert!(past.state.verified().is_none() && past.state.before().is_some());
        past.keep(Some(set()), true);
        assert!(past.state.verified().is_some());
        // A run that compared a part of the set, and failed.
        past.keep(None, false);
        assert!(past.state.verified().is_none() && past.state.before().is_some());
        // Only a run that compares all of it verifies it again.
        past.keep(None, true);
        assert!(past.state.verified().is_none());
    }

    #[test]
    fn the_source_is_contacted_after_an_interval_and_after_the_clock_was_set_back() {
        let interval = Duration::from_mins(1);
        let after = |seconds| NOW + SignedDuration::from_secs(seconds);
        let contact = Contact { at: Some(NOW), ..Contact::default() };
        assert!(Contact::default().is_due(interval, NOW));
        assert_eq!(contact.left(interval, after(20)), Duration::from_secs(40));
        assert!(!contact.is_due(interval, after(59)) && contact.is_due(interval, after(60)));
        assert!(contact.is_due(interval, after(-1)));
    }

    #[test]
    fn drift_that_stays_is_compared_again_when_it_changes_or_its_time_is_over() {
        let object = ObjectId::new(Arc::new(GroupKind::new("", "ConfigMap")), "shop", "a");
        let differs = |live: &[u8]| Differs {
            manifest: Digest::of_bytes(b"manifest"),
            live: Some(Digest::of_bytes(live)),
            whole: None,
        };
        let until = NOW + SignedDuration::from_secs(10);
        let told = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "a",
            "state": "Snoozed", "since": "1970-01-01T00:00:00Z", "changes": []});
        let told = serde_json::from_value(told).expect("a drift object");
        let mut drift = PastDrift::default();
        assert!(drift.is_news(&object, differs(b"hand"), NOW));
        drift.left.insert(object.clone(), Left { seen: differs(b"hand"), until: Some(until), told });
        assert!(!drift.is_news(&object, differs(b"hand"), NOW));
        assert!(drift.is_news(&object, differs(b"other"), NOW));
        assert!(drift.is_news(&object, differs(b"hand"), until));
    }
}

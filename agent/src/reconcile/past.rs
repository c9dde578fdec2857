//! What a Sync remembers between two runs. All of it can be computed again from the source and the cluster, so that a restart
//! loses nothing. Time is an argument. No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
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

/// The memory of one Sync.
#[derive(Default)]
pub struct Past {
    /// The last contact with the source.
    pub source: Contact,
    /// The last rendered commit, with which a new one is compared.
    pub read: Option<RenderedCommit>,
    /// Whether the last render was compared and applied.
    pub state: State,
    /// Parts of earlier manifests that the current manifests do not have and that may still be live.
    pub leftovers: Leftovers,
    /// Consecutive plans that were not applied because their objects had changed.
    pub replans: u8,
    /// Values that no message may show: those of the last render, and earlier ones that it replaces.
    pub masks: Arc<Masks>,
    pub drift: PastDrift,
    /// The status with drift that was written before the correction. The report of the run takes it.
    pub announced: Option<SyncStatus>,
    pub notices: Notices,
    /// Kinds and namespaces in the marks of the Sync that are removed from them once their last member is gone.
    pub former: Former,
    pub ending: Ending,
    /// Since when objects that left the source are held back for other Syncs.
    pub held_back: Since,
}

/// When each object that left the source was first held back for other Syncs, by the name of the object in messages. It is kept
/// while any of them is behind, also after the time of an object is over.
pub type Since = HashMap<String, Timestamp>;

/// Parts of earlier manifests that the current manifests do not have, by object.
pub type Leftovers = HashMap<ObjectId, Arc<serde_json::Value>>;

/// Whether the last render of a Sync was compared and applied.
#[derive(Default)]
pub enum State {
    /// This process has compared no render of the Sync with the cluster yet.
    #[default]
    New,
    /// As `New`, and the revision that was applied before the restart is not rendered again.
    Unknown,
    /// Some objects could not be compared or applied. The next run compares all of them again.
    Failing(DesiredSet),
    /// Every object satisfied its manifest. If none has changed since, a run makes no request.
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
    /// The commit at the last successful contact.
    pub checkout: Option<Checkout>,
    /// Time of the last contact, whether it succeeded or not.
    pub at: Option<Timestamp>,
    /// A contact was due and was postponed, because drift has precedence.
    pub postponed: bool,
    /// The value of `holdfast.dev/reconcile-at` at the last contact.
    pub answered: Option<String>,
}

/// The memory of drift.
#[derive(Default)]
pub struct PastDrift {
    /// Drift that is not corrected for now. While an object differs in the same way, it causes no request.
    pub left: HashMap<ObjectId, Left>,
    pub fights: Fights,
    /// Fields that other managers added to objects, with the digest of these fields when they were read.
    pub unmanaged: BTreeMap<ObjectId, (Digest, DriftObject)>,
    /// Fields that left the source and stay live, because controllers own them too.
    pub kept: BTreeMap<ObjectId, DriftObject>,
    /// The complete open episode. The status lists a part of it.
    pub episode: Option<DriftStatus>,
    /// Time of the last correction; of the first run if there was none.
    pub corrected_at: Option<Timestamp>,
}

/// Drift of one object that is not corrected for now.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    pub seen: Differs,
    /// When the object is compared again, even if it did not change.
    pub until: Option<Timestamp>,
    pub reported: DriftObject,
}

/// Warnings, each list from the last run that computed it.
#[derive(Default)]
pub struct Notices {
    /// Problems in the source that do not block the sync; `None` until a whole set was compared.
    pub mistakes: Option<Vec<String>>,
    /// Objects that left the source and still exist, with the reason.
    pub notes: Vec<String>,
    /// Files of web servers whose content differs from what is applied.
    pub elsewhere: Vec<String>,
    /// Objects that carry the marks of the Sync and do not belong to its set.
    pub ignored: BTreeSet<ObjectId>,
}

/// The memory of a Sync that is being deleted.
#[derive(Default)]
pub struct Ending {
    /// Since when some of its objects cannot be observed or removed.
    pub since: Option<Timestamp>,
    /// Objects that its identity may not remove.
    pub refused: BTreeSet<ObjectId>,
}

/// Returns the time from `then` to `now`; `Duration::MAX` if the clock was set back, so that nothing waits for it.
pub fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or(Duration::MAX)
}

impl Past {
    /// Remembers the set that a run compared, or the previous one if the run compared a part of it (`None`). It is verified if
    /// nothing failed.
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

    /// Returns the objects that differ from the verified set of this tree, without those whose difference was compared before.
    /// `None` if this tree is not verified, so that the whole set must be compared.
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
    /// The verified set.
    pub fn verified(&self) -> Option<&DesiredSet> {
        match self {
            Self::Verified(set) => Some(set),
            Self::New | Self::Unknown | Self::Failing(_) => None,
        }
    }

    /// The previous set, verified or not.
    pub fn before(&self) -> Option<&DesiredSet> {
        match self {
            Self::Verified(set) | Self::Failing(set) => Some(set),
            Self::New | Self::Unknown => None,
        }
    }
}

impl DesiredSet {
    /// Creates the set of a tree for the current generation of a Sync.
    pub fn new(tree: &str, sync: &Sync, objects: Arc<Vec<(ObjectId, Digest)>>, kept: Kept) -> Self {
        Self { tree: tree.to_owned(), generation: sync.metadata.generation, objects, kept }
    }

    /// Adds the definitions of custom resources in Git to positions of manifests, for every group among those. A definition says
    /// that a kind which is not served yet will be.
    pub fn with_definitions(&self, mut positions: Vec<usize>) -> Vec<usize> {
        let kinds = positions.iter().map(|position| &self.objects[*position].0.kind);
        let groups: HashSet<&str> =
            kinds.map(|kind| &*kind.group).filter(|group| group.contains('.')).collect();
        if groups.is_empty() {
            return positions;
        }
        let is_definition = |object: &ObjectId| {
            object.kind.is("apiextensions.k8s.io", "CustomResourceDefinition")
                && object.name.split_once('.').is_some_and(|(_, group)| groups.contains(group))
        };
        let all = self.objects.iter().enumerate();
        let definitions: Vec<usize> =
            all.filter(|(_, (object, _))| is_definition(object)).map(|(position, _)| position).collect();
        positions.extend(definitions);
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    /// True if the set is of this tree and of the current generation of the Sync. An empty set never is, so that it is always
    /// compared again.
    pub fn is_of(&self, tree: &str, sync: &Sync) -> bool {
        !self.objects.is_empty() && self.tree == tree && self.generation == sync.metadata.generation
    }
}

impl Contact {
    /// True if the interval since the last contact is over.
    pub fn is_due(&self, interval: Duration, now: Timestamp) -> bool {
        self.left(interval, now).is_zero()
    }

    /// Time until the interval is over.
    pub fn left(&self, interval: Duration, now: Timestamp) -> Duration {
        self.at.map_or(Duration::ZERO, |at| interval.saturating_sub(since(at, now)))
    }
}

impl PastDrift {
    /// True if this difference of an object was not compared before, or is due to be compared again.
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
    fn a_part_of_a_set_holds_the_definitions_of_its_kinds() {
        let object = |group: &str, kind: &str, name: &str| {
            let object = ObjectId::new(Arc::new(GroupKind::new(group, kind)), "", name);
            (object, Digest::of_bytes(b"a"))
        };
        let definition = |name: &str| object("apiextensions.k8s.io", "CustomResourceDefinition", name);
        let objects = vec![
            definition("ships.other.example.com"),
            definition("boats.example.com"),
            object("", "ConfigMap", "a"),
            object("example.com", "Boat", "one"),
        ];
        let set = DesiredSet { objects: Arc::new(objects), ..set() };
        assert_eq!(set.with_definitions(vec![3]), [1, 3]);
        assert_eq!(set.with_definitions(vec![2]), [2]);
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
        let reported = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "a",
            "state": "Snoozed", "since": "1970-01-01T00:00:00Z", "changes": []});
        let reported = serde_json::from_value(reported).expect("a drift object");
        let mut drift = PastDrift::default();
        assert!(drift.is_news(&object, differs(b"hand"), NOW));
        drift.left.insert(object.clone(), Left { seen: differs(b"hand"), until: Some(until), reported });
        assert!(!drift.is_news(&object, differs(b"hand"), NOW));
        assert!(drift.is_news(&object, differs(b"other"), NOW));
        assert!(drift.is_news(&object, differs(b"hand"), until));
    }
}

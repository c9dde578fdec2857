//! What the live view keeps of one object, in a few hundred bytes: its owner, its health, and fingerprints that show whether it
//! has changed since it was verified. Pure.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::applyset::PART_OF;
use holdfast_diff::compare;
use holdfast_diff::digest::Digest;
use holdfast_diff::fields;
use holdfast_diff::handling;
use holdfast_diff::health::{self, Health};
use holdfast_diff::object::ObjectId;
use holdfast_diff::order::{Stage, rank, wave};
use holdfast_diff::plan::SeenAt;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::judges::Judges;
use super::marks::{Marks, Whose};
use super::owners;
use super::requests::ResourceType;
use super::view::Differs;
use crate::api::names;
use crate::sync_ref::SyncRef;

/// What the view keeps of one live object.
#[derive(Clone, Debug)]
pub struct Entry {
    pub kind: Arc<ResourceType>,
    pub uid: Box<str>,
    pub owner: SyncRef,
    pub stage: Stage,
    /// What its marks say about its deletion, if anything.
    pub keep: Option<Arc<Keep>>,
    /// True if the garbage collector would delete the object with others.
    pub has_owners: bool,
    /// Set while the object is being deleted.
    pub ending: Option<Arc<Ending>>,
    /// A finalizer whose owner may remove more than the object.
    pub finalizer: Option<Arc<str>>,
    /// Set for a Job that has succeeded and is to be deleted.
    pub completed: Option<Goes>,
    /// The version of the Sync's own checks that evaluated the health.
    pub judged: Option<Digest>,
    pub health: Health,
    /// The fingerprint of the fields that Holdfast owns; `None` if it cannot be computed.
    pub live: Option<Digest>,
    /// What few objects have.
    rare: Option<Box<Rare>>,
    /// A manifest, and the live fingerprint that satisfies it according to the API server.
    pub(super) verified: Option<(Digest, Digest)>,
    pub(super) version: u64,
}

/// What the marks of an object say about its deletion: it is kept, or needs an Approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The mark as messages name it.
    pub mark: String,
    /// True if the object is kept; false if it may be deleted with an Approval.
    pub stays: bool,
    /// The UIDs of its owners: the garbage collector deletes it with them.
    owners: Vec<Box<str>>,
    /// Those of them that Git did not set, which stay when the object is orphaned.
    foreign: Vec<Box<str>>,
}

impl Keep {
    fn of(object: &Value) -> Option<Self> {
        let keeps = handling::keeps(object);
        let stays = keeps.is_some();
        let mark = keeps.or_else(|| handling::confirms(object))?;
        let (owners, foreign) = (owners::uids(owners::all(object)), owners::uids(owners::of_others(object)));
        Some(Self { mark, stays, owners, foreign })
    }

    /// True if the object would be deleted with the one that has this UID.
    pub fn belongs_to(&self, uid: &str) -> bool {
        self.owners.iter().any(|owner| **owner == *uid)
    }

    /// True if it would also be deleted with that one after it was orphaned.
    pub fn stays_with(&self, uid: &str) -> bool {
        self.foreign.iter().any(|owner| **owner == *uid)
    }
}

/// How a Job that has succeeded is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goes {
    /// `ttlSecondsAfterFinished`.
    ByItself,
    /// `holdfast.dev/completed: Delete`.
    ByUs,
}

/// Attributes that few objects have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rare {
    /// The fingerprint of the fields that other managers added, if they are reported.
    pub unmanaged: Option<Digest>,
    /// The fingerprint of the whole object, if it differs and is not corrected for now.
    pub whole: Option<Digest>,
    /// The same at its verification, if a change of field owners must be compared too.
    pub owned: Option<Digest>,
    /// The resourceVersion that our last write was planned from. Changes in between were overwritten.
    pub overwrote: Option<SeenAt>,
}

/// The classification of a live object that carries the label of a set.
#[derive(Clone, Debug)]
pub enum Sight {
    Member(Box<Entry>),
    /// It carries all marks of this Sync, and was not applied for it.
    Copy(SyncRef),
    /// Neither.
    Other,
}

impl Sight {
    /// Classifies a live object: it is a member only if its label, annotation and mark agree.
    pub fn of(
        kind: &Arc<ResourceType>,
        id: &ObjectId,
        object: &Value,
        judges: &Judges,
        marks: &Marks,
    ) -> Self {
        let label = object.pointer("/metadata/labels").and_then(|labels| labels.get(PART_OF)?.as_str());
        let belongs = |owner: &SyncRef| label.is_some_and(|label| label == owner.applyset());
        match marks.whose(id, object) {
            Whose::Of(owner) if belongs(&owner) => {
                Self::Member(Box::new(Entry::of(kind, owner, object, judges)))
            }
            // Objects that a controller derives from a member often carry its labels and annotations: EndpointSlices do.
            Whose::Claimed(owner) if belongs(&owner) && !is_made_by_controller(object) => Self::Copy(owner),
            Whose::Of(_) | Whose::Claimed(_) | Whose::Unmarked => Self::Other,
        }
    }

    /// Returns the Sync of a member or of a copy of one.
    pub fn owner(&self) -> Option<&SyncRef> {
        match self {
            Self::Member(entry) => Some(&entry.owner),
            Self::Copy(owner) => Some(owner),
            Self::Other => None,
        }
    }

    /// The member, if it is one.
    pub fn member(self) -> Option<Entry> {
        match self {
            Self::Member(entry) => Some(*entry),
            Self::Copy(_) | Self::Other => None,
        }
    }
}

fn is_made_by_controller(object: &Value) -> bool {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
    owners.into_iter().any(|owner| owner["controller"] == true)
}

/// Returns the fingerprint of the fields that Holdfast owns in a live object. If the managedFields were removed, that of the
/// whole object, so that any change is noticed.
pub fn fingerprint(object: &Value, api_version: &str) -> Option<Digest> {
    match fields::applied(object) {
        Some(_) => fields::fingerprint(object, api_version),
        None => Some(Digest::of(&compare::essence(object))),
    }
}

impl Entry {
    /// Creates the entry of a live object of a Sync.
    fn of(kind: &Arc<ResourceType>, owner: SyncRef, object: &Value, judges: &Judges) -> Self {
        let none = Value::Null;
        let metadata = object.get("metadata").unwrap_or(&none);
        let annotations = metadata.get("annotations");
        let annotation = |name: &str| annotations.and_then(|all| all.get(name)).and_then(Value::as_str);
        let (mut health, judged) = judges.judge(&owner, &kind.kind, object);
        let by_us = annotation(names::COMPLETED) == Some(names::DELETE);
        let by_itself = object.pointer("/spec/ttlSecondsAfterFinished").is_some();
        let goes = by_us.then_some(Goes::ByUs).or(by_itself.then_some(Goes::ByItself));
        let completed = goes.filter(|_| kind.kind.is("batch", "Job") && is_complete(object));
        if health.status == health::Status::Current {
            // Healthy objects need no message.
            health.message = String::new();
        }
        let unmanaged = judges.unmanaged(&owner, kind, object);
        Self {
            uid: metadata.get("uid").and_then(Value::as_str).unwrap_or_default().into(),
            owner,
            stage: Stage { wave: wave(annotation), rank: rank(&kind.kind) },
            keep: Keep::of(object).map(Arc::new),
            has_owners: owners::all(object).next().is_some(),
            ending: Ending::of(object),
            finalizer: finalizers(metadata).find(|name| !HARMLESS.contains(name)).map(Arc::from),
            completed,
            judged,
            health,
            live: fingerprint(object, &kind.api_version()),
            rare: Some(Box::new(Rare { unmanaged, ..Rare::default() }))
                .filter(|rare| rare.unmanaged.is_some()),
            verified: None,
            version: version(object),
            kind: kind.clone(),
        }
    }

    /// What few objects have.
    pub fn rare(&self) -> Rare {
        self.rare.as_deref().copied().unwrap_or_default()
    }

    /// Returns the rare attributes for a change.
    pub(super) fn with_rare(&mut self, change: impl FnOnce(&mut Rare)) {
        let mut rare = self.rare();
        change(&mut rare);
        self.rare = (rare != Rare::default()).then(|| Box::new(rare));
    }

    /// True if our write, which led to this state, overwrote a change that was made after the write was planned.
    pub(super) fn overwrites(&self, other: &Self) -> bool {
        self.rare().overwrote.is_some_and(|seen| {
            other.version > seen.version && other.version < self.version && other.is_other_than(seen)
        })
    }

    /// Records the fingerprint of the whole object.
    pub(super) fn note_whole(&mut self, object: &Value) {
        let whole = whole(object);
        self.with_rare(|rare| rare.whole = Some(whole));
    }

    /// True if the object has changed since `seen`.
    pub(super) fn is_other_than(&self, seen: SeenAt) -> bool {
        match (seen.whole, self.rare().whole) {
            // Without a fingerprint of the whole object, it counts as changed.
            (Some(before), now) => now != Some(before),
            (None, _) => self.live != seen.live,
        }
    }

    /// Returns how the object differs from a manifest.
    pub fn differs(&self, manifest: Digest) -> Differs {
        Differs { manifest, live: self.live, whole: self.rare().whole }
    }

    /// The mark that keeps the object when it leaves Git.
    pub fn kept(&self) -> Option<&str> {
        self.keep.as_ref().filter(|keep| keep.stays).map(|keep| keep.mark.as_str())
    }

    /// True if the current state of the object satisfies a manifest, according to the API server.
    pub fn satisfies(&self, manifest: Digest) -> bool {
        self.satisfied() == Some(manifest)
    }

    /// The manifest that the current state of the object satisfies.
    pub fn satisfied(&self) -> Option<Digest> {
        let (rare, (manifest, verified)) = (self.rare(), self.verified?);
        let owned = rare.owned.is_none() || rare.owned == rare.whole;
        (self.live == Some(verified) && owned).then_some(manifest)
    }
}

/// Returns the fingerprint of a whole live object, with the owners of its fields.
pub fn whole(object: &Value) -> Digest {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
    let owners: Value = entries
        .filter(|entry| entry["subresource"] != "status")
        .map(|entry| json!([entry["manager"], entry["operation"], entry["subresource"], entry["fieldsV1"]]))
        .collect();
    Digest::of(&json!([compare::essence(object), owners]))
}

/// True if a Job has succeeded, also while it is being deleted.
fn is_complete(job: &Value) -> bool {
    let conditions = job.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Complete" && condition["status"] == "True")
}

/// Finalizers of Kubernetes itself, which remove nothing beyond the object.
const HARMLESS: [&str; 8] = [
    "foregroundDeletion",
    "orphan",
    "kubernetes.io/pvc-protection",
    "kubernetes.io/pv-protection",
    "service.kubernetes.io/load-balancer-cleanup",
    "batch.kubernetes.io/job-tracking",
    "customresourcecleanup.apiextensions.k8s.io",
    "resource.kubernetes.io/delete-protection",
];

fn finalizers(metadata: &Value) -> impl Iterator<Item = &str> {
    metadata.get("finalizers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A deletion in progress: since when, and what holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    since: Timestamp,
    held_by: String,
}

/// `since 2026-01-01T00:00:00Z, held by example.com/backup`
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "since {}, held by {}", self.since, self.held_by)
    }
}

impl Ending {
    /// Reads the deletion of a live object, if one is in progress.
    pub fn of(object: &Value) -> Option<Arc<Self>> {
        let metadata = object.get("metadata")?;
        let since = metadata.get("deletionTimestamp")?.as_str()?.parse().unwrap_or_default();
        let held: Vec<&str> = finalizers(metadata).collect();
        let held_by = if held.is_empty() { "its grace period".to_owned() } else { held.join(", ") };
        Some(Arc::new(Self { since, held_by }))
    }

    /// Returns how much longer others wait for it; `None` if the time is over.
    pub fn left(&self, patience: Duration, now: Timestamp) -> Option<Duration> {
        let age = now.duration_since(self.since).try_into().unwrap_or(Duration::ZERO);
        patience.checked_sub(age).filter(|left| !left.is_zero())
    }
}

/// The version of an object, comparable within its kind (KEP-5504).
pub fn version(object: &Value) -> u64 {
    object
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lingers_is_waited_for_for_a_while() {
        let object = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/a", "b"]}});
        let ending = Ending::of(&object).expect("it is being deleted");
        assert_eq!(ending.to_string(), "since 2026-01-01T00:00:00Z, held by example.com/a, b");
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let minute = Duration::from_mins(1);
        assert_eq!(ending.left(minute, at("2026-01-01T00:00:20Z")), Some(Duration::from_secs(40)));
        assert_eq!(ending.left(minute, at("2026-01-01T00:01:00Z")), None);
        // The clock of the API server is ahead of ours.
        assert_eq!(ending.left(minute, at("2025-12-31T23:59:50Z")), Some(minute));
        assert_eq!(Ending::of(&json!({"metadata": {}})), None);
    }
}

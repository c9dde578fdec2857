//! The stage `observe`: the live objects of a render, and what the API server would make of each by an apply.
//!
//! Resolves kinds and namespaces, and leaves the comparison of objects to [`crate::cluster::observe`]. I/O: API reads, dry runs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::digest::Digest;
use holdfast_diff::mask::Masks;
use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::Seen as Live;
use serde_json::Value;

use super::bounds;
use super::claims::{Behind, Claims};
use super::jobs::is_completed;
use super::leftovers;
use super::mistakes;
use super::past::{Leftovers, Past, Since};
use super::render::ManifestSet;
use super::sync_at::SyncAt;
use crate::cluster::Cluster;
use crate::cluster::contest::ActsAs;
use crate::cluster::entry::{Ending, Entry};
use crate::cluster::observe::{self, Lingering, Scope, What};
use crate::cluster::parent::{self, Former, Unseen};
use crate::cluster::refusal::ObjectError;
use crate::cluster::requests::Requests;
use crate::cluster::resolve::{self, Desired};
use crate::cluster::view::View;
use crate::error::{Class, StageError};
use crate::identity::Identity;
use crate::local;
use crate::policy::Policy;
use crate::progress::Progress;
use crate::render::kept::{Kept, KeptError};
use crate::report::Failure;
use crate::sync_ref::SyncRef;

/// What the stage needs beside the manifests.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    pub cluster: &'a Cluster,
    pub policy: &'a Policy,
    pub claims: Claims<'a>,
    pub requests: &'a Requests,
    pub progress: &'a Progress,
    /// The fields of the Sync that were reduced to the limits of the installation.
    pub shortened: Option<&'a String>,
}

/// The desired objects of a Sync with their live state.
#[derive(Default)]
pub struct Observed {
    pub objects: Vec<Object>,
    /// Members of the set that are not desired.
    pub surplus: Vec<(ObjectId, Entry)>,
    /// Members whose manifests now have a mark that excludes them from apply and prune, with that mark.
    pub released: Vec<(ObjectId, Entry, String)>,
    /// Live objects whose manifests the API server refuses. The reasons are in [`SetState::errors`].
    pub refused: Vec<Refused>,
    pub set: SetState,
}

/// One desired object that could be compared.
pub struct Object {
    pub desired: Desired,
    pub live: Live,
    pub viewed: Viewed,
}

/// One live object whose manifest the API server refuses.
pub struct Refused {
    pub desired: Desired,
    pub live: Value,
    pub viewed: Viewed,
}

/// What the live view has of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Viewed {
    pub exists: bool,
    /// The manifest that the object satisfied before another writer changed or removed it.
    pub verified: Option<Digest>,
}

/// The state of a Sync's set, apart from the comparison of its objects.
#[derive(Default)]
pub struct SetState {
    /// What every desired object must satisfy.
    pub desired: Arc<Vec<(ObjectId, Digest)>>,
    /// The manifests; `None` if only a part of the set was compared.
    pub kept: Option<Kept>,
    /// Parts of earlier manifests that may still be live.
    pub leftovers: Leftovers,
    /// Problems that do not block the sync; `None` if only a part of the set was compared.
    pub warnings: Option<Vec<String>>,
    /// Objects that could not be compared.
    pub errors: Vec<ObjectError>,
    /// Why some objects are not compared yet.
    pub waits: Option<String>,
    /// A Sync that may take over what left the source here.
    pub behind: Option<Behind>,
    /// Since when objects are held back for other Syncs.
    pub held_back: Since,
    /// Desired objects that are being deleted.
    pub ending: Vec<(ObjectId, Arc<Ending>)>,
    /// Objects that left the source and are being deleted.
    pub lingering: Vec<Lingering>,
    /// Objects that left the source and that another Sync takes over.
    pub moving: Vec<(ObjectId, SyncRef)>,
    /// Objects that left the source and are kept, each with an owner in the source that it would be deleted with.
    pub owned: Vec<(ObjectId, ObjectId)>,
    /// Why deleting an object would delete more than the object.
    pub risks: HashMap<ObjectId, String>,
    /// Objects whose deletion would delete data that does not belong to the Sync.
    pub foreign: HashSet<ObjectId>,
    /// Why objects that left the source are kept.
    pub held: HashMap<ObjectId, String>,
    /// Desired objects that the identity may not read.
    pub hidden: HashSet<ObjectId>,
    /// Scopes in which objects that left the source cannot be listed.
    pub unseen: Vec<Unseen>,
    /// Scopes in which no object of the set can be listed.
    pub blind: Vec<Unseen>,
    /// The first wave that has an error.
    pub failed_wave: Option<i32>,
    /// Values that no message may show.
    pub masks: Arc<Masks>,
}

/// Why nothing can be observed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Kept(#[from] KeptError),
}

/// Observes every object of a render, and the other objects that the Sync owns.
pub async fn observe(
    parts: Parts<'_>,
    at: SyncAt<'_>,
    (revision, tree): (&str, &str),
    manifests: ManifestSet,
    past: &Past,
) -> Result<Observed, Error> {
    let Parts { cluster, policy, claims, requests, progress, shortened } = parts;
    let ManifestSet { manifests, part_of, warnings, volatile, chart: _, masks } = manifests;
    let scope = if part_of.is_none() { Scope::Whole } else { Scope::Part };
    progress.begin("observe", "reading the kinds that the cluster serves");
    if scope == Scope::Whole {
        cluster.view.judges.take_volatile(at.owner, at.sync, &volatile);
    }
    let rules = cluster.view.judges.rules(at.owner);
    let (found, mut errors) =
        resolve::resolve(&cluster.discovery, at.owner, at.target_namespace(), rules, manifests).await;
    let mut found = bounds::within(policy, found, &mut errors);
    let leftovers = local::work(|| leftovers::add(past, at, &mut found, scope == Scope::Whole));
    for desired in &mut found {
        let (_, verified) = cluster.view.viewed(&desired.object);
        desired.was_applied = at.was_applied(tree, &desired.object, desired.digest, verified);
    }
    let all = || found.iter().map(|desired| (desired.object.clone(), desired.digest)).collect();
    let desired = part_of.unwrap_or_else(|| Arc::new(all()));
    let mut whole = Whole::default();
    if scope == Scope::Whole {
        whole = Whole::of(parts, at, &found, &desired, warnings).await?;
        whole.warnings.splice(0..0, shortened.cloned());
    }
    let acts_as = |sync: &SyncRef| acts_as(cluster, policy, sync);
    // The user of `holdfast plan` may not impersonate other Syncs.
    let acts_as: Option<ActsAs<'_>> = if claims.together { Some(&acts_as) } else { None };
    let is_done = |desired: &Desired| is_completed(at.status, &desired.object, desired.digest);
    let (kinds, places) = (&whole.kinds, &whole.places);
    let what = What { desired: found, all: &desired, scope, kinds, places, acts_as, progress };
    let found = observe::observe(cluster, requests, at.owner, what, is_done).await;
    let Whole { kept, warnings, unseen, .. } = whole;
    let mut observed = of(found, &cluster.view);
    let set = &mut observed.set;
    set.errors.splice(0..0, errors);
    set.unseen.extend(unseen);
    (set.desired, set.kept, set.leftovers, set.masks) = (desired, kept, leftovers, masks);
    if scope == Scope::Whole {
        let unseen = set.unseen.iter();
        let unseen = unseen
            .map(|Unseen { said, .. }| format!("objects that are no longer in Git may still exist: {said}"));
        let unmarked = leftovers::unmarked(cluster, requests, at, past, &set.desired).await;
        set.warnings = Some(warnings.into_iter().chain(unseen).chain(unmarked).collect());
    }
    wait_for_peers(claims, &cluster.view, at, (revision, &past.held_back), &mut observed);
    hide(&observed.set.masks, &mut observed.set.errors);
    Ok(observed)
}

/// What is computed only if a whole set is compared.
#[derive(Default)]
struct Whole {
    kinds: Vec<Arc<crate::cluster::requests::ResourceType>>,
    places: Vec<Arc<str>>,
    kept: Option<Kept>,
    warnings: Vec<String>,
    unseen: Vec<Unseen>,
}

impl Whole {
    async fn of(
        Parts { cluster, policy, .. }: Parts<'_>,
        at: SyncAt<'_>,
        found: &[Desired],
        desired: &[(ObjectId, Digest)],
        mut warnings: Vec<String>,
    ) -> Result<Self, Error> {
        let names: Vec<ObjectId> = desired.iter().map(|(object, _)| object.clone()).collect();
        let (mut kinds, unseen) = parent::former_kinds(cluster, at.sync, &names).await;
        warnings.extend(bounds::former(policy, &mut kinds));
        warnings.extend(mistakes::mistakes(at.sync.spec.drift.ignore.len(), found));
        let kept = local::work(|| Kept::of(found.iter().map(Desired::in_git)))?;
        let places = parent::places(at.sync, at.owner);
        Ok(Self { kinds, places, kept: Some(kept), warnings, unseen })
    }
}

/// Adds the state in the live view to each object.
fn of(found: observe::Observed, view: &View) -> Observed {
    let observe::Observed {
        objects,
        surplus,
        errors,
        ending,
        lingering,
        moving,
        owned,
        risks,
        foreign,
        held,
        released,
        hidden,
        unseen,
        blind,
        failed_wave,
        refused,
    } = found;
    let viewed = |object: &ObjectId| {
        let (exists, verified) = view.viewed(object);
        Viewed { exists, verified }
    };
    let objects = objects.into_iter().map(|(desired, live)| {
        let viewed = viewed(&desired.object);
        Object { desired, live, viewed }
    });
    let refused = refused.into_iter().map(|(desired, live)| {
        let viewed = viewed(&desired.object);
        Refused { desired, live, viewed }
    });
    let (objects, refused) = (objects.collect(), refused.collect());
    let set = SetState {
        errors,
        ending,
        lingering,
        moving,
        owned,
        risks,
        foreign,
        held,
        hidden,
        unseen,
        blind,
        failed_wave,
        ..SetState::default()
    };
    Observed { objects, surplus, released, refused, set }
}

/// While another Sync of the same source has not reached this revision, its objects may be moving to this Sync, and objects that
/// left the source here may be moving to it. Neither is an error, and those objects are not removed for a while.
fn wait_for_peers(
    claims: Claims<'_>,
    view: &View,
    at: SyncAt<'_>,
    (revision, before): (&str, &Since),
    observed: &mut Observed,
) {
    let moving = |error: &ObjectError| error.reason == observe::OWNED_BY_ANOTHER;
    let set = &mut observed.set;
    let comes: Vec<String> =
        set.errors.iter().filter(|error| moving(error)).map(|error| error.object.clone()).collect();
    let goes: Vec<&ObjectId> = observed.surplus.iter().map(|(object, _)| object).collect();
    if comes.is_empty() && (goes.is_empty() || !set.errors.is_empty()) {
        let still = goes.iter().map(ToString::to_string);
        set.held_back =
            still.filter_map(|object| before.get(&object).copied().map(|first| (object, first))).collect();
        return;
    }
    let objects = goes.iter().map(ToString::to_string).chain(comes.iter().cloned());
    (set.held_back, set.behind) = claims.behind(at, revision, objects, before);
    // A claim that came after the surplus was found counts too: everything is compared once more.
    for (object, sync) in
        goes.into_iter().filter_map(|object| Some((object, view.claimed_by_another(at.owner, object)?)))
    {
        let none = || Behind { sync, held: HashSet::new(), left: Duration::ZERO };
        set.behind.get_or_insert_with(none).held.insert(object.to_string());
    }
    let Some(Behind { sync, held, .. }) = &set.behind else { return };
    if comes.iter().any(|object| held.contains(object)) {
        set.waits = Some(format!("waits for Sync {sync} to reconcile {revision} too"));
        set.errors.retain(|error| !moving(error) || !held.contains(&error.object));
    }
}

/// Removes values of Secrets from messages of the API server, which quotes what it refuses.
pub fn hide(masks: &Masks, errors: &mut [ObjectError]) {
    for error in errors.iter_mut().filter(|_| !masks.is_empty()) {
        error.message = masks.hide(&error.message).into_owned();
    }
}

/// Returns the client of another Sync, under its own identity.
fn acts_as(cluster: &Cluster, policy: &Policy, name: &SyncRef) -> Option<Requests> {
    let sync = cluster.sync(name)?;
    let identity = Identity::of(name, &sync.spec, policy).ok()?;
    cluster.requests(&identity).ok()
}

impl Observed {
    /// True if everything that the Sync wants is known: no error that may pass by itself hid a part of it.
    pub fn is_complete(&self) -> bool {
        self.set.errors.iter().all(|error| error.class == Class::User)
    }
}

impl SetState {
    /// Returns why deleting an object would delete more, and whether that includes data that does not belong to the Sync.
    pub fn risk(&self, object: &ObjectId) -> (Option<String>, bool) {
        (self.risks.get(object).cloned(), self.foreign.contains(object))
    }

    /// Returns the kinds and namespaces in the marks of the Sync that its set does not need, unless members may be left there.
    pub fn former(&self, at: SyncAt<'_>) -> Former {
        let unseen = [&self.unseen[..], &self.blind].concat();
        Former::of(at.sync, at.owner, self.desired.iter().map(|(object, _)| object), &unseen)
    }

    /// Returns what the marks of the Sync must cover before anything is applied.
    pub fn members(&self) -> parent::Members<'_> {
        let desired = self.desired.iter().map(|(object, _)| object);
        parent::Members {
            desired: desired.filter(|object| !self.hidden.contains(*object)).collect(),
            complete: self.unseen.is_empty() && self.errors.is_empty(),
        }
    }
}

impl StageError for Error {
    fn class(&self) -> Class {
        Class::Internal
    }

    fn name(&self) -> &'static str {
        "InternalError"
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of("observe", &error)
    }
}

//! Observes the desired objects, and what an apply would make of each according to the API server.
//!
//! Makes no request for objects that the live view has verified. For the others the dry run of the API server decides; if that
//! fails, it is an error of the object, never "no change". I/O: API reads and dry runs.

mod compare;
mod predict;
mod refused;
mod subject;
mod watching;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::StreamExt as _;
use holdfast_diff::digest::Digest;
use holdfast_diff::handling;
use holdfast_diff::object::{GroupKind, ObjectId};
use holdfast_diff::order::Stage;
use holdfast_diff::plan::{Prediction, Seen};
use serde_json::Value;

use self::compare::{Comparison, claimed, compare, may_name};
use self::watching::{Needs, watch};
use super::contest::{self, ActsAs, Barred};
use super::dependants::{self, Along};
use super::entry::{Ending, Entry};
use super::parent::Unseen;
use super::refusal::{ObjectError, chain};
use super::requests::{Dependants, Requests, ResourceType};
use super::resolve::Desired;
use super::{Cluster, holders};
use crate::api::names;
use crate::progress::Progress;
use crate::sync_ref::SyncRef;

/// Objects of one Sync that are observed at the same time.
const SIDE_BY_SIDE: usize = 16;

/// The reason of an error about an object that another Sync owns.
pub const OWNED_BY_ANOTHER: &str = "OwnedByAnother";

/// The observed state of the cluster for one plan.
#[derive(Debug, Default)]
pub struct Observed {
    pub objects: Vec<(Desired, Seen)>,
    /// Members that are no longer desired.
    pub surplus: Vec<(ObjectId, Entry)>,
    /// Errors of objects that could not be observed. Nothing is removed while the kind of one is unknown.
    pub errors: Vec<ObjectError>,
    /// Desired objects that are being deleted. They are observed again when they are gone.
    pub ending: Vec<(ObjectId, Arc<Ending>)>,
    /// Members that are no longer desired and are being deleted.
    pub lingering: Vec<Lingering>,
    /// Members that are no longer desired, and that another Sync with the rights to write them desires.
    pub moving: Vec<(ObjectId, SyncRef)>,
    /// Members that are no longer desired and are kept, each with an owner in Git that it would be deleted with.
    pub owned: Vec<(ObjectId, ObjectId)>,
    /// Why deleting an object would delete more than the object.
    pub risks: HashMap<ObjectId, String>,
    /// Those of them whose deletion would delete data that does not belong to the Sync.
    pub foreign: HashSet<ObjectId>,
    /// Why objects that left Git are kept: an object that is kept, or in Git, would be deleted with them.
    pub held: HashMap<ObjectId, String>,
    /// Members that Git now excludes from apply and prune, which the live object does not show; with the mark.
    pub released: Vec<(ObjectId, Entry, String)>,
    /// Desired objects that the identity may not read.
    pub hidden: HashSet<ObjectId>,
    /// Scopes in which members that left Git earlier cannot be listed.
    pub unseen: Vec<Unseen>,
    /// Scopes in which neither desired objects nor members can be listed.
    pub blind: Vec<Unseen>,
    /// The first wave that has an error.
    pub failed_wave: Option<i32>,
    /// Desired objects that exist and whose apply the API server refuses. The reason is in `errors`.
    pub refused: Vec<(Desired, Value)>,
}

/// An object that is being removed.
#[derive(Clone, Debug)]
pub struct Lingering {
    pub object: ObjectId,
    pub stage: Stage,
    pub ending: Arc<Ending>,
}

/// How much of the set of a Sync is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Whole,
    /// The objects that differ, of a render whose objects were all claimed before.
    Part,
}

/// What to observe.
pub struct What<'a> {
    pub desired: Vec<Desired>,
    /// All objects that the Sync claims.
    pub all: &'a [(ObjectId, Digest)],
    pub scope: Scope,
    /// Kinds that the marks of the Sync name.
    pub kinds: &'a [Arc<ResourceType>],
    /// Namespaces that the marks of the Sync name.
    pub places: &'a [Arc<str>],
    /// Returns the identity of another Sync, if the claims of others depend on their rights.
    pub acts_as: Option<ActsAs<'a>>,
    /// Receives the number of objects that were compared.
    pub progress: &'a Progress,
}

/// Observes the desired objects of a Sync, and its other members. Objects that are done need not exist.
pub async fn observe(
    cluster: &Cluster,
    requests: &Requests,
    owner: &SyncRef,
    What { desired, all, scope, kinds, places, acts_as, progress }: What<'_>,
    is_done: impl Fn(&Desired) -> bool,
) -> Observed {
    let mut observed = Observed::default();
    let needs = Needs { requests, owner, desired: &desired, kinds, places };
    let blind = watch(cluster, needs, scope, &mut observed).await;

    let taken: HashMap<ObjectId, SyncRef> = match scope {
        Scope::Whole => {
            let barred = contest::barred(cluster, acts_as, owner, all, &desired).await;
            let barred = barred.unwrap_or_else(|error| {
                observed.errors.push(contest::unknown(&error));
                Barred::new()
            });
            cluster.view.claim(owner, all, |other| cluster.exists(other), &barred).into_iter().collect()
        }
        Scope::Part => HashMap::new(),
    };
    // An object that was a member a moment ago is read: a list may be older than the object, and it may only have lost its marks.
    let is_unknown = |desired: &&Desired| {
        desired.served
            && !blind.hides(&desired.object)
            && cluster.view.viewed(&desired.object) == (false, None)
    };
    let unknown = desired.iter().filter(is_unknown);
    let absent = &cluster.lookups.absent(requests, unknown).await;
    let (unseen, seen): (Vec<_>, Vec<_>) =
        desired.into_iter().partition(|desired| blind.hides(&desired.object));
    for desired in unseen {
        observed.fail(Stage::of(&desired.manifest));
        observed.hidden.insert(desired.object);
    }
    progress.begin_objects("observe", "comparing with the cluster:", seen.len());
    let looks = seen.into_iter().map(|mut desired| {
        let other = taken.get(&desired.object).cloned();
        async move {
            let seen = match other {
                Some(other) => {
                    Err(claimed(&desired, Some(&other).filter(|other| may_name(requests, owner, other))))
                }
                None => compare(cluster, requests, owner, &mut desired, absent).await,
            };
            (desired, seen)
        }
    });
    let mut looks = futures::stream::iter(looks).buffered(SIDE_BY_SIDE);
    while let Some((desired, seen)) = looks.next().await {
        progress.object();
        match seen {
            Ok(Comparison::Seen(Seen::Absent) | Comparison::Ending(_)) if is_done(&desired) => {
                observed.objects.push((desired, Seen::Unchanged));
            }
            Ok(Comparison::Seen(seen)) => observed.objects.push((desired, seen)),
            Ok(Comparison::Ending(how)) => observed.ending.push((desired.object, how)),
            Ok(Comparison::LeftAlone) => {
                let member = cluster.view.get(&desired.object).filter(|entry| entry.owner == *owner);
                if let (Some(entry), Some(mark)) = (member, handling::keeps(&desired.manifest.value))
                    && entry.kept().is_none()
                    && entry.ending.is_none()
                {
                    observed.released.push((desired.object, entry, mark));
                }
            }
            Ok(Comparison::Refused { live, error }) => {
                observed.fail(Stage::of(&desired.manifest));
                observed.refused.push((desired, live));
                observed.errors.push(error);
            }
            Err(error) => {
                observed.fail(Stage::of(&desired.manifest));
                observed.errors.push(error);
            }
        }
    }
    let wanted: HashSet<&ObjectId> = all.iter().map(|(object, _)| object).collect();
    for (object, entry) in cluster.view.members_that(owner, |object, _| !wanted.contains(object)) {
        match contest::heir(cluster, acts_as, owner, &object, &entry).await {
            Ok(Some(heir)) => {
                observed.moving.push((object, heir));
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                observed.errors.push(contest::unknown(&error));
                continue;
            }
        }
        let stage = entry.stage;
        match entry.ending.clone() {
            Some(ending) => observed.lingering.push(Lingering { object, stage, ending }),
            None => observed.surplus.push((object, entry)),
        }
    }
    let members = |which: &dyn Fn(&Entry) -> bool| cluster.view.members_that(owner, |_, entry| which(entry));
    observed.owned = dependants::kept_with_owners(&mut observed.surplus, members);
    observe_dependants(cluster, requests, owner, &wanted, &mut observed).await;
    let surplus = observed.surplus.iter().filter(|(_, entry)| entry.kept().is_none());
    let deleted: Vec<_> = surplus.map(|(object, entry)| (object, &entry.kind)).collect();
    holders::name(requests, &deleted, &mut observed.errors).await;
    observed
}

impl Observed {
    /// Records an error in a wave.
    fn fail(&mut self, stage: Stage) {
        self.failed_wave = Some(self.failed_wave.map_or(stage.wave, |wave| wave.min(stage.wave)));
    }
}

/// Reads what would be deleted with the objects that are to be deleted.
async fn observe_dependants(
    cluster: &Cluster,
    requests: &Requests,
    owner: &SyncRef,
    wanted: &HashSet<&ObjectId>,
    observed: &mut Observed,
) {
    let recreated: Vec<(ObjectId, Entry, Dependants)> = observed
        .objects
        .iter()
        .filter(|(_, seen)| matches!(seen, Seen::Exists { prediction: Prediction::NeedsRecreate { .. }, .. }))
        .filter_map(|(desired, _)| {
            let dependants = Dependants::of(&desired.manifest);
            Some((desired.object.clone(), cluster.view.get(&desired.object)?, dependants))
        })
        .collect();
    let surplus = observed.surplus.iter().filter(|(_, entry)| entry.kept().is_none());
    let recreated = recreated.iter().map(|(object, entry, dependants)| (object, entry, *dependants));
    let doomed: Vec<(&ObjectId, &Entry, Dependants)> =
        surplus.map(|(object, entry)| (object, entry, Dependants::Go)).chain(recreated).collect();
    if doomed.is_empty() {
        return;
    }
    // A Sync in a namespace that it removes itself is deleted with it, and so are its Approvals.
    let own = ObjectId::new(Arc::new(GroupKind::new(names::GROUP, "Sync")), owner.namespace(), owner.name());
    let going: HashSet<&ObjectId> = doomed.iter().map(|(object, ..)| *object).chain([&own]).collect();
    let members = cluster.view.members_that(owner, |_, entry| entry.kept().is_some());
    observed.held = dependants::held_by_dependants(&doomed, &members);
    let risks = dependants::risks(cluster, requests, doomed.iter().copied());
    let along = dependants::along(cluster, requests, &doomed, &going, wanted);
    match futures::future::try_join(risks, along).await {
        Ok((risks, Along { held, risks: others, foreign })) => {
            observed.foreign = foreign;
            observed.risks = risks;
            observed.risks.extend(others);
            observed.held.extend(held);
        }
        Err(error) => {
            let what = "the dependants of objects to be deleted";
            observed.errors.push(ObjectError::transient(&what, None, "Unreachable", chain(&error)));
        }
    }
    refuse_replacement(observed);
}

/// Refuses to replace an object that contains or owns one that is kept or in Git.
fn refuse_replacement(observed: &mut Observed) {
    let (held, objects) = std::mem::take(&mut observed.objects)
        .into_iter()
        .partition(|(desired, _)| observed.held.contains_key(&desired.object));
    observed.objects = objects;
    let held: Vec<(Desired, Seen)> = held;
    for (desired, _) in held {
        let why = &observed.held[&desired.object];
        let message = format!(
            "it can only be replaced, but {why}; undo the change in Git, or create it under another name"
        );
        let error =
            ObjectError::user(&desired.object, Some(&desired.manifest.origin), "ReplacementHeld", message);
        observed.fail(Stage::of(&desired.manifest));
        observed.errors.push(error);
    }
}

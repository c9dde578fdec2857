//! What of a plan is drift, and what is done about it: put back now, or left as it is and told.
//!
//! Drift is a change of an object that satisfied the same manifest before. I/O: API reads, and the status in which drift is
//! written down before it is put back.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{self, Change, Operation};
use jiff::Timestamp;
use tracing::warn;

use super::stages::{Observed, Planned, only_reported};
use super::{Run, acting, users};
use crate::api::{DriftObject, DriftState, DriftStatus, Snooze, SyncStatus};
use crate::cluster::entry;
use crate::cluster::refusal::{ObjectError, chain};
use crate::cluster::resolve::Desired;
use crate::cluster::view::{Differs, Overwritten};
use crate::gate::Waiting;
use crate::memory::{Left, Memory};
use crate::report::changes::cut;
use crate::report::drift::{self, Drift};
use crate::report::{Findings, write};

/// The objects that satisfied their manifests before.
type Drifted = BTreeMap<ObjectId, Differs>;

/// How long an episode stays open after the last object was put back: what drifts meanwhile belongs to it.
const HOLD: Duration = Duration::from_secs(5);

/// Characters of a refusal that are told.
const REFUSAL: usize = 500;

/// What a clock may be early.
const SLACK: Duration = Duration::from_millis(10);
/// How soon to try again what is overdue.
const OVERDUE: Duration = Duration::from_secs(1);

/// True if an object satisfied this very manifest before: as the live view saw it, or since the tree was applied as a whole,
/// or since it was told as drift.
pub fn was_applied(run: &Run<'_>, tree: &str, object: &ObjectId, manifest: Digest) -> bool {
    let applied = run.status.revision.as_ref().and_then(|revision| revision.tree.as_deref());
    let by_tree = applied == Some(tree) && run.status.observed_generation == run.sync.metadata.generation;
    by_tree || run.context.cluster.view.satisfied(object) == Some(manifest) || {
        let mut told = run.status.drift.iter().flat_map(|drift| &drift.objects);
        let text = manifest.to_string();
        told.any(|told| told.manifest.as_deref() == Some(&text) && drift::is_of(told, object))
    }
}

/// Takes out of a plan the drift that stays as it is for now, and remembers it.
pub fn split(run: &Run<'_>, memory: &mut Memory, observed: &Observed, planned: Planned) -> Planned {
    if observed.kept.is_some() {
        memory.drift.left.clear();
    }
    let Planned { plan, kinds, drifted, kept, refused, waits, next } = planned;
    keep(run, memory, observed, &kept);
    let (plan, _) = plan.split(&run.context.cluster.uid, |change| {
        let Some(seen) = drifted.get(&change.object) else { return true };
        let Some((told, until)) = leave(run, memory, change) else { return true };
        let told = DriftObject { manifest: Some(seen.manifest.to_string()), ..told };
        memory.drift.left.insert(change.object.clone(), Left { seen: *seen, until, told });
        false
    });
    Planned { plan, kinds, drifted, kept, refused, waits, next }
}

/// Remembers what left git and stays, since controllers own it too.
fn keep(run: &Run<'_>, memory: &mut Memory, observed: &Observed, kept: &BTreeMap<ObjectId, Option<Change>>) {
    for (object, change) in kept {
        match change {
            Some(change) => drop(memory.drift.kept.insert(object.clone(), drift::kept(change, run.now))),
            None => drop(memory.drift.kept.remove(object)),
        }
    }
    if observed.kept.is_some() && !memory.drift.kept.is_empty() {
        let desired: HashSet<&ObjectId> = observed.desired.iter().map(|(object, _)| object).collect();
        memory.drift.kept.retain(|object, _| desired.contains(object));
    }
}

/// What drifted and cannot be put back, since the API server refuses what git says.
pub fn refused(run: &Run<'_>, tree: &str, observed: &mut Observed, drifted: &mut Drifted) -> Vec<Change> {
    let mut found = Vec::new();
    for (Desired { object, kind, manifest, digest, .. }, live) in observed.take_refused() {
        if !was_applied(run, tree, &object, digest) {
            continue;
        }
        if let Some(change) = plan::refused(&manifest, &object, observed.masks(), &live) {
            let live = entry::fingerprint(&live, &kind.api_version());
            let differs = Differs { manifest: digest, live, whole: None };
            drifted.insert(object.clone(), run.context.cluster.view.differs(&object, differs));
            found.push(change);
        }
    }
    found
}

/// Changes that are drift, as they are told.
pub fn told(run: &Run<'_>, drifted: &Drifted, changes: &[Change]) -> Attempted {
    let drift = changes.iter().filter_map(|change| Some((change, drifted.get(&change.object)?)));
    drift
        .map(|(change, seen)| {
            let state = match snoozed(run, &change.object) {
                Some(_) => DriftState::Snoozed,
                None => DriftState::Drifted,
            };
            let told = drift::object(change, state, run.now);
            let manifest = Some(seen.manifest.to_string());
            (change.object.clone(), DriftObject { manifest, ..told })
        })
        .collect()
}

/// Why a change is not made now, as it is told, and until when that holds.
fn leave(run: &Run<'_>, memory: &mut Memory, change: &Change) -> Option<(DriftObject, Option<Timestamp>)> {
    if let Some(Snooze { until, reason, .. }) = snoozed(run, &change.object) {
        let told = drift::object(change, DriftState::Snoozed, run.now);
        return Some((
            DriftObject { note: Some(format!("snoozed until {until}: {reason}")), ..told },
            Some(*until),
        ));
    }
    if only_reported(run) {
        return Some((drift::object(change, DriftState::Drifted, run.now), None));
    }
    let told = memory.drift.fights.hold(change, run.now)?;
    Some((told, memory.drift.fights.until(&change.object)))
}

/// The snooze that an object is under now.
pub fn snoozed<'a>(run: &Run<'a>, object: &ObjectId) -> Option<&'a Snooze> {
    run.sync.spec.drift.snooze.iter().find(|snooze| {
        let Snooze { kind, group, namespace, name, until, reason: _ } = snooze;
        *kind == object.kind.kind
            && group.as_ref().is_none_or(|group| *group == object.kind.group)
            && namespace.as_ref().is_none_or(|namespace| **namespace == *object.namespace)
            && **name == *object.name
            && *until > run.now
    })
}

/// What is about to be put back.
pub type Attempted = Vec<(ObjectId, DriftObject)>;

/// Writes down what is about to be put back, and tells those who want to know: what is lost by it is not lost by a restart.
pub async fn announce(
    run: &Run<'_>,
    memory: &mut Memory,
    drifted: &Drifted,
    changes: &[Change],
) -> Attempted {
    let Run { context, owner, .. } = run;
    let attempted = told(run, drifted, changes);
    if attempted.is_empty() || !context.alerts.wants_drift(owner) {
        return attempted;
    }
    let left = attempted.iter().map(|(_, told)| told.clone()).collect();
    let before = memory.status.clone().unwrap_or_else(|| run.status.clone());
    let found = Drift { left, partial: true, ..Drift::default() };
    let told = tell(run, memory, &before, &found).await;
    let after = SyncStatus { drift: told.as_ref().map(drift::listed), ..before.clone() };
    match write::write(&context.client, owner, &before, &after).await {
        Ok(()) => {
            context.alerts.tell_drift(owner, &SyncStatus { drift: told, ..after.clone() });
            memory.status = Some(after);
        }
        Err(error) => {
            warn!(sync = %owner, stage = "report", error = %chain(&error), "Cannot write down what is put back");
        }
    }
    attempted
}

/// The episode that goes on after what was found, with the names of users as far as they are known.
pub async fn tell(
    run: &Run<'_>,
    memory: &mut Memory,
    before: &SyncStatus,
    found: &Drift,
) -> Option<DriftStatus> {
    let known = memory.drift.episode.take().or_else(|| before.drift.clone());
    let corrects = !only_reported(run);
    let mut episode = drift::episode(known.as_ref(), found, corrects, run.now);
    users::name(run, episode.as_mut()).await;
    memory.drift.episode.clone_from(&episode);
    episode
}

/// What a run found of drift: what was put back, what was not although it was tried, and what waits.
pub fn found(
    run: &Run<'_>,
    memory: &mut Memory,
    drifted: &Drifted,
    attempted: Attempted,
    done: &[Change],
    waiting: Option<&Waiting>,
    errors: &[ObjectError],
) -> Drift {
    let is_drift = |change: &&Change| drifted.contains_key(&change.object);
    let tell = |change: &Change, state| drift::object(change, state, run.now);
    let mut corrected = Vec::new();
    for change in done.iter().filter(is_drift) {
        memory.drift.fights.corrected(change, run.now);
        corrected.push(tell(change, DriftState::Corrected));
    }
    if !corrected.is_empty() {
        memory.drift.calm = Some(Instant::now());
    }
    let waiting = waiting.map_or(&[][..], |waiting| &*waiting.plan.changes);
    // What must be replaced cannot be put back in any other way.
    let replaced = |object: &ObjectId| {
        let is_of = |change: &&Change| change.operation == Operation::Recreate && change.object == *object;
        waiting.iter().find(is_of).map(|change| cut(&change.reason, REFUSAL))
    };
    let waits = told(run, drifted, waiting).into_iter();
    let waits = waits.map(|(object, told)| DriftObject { refusal: replaced(&object), ..told });
    let is_done = |object: &ObjectId| done.iter().any(|change| change.object == *object);
    let refusal = |object: &ObjectId| {
        let error = errors.iter().find(|error| error.id.as_ref() == Some(object))?;
        Some(cut(&error.message, REFUSAL))
    };
    let failed = attempted.into_iter().filter(|(object, _)| !is_done(object));
    let failed = failed.map(|(object, told)| DriftObject { refusal: refusal(&object), ..told });
    let left = waits.chain(failed).collect();
    Drift { left, corrected, ..Drift::default() }
}

/// Adds what was overwritten before anybody had looked at it, since it was written between a plan and its apply.
pub async fn overwritten(run: &Run<'_>, memory: &mut Memory, findings: &mut Findings) {
    for Overwritten { kind, object, live } in run.context.cluster.view.take_overwritten(run.owner) {
        let Ok(requests) = acting::requests(run).await else { continue };
        let now = match requests.get(&kind, &object).await {
            Ok(now) => now.unwrap_or_default(),
            Err(error) => {
                warn!(sync = %run.owner, object = %object, error = %chain(&error), "Cannot tell what was overwritten");
                continue;
            }
        };
        let change = plan::overwritten(&object, kind.api_version(), &memory.masks, &live, &now);
        if change.fields.is_empty() {
            continue;
        }
        memory.drift.calm = Some(Instant::now());
        let told = drift::object(&change, DriftState::Corrected, run.now);
        findings.drift.get_or_insert_default().corrected.push(told);
    }
}

/// Adds to what a run found what it did not look at, since it is as it was. One that failed may not have looked at what was
/// told before.
pub fn complete(run: &Run<'_>, memory: &mut Memory, found: &mut Drift, failed: bool) {
    let view = &run.context.cluster.view;
    memory.drift.left.retain(|object, left| view.still_differs(run.owner, object, left.seen));
    let differing: HashSet<&ObjectId> = memory.drift.left.keys().collect();
    let fights = memory.drift.fights.going_on(&differing, run.now);
    let mut left: Vec<(&ObjectId, DriftObject)> =
        memory.drift.left.iter().map(|(object, left)| (object, left.told.clone())).collect();
    left.extend(fights.iter().map(|(object, told)| (object, told.clone())));
    left.sort_by_key(|(object, _)| *object);
    found.left.extend(left.into_iter().map(|(_, told)| told));
    for (object, told) in &memory.drift.kept {
        view.watch_owners(object);
        found.left.push(told.clone());
    }
    found.left.extend(memory.drift.unmanaged.values().map(|(_, told)| told.clone()));
    found.unverified = failed;
    if failed {
        found.left.extend(unverified(run, memory, found));
    }
    let calm = *memory.drift.calm.get_or_insert_with(Instant::now);
    found.settled = calm.elapsed() >= HOLD;
}

/// What was told as drift before, and was neither found again nor found to be put back.
fn unverified(run: &Run<'_>, memory: &Memory, found: &Drift) -> Vec<DriftObject> {
    let before = memory.drift.episode.as_ref().or(run.status.drift.as_ref());
    let is_found = |told: &&DriftObject| {
        let mut all = found.left.iter().chain(&found.corrected);
        all.any(|other| drift::is_same(other, told))
    };
    let is_verified = |told: &DriftObject| {
        let entry = run.context.cluster.view.get(&drift::id(told));
        entry.is_some_and(|entry| entry.satisfied().map(|digest| digest.to_string()) == told.manifest)
    };
    let told = before.iter().flat_map(|before| &before.objects);
    let told = told.filter(|told| told.state != DriftState::Corrected && told.manifest.is_some());
    told.filter(|told| !is_found(told) && !is_verified(told)).cloned().collect()
}

/// When something is to be done about drift without being woken.
pub fn next(memory: &Memory) -> Option<Duration> {
    let open = memory.status.as_ref().is_some_and(|status| status.drift.is_some());
    let settles = memory.drift.calm.filter(|_| open).map(|calm| HOLD.saturating_sub(calm.elapsed()));
    let settles = settles.filter(|left| !left.is_zero()).map(|left| left + SLACK);
    let snoozes = memory.drift.left.values().filter_map(|left| left.until);
    let due = snoozes.chain(memory.drift.fights.next()).min();
    // What is overdue was not looked at, since the run failed before.
    let due =
        due.map(|due| Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or(OVERDUE) + SLACK);
    settles.into_iter().chain(due).min()
}

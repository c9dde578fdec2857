//! The result of a run for drift: which objects were corrected, which failed to be, and which wait.
//!
//! I/O: `overwritten` reads objects from the API server.

use std::collections::HashSet;

use holdfast_diff::mask::Masks;
use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{self, Change, Operation};
use tracing::warn;

use super::{Drifted, HOLD, Reported, reported};
use crate::api::{DriftObject, DriftState};
use crate::cluster::refusal::{ObjectError, chain};
use crate::cluster::view::{Overwritten, View};
use crate::gate::Waiting;
use crate::reconcile::acting::Acting;
use crate::reconcile::past::{Past, PastDrift, since};
use crate::reconcile::sync_at::SyncAt;
use crate::report::changes::cut;
use crate::report::drift::{self, Drift};

/// Characters of a refusal that are reported.
const REFUSAL: usize = 500;

/// The outcome of a plan, as far as its drift needs it.
pub struct Attempts<'a> {
    pub drifted: &'a Drifted,
    /// Drift whose correction was tried, or is not possible.
    pub attempted: Reported,
    pub done: &'a [Change],
    pub waiting: Option<&'a Waiting>,
    pub errors: &'a [ObjectError],
}

/// Returns the drift of a plan after its apply. Its corrections count for fights from now on.
pub fn found(at: SyncAt<'_>, past: &mut PastDrift, attempts: Attempts<'_>) -> Drift {
    let Attempts { drifted, attempted, done, waiting, errors } = attempts;
    let is_drift = |change: &&Change| drifted.contains_key(&change.object);
    let mut corrected = Vec::new();
    for change in done.iter().filter(is_drift) {
        past.fights.corrected(change, at.now);
        corrected.push(drift::object(change, DriftState::Corrected, at.now));
    }
    if !corrected.is_empty() {
        past.corrected_at = Some(at.now);
    }
    let waiting = waiting.map_or(&[][..], |waiting| &*waiting.plan.changes);
    // An object that must be replaced cannot be corrected in another way.
    let replaced = |object: &ObjectId| {
        let is_of = |change: &&Change| change.operation == Operation::Recreate && change.object == *object;
        waiting.iter().find(is_of).map(|change| cut(&change.reason, REFUSAL))
    };
    let waits = reported(at, drifted, waiting).into_iter();
    let waits = waits.map(|(object, reported)| DriftObject { refusal: replaced(&object), ..reported });
    let is_done = |object: &ObjectId| done.iter().any(|change| change.object == *object);
    let refusal = |object: &ObjectId| {
        let error = errors.iter().find(|error| error.id.as_ref() == Some(object))?;
        Some(cut(&error.message, REFUSAL))
    };
    let failed = attempted.into_iter().filter(|(object, _)| !is_done(object));
    let failed = failed.map(|(object, reported)| DriftObject { refusal: refusal(&object), ..reported });
    let left = waits.chain(failed).collect();
    Drift { left, corrected, ..Drift::default() }
}

/// Finds changes of other writers that an apply replaced before a run compared them, because they were made between plan and
/// apply.
pub async fn overwritten(acting: Acting<'_>, masks: &Masks) -> Vec<DriftObject> {
    let SyncAt { owner, now, .. } = acting.at;
    let mut found = Vec::new();
    for Overwritten { kind, object, live } in acting.cluster.view.take_overwritten(owner) {
        let Ok(requests) = acting.requests().await else { continue };
        let now_live = match requests.get(&kind, &object).await {
            Ok(live) => live.unwrap_or_default(),
            Err(error) => {
                warn!(sync = %owner, %object, error = %chain(&error), "Cannot read what was overwritten");
                continue;
            }
        };
        let change = plan::overwritten(&object, kind.api_version(), masks, &live, &now_live);
        if !change.fields.is_empty() {
            found.push(drift::object(&change, DriftState::Corrected, now));
        }
    }
    found
}

/// Adds the drift that a run did not compare, because it has not changed. A run that `failed` may not have compared everything
/// that was reported before.
pub fn complete(at: SyncAt<'_>, view: &View, past: &mut Past, found: &mut Drift, failed: bool) {
    let drift = &mut past.drift;
    drift.left.retain(|object, left| view.still_differs(at.owner, object, left.seen));
    let differing: HashSet<&ObjectId> = drift.left.keys().collect();
    let fights = drift.fights.going_on(&differing, at.now);
    let mut left: Vec<(&ObjectId, DriftObject)> =
        drift.left.iter().map(|(object, left)| (object, left.reported.clone())).collect();
    left.extend(fights.iter().map(|(object, reported)| (object, reported.clone())));
    left.sort_by_key(|(object, _)| *object);
    found.left.extend(left.into_iter().map(|(_, reported)| reported));
    for (object, reported) in &drift.kept {
        view.watch_owners(object);
        found.left.push(reported.clone());
    }
    found.left.extend(drift.unmanaged.values().map(|(_, reported)| reported.clone()));
    found.unverified = failed;
    if failed {
        found.left.extend(unverified(at, view, drift, found));
    }
    let corrected_at = *drift.corrected_at.get_or_insert(at.now);
    found.settled = since(corrected_at, at.now) >= HOLD;
}

/// Returns the drift that was reported before and was neither found again nor verified to be corrected.
fn unverified(at: SyncAt<'_>, view: &View, past: &PastDrift, found: &Drift) -> Vec<DriftObject> {
    let before = past.episode.as_ref().or(at.status.drift.as_ref());
    let is_found = |reported: &&DriftObject| {
        let mut all = found.left.iter().chain(&found.corrected);
        all.any(|other| drift::is_same(other, reported))
    };
    let is_verified = |reported: &DriftObject| {
        let entry = view.get(&drift::id(reported));
        entry.is_some_and(|entry| entry.satisfied().map(|digest| digest.to_string()) == reported.manifest)
    };
    let reported = before.iter().flat_map(|before| &before.objects);
    let reported =
        reported.filter(|reported| reported.state != DriftState::Corrected && reported.manifest.is_some());
    reported.filter(|reported| !is_found(reported) && !is_verified(reported)).cloned().collect()
}

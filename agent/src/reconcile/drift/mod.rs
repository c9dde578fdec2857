//! Which changes of a plan are drift, and whether they are corrected now or only reported.
//!
//! Drift is a change of an object that satisfied the same manifest before. The modules: `fights` (fields that another writer
//! changes repeatedly), `announce` (the status before a correction), `outcome` (the result of a run), `unmanaged` (fields that
//! others added), `users` (who changed a field). Pure; the modules with I/O say so.

pub mod announce;
pub mod fights;
pub mod outcome;
pub mod unmanaged;
pub mod users;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{Change, Plan};
use jiff::Timestamp;

use super::past::{Left, PastDrift, since};
use super::sync_at::SyncAt;
use crate::api::{DriftObject, DriftState, Snooze, SyncStatus};
use crate::cluster::view::Differs;
use crate::report::drift;

/// Objects that satisfied their manifests before and do not now.
pub type Drifted = BTreeMap<ObjectId, Differs>;

/// Drifted objects, each as it is reported.
pub type Reported = Vec<(ObjectId, DriftObject)>;

/// How long an episode stays open after the last correction: drift within this time belongs to the same episode.
const HOLD: Duration = Duration::from_secs(5);
/// How early a timer may fire.
const SLACK: Duration = Duration::from_millis(10);
/// How soon an overdue comparison is tried again.
const OVERDUE: Duration = Duration::from_secs(1);

/// The drift that was found while a plan was made.
#[derive(Debug, Default)]
pub struct FoundDrift {
    pub drifted: Drifted,
    /// Drift that is not corrected for now, so that it is not in the plan.
    pub left: BTreeMap<ObjectId, Left>,
    /// For each compared object, the fields that left the source and stay because controllers own them too.
    pub kept: BTreeMap<ObjectId, Option<Change>>,
    /// Drift that cannot be corrected: the API server refuses the manifest, or a right is missing.
    pub refused: Vec<Change>,
}

/// Removes drift from a plan that is not corrected for now: it is snoozed, only reported, or part of a fight.
pub fn leave(
    at: SyncAt<'_>,
    cluster: &str,
    fights: &fights::Fights,
    drifted: &Drifted,
    plan: Plan,
) -> (Plan, BTreeMap<ObjectId, Left>) {
    let mut left = BTreeMap::new();
    let (plan, _) = plan.split(cluster, |change| {
        let Some(seen) = drifted.get(&change.object) else { return true };
        let Some((reported, until)) = reason_to_leave(at, fights, change) else { return true };
        let reported = DriftObject { manifest: Some(seen.manifest.to_string()), ..reported };
        left.insert(change.object.clone(), Left { seen: *seen, until, reported });
        false
    });
    (plan, left)
}

/// Returns how a change that is not made now is reported, and until when; `None` if it is made.
fn reason_to_leave(
    at: SyncAt<'_>,
    fights: &fights::Fights,
    change: &Change,
) -> Option<(DriftObject, Option<Timestamp>)> {
    if let Some(Snooze { until, reason, .. }) = at.snooze(&change.object) {
        let reported = drift::object(change, DriftState::Snoozed, at.now);
        let note = Some(format!("snoozed until {until}: {reason}"));
        return Some((DriftObject { note, ..reported }, Some(*until)));
    }
    if at.only_reports_drift() {
        return Some((drift::object(change, DriftState::Drifted, at.now), None));
    }
    let (reported, until) = fights.hold(change, at.now)?;
    Some((reported, Some(until)))
}

/// Returns the drift among changes, as it is reported.
pub fn reported(at: SyncAt<'_>, drifted: &Drifted, changes: &[Change]) -> Reported {
    let drift = changes.iter().filter_map(|change| Some((change, drifted.get(&change.object)?)));
    drift
        .map(|(change, seen)| {
            let is_snoozed = at.snooze(&change.object).is_some();
            let state = if is_snoozed { DriftState::Snoozed } else { DriftState::Drifted };
            let reported = drift::object(change, state, at.now);
            let manifest = Some(seen.manifest.to_string());
            (change.object.clone(), DriftObject { manifest, ..reported })
        })
        .collect()
}

impl PastDrift {
    /// Remembers the drift that a plan found. `desired` has all objects of the Sync, if all of them were compared.
    pub fn record(&mut self, found: &FoundDrift, desired: Option<&HashSet<&ObjectId>>, now: Timestamp) {
        let FoundDrift { drifted: _, left, kept, refused: _ } = found;
        if desired.is_some() {
            self.left.clear();
        }
        for (object, left) in left {
            if let (DriftState::Fighting, Some(until)) = (left.reported.state, left.until) {
                self.fights.begin(object, &left.reported, until);
            }
            self.left.insert(object.clone(), left.clone());
        }
        for (object, change) in kept {
            match change {
                Some(change) => drop(self.kept.insert(object.clone(), drift::kept(change, now))),
                None => drop(self.kept.remove(object)),
            }
        }
        if let Some(desired) = desired {
            self.kept.retain(|object, _| desired.contains(object));
        }
    }

    /// Time until drift needs a run, if nothing wakes the Sync before.
    pub fn next(&self, status: Option<&SyncStatus>, now: Timestamp) -> Option<Duration> {
        let is_open = status.is_some_and(|status| status.drift.is_some());
        let corrected = self.corrected_at.filter(|_| is_open);
        let settles = corrected.map(|corrected| HOLD.saturating_sub(since(corrected, now)));
        let settles = settles.filter(|left| !left.is_zero()).map(|left| left + SLACK);
        let snoozes = self.left.values().filter_map(|left| left.until);
        let due = snoozes.chain(self.fights.next()).min();
        // An overdue comparison was not made, because the run failed before it.
        let due = due.map(|due| Duration::try_from(due.duration_since(now)).unwrap_or(OVERDUE) + SLACK);
        settles.into_iter().chain(due).min()
    }
}

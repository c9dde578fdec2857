//! Writes drift to the status before it is corrected, if an Alert selects the Sync, so that a restart does not lose it. I/O: a
//! status write, and the lookup of users.

use holdfast_diff::plan::Change;
use tracing::warn;

use super::users::Users;
use super::{Drifted, Reported, reported};
use crate::api::{DriftStatus, SyncStatus};
use crate::cluster::refusal::chain;
use crate::reconcile::past::{Past, PastDrift};
use crate::reconcile::sync_at::SyncAt;
use crate::report::alert::Alerts;
use crate::report::drift::{self, Drift};
use crate::report::write;

/// What the announcement of drift needs.
#[derive(Clone, Copy)]
pub struct Announcer<'a> {
    pub alerts: &'a Alerts,
    pub users: Users<'a>,
}

/// Writes the drift that is about to be corrected to the status, and passes it to the Alerts. Returns it as it is reported.
pub async fn announce(
    Announcer { alerts, users }: Announcer<'_>,
    at: SyncAt<'_>,
    past: &mut Past,
    drifted: &Drifted,
    changes: &[Change],
) -> Reported {
    let SyncAt { owner, status: before, .. } = at;
    let attempted = reported(at, drifted, changes);
    if attempted.is_empty() || !alerts.wants_drift(owner) {
        return attempted;
    }
    let left = attempted.iter().map(|(_, reported)| reported.clone()).collect();
    let found = Drift { left, partial: true, ..Drift::default() };
    let episode = episode(users, at, &mut past.drift, before, &found).await;
    let after = SyncStatus { drift: episode.as_ref().map(drift::listed), ..before.clone() };
    match write::write(&users.cluster.clients.own(), owner, before, &after).await {
        Ok(()) => {
            alerts.report_drift(owner, &SyncStatus { drift: episode, ..after.clone() });
            past.announced = Some(after);
        }
        Err(error) => {
            warn!(sync = %owner, stage = "report", error = %chain(&error), "Cannot write drift to the status before its correction");
        }
    }
    attempted
}

/// Updates the episode of drift with what was found, and adds the names of users that are available.
pub async fn episode(
    users: Users<'_>,
    at: SyncAt<'_>,
    past: &mut PastDrift,
    before: &SyncStatus,
    found: &Drift,
) -> Option<DriftStatus> {
    let last = past.episode.take().or_else(|| before.drift.clone());
    let mut episode = drift::episode(last.as_ref(), found, !at.only_reports_drift(), at.now);
    users.name(episode.as_mut()).await;
    past.episode.clone_from(&episode);
    episode
}

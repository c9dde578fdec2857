//! Computes the status from the previous status and the findings of a run. Pure.

mod verdict;

use holdfast_diff::causes::{self, Cause};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use self::verdict::{awaiting, health, verdict};
use super::changes::{cut, listed, number, omitted, summary};
use super::drift::{self, Drift};
use super::{Findings, Objects, progress};
use crate::api::conditions::{self, reason};
use crate::api::{
    DriftObject, DriftState, DriftStatus, ErrorStatus, HistoryEntry, ObjectCounts, PlanState, PlanStatus,
    ProgressStatus, SyncStatus,
};
use crate::gate::Waiting;

/// Maximum length of a message in characters, so that it stays below 1000 with what is added to it.
const LISTED_MESSAGE: usize = 960;
/// Maximum number of causes of errors in a status, of their places, and of characters of a place.
const CAUSES: usize = 50;
const PLACES: usize = 500;
const PLACE: usize = 300;
/// Maximum number of warnings in a status.
const WARNINGS: usize = 20;
/// Maximum number of entries of the history.
const HISTORY: usize = 10;

/// Builds the status from the previous one, the findings, and the open episode of drift.
pub fn build(before: &SyncStatus, findings: &Findings, episode: Option<&DriftStatus>) -> SyncStatus {
    let mut status = before.clone();
    status.observed_generation = Some(findings.started.generation);
    status.progress = None;
    if findings.started.asked.is_some() {
        status.handled_reconcile_at.clone_from(&findings.started.asked);
    }
    revision(&mut status, findings);
    plan(&mut status, findings);
    status.drift = episode.map(drift::listed);
    if let Some(Objects { total, unhealthy }) = &findings.live.objects {
        let ready = total.saturating_sub(unhealthy.len());
        status.objects = Some(ObjectCounts {
            total: number(*total),
            ready: number(ready),
            shown: format!("{ready}/{total}"),
        });
    }
    if let Some(warnings) = &findings.remarks.warnings {
        let lines = causes::lines(warnings);
        status.warnings = lines.iter().take(WARNINGS).map(|warning| cut(warning, LISTED_MESSAGE)).collect();
    }
    status.errors =
        findings.ended.failure.as_ref().map(|failure| errors(&failure.causes)).unwrap_or_default();
    findings.rendered.chart.store(&mut status.chart);
    if let Some(remotes) = &findings.rendered.remotes {
        status.remotes.clone_from(remotes);
    }
    findings.webhook_path.store(&mut status.webhook_path);
    if let Some(completed) = &findings.live.completed {
        status.completed.clone_from(completed);
    }
    let applied = status.revision.as_ref().and_then(|revision| revision.short.clone()).unwrap_or_default();
    conditions(&mut status.conditions, findings, &applied);
    status.progress = awaited(&status, findings);
    status
}

/// Returns the causes of a failure, up to a limit.
fn errors(causes: &[Cause]) -> Vec<ErrorStatus> {
    let mut left = PLACES;
    let status = |Cause { text, count, places }: &Cause| {
        let places: Vec<String> = places.iter().take(left).map(|place| cut(place, PLACE)).collect();
        left -= places.len();
        ErrorStatus { cause: cut(text, LISTED_MESSAGE), count: number(*count), places }
    };
    causes.iter().take(CAUSES).map(status).collect()
}

/// Returns what the Sync waits for after a run.
fn awaited(status: &SyncStatus, findings: &Findings) -> Option<ProgressStatus> {
    let revision = status.revision.as_ref().and_then(|revision| revision.seen.clone());
    let since = |kind| since(&status.conditions, kind).unwrap_or(findings.started.now);
    if findings.on_the_way() && findings.started.wait_for_health {
        let since = since(conditions::HEALTHY);
        return status.objects.as_ref().map(|count| progress::of_health(count, revision, since));
    }
    let is_only = findings.ended.failure.is_none()
        && findings.gated.waiting.is_none()
        && findings.ended.suspended.is_none();
    let waits = findings.ended.waits.as_ref().filter(|_| is_only)?;
    Some(progress::of_wait(waits, revision, since(conditions::RECONCILING)))
}

fn revision(status: &mut SyncStatus, findings: &Findings) {
    let Some(seen) = &findings.seen else { return };
    let revision = status.revision.get_or_insert_default();
    let settled = revision.applied.is_some() && revision.seen == revision.applied;
    if settled && revision.tree.as_deref() == Some(&seen.tree) {
        // Nothing that this Sync reads has changed, so the revision that it names stays.
        return;
    }
    revision.seen = Some(seen.revision.clone());
    revision.commit.clone_from(&seen.commit);
    if findings.is_complete() {
        revision.applied = Some(seen.revision.clone());
        revision.short = Some(seen.short.clone());
        revision.tree = Some(seen.tree.clone());
        let entry = HistoryEntry {
            revision: seen.revision.clone(),
            plan: findings.done.as_ref().map(|done| done.id.to_string()),
            at: findings.started.now,
            outcome: "Applied".to_owned(),
        };
        status.history.insert(0, entry);
        status.history.truncate(HISTORY);
    }
}

fn plan(status: &mut SyncStatus, findings: &Findings) {
    let since = |id: &str, state: PlanState| {
        let same = status.plan.as_ref().filter(|plan| plan.id == id && plan.state == state);
        same.map_or(findings.started.now, |plan| plan.since)
    };
    let next = if let Some(Waiting { plan, rejected, .. }) = &findings.gated.waiting {
        let state = if rejected.is_some() { PlanState::Rejected } else { PlanState::AwaitingApproval };
        Some((plan.id.to_string(), state, &plan.changes))
    } else {
        findings.done.as_ref().filter(|done| !done.changes.is_empty()).map(|done| {
            let state = match (&findings.ended.failure, &findings.ended.waits) {
                (Some(_), _) => PlanState::Failed,
                (None, Some(_)) => PlanState::Applying,
                (None, None) => PlanState::Applied,
            };
            (done.id.to_string(), state, &done.changes)
        })
    };
    if let Some((id, state, changes)) = next {
        status.plan = Some(PlanStatus {
            since: since(&id, state),
            id,
            state,
            summary: summary(changes),
            omitted: None,
            changes: Vec::new(),
        });
        if let Some(plan) = &mut status.plan {
            plan.changes = listed(changes);
            plan.omitted = omitted(changes.len(), plan.changes.len());
        }
    } else if let Some(plan) = status.plan.as_mut().filter(|_| findings.is_complete()) {
        if matches!(plan.state, PlanState::Applying | PlanState::Failed) {
            plan.state = PlanState::Applied;
        } else if plan.state != PlanState::Applied {
            // The plan that waited is obsolete.
            status.plan = None;
        }
    }
}

fn conditions(all: &mut Vec<Condition>, findings: &Findings, applied: &str) {
    let busy_since = since(all, conditions::RECONCILING);
    let mut set = |kind: &str, value: Option<bool>, reason: &str, message: &str| {
        conditions::set(
            all,
            kind,
            value,
            reason,
            &cut(message, LISTED_MESSAGE),
            findings.started.generation,
            findings.started.now,
        );
        since(all, conditions::HEALTHY)
    };
    let (waiting_reason, waiting) = awaiting(findings);
    set(
        conditions::AWAITING_APPROVAL,
        Some(waiting.is_some()),
        waiting_reason,
        waiting.as_deref().unwrap_or_default(),
    );
    let (healthy, healthy_reason, healthy_message) = health(findings);
    let mut unhealthy_since = None;
    if let Some(healthy) = healthy {
        unhealthy_since = set(conditions::HEALTHY, Some(healthy), healthy_reason, &healthy_message);
    }
    let verdict =
        verdict(findings, applied, healthy, (healthy_reason, &healthy_message), unhealthy_since, busy_since);
    set(conditions::READY, Some(verdict.ready), verdict.reason, &verdict.message);
    set(conditions::STALLED, verdict.stalled.then_some(true), verdict.reason, &verdict.message);
    set(conditions::RECONCILING, verdict.reconciling.then_some(true), verdict.reason, &verdict.message);
    drift_condition(all, findings);
}

/// A correction stays reported until the next change of the cluster or of Git.
fn drift_condition(all: &mut Vec<Condition>, findings: &Findings) {
    let Some(Drift { left, corrected, settled: _, partial: _, unverified }) = &findings.live.drift else {
        return;
    };
    let by = |which: fn(&DriftObject) -> bool| {
        left.iter().filter(|object| which(object)).cloned().collect::<Vec<_>>()
    };
    let differing: Vec<DriftObject> = findings.live.differing().cloned().collect();
    let (unmanaged, snoozed) = (by(drift::is_unmanaged), by(|object| object.state == DriftState::Snoozed));
    let before = all.iter().find(|condition| condition.type_ == conditions::DRIFTED);
    let (value, reason, objects) = if differing.iter().any(|object| object.state == DriftState::Fighting) {
        (true, reason::DRIFT_FIGHT, differing)
    } else if differing.iter().any(|object| object.refusal.is_some()) {
        (true, reason::CORRECTION_REFUSED, differing)
    } else if !differing.is_empty() {
        (true, reason::DRIFT_REPORTED, differing)
    } else if !unmanaged.is_empty() {
        (true, reason::UNMANAGED_FIELDS_REPORTED, unmanaged)
    } else if !corrected.is_empty() {
        (false, reason::DRIFT_CORRECTED, corrected.clone())
    } else if !snoozed.is_empty() {
        (false, reason::DRIFT_SNOOZED, snoozed)
    } else if findings.done.is_none() && before.is_some_and(|before| before.reason == reason::DRIFT_CORRECTED)
    {
        return;
    } else if *unverified && before.is_none_or(|before| before.status == "False") {
        // The condition is not changed for objects that could not be compared.
        return;
    } else {
        (false, reason::IN_SYNC, Vec::new())
    };
    let mut message = drift::describe(&objects);
    message.push_str(&objects.first().map(drift::rule).unwrap_or_default());
    if reason == reason::DRIFT_CORRECTED {
        message = format!("corrected {message}");
    }
    let message = cut(&message, LISTED_MESSAGE);
    conditions::set(
        all,
        conditions::DRIFTED,
        Some(value),
        reason,
        &message,
        findings.started.generation,
        findings.started.now,
    );
}

fn since(all: &[Condition], kind: &str) -> Option<Timestamp> {
    all.iter().find(|condition| condition.type_ == kind).map(|condition| condition.last_transition_time.0)
}

/// Returns the time since then; zero if the clock was set back.
fn elapsed(since: Timestamp, now: Timestamp) -> std::time::Duration {
    now.duration_since(since).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use holdfast_diff::causes::{self, Mistake};
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::{build, elapsed};
    use crate::api::{Sync, SyncStatus};
    use crate::report::{Failure, Findings};
    use crate::sync_ref::SyncRef;

    #[test]
    fn hundreds_of_errors_are_a_short_message_and_a_list_by_cause() {
        let spec = json!({"source": {"git": {"url": "https://git.test/a"}}});
        let sync = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": "a"}, "spec": spec});
        let sync: Sync = serde_json::from_value(sync).expect("a Sync");
        let owner = SyncRef::new("team".to_owned(), "a".to_owned());
        let mut findings = Findings::of(&sync, &owner, Timestamp::UNIX_EPOCH);
        let place = |number: usize| format!("{}/{number}.yaml:{number}", "folder/".repeat(20));
        let mistakes: Vec<Mistake> = (0..900)
            .map(|number| {
                Mistake::new(
                    place(number),
                    format!("cause {} is wrong", ["a", "b", "c"][number % 3].repeat(200)),
                )
            })
            .collect();
        let (message, is_whole) = causes::summary(&mistakes, 0);
        assert!(!is_whole);
        findings.ended.failure = Some(Failure::user("render", "RenderFailed", message).with(&mistakes));
        let status = build(&SyncStatus::default(), &findings, None);
        assert!(status.conditions.iter().all(|condition| condition.message.chars().count() < 1000));
        assert_eq!(status.errors.iter().map(|error| error.count).collect::<Vec<_>>(), [300; 3]);
        assert_eq!(status.errors.iter().map(|error| error.places.len()).sum::<usize>(), super::PLACES);
        findings.ended.failure = None;
        assert_eq!(build(&status, &findings, None).errors, []);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_late() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(elapsed(now, now + SignedDuration::from_secs(5)), Duration::from_secs(5));
        assert_eq!(elapsed(now + SignedDuration::from_hours(1), now), Duration::ZERO);
    }
}

//! The condition Ready: its value, reason and message. Pure.

use holdfast_diff::causes::{self, Mistake};
use holdfast_diff::health::Status as Health;
use jiff::Timestamp;

use super::super::{Failure, Findings, Objects, drift};
use super::elapsed;
use crate::api::conditions::reason;
use crate::api::{DriftObject, DriftState};
use crate::error::Class;
use crate::gate::Waiting;

/// The conditions Ready, Stalled and Reconciling.
pub(super) struct Verdict {
    pub ready: bool,
    pub reason: &'static str,
    pub message: String,
    pub stalled: bool,
    pub reconciling: bool,
}

/// Computes the verdict about a Sync.
pub(super) fn verdict(
    findings: &Findings,
    applied: &str,
    healthy: Option<bool>,
    (healthy_reason, healthy_message): (&'static str, &str),
    since: Option<Timestamp>,
    busy_since: Option<Timestamp>,
) -> Verdict {
    let no = |reason: &'static str, message: &str, stalled: bool| Verdict {
        ready: false,
        reason,
        message: message.to_owned(),
        stalled,
        reconciling: !stalled,
    };
    if let Some(Failure { class, reason, message, .. }) = &findings.ended.failure {
        return no(reason, message, *class != Class::Transient);
    }
    if let Some(suspended) = &findings.ended.suspended {
        return Verdict { reconciling: false, ..no(reason::SUSPENDED, suspended, false) };
    }
    if let Some(waiting) = &findings.gated.waiting {
        let (reason, message) = awaiting(findings);
        let stalled = waiting.rejected.is_some();
        return Verdict { reconciling: false, ..no(reason, &message.unwrap_or_default(), stalled) };
    }
    if let Some(waits) = &findings.ended.waits {
        let overdue = |since: &Timestamp| elapsed(*since, findings.started.now) >= findings.started.timeout;
        return match busy_since.filter(overdue) {
            Some(since) => no(reason::WAIT_TIMEOUT, &format!("since {since}: {waits}"), false),
            None => no(reason::PROGRESSING, waits, false),
        };
    }
    let differing: Vec<DriftObject> = findings.live.differing().cloned().collect();
    if !differing.is_empty() {
        let fight = differing.iter().any(|object| object.state == DriftState::Fighting);
        let reason = if fight { reason::DRIFT_FIGHT } else { reason::DRIFT_REPORTED };
        return Verdict { reconciling: false, ..no(reason, &drift::describe(&differing), false) };
    }
    if healthy == Some(false) && findings.started.wait_for_health {
        let overdue = since
            .is_some_and(|since| elapsed(since, findings.started.now) >= findings.started.health_timeout);
        if healthy_reason == reason::PROGRESSING && overdue {
            return no(reason::HEALTH_TIMEOUT, &format!("not healthy in time: {healthy_message}"), false);
        }
        return no(healthy_reason, healthy_message, false);
    }
    let count = findings.live.objects.as_ref().map_or(0, |objects| objects.total);
    let message = match count {
        1 => format!("1 object in sync with Git ({applied})"),
        _ => format!("{count} objects in sync with Git ({applied})"),
    };
    Verdict { ready: true, reason: reason::IN_SYNC, message, stalled: false, reconciling: false }
}

/// Computes the condition Healthy.
pub(super) fn health(findings: &Findings) -> (Option<bool>, &'static str, String) {
    let Some(Objects { unhealthy, .. }) = &findings.live.objects else {
        return (None, reason::PROGRESSING, String::new());
    };
    let failed: Vec<_> = unhealthy.iter().filter(|(_, health)| health.status == Health::Failed).collect();
    let summary = |which: &[&(holdfast_diff::object::ObjectId, holdfast_diff::health::Health)]| {
        let mistakes: Vec<Mistake> =
            which.iter().map(|(object, health)| Mistake::new(object.to_string(), &health.message)).collect();
        causes::summary(&mistakes, 0).0
    };
    if !failed.is_empty() {
        return (Some(false), reason::UNHEALTHY, summary(&failed));
    }
    if !unhealthy.is_empty() {
        return (Some(false), reason::PROGRESSING, summary(&unhealthy.iter().collect::<Vec<_>>()));
    }
    (Some(true), reason::HEALTHY, String::new())
}

/// Computes the condition AwaitingApproval.
pub(super) fn awaiting(findings: &Findings) -> (&'static str, Option<String>) {
    let Some(waiting) = &findings.gated.waiting else {
        return (reason::NOTHING_WAITS, None);
    };
    let Waiting { plan, later, rejected, .. } = waiting;
    let mut parts = waiting.held();
    parts.truncate(5);
    if plan.changes.len() > 5 {
        parts.push(format!("and {} more", plan.changes.len() - 5));
    }
    if *later > 0 {
        let (changes, come, wait) =
            if *later == 1 { ("change", "comes", "waits") } else { ("changes", "come", "wait") };
        parts.push(format!("{later} other {changes} {come} after that and {wait} with it"));
    }
    let what = parts.join("; ");
    if let Some((who, why)) = rejected {
        (reason::REJECTED, Some(format!("{who} rejected plan {}: {why} ({what})", plan.id)))
    } else {
        let how = match &findings.gated.instead {
            Some(instead) => instead.clone(),
            None => format!("{} {}", findings.started.approve, plan.id),
        };
        (reason::AWAITING_APPROVAL, Some(format!("{what}. {how}")))
    }
}

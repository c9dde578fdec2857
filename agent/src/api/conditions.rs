//! Condition types and all their reasons. Pure.

use holdfast_diff::visible;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The newest revision is applied, nothing waits, everything is healthy.
pub const READY: &str = "Ready";
/// A reconciliation is in progress, or is retried. Absent unless it is true (kstatus).
pub const RECONCILING: &str = "Reconciling";
/// A user must act, as the message explains. Absent unless it is true (kstatus).
pub const STALLED: &str = "Stalled";
/// Every object is healthy.
pub const HEALTHY: &str = "Healthy";
/// The cluster differs from Git, and the policy is to report that.
pub const DRIFTED: &str = "Drifted";
/// A change waits for an Approval.
pub const AWAITING_APPROVAL: &str = "AwaitingApproval";

/// Reasons. A stage that fails gives the static name of its error instead.
pub mod reason {
    pub const IN_SYNC: &str = "InSync";
    pub const PROGRESSING: &str = "Progressing";
    pub const SUSPENDED: &str = "Suspended";
    /// For an ImageUpdate: Git has the images that the policies select.
    pub const UP_TO_DATE: &str = "UpToDate";
    /// Of an ImageUpdate: a Sync that reads what would change is suspended.
    pub const HELD_BACK: &str = "HeldBack";
    pub const HEALTHY: &str = "Healthy";
    pub const UNHEALTHY: &str = "Unhealthy";
    pub const HEALTH_TIMEOUT: &str = "HealthTimeout";
    /// Something that the run waits for takes longer than `spec.timeout`.
    pub const WAIT_TIMEOUT: &str = "WaitTimeout";
    pub const AWAITING_APPROVAL: &str = "AwaitingApproval";
    pub const NOTHING_WAITS: &str = "NothingWaits";
    pub const REJECTED: &str = "Rejected";
    pub const DRIFT_REPORTED: &str = "DriftReported";
    /// The API server refuses the correction.
    pub const CORRECTION_REFUSED: &str = "CorrectionRefused";
    /// Another client writes the other value again and again.
    pub const DRIFT_FIGHT: &str = "DriftFight";
    pub const DRIFT_SNOOZED: &str = "DriftSnoozed";
    /// Other managers have added fields that are not in Git.
    pub const UNMANAGED_FIELDS_REPORTED: &str = "UnmanagedFieldsReported";
    pub const DRIFT_CORRECTED: &str = "DriftCorrected";
    /// Of an Event: a Sync was removed, and objects stay.
    pub const OBJECTS_LEFT: &str = "ObjectsLeft";
}

/// Sets a condition; `None` removes it. The message is shown on one line, with control characters escaped. The transition time only
/// changes with the status.
pub fn set(
    all: &mut Vec<Condition>,
    kind: &str,
    value: Option<bool>,
    reason: &str,
    message: &str,
    generation: i64,
    now: Timestamp,
) {
    let position = all.iter().position(|condition| condition.type_ == kind);
    let Some(value) = value else {
        if let Some(at) = position {
            all.remove(at);
        }
        return;
    };
    let status = if value { "True" } else { "False" };
    let since = position
        .filter(|at| all[*at].status == status)
        .map_or(Time(now), |at| all[at].last_transition_time.clone());
    let condition = Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: visible::line(message).into_owned(),
        observed_generation: Some(generation),
        last_transition_time: since,
    };
    match position {
        Some(at) => all[at] = condition,
        None => all.push(condition),
    }
}

/// True if the condition of this type is there and true.
pub fn is_true(all: &[Condition], kind: &str) -> bool {
    all.iter().any(|condition| condition.type_ == kind && condition.status == "True")
}

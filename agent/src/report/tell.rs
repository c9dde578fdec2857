//! The log lines and Events of a run: changes, drift, and what a user must do. Reported when a state begins or changes, not at
//! every run.
//!
//! I/O: none but the log; Events go to a queue.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use holdfast_diff::fields::{MANAGER, Owner};
use holdfast_diff::plan::{Change, PlanId};
use holdfast_diff::visible;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::Value;
use tracing::{error, info, warn};

use super::changes::{cut, summary};
use super::drift;
use super::events::{Events, Note};
use super::{Done, Findings};
use crate::api::{DriftObject, PlanSummary, SyncStatus, conditions};
use crate::error::Class;
use crate::sync_ref::SyncRef;

/// Maximum characters of lost values in a log line.
const LOST: usize = 32_768;
/// Maximum number of drifted objects of a plan that get an Event of their own.
const NAMED_OBJECTS: usize = 10;

/// Reports what is new in a run.
pub fn tell(
    events: &Events,
    about: &ObjectReference,
    sync: &SyncRef,
    before: &SyncStatus,
    after: &SyncStatus,
    findings: &Findings,
) {
    let event = |warning: bool, reason: &str, action: &str, text: String| {
        events.tell(Note {
            about: about.clone(),
            warning,
            reason: reason.to_owned(),
            action: action.to_owned(),
            text,
        });
    };
    let revision = findings.seen.as_ref().map(|seen| seen.revision.as_str()).unwrap_or_default();
    for drifted in findings.live.corrected().iter().take(NAMED_OBJECTS) {
        let object = format!("{} {}/{}", drifted.kind, drifted.namespace, drifted.name);
        let fields = drifted.changes.iter().map(drift::words).collect::<Vec<_>>().join("; ");
        let by = drifted.changes.iter().find(|change| change.manager.is_some());
        let manager = by.and_then(|change| change.manager.clone()).unwrap_or_default();
        let time = by.and_then(|change| change.time.clone()).unwrap_or_default();
        warn!(sync = %sync, stage = "apply", revision, object, fields, manager, time, lost = lost_values(findings, drifted), ignore = drifted.ignore, "Corrected drift");
        let what = if drifted.deleted {
            format!("{object} {}, and was created again", drift::deletion(drifted))
        } else {
            format!("{object} was corrected: {fields}{}", drift::rule(drifted))
        };
        event(true, "DriftCorrected", "Correct", what);
    }
    if let Some(Done { id, changes }) = &findings.done {
        let corrected = |change: &Change| {
            findings.live.corrected().iter().any(|object| drift::is_of(object, &change.object))
        };
        let changes: Vec<&Change> = changes.iter().filter(|change| !corrected(change)).collect();
        if !changes.is_empty() {
            let summary = summary(changes.iter().copied());
            info!(
                sync = %sync, stage = "apply", revision, plan = %id, created = summary.create, updated = summary.update,
                adopted = summary.adopt, recreated = summary.recreate, deleted = summary.delete, "Applied plan"
            );
            event(false, "Applied", "Apply", applied(id, revision, &summary));
            for (change, lost) in
                changes.iter().filter_map(|change| Some((change, lost(change)?))).take(NAMED_OBJECTS)
            {
                event(false, "FieldsTakenOver", "Apply", format!("{}: {lost}", change.object));
            }
        }
    }
    for warning in after.warnings.iter().filter(|warning| !before.warnings.contains(warning)) {
        warn!(sync = %sync, revision, warning, "Problem in the repository that does not block the sync");
        event(true, "Mistake", "Plan", warning.clone());
    }
    let ready = |status: &SyncStatus| {
        condition(status, conditions::READY).map(|ready| (ready.reason.clone(), ready.message.clone()))
    };
    let news = ready(before) != ready(after);
    if let (true, Some(failure)) = (news, &findings.ended.failure) {
        match failure.class {
            Class::Transient => {
                warn!(sync = %sync, stage = failure.stage, revision, error = %failure.message, "Sync failed; retrying");
            }
            Class::User | Class::Internal => {
                error!(sync = %sync, stage = failure.stage, revision, error = %failure.message, "Sync failed");
            }
        }
        event(true, failure.reason, "Reconcile", failure.message.clone());
    } else if let (true, Some(ready)) = (news, condition(after, conditions::READY)) {
        let warning = ready.status != "True"
            && (findings.gated.waiting.is_some()
                || findings.live.differing().next().is_some()
                || ready.reason == conditions::reason::UNHEALTHY);
        if warning {
            warn!(sync = %sync, revision, reason = ready.reason, detail = ready.message, "Sync is not ready");
            event(true, &ready.reason, "Reconcile", ready.message.clone());
        } else {
            info!(sync = %sync, revision, ready = ready.status, reason = ready.reason, "Sync reported");
        }
    }
}

/// Describes what a plan has done. A Sync that is deleted has no revision.
fn applied(id: &PlanId, revision: &str, summary: &PlanSummary) -> String {
    let PlanSummary { create, update, delete, recreate, adopt, r#move, orphan } = summary;
    let at = if revision.is_empty() {
        " for the deletion of the Sync".to_owned()
    } else {
        format!(" at {revision}")
    };
    let mut text = format!(
        "applied {id}{at}: {create} created, {update} updated, {adopt} adopted, {recreate} recreated, {delete} deleted"
    );
    for (count, what) in [(r#move, "moved"), (orphan, "left in the cluster")] {
        if *count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    text
}

/// Returns the values that were lost by a correction, complete, so that they can be restored. Those of Secrets are
/// masked.
fn lost_values(findings: &Findings, reported: &DriftObject) -> String {
    let done = findings.done.iter().flat_map(|done| &done.changes);
    let change = done.into_iter().find(|change| drift::is_of(reported, &change.object));
    let fields = change.into_iter().flat_map(|change| &change.fields);
    let lost: BTreeMap<&str, &Value> =
        fields.filter_map(|field| Some((field.path.as_str(), field.before.as_ref()?))).collect();
    cut(&visible::json(&serde_json::to_string(&lost).unwrap_or_default()), LOST)
}

/// Describes which managers lost which fields by a change; `None` if there are none.
fn lost(change: &Change) -> Option<String> {
    let mut managers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for field in &change.fields {
        for owner in field.owners.iter().filter(|owner| owner.manager != MANAGER) {
            let manager = Owner { time: None, ..owner.clone() };
            managers.entry(manager.to_string()).or_default().push(&field.path);
        }
    }
    let parts: Vec<String> = managers
        .into_iter()
        .map(|(manager, paths)| match paths.len().checked_sub(NAMED_OBJECTS).filter(|more| *more > 0) {
            Some(more) => format!("{manager} lost {} and {more} more", paths[..NAMED_OBJECTS].join(", ")),
            None => format!("{manager} lost {}", paths.join(", ")),
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn condition<'a>(status: &'a SyncStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

//! Deployments, StatefulSets, DaemonSets, ReplicaSets.
//!
//! Pure.

use super::Health;
use super::object::{Condition, Object};

/// `1 of 3 replicas is ready`.
fn count(number: i64, of: i64, things: &str, state: &str) -> String {
    let verb = if number == 1 { "is" } else { "are" };
    format!("{number} of {of} {things} {verb} {state}")
}

/// Returns the first of `steps` with fewer than `wanted` replicas as progress.
fn short(wanted: i64, things: &str, steps: &[(&str, i64)]) -> Option<Health> {
    let (state, number) = steps.iter().find(|(_, number)| *number < wanted)?;
    Some(Health::in_progress(count(*number, wanted, things, state)))
}

/// Returns progress while there are more replicas than wanted.
fn surplus(number: i64) -> Option<Health> {
    match number {
        ..=0 => None,
        1 => Some(Health::in_progress("1 old replica is still to end")),
        _ => Some(Health::in_progress(format!("{number} old replicas are still to end"))),
    }
}

fn unseen() -> Health {
    Health::in_progress("its controller has not seen it yet")
}

/// Returns why pods cannot be created, from the condition `ReplicaFailure`.
fn replica_failure(object: Object) -> Option<Health> {
    let failure = object.condition("ReplicaFailure").filter(Condition::is_true)?;
    Some(Health::in_progress(format!("pods cannot be created: {}", failure.words("no reason is given"))))
}

pub(super) fn deployment(object: Object) -> Health {
    let progressing = object.condition("Progressing");
    if let Some(progressing) = progressing.filter(|condition| condition.reason == "ProgressDeadlineExceeded")
    {
        return Health::failed(progressing.words("it made no progress within its deadline"));
    }
    if !object.is_observed() {
        return unseen();
    }
    let status = |field: &str| object.int(&format!("/status/{field}")).unwrap_or(0);
    let wanted = object.int("/spec/replicas").unwrap_or(1);
    let (replicas, updated) = (status("replicas"), status("updatedReplicas"));
    let available = status("availableReplicas");

    let paused = object.get("/spec/paused").is_some_and(|paused| paused == true);
    let missing = short(wanted, "replicas", &[("created", replicas), ("updated", updated)]);
    if let Some(missing) = missing {
        if paused {
            return Health::in_progress(format!("{}, and the rollout is paused", missing.message));
        }
        return replica_failure(object).unwrap_or(missing);
    }
    let steps = [("available", available), ("ready", status("readyReplicas"))];
    if let Some(health) =
        surplus(replicas.saturating_sub(wanted)).or_else(|| short(wanted, "replicas", &steps))
    {
        return health;
    }
    let has_deadline = object.int("/spec/progressDeadlineSeconds").is_some_and(|s| s != i64::from(i32::MAX));
    // While it is paused, its controller does not report that the newest replica set is complete.
    if has_deadline
        && !paused
        && !progressing.is_some_and(|c| c.is_true() && c.reason == "NewReplicaSetAvailable")
    {
        return Health::in_progress("its new replica set is not available yet");
    }
    match object.condition("Available") {
        Some(condition) if condition.is_true() => {
            let rest = if paused { ", and the rollout is paused" } else { "" };
            Health::current(count(available, wanted, "replicas", "available") + rest)
        }
        Some(condition) => Health::in_progress(condition.words("it is not available")),
        None => Health::in_progress("it is not known to be available"),
    }
}

pub(super) fn stateful_set(object: Object) -> Health {
    if !object.is_observed() {
        return unseen();
    }
    let status = |field: &str| object.int(&format!("/status/{field}")).unwrap_or(0);
    let wanted = object.int("/spec/replicas").unwrap_or(1);
    let (replicas, ready, updated) = (status("replicas"), status("readyReplicas"), status("updatedReplicas"));
    let mut steps = vec![("created", replicas), ("ready", ready)];
    if object.int("/spec/minReadySeconds").unwrap_or(0) > 0 {
        steps.push(("available", status("availableReplicas")));
    }
    if let Some(health) =
        short(wanted, "replicas", &steps).or_else(|| surplus(replicas.saturating_sub(wanted)))
    {
        return health;
    }
    let done = Health::current(count(ready, wanted, "replicas", "ready"));
    if object.text("/spec/updateStrategy/type") == "OnDelete" {
        return done;
    }
    // A partition keeps the replicas below it at the old revision intentionally.
    let partition = object.int("/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    if let Some(health) = short(wanted.saturating_sub(partition).max(0), "replicas", &[("updated", updated)])
    {
        return health;
    }
    let (current, update) = (object.text("/status/currentRevision"), object.text("/status/updateRevision"));
    if partition == 0 && current != update {
        return Health::in_progress("the update to its new revision is not complete");
    }
    done
}

pub(super) fn daemon_set(object: Object) -> Health {
    let Some(wanted) = object.int("/status/desiredNumberScheduled").filter(|_| object.is_observed()) else {
        return unseen();
    };
    let status = |field: &str| object.int(&format!("/status/{field}")).unwrap_or(0);
    let available = status("numberAvailable");
    let mut steps = vec![("scheduled", status("currentNumberScheduled"))];
    if object.text("/spec/updateStrategy/type") != "OnDelete" {
        steps.push(("updated", status("updatedNumberScheduled")));
    }
    steps.extend([("available", available), ("ready", status("numberReady"))]);
    short(wanted, "pods", &steps)
        .unwrap_or_else(|| Health::current(count(available, wanted, "pods", "available")))
}

pub(super) fn replica_set(object: Object) -> Health {
    if !object.is_observed() {
        return unseen();
    }
    let status = |field: &str| object.int(&format!("/status/{field}")).unwrap_or(0);
    let wanted = object.int("/spec/replicas").unwrap_or(1);
    let (replicas, available) = (status("replicas"), status("availableReplicas"));
    let steps = [("created", replicas), ("ready", status("readyReplicas")), ("available", available)];
    replica_failure(object)
        .or_else(|| short(wanted, "replicas", &steps))
        .or_else(|| surplus(replicas.saturating_sub(wanted)))
        .unwrap_or_else(|| Health::current(count(available, wanted, "replicas", "available")))
}

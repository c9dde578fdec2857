//! Objects that a user paused or suspended: their controllers do nothing, so no further status is expected.
//!
//! An object that was paused in the middle of a change is not handled here, but by the rules of its kind. Pure.

use super::Health;
use super::object::{Condition, Object};

/// Returns the health of an object that is paused as a whole.
pub(super) fn judge(object: Object) -> Option<Health> {
    if !object.text("/metadata/deletionTimestamp").is_empty() {
        return None;
    }
    let is = |path: &str| object.get(path).is_some_and(|flag| flag == true);
    let holds = |kind: &str| object.condition(kind).as_ref().is_some_and(Condition::is_true);
    let current = |words: &str| Some(Health::current(words));
    match (object.group(), object.kind()) {
        ("batch", "CronJob") if is("/spec/suspend") => current("it is suspended"),
        ("batch", "Job") if is("/spec/suspend") => {
            let ended = ["Complete", "Failed", "FailureTarget"].into_iter().any(holds);
            if ended { None } else { current("it is suspended") }
        }
        ("argoproj.io", "Rollout") if is("/spec/paused") => {
            let (stable, newest) = (object.text("/status/stableRS"), object.text("/status/currentPodHash"));
            let wanted = object.int("/spec/replicas").unwrap_or(1);
            let available = object.int("/status/availableReplicas").unwrap_or(0);
            let complete = !newest.is_empty() && stable == newest && available >= wanted;
            if complete { current("its newest version is available, and it is paused") } else { None }
        }
        (group, _) if group.ends_with(".toolkit.fluxcd.io") && is("/spec/suspend") => {
            current("it is suspended")
        }
        ("kafka.strimzi.io", _) if holds("ReconciliationPaused") => current("its reconciliation is paused"),
        _ => {
            let synced = object.condition("Synced")?;
            let paused = synced.is_false() && synced.reason == "ReconcilePaused" && holds("Ready");
            if paused { current("it is ready, and its reconciliation is paused") } else { None }
        }
    }
}

//! The rules that apply to every kind.
//!
//! Pure.

use serde_json::Value;

use super::object::{Condition, Object};
use super::{Health, Status};

/// The rules before those of a kind: deletion, generation, and the conditions of kstatus.
pub(super) fn first(object: Object) -> Option<Health> {
    if !object.text("/metadata/deletionTimestamp").is_empty() {
        return Some(Health::new(Status::Terminating, terminating(object)));
    }
    if let (Some(generation), Some(observed)) =
        (object.int("/metadata/generation"), object.int("/status/observedGeneration"))
        && observed < generation
    {
        return Some(Health::in_progress("its controller has not seen the newest change yet"));
    }
    if let Some(stalled) = object.condition("Stalled").filter(Condition::is_true) {
        return Some(Health::failed(stalled.words("it is stalled")));
    }
    let reconciling = object.condition("Reconciling").filter(Condition::is_true)?;
    Some(Health::in_progress(reconciling.words("it is reconciling")))
}

fn terminating(object: Object) -> String {
    let finalizers: Vec<&str> =
        object.items("/metadata/finalizers").iter().filter_map(Value::as_str).collect();
    if finalizers.is_empty() {
        "it is being deleted".to_owned()
    } else {
        format!("it is being deleted and waits for {}", finalizers.join(", "))
    }
}

/// The rules for kinds without a rule: the condition `Ready`, or else existence.
pub(super) fn last(object: Object) -> Health {
    let Some(ready) = object.condition("Ready") else {
        let empty =
            object.get("/status/conditions").is_some() && object.items("/status/conditions").is_empty();
        return if empty {
            Health::in_progress("its controller has reported no conditions yet")
        } else {
            Health::current("it exists")
        };
    };
    if let (Some(observed), Some(generation)) =
        (ready.observed_generation, object.int("/metadata/generation"))
        && observed < generation
    {
        return Health::in_progress("its condition Ready is of an older generation");
    }
    match ready.status {
        "True" => Health::current(ready.words("it is ready")),
        "False" => Health::in_progress(ready.words("it is not ready")),
        _ => Health::in_progress(ready.words("it is not known to be ready")),
    }
}

//! Pods and Jobs.
//!
//! Pure.

use serde_json::Value;

use super::Health;
use super::object::{Condition, Object};

pub(super) fn pod(object: Object) -> Health {
    match object.text("/status/phase") {
        "Succeeded" => Health::current("it has completed"),
        "Failed" => Health::failed(failure(object)),
        "Running" => running(object),
        "Pending" => pending(object),
        "" => Health::in_progress("it has not been seen by a scheduler yet"),
        phase => Health::unknown(format!("its phase is {phase}: its node does not answer")),
    }
}

fn running(object: Object) -> Health {
    let ready = object.condition("Ready");
    if ready.is_some_and(|ready| ready.is_true()) {
        return Health::current("it is ready");
    }
    stuck(object).unwrap_or_else(|| {
        Health::in_progress(ready.map_or_else(|| "it is not ready".into(), |r| r.words("it is not ready")))
    })
}

fn pending(object: Object) -> Health {
    let scheduled = object.condition("PodScheduled").filter(Condition::is_false);
    match scheduled {
        Some(scheduled) => {
            Health::in_progress(format!("it is not scheduled: {}", scheduled.words("no reason is given")))
        }
        None => stuck(object).unwrap_or_else(|| Health::in_progress("its containers are being started")),
    }
}

/// Returns the first container that waits for something that will not happen without a change.
fn stuck(object: Object) -> Option<Health> {
    let containers = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let mut waiting = containers.iter().flat_map(|list| object.items(list)).filter_map(|container| {
        let waiting = container.pointer("/state/waiting")?;
        let reason = waiting.get("reason")?.as_str()?;
        let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
        let message = waiting.get("message").and_then(Value::as_str).unwrap_or_default();
        Some((name, reason, message))
    });
    let will_not_come = |reason: &str| {
        reason.ends_with("BackOff")
            || reason.starts_with("Err")
            || reason.ends_with("Error")
            || reason.starts_with("Invalid")
    };
    let (name, reason, message) = waiting.find(|(_, reason, _)| will_not_come(reason))?;
    let colon = if message.is_empty() { "" } else { ": " };
    Some(Health::failed(format!("container {name} waits with {reason}{colon}{message}")))
}

fn failure(object: Object) -> String {
    let (reason, message) = (object.text("/status/reason"), object.text("/status/message"));
    if !message.is_empty() || !reason.is_empty() {
        let words = if message.is_empty() { reason } else { message };
        return format!("it has failed: {}", words.trim_end_matches('.'));
    }
    let exits = object.items("/status/containerStatuses").iter().find_map(|container| {
        let code = container.pointer("/state/terminated/exitCode")?.as_i64().filter(|code| *code != 0)?;
        Some(format!("it has failed: container {} ended with code {code}", container.get("name")?.as_str()?))
    });
    exits.unwrap_or_else(|| "it has failed".to_owned())
}

pub(super) fn job(object: Object) -> Health {
    let holds = |kind: &str| object.condition(kind).filter(Condition::is_true);
    let count = |field: &str| object.int(&format!("/status/{field}")).unwrap_or(0);
    if holds("Complete").is_some() {
        return Health::current("it has completed");
    }
    if let Some(failed) = holds("Failed").or_else(|| holds("FailureTarget")) {
        return Health::failed(format!("it has failed: {}", failed.words("no reason is given")));
    }
    if holds("Suspended").is_some() {
        return Health::current("it is suspended");
    }
    if object.text("/status/startTime").is_empty() {
        return Health::in_progress("it has not started yet");
    }
    let wanted = object.int("/spec/completions").or_else(|| object.int("/spec/parallelism")).unwrap_or(1);
    let (succeeded, active, failed) = (count("succeeded"), count("active"), count("failed"));
    let have = if succeeded == 1 { "has" } else { "have" };
    Health::in_progress(format!(
        "{succeeded} of {wanted} pods {have} completed, {active} active, {failed} failed"
    ))
}

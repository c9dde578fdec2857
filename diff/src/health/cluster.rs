//! Services, storage, namespaces, budgets, autoscalers, and what extends the API.
//!
//! Pure.

use super::object::{Condition, Object};
use super::{Health, Status};

pub(super) fn service(object: Object) -> Health {
    let waits = object.text("/spec/type") == "LoadBalancer"
        && object.items("/status/loadBalancer/ingress").is_empty();
    if waits {
        Health::in_progress("its load balancer has no address yet")
    } else {
        Health::current("it exists")
    }
}

pub(super) fn claim(object: Object) -> Health {
    match object.text("/status/phase") {
        "Bound" => Health::current("it is bound"),
        "Lost" => Health::failed("its volume is lost"),
        _ => Health {
            waits_for_consumer: true,
            ..Health::in_progress(
                "it is not bound yet; some storage classes bind a claim only for its first pod",
            )
        },
    }
}

pub(super) fn volume(object: Object) -> Health {
    match object.text("/status/phase") {
        phase @ ("Available" | "Bound" | "Released") => {
            Health::current(format!("it is {}", phase.to_lowercase()))
        }
        "Failed" => {
            let message = object.text("/status/message").trim_end_matches('.');
            let colon = if message.is_empty() { "" } else { ": " };
            Health::failed(format!("it could not be reclaimed{colon}{message}"))
        }
        _ => Health::in_progress("it is not available yet"),
    }
}

pub(super) fn namespace(object: Object) -> Health {
    match object.text("/status/phase") {
        "Terminating" => Health::new(Status::Terminating, "it is being deleted"),
        _ => Health::current("it exists"),
    }
}

pub(super) fn disruption_budget(object: Object) -> Health {
    if !object.is_observed() {
        return Health::in_progress("its controller has not seen it yet");
    }
    match object.condition("DisruptionAllowed") {
        Some(condition) if condition.reason == "SyncFailed" => {
            Health::failed(condition.words("its controller cannot compute it"))
        }
        _ => {
            let allowed = object.int("/status/disruptionsAllowed").unwrap_or(0);
            let plural = if allowed == 1 { "" } else { "s" };
            Health::current(format!("it allows {allowed} disruption{plural}"))
        }
    }
}

pub(super) fn autoscaler(object: Object) -> Health {
    // autoscaling/v1 has its conditions in an annotation.
    let annotation = object.text("/metadata/annotations/autoscaling.alpha.kubernetes.io~1conditions");
    if object.items("/status/conditions").is_empty() && annotation.is_empty() {
        return Health::in_progress("its controller has not seen it yet");
    }
    let hindered = ["AbleToScale", "ScalingActive"]
        .into_iter()
        .filter_map(|kind| object.condition(kind))
        .find(|condition| condition.is_false() && condition.reason != "ScalingDisabled");
    match hindered {
        // Its target runs all the same, and metrics can come later: nothing waits for it.
        Some(condition) => Health::current(condition.words("it cannot scale")),
        None => Health::current("it can scale"),
    }
}

pub(super) fn definition(object: Object) -> Health {
    if let Some(names) = object.condition("NamesAccepted").filter(Condition::is_false) {
        return Health::failed(format!("its names are not accepted: {}", names.words("no reason is given")));
    }
    match object.condition("Established") {
        Some(established) if established.is_true() => Health::current("it is established"),
        Some(established) if established.is_false() && established.reason != "Installing" => {
            Health::failed(established.words("it cannot be established"))
        }
        _ => Health::in_progress("it is not established yet"),
    }
}

pub(super) fn api_service(object: Object) -> Health {
    match object.condition("Available") {
        Some(available) if available.is_true() => Health::current("it is available"),
        Some(available) => Health::in_progress(available.words("it is not available")),
        None => Health::in_progress("it is not known to be available"),
    }
}

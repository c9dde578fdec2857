//! Whether a live object is healthy: the rules of kstatus, with messages for users.
//!
//! An object that is paused or suspended as a whole is healthy. Otherwise the rules for every kind come first
//! (deletion, observed generation, the conditions `Reconciling` and `Stalled`), then those of the built-in kinds, then
//! the checks in CEL that are shipped for the kinds of well-known operators, then the condition `Ready`. A user's check
//! replaces the rules of its kind. Leaves time to its callers (how long an object may stay in progress). In these cases
//! the rules are stricter than kstatus: a running Job is in progress, a failed Pod has failed, a load balancer without
//! an address is in progress. Pure.

mod cel;
mod cluster;
mod generic;
mod object;
mod paused;
mod pod;
mod shipped;
mod workload;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use cel::{CelError, CelProblem, Check, Checks, rule_holds};

use object::Object;

/// The health of an object, and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub status: Status,
    /// A message for users, without a full stop: `2 of 3 replicas are available`.
    pub message: String,
    /// True for a claim that waits to be bound: its storage class may bind it only for a pod that comes
    /// in a later wave.
    #[serde(default)]
    pub waits_for_consumer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// The object has its desired state.
    Current,
    /// The object is changing, or its controller has not observed it yet.
    InProgress,
    /// The object will not become current without a change.
    Failed,
    /// The object is being deleted.
    Terminating,
    /// The object has no information about its state.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Current => "Current",
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
            Self::Unknown => "Unknown",
        })
    }
}

impl Health {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), waits_for_consumer: false }
    }

    pub fn current(message: impl Into<String>) -> Self {
        Self::new(Status::Current, message)
    }

    pub fn in_progress(message: impl Into<String>) -> Self {
        Self::new(Status::InProgress, message)
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Status::Failed, message)
    }

    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Status::Unknown, message)
    }

    /// True if the next wave must wait for this object.
    pub fn blocks_wave(&self) -> bool {
        self.status != Status::Current && !self.waits_for_consumer
    }
}

/// Evaluates a live object by its status.
pub fn health(object: &Value) -> Health {
    let Some(fields) = object.as_object() else {
        return Health::unknown("this is not an object");
    };
    let object = Object::new(object);
    paused::judge(object)
        .or_else(|| generic::first(object))
        .or_else(|| by_kind(object))
        .or_else(|| shipped::judge(object, fields))
        .unwrap_or_else(|| generic::last(object))
}

/// Evaluates a live object by the check of its kind, or else as [`health`] does.
pub fn health_with(object: &Value, checks: &Checks) -> Health {
    let kind = Object::new(object);
    checks.get(kind.group(), kind.kind()).map_or_else(|| health(object), |check| check.judge(object))
}

fn by_kind(object: Object) -> Option<Health> {
    let judge = match (object.group(), object.kind()) {
        ("apps" | "extensions", "Deployment") => workload::deployment,
        ("apps", "StatefulSet") => workload::stateful_set,
        ("apps" | "extensions", "DaemonSet") => workload::daemon_set,
        ("apps" | "extensions", "ReplicaSet") | ("", "ReplicationController") => workload::replica_set,
        ("", "Pod") => pod::pod,
        ("batch", "Job") => pod::job,
        ("", "Service") => cluster::service,
        ("", "PersistentVolumeClaim") => cluster::claim,
        ("", "PersistentVolume") => cluster::volume,
        ("", "Namespace") => cluster::namespace,
        ("policy", "PodDisruptionBudget") => cluster::disruption_budget,
        ("autoscaling", "HorizontalPodAutoscaler") => cluster::autoscaler,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => cluster::definition,
        ("apiregistration.k8s.io", "APIService") => cluster::api_service,
        _ => return None,
    };
    Some(judge(object))
}

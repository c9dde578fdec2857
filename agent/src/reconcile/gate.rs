//! The stage `gate`: splits a plan into what may be applied now and what waits for an Approval. While a dependency is not ready,
//! only drift is corrected.
//!
//! The rules of approval are in [`crate::gate`]. Pure.

use std::fmt;

use jiff::Timestamp;

use super::plan::{Basis, Planned};
use crate::api::ApprovalPolicy;
use crate::error::{Class, StageError};
use crate::gate::{self, Decision, Given, Set};
use crate::report::Failure;
use crate::sync_ref::SyncRef;

/// What a plan is judged by.
pub struct Rules<'a> {
    /// The UID of the cluster.
    pub cluster: &'a str,
    pub policy: ApprovalPolicy,
    pub set: Set,
    /// The Approvals that name the Sync, the oldest first.
    pub approvals: &'a [Given],
    /// Whether all dependencies are ready.
    pub ready: Result<(), Error>,
    pub now: Timestamp,
}

/// The decision of the gate.
pub struct Decided {
    pub decision: Decision,
    /// The dependency that withholds what is not drift.
    pub not_ready: Option<Error>,
    pub basis: Basis,
}

/// Why the gate withholds changes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("spec.dependsOn names Sync {0} of another namespace, which this installation does not allow")]
    CrossNamespaceRefused(SyncRef),
    #[error("circular dependsOn: {0}")]
    DependencyCycle(String),
    #[error("waits for Sync {0}, which does not exist")]
    DependencyNotFound(SyncRef),
    #[error("waits for Sync {sync}, which is not ready{}", At(revision.as_deref()))]
    DependencyNotReady {
        sync: SyncRef,
        /// The revision of the same source that it has not reached.
        revision: Option<String>,
    },
    #[error("Approval {name} cannot be recorded as {}: {error}", if *is_begun { "used up" } else { "used, so its plan waits" })]
    ApprovalNotNoted { name: String, is_begun: bool, error: String },
}

/// The revision in a message.
struct At<'a>(Option<&'a str>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |revision| write!(f, " at {revision} yet"))
    }
}

/// Decides which changes of a plan may be applied now.
pub fn gate(planned: Planned, rules: Rules<'_>) -> Decided {
    let Planned { plan, basis } = planned;
    let Rules { cluster, policy, set, approvals, ready, now } = rules;
    let not_ready = ready.err();
    let plan = match not_ready {
        Some(_) => plan.split(cluster, |change| basis.drift.drifted.contains_key(&change.object)).0,
        None => plan,
    };
    let decision = gate::decide(cluster, plan, policy, set, approvals, now);
    Decided { decision, not_ready, basis }
}

impl StageError for Error {
    fn class(&self) -> Class {
        match self {
            Self::CrossNamespaceRefused(_) | Self::DependencyCycle(_) => Class::User,
            Self::DependencyNotFound(_) | Self::DependencyNotReady { .. } | Self::ApprovalNotNoted { .. } => {
                Class::Transient
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::CrossNamespaceRefused(_) => "CrossNamespaceRefused",
            Self::DependencyCycle(_) => "DependencyCycle",
            Self::DependencyNotFound(_) => "DependencyNotFound",
            Self::DependencyNotReady { .. } => "DependencyNotReady",
            Self::ApprovalNotNoted { .. } => "ApprovalNotNoted",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::CrossNamespaceRefused(_) => {
                "remove it, or start the agent with --allow-cross-namespace-refs"
            }
            Self::DependencyCycle(_) => "remove one of them",
            Self::DependencyNotFound(_) => "create it, or correct spec.dependsOn",
            Self::ApprovalNotNoted { is_begun: false, .. } => {
                "the agent needs the verb patch on approvals/status"
            }
            Self::DependencyNotReady { .. } | Self::ApprovalNotNoted { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of("gate", &error)
    }
}

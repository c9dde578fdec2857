//! `Approval`: approve or reject one plan. A kind of its own, so that RBAC can grant "may approve" without "may
//! configure". Types, no behaviour.

use std::fmt;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Approves or rejects one plan of a Sync in the same namespace.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "holdfast.dev",
    version = "v1alpha1",
    kind = "Approval",
    namespaced,
    status = "ApprovalStatus",
    doc = "Approves or rejects one plan of a Sync",
    category = "holdfast",
    printcolumn(name = "Sync", type_ = "string", json_path = ".spec.sync"),
    printcolumn(name = "Decision", type_ = "string", json_path = ".spec.decision"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Approver", type_ = "string", json_path = ".spec.approver"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Plan", type_ = "string", json_path = ".spec.planId", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".spec.reason", priority = 1)
)]
#[x_kube(validation = Rule::new("self == oldSelf").message("an Approval cannot be changed; create another one"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalSpec {
    /// Name of the Sync, in the namespace of the Approval.
    pub sync: String,
    /// Id of the plan, as the status of the Sync shows it.
    pub plan_id: String,
    /// Decision: `Approve` lets the plan through once, `Reject` holds it back for good.
    pub decision: ApprovalDecision,
    /// Name of the user who decides. A ValidatingAdmissionPolicy in `manifests/` requires that it is the user who creates the
    /// Approval.
    pub approver: String,
    /// Why the plan is approved or rejected.
    pub reason: String,
    /// Time from which an approval is no longer valid. Defaults to 7 days after its creation. A rejection does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Pull request in which the decision was given. Only the agent may set it, and the agent may create no Approval without
    /// it: the ValidatingAdmissionPolicy in `manifests/` refuses both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<ApprovalOrigin>,
}

/// Decision about a plan: `Approve` or `Reject`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ApprovalDecision {
    Approve,
    Reject,
}

impl fmt::Display for ApprovalDecision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Approve => "Approve",
            Self::Reject => "Reject",
        })
    }
}

/// Comment in a pull request in which a decision was given.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalOrigin {
    /// Name of the Repository, in the namespace of the Approval.
    pub repository: String,
    /// Number of the pull request.
    pub pull_request: i64,
    /// Id of the comment at the forge.
    pub comment: String,
    /// Name of the user at the forge.
    pub user: String,
}

/// Observed state of an Approval.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = json!({"state": "Pending"})))]
pub struct ApprovalStatus {
    /// State of the Approval: `Pending` (no plan has met the decision yet), `Used` (the decision has taken effect), `Expired` (it
    /// was not used in time) or `Superseded` (the plan changed, or another Approval let it through). Defaults to `Pending`.
    #[serde(default)]
    pub state: ApprovalState,
    /// When the decision took effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// Revision of the source whose plan was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Digests of the changes of the approved plan that are not applied yet. The approval stays valid for these alone, so that
    /// a plan continues after an interruption. Empty once the plan has been applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remaining: Vec<String>,
}

/// State of an Approval: `Pending` (no plan has met the decision yet), `Used` (the decision has taken effect), `Expired` (it was
/// not used in time) or `Superseded` (the plan changed, or another Approval let it through).
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ApprovalState {
    /// No plan has met the decision yet.
    #[default]
    Pending,
    /// The decision has taken effect. An approval lets no other plan through; a rejection stays in force.
    Used,
    /// The approval was not used in time.
    Expired,
    /// The plan changed, or another Approval let it through.
    Superseded,
}

impl fmt::Display for ApprovalState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pending => "Pending",
            Self::Used => "Used",
            Self::Expired => "Expired",
            Self::Superseded => "Superseded",
        })
    }
}

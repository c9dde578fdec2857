//! `Approval`: approve or reject one plan. A kind of its own, so that RBAC can grant "may approve" without "may
//! configure". Types, no behaviour.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Approves or rejects one plan of a Sync in the same namespace.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "holdfast.dev",
    version = "v1alpha1",
    kind = "Approval",
    namespaced,
    doc = "Approves or rejects one plan of a Sync",
    category = "holdfast",
    printcolumn(name = "Sync", type_ = "string", json_path = ".spec.sync"),
    printcolumn(name = "Plan", type_ = "string", json_path = ".spec.planId"),
    printcolumn(name = "Decision", type_ = "string", json_path = ".spec.decision"),
    printcolumn(name = "Approver", type_ = "string", json_path = ".spec.approver"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("self == oldSelf").message("an Approval cannot be changed; create another one"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalSpec {
    /// The name of the Sync.
    pub sync: String,
    /// The id of the plan, as the status of the Sync says it.
    pub plan_id: String,
    pub decision: ApprovalDecision,
    /// The user who decides; `manifests/` pins it to the one who asks.
    pub approver: String,
    pub reason: String,
    /// An approval is good until then. A rejection has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ApprovalDecision {
    Approve,
    Reject,
}

//! The status of a plan: its state, its changes and their fields.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A plan.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// Id of the plan. An Approval names it.
    pub id: String,
    /// State of the plan: `Applied`, `Applying` (a part of it waits for another part), `AwaitingApproval`, `Rejected` or `Failed`.
    pub state: PlanState,
    /// Number of objects for each operation.
    pub summary: PlanSummary,
    /// Changes of the plan, as many as there is room for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeStatus>,
    /// Number of changes that are not listed. `holdfast plan` shows all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
    /// When the plan came into this state.
    pub since: Timestamp,
}

/// State of a plan.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum PlanState {
    Applied,
    Applying,
    AwaitingApproval,
    Rejected,
    Failed,
}

impl fmt::Display for PlanState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Applied => "Applied",
            Self::Applying => "Applying",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Rejected => "Rejected",
            Self::Failed => "Failed",
        })
    }
}

/// Number of objects for each operation.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanSummary {
    /// Objects that are created.
    pub create: i64,
    /// Objects that are updated.
    pub update: i64,
    /// Objects that are deleted.
    pub delete: i64,
    /// Objects that are deleted and created again.
    pub recreate: i64,
    /// Existing objects that become members.
    pub adopt: i64,
    /// Objects that move here from another Sync.
    #[serde(default)]
    pub r#move: i64,
    /// Objects that stay in the cluster and stop being members.
    #[serde(default)]
    pub orphan: i64,
}

/// A change of one object.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeStatus {
    /// Operation: create, adopt, move, update, recreate, delete or orphan.
    pub operation: String,
    /// Object that changes.
    pub object: ObjectStatus,
    /// Why it changes.
    pub reason: String,
    /// File and line in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Fields that change. At most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldStatus>,
    /// Number of fields that are not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
}

/// Reference to an object.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStatus {
    /// API group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace. Empty for objects of the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// A field that changes. Values are JSON, and shortened. Values of Secrets are masked.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldStatus {
    /// JSON pointer (RFC 6901) of the field.
    pub path: String,
    /// Live value. Absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Value after the change. Absent if the field is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Field manager that owns the live value: `kubectl-edit (Update, 2026-01-01T00:00:00Z)`. A manager is a program, not a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
}

//! The status of a Sync: what is, as the agent saw it last. Nothing in it ages. Types, no behaviour.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionStatus>,
    /// The plan that was made last and was not empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// What differs, or was put back a moment ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<ObjectCounts>,
    /// The chart that was rendered, if it is not in git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<ChartStatus>,
    /// What is amiss in git and stops nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Jobs that have done their work and that remove themselves: they are not created again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub completed: Vec<CompletedJob>,
    /// Where a forge may tell of pushes: `/hooks/…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_path: Option<String>,
    /// The last 10 applied revisions, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A chart at an exact version.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartStatus {
    pub name: String,
    pub version: String,
    /// `sha256:<64 hex>` of its archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A Job that has done its work, as git says it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompletedJob {
    pub namespace: String,
    pub name: String,
    /// The digest of the manifest. A changed one is another Job.
    pub manifest: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStatus {
    /// The newest revision that changed what this Sync reads: `main@sha1:<40 hex>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// The applied revision for people: `main@1a2b3c4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short: Option<String>,
    /// Names what was read of git, and what spec.render refers to, at the applied revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// What the commit of `seen` says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitNote>,
}

/// Who made a commit, and its subject.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommitNote {
    /// `Alice Smith <alice@example.com>`
    pub author: String,
    /// The first line of the message.
    pub subject: String,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    pub id: String,
    pub state: PlanState,
    pub summary: PlanSummary,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeStatus>,
    /// Changes that are not listed here; `holdfast plan` shows all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
    pub since: Timestamp,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum PlanState {
    Applied,
    Applying,
    AwaitingApproval,
    Rejected,
    Failed,
}

/// How many objects each operation is for.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanSummary {
    pub create: i64,
    pub update: i64,
    pub delete: i64,
    pub recreate: i64,
    pub adopt: i64,
    #[serde(default)]
    pub r#move: i64,
    #[serde(default)]
    pub orphan: i64,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeStatus {
    pub operation: String,
    pub object: ObjectStatus,
    pub reason: String,
    /// The file and the line in git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldStatus>,
    /// Fields that are not listed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStatus {
    pub api_version: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
}

/// One field that changes, its values as JSON and cut. Values of Secrets are masked.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldStatus {
    /// RFC 6901.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Who owns the live value: `kubectl-edit (Update, 2026-01-01T00:00:00Z)`. A manager is a tool, not a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
}

/// An episode of drift: from the first object that differs until a moment after the last one was put back.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftStatus {
    pub since: Timestamp,
    pub objects: Vec<DriftObject>,
    /// Objects that are not listed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
}

/// One object that drifted, and what of it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftObject {
    pub api_version: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    pub state: DriftState,
    /// When it came to be in this state.
    pub since: Timestamp,
    /// It was deleted, which no manager is known of.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// Who deleted it, where the API server's audit events are to be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    pub changes: Vec<DriftChange>,
    /// Changes that are not listed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
    /// What is to be known beside the changes: who fights, until when it is snoozed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The entry of `spec.drift.ignore` that would silence this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// The file and the line in git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The digest of the manifest, while it is not put back. Another one is a change of git, and no drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form of serde")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// How far an object that drifted is.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DriftState {
    /// It differs.
    Drifted,
    /// It was put back.
    Corrected,
    /// It differs, and is put back more and more rarely, since somebody writes the other value again and again.
    Fighting,
    /// It differs, and is left alone for a time.
    Snoozed,
}

/// One field that drifted, and who wrote the live value. Values of Secrets are masked, long ones are cut.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftChange {
    /// RFC 6901.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any")]
    pub desired: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any")]
    pub live: Option<Value>,
    /// The field manager that owns the live value: a tool, not a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// `Apply` or `Update`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresource: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Who asked the API server for it, where its audit events are to be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Git says nothing about it: another manager added it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ghost: bool,
}

/// Any JSON value.
pub(super) fn any(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectCounts {
    pub total: i64,
    pub ready: i64,
    /// `ready/total`, for the column of kubectl.
    pub shown: String,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    pub revision: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    pub at: Timestamp,
    pub outcome: String,
}

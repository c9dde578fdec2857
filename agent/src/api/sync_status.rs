//! The status of a Sync: what is, as the agent saw it last. Nothing in it ages. Types, no behaviour.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::progress::ProgressStatus;

/// Observed state of a Sync.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Revision that the agent has seen, and the one that is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionStatus>,
    /// Last plan that was not empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// Objects that differ from Git, or were corrected a moment ago. Absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftStatus>,
    /// What the agent is doing for the Sync. Only there while a run takes longer than a second, or waits for something, such as
    /// the health of objects. Written at most once in 5 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressStatus>,
    /// Value of the annotation `holdfast.dev/reconcile-at` that the agent has answered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled_reconcile_at: Option<String>,
    /// Number of objects that the Sync owns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<ObjectCounts>,
    /// Chart that was rendered, if it is not in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<ChartStatus>,
    /// Bases of other repositories and files of web servers that were rendered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remotes: Vec<RemoteStatus>,
    /// Problems in the repository that do not block the Sync, and objects that are ignored or not removed. At most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Errors of the last reconciliation, grouped by cause. Absent if the message of the condition `Ready` names all of them.
    /// At most 50 causes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorStatus>,
    /// Jobs that have succeeded and are deleted afterwards. They are not created again before their manifest changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub completed: Vec<CompletedJob>,
    /// Path to which the forge sends webhooks: `/hooks/...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_path: Option<String>,
    /// The last 10 applied revisions, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    /// Conditions of the Sync: Ready, Reconciling, Stalled, Healthy, Drifted and AwaitingApproval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A base of another repository at a commit, or a file of a web server.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoteStatus {
    /// URL of the repository or of the file.
    pub url: String,
    /// Ref of the repository, as the kustomization names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Commit of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Digest of the content of the file: `sha256:<64 hex>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Commit of the Sync's own repository that was rendered with it. Other content behind the URL of a file is used for a
    /// later commit only.
    pub fetched_for: String,
}

/// Errors of one cause.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorStatus {
    /// Message of the error at the first place.
    pub cause: String,
    /// Number of errors.
    pub count: i64,
    /// Places of the errors: files with lines, and objects. At most 500 of all causes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
}

/// A chart at an exact version.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartStatus {
    /// Name of the chart.
    pub name: String,
    /// Version of the chart.
    pub version: String,
    /// Digest of the archive: `sha256:<64 hex>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A Job that has succeeded.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompletedJob {
    /// Namespace of the Job.
    pub namespace: String,
    /// Name of the Job.
    pub name: String,
    /// Digest of the manifest.
    pub manifest: String,
}

/// Revisions of the source.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStatus {
    /// Newest revision that changed what this Sync reads: `main@sha1:<40 hex>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// Revision that is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// Short form of the applied revision: `main@1a2b3c4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short: Option<String>,
    /// Digest of what was read from the repository, and of what `spec.render` refers to, at the applied revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// Author and subject of the commit of `seen`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitNote>,
}

/// Author and subject of a commit.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommitNote {
    /// Author: `Alice Smith <alice@example.com>`.
    pub author: String,
    /// First line of the message.
    pub subject: String,
}

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

/// An episode of drift: from the first object that differs until five seconds after the last one was corrected.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftStatus {
    /// When the episode began.
    pub since: Timestamp,
    /// Objects that drifted, as many as there is room for.
    pub objects: Vec<DriftObject>,
    /// Number of objects that are not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
}

/// An object that drifted.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftObject {
    /// API group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace. Empty for objects of the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// State of the object: `Drifted` (it differs), `Corrected` (the value from Git was restored), `Fighting` (it differs and is
    /// corrected at growing intervals, since another client writes the other value again and again) or `Snoozed` (it differs and is not
    /// corrected for a time).
    pub state: DriftState,
    /// When the object came into this state.
    pub since: Timestamp,
    /// Whether the object was deleted. No field manager is known for that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// User who deleted it, if the API server sends its audit events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Fields that drifted.
    pub changes: Vec<DriftChange>,
    /// Number of fields that are not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
    /// Further information: who writes the field again and again, or until when the object is snoozed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Entry of `spec.drift.ignore` that would silence this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// File and line in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Digest of the manifest, while the object is not corrected. If the manifest changes, this is no longer drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Why the object could not be corrected: the refusal of the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form of serde")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// State of an object that drifted: `Drifted` (it differs), `Corrected` (the value from Git was restored), `Fighting` (it differs
/// and is corrected at growing intervals, since another client writes the other value again and again) or `Snoozed` (it differs and is
/// not corrected for a time).
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DriftState {
    /// It differs.
    Drifted,
    /// The value from Git was restored.
    Corrected,
    /// It differs and is corrected at growing intervals, since another client writes the other value again and again.
    Fighting,
    /// It differs and is not corrected for a time.
    Snoozed,
}

impl fmt::Display for DriftState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Drifted => "Drifted",
            Self::Corrected => "Corrected",
            Self::Fighting => "Fighting",
            Self::Snoozed => "Snoozed",
        })
    }
}

/// A field that drifted. Values of Secrets are masked, long values are shortened.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftChange {
    /// JSON pointer (RFC 6901) of the field.
    pub path: String,
    /// Value in Git. Absent if Git has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any")]
    pub desired: Option<Value>,
    /// Value in the cluster. Absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any")]
    pub live: Option<Value>,
    /// Field manager that owns the live value: a program, not a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// Operation of the manager: `Apply` or `Update`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Subresource that the manager wrote, such as `scale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresource: Option<String>,
    /// Time of the change (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// User who made the change, if the API server sends its audit events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether another manager added the field, and Git does not have it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unmanaged: bool,
}

/// Any JSON value.
pub(super) fn any(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

/// Number of objects.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectCounts {
    /// Objects that the Sync owns.
    pub total: i64,
    /// Objects that are healthy.
    pub ready: i64,
    /// `ready/total`, for the column OBJECTS of kubectl.
    pub shown: String,
}

/// A revision that was applied.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Revision that was applied.
    pub revision: String,
    /// Id of the plan. Absent if nothing had to be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// When it was applied.
    pub at: Timestamp,
    /// Outcome: `Applied`.
    pub outcome: String,
}

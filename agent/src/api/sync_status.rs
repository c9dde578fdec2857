//! The status of a Sync: what is, as the agent saw it last. Nothing in it ages. Types, no behaviour.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::drift_status::DriftStatus;
use super::plan_status::PlanStatus;
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
    /// What the agent is doing for the Sync. Present only while a run takes longer than a second, or waits for something, such as
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

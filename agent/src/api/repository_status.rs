//! The status of a `Repository`. Types, no behaviour.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Observed state of a Repository.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryStatus {
    /// Generation of the Repository that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Number of open pull requests whose base branch a Sync follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<i64>,
    /// Open pull requests, the last changed first, and merged ones until what they change is applied. At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_requests: Vec<ReviewedPullRequest>,
    /// Number of open pull requests that are not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
    /// Pull requests that revert failed revisions, for Syncs with `rollback.pullRequest: OnFailure`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reverts: Vec<RevertPullRequest>,
    /// Path to which the forge may send webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_path: Option<String>,
    /// What is left of the limit of requests of the login, as of the last time that a tenth of it was used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Conditions: `Ready`, `Reconciling`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A pull request that reverts a failed revision.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevertPullRequest {
    /// Name of the Sync.
    pub sync: String,
    /// Revision that failed.
    pub revision: String,
    /// Branch of the pull request.
    pub branch: String,
    /// Branch into which it is to be merged.
    pub base: String,
    /// Number at the forge.
    pub number: i64,
    /// Page of the pull request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Whether a user closed it without a merge. It is then not opened again for this revision.
    #[serde(default)]
    pub refused: bool,
}

/// What is left of a limit of requests.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests that are left.
    pub remaining: i64,
    /// Requests of a period.
    pub limit: i64,
    /// When the next period begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<Timestamp>,
}

/// One pull request.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewedPullRequest {
    /// Number at the forge.
    pub number: i64,
    /// Commit of the head that was previewed.
    pub head: String,
    /// Branch into which it is merged, and the commit that it was at: `main@sha1:…`.
    pub base: String,
    /// State: `Pending` (not previewed yet), `Previewed`, `Conflicts`, `Failed`, `Waiting` (it changes what needs an approval),
    /// `Skipped` (a draft or a fork that is not previewed), or `Merged` (what it changes is not applied and healthy yet).
    pub state: PullRequestState,
    /// Verdict in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub verdict: String,
    /// Plans of the Syncs that it affects. At most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<PreviewedPlan>,
    /// Id of the comment at the forge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Digest of the text of the comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// Id of the deployment at the forge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<i64>,
    /// Commit that the base branch got by the merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<String>,
    /// When the merge was noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_at: Option<Timestamp>,
}

/// State of a pull request.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum PullRequestState {
    /// It has not been previewed yet.
    #[default]
    Pending,
    Previewed,
    Conflicts,
    Failed,
    /// It changes what needs an approval.
    Waiting,
    /// A draft or a fork that is not previewed.
    Skipped,
    /// What it changes is not applied and healthy yet.
    Merged,
}

/// Plan of a Sync for a pull request.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewedPlan {
    /// Name of the Sync.
    pub sync: String,
    /// Id of the part of the plan that waits for an approval, or of all of it if nothing waits.
    pub id: String,
    /// Whether an approval is needed.
    pub waits: bool,
}

//! The status of an `ImageUpdate`. Types, no behaviour.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Observed state of an ImageUpdate.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageUpdateStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of each image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageStatus>,
    /// Last commit of this ImageUpdate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitStatus>,
    /// Pull request that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequestStatus>,
    /// New versions on the branch `spec.push.branch`, if that is another one than `spec.git.branch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<ProposalStatus>,
    /// Last value of the annotation `holdfast.dev/unban` that took effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unbanned: Option<String>,
    /// Path to which the registry sends webhooks: `/hooks/...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_path: Option<String>,
    /// Conditions of the ImageUpdate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// State of one image.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// Name of the image in `spec.images`.
    pub name: String,
    /// Repository with tag or digest, as it is written to Git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Selected tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Digest of the selected tag, if digests are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Version that was selected before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// When this version was selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Versions that a user reverted, and where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub banned: Vec<Ban>,
    /// Scalars that had the selected version, at most 100. If one of them has another value later, that is a revert.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Written>,
}

/// A scalar that had the selected version.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// File, relative to the root of the repository.
    pub file: String,
    /// Number of the document and JSON pointer (RFC 6901) of the scalar: `0/spec/image`.
    pub path: String,
    /// Its value.
    pub value: String,
}

/// A version that a user reverted at one scalar. It is not written there again before a newer version appears.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ban {
    /// Tag of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Digest of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// File, relative to the root of the repository.
    pub file: String,
    /// Number of the document and JSON pointer (RFC 6901) of the scalar: `0/spec/image`.
    pub path: String,
    /// Value that the scalar has instead.
    pub value: String,
    /// Commit in which the revert was found.
    pub commit: String,
    /// When the revert was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// A commit that was pushed.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommitStatus {
    /// Id of the commit.
    pub sha: String,
    /// Branch to which it was pushed.
    pub branch: String,
    /// When it was pushed.
    pub at: Timestamp,
}

/// New versions that wait on a branch of their own until they are merged.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProposalStatus {
    /// Images and their new versions, such as `web 1.2.0`.
    pub images: Vec<String>,
    /// Commit that the proposal is based on. Set if the branch also has commits of others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Set if a person refused the proposal. It is not made again until another version is selected, or until
    /// `holdfast image unban`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedProposal>,
}

/// How a person refused a proposal.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedProposal {
    /// What the person did.
    pub how: Refusal,
    /// Number of the pull request, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<i64>,
    /// When the agent noticed it.
    pub at: Timestamp,
}

/// How a proposal was refused.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum Refusal {
    /// The branch was deleted, and its changes are not on the branch that is read.
    BranchDeleted,
    /// The pull request was closed without a merge.
    PullRequestClosed,
}

/// A pull request.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullRequestStatus {
    /// Number of the pull request.
    pub number: i64,
    /// Page of the pull request.
    pub url: String,
}

//! `Repository`: a config repository at a forge: what Holdfast reports there, and what it accepts from there. Types, no
//! behaviour.

use std::time::Duration as Time;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::{Duration, SHORTEST};
use super::hook::Hook;
use super::image_update::{Author, Forge, Signing};
use super::repository_status::RepositoryStatus;
use super::secret_ref::SecretRef;
use super::sync::Suspend;

/// Reports previews, statuses and deployments to a config repository at a forge, and accepts approvals from its pull requests.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "holdfast.dev",
    version = "v1alpha1",
    kind = "Repository",
    plural = "repositories",
    namespaced,
    status = "RepositoryStatus",
    doc = "Reports to a config repository at a forge, and accepts approvals from its pull requests",
    category = "holdfast",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Open", type_ = "integer", json_path = ".status.open"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepositorySpec {
    /// URL of the repository, in the forms that a Sync accepts. Syncs and ImageUpdates of this namespace that have this
    /// repository as their source belong to it, in whatever form they write the URL.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Kind of the forge. Forgejo has the API of Gitea.
    pub provider: Forge,
    /// Base URL of the API of a self-hosted forge, such as `https://git.example.com/api/v1`. Defaults to the API at the host
    /// of `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub api_url: Option<String>,
    /// Secret in the namespace of the Repository, with the key `token`, or the keys `githubAppID`, `githubAppPrivateKey` and
    /// optionally `githubAppInstallationID` of a GitHub App; and optionally `ca.crt`.
    pub secret_ref: SecretRef,
    /// Lets the forge announce pull requests and comments, so that they are read at once. A call only triggers a check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Hook>,
    /// Interval at which the open pull requests are listed. Defaults to 2m. At least 5s. While nothing changes, a listing is
    /// one conditional request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || duration(self) >= duration('5s')")
        .message("must be at least 5s"))]
    pub interval: Option<Duration>,
    /// Pull requests: what is reported in them, and what is accepted from them. Defaults to a preview of each pull request
    /// of the repository itself.
    #[serde(default)]
    pub pull_requests: PullRequests,
    /// Whether commit statuses are written on the heads of pull requests and on applied commits. With a GitHub App they are
    /// check runs. Defaults to true.
    #[serde(default = "yes")]
    pub statuses: bool,
    /// Author and signature of the commits of reverts, which `rollback.pullRequest` of a Sync opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<RevertCommit>,
    /// Environment to which applied commits are reported as deployments. GitHub and GitLab only. Defaults to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployments: Option<Deployments>,
    /// Suspends this Repository: nothing is read from the forge and nothing is written to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<Suspend>,
}

fn yes() -> bool {
    true
}

impl RepositorySpec {
    /// The Secret of the key with which commits are signed.
    pub fn signing(&self) -> Option<&SecretRef> {
        let signing = self.commit.as_ref()?.signing.as_ref()?;
        Some(&signing.secret_ref)
    }

    pub fn interval(&self) -> Time {
        self.interval.map_or(Time::from_mins(2), Duration::get).max(SHORTEST)
    }
}

/// Pull requests: what is reported in them, and what is accepted from them.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PullRequests {
    /// Whether open pull requests are previewed. Defaults to true.
    #[serde(default = "yes")]
    pub preview: bool,
    /// Which pull requests get a comment: `Affected` (those that affect a Sync) or `Never`. Each gets at most one, which is
    /// edited in place. Defaults to `Affected`.
    #[serde(default)]
    pub comment: CommentPolicy,
    /// Whether drafts are previewed. Defaults to true.
    #[serde(default = "yes")]
    pub drafts: bool,
    /// Whether pull requests of forks are previewed: `Never`, or `Labelled` for those with the label `label`, which a forge
    /// lets only people with write access set. They are rendered without Secrets: variables and keys are absent. A pull request
    /// that was pushed to `refs/for/BRANCH` of Gitea (AGit) counts as one of a fork, since that needs no write access. Defaults
    /// to `Never`.
    #[serde(default)]
    pub forks: ForkPolicy,
    /// Label that lets a pull request of a fork be previewed. Defaults to `preview`.
    #[serde(default = "label")]
    #[schemars(length(min = 1, max = 100))]
    pub label: String,
    /// Users who may approve plans by a comment `/holdfast approve PLAN-ID REASON`. Defaults to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,
}

fn label() -> String {
    "preview".to_owned()
}

impl Default for PullRequests {
    fn default() -> Self {
        Self {
            preview: true,
            comment: CommentPolicy::default(),
            drafts: true,
            forks: ForkPolicy::default(),
            label: label(),
            approvals: None,
        }
    }
}

/// Which pull requests get a comment: `Affected` (those that affect a Sync) or `Never`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum CommentPolicy {
    #[default]
    Affected,
    Never,
}

/// Whether pull requests of forks are previewed: `Never`, or `Labelled` for those with the label `label`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ForkPolicy {
    #[default]
    Never,
    Labelled,
}

/// Users who may approve plans in pull requests.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approvals {
    /// Users of the forge, and the users of the cluster that they stand for. Each must have the right to create Approvals in
    /// the namespace. At most 500.
    #[schemars(length(max = 500))]
    pub users: Vec<ForgeUser>,
    /// Whether the author of a pull request may approve its plans. Defaults to false.
    #[serde(default)]
    pub allow_author: bool,
}

/// A user of the forge, and the user of the cluster that they stand for.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForgeUser {
    /// Login at the forge.
    #[schemars(length(min = 1, max = 255))]
    pub forge: String,
    /// Name of the user in the cluster.
    #[schemars(length(min = 1, max = 255))]
    pub kubernetes: String,
}

/// Author and signature of the commits of reverts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevertCommit {
    /// Author and committer of commits. Defaults to `Holdfast <holdfast@localhost>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// Key with which commits are signed. Defaults to no signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,
}

/// Environment to which applied commits are reported as deployments.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deployments {
    /// Name of the environment at the forge.
    #[schemars(length(min = 1, max = 255))]
    pub environment: String,
    /// URL of what is deployed, which the forge links. Defaults to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub url: Option<String>,
}

//! `Sync`: keep this path of this repository applied to this cluster. Types and their defaults, no behaviour.
//!
//! Unknown fields: the API server prunes them, and refuses them for clients that ask for strict validation, as kubectl
//! does; a structural schema cannot refuse them itself. Files that the command line reads are checked by serde. Pure.

use std::time::Duration as Time;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::{Duration, SHORTEST};
use super::hook::Hook;
use super::render::Render;
use super::secret_ref::SecretRef;
use super::sync_status::SyncStatus;
use crate::sync_ref::SyncRef;

/// Keeps a folder of a repository applied to this cluster.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "holdfast.dev",
    version = "v1alpha1",
    kind = "Sync",
    namespaced,
    status = "SyncStatus",
    doc = "Keeps a folder of a Git repository applied to this cluster",
    category = "holdfast",
    label("applyset.kubernetes.io/is-parent-type", "true"),
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
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision.short"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Objects", type_ = "string", json_path = ".status.objects.shown", priority = 1),
    printcolumn(name = "Plan", type_ = "string", json_path = ".status.plan.state", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncSpec {
    /// Repository that contains the desired state.
    pub source: Source,
    /// Folder of the repository that is applied. Defaults to the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Interval at which the Git server is asked for the ref. Defaults to 1m. At least 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || duration(self) >= duration('5s')")
        .message("must be at least 5s"))]
    pub interval: Option<Duration>,
    /// Maximum duration of one reconciliation. Defaults to 5m. The agent can limit it with `--max-timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Namespace for namespaced objects that do not set one. Defaults to the namespace of the Sync. Never overrides a
    /// namespace that is set in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.size() <= 63 && self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("must be the name of a namespace"))]
    pub target_namespace: Option<String>,
    /// Name of the ServiceAccount in the namespace of the Sync whose rights are used to read, write and watch the objects.
    /// Defaults to the ServiceAccount that the installation sets with `--default-service-account`, or else to the agent's
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.size() <= 253 && self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')").message("must be the name of a ServiceAccount"))]
    pub service_account_name: Option<String>,
    /// Whether objects that leave the repository are deleted. Defaults to true.
    #[serde(default = "yes")]
    pub prune: bool,
    /// What happens to the objects when the Sync is deleted. Defaults to `Prune`, or to `Orphan` if `prune` is false. A Sync
    /// that is suspended leaves its objects. It may be set while the Sync is being deleted, to end a deletion that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
    /// Changes that wait for an Approval: `Never` (only the deletion of everything because the render has no objects, and of a
    /// Namespace or CustomResourceDefinition with data of others), `Irreversible` (changes that cannot be undone), `Deletions`
    /// (every deletion and recreation) or `Always` (every change). Defaults to `Irreversible`.
    #[serde(default)]
    pub approval: ApprovalPolicy,
    /// What happens if objects in the cluster differ from the applied revision.
    #[serde(default)]
    pub drift: Drift,
    /// Syncs that must be Ready before this one changes anything. Those with the same source must be Ready at the same commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    /// Whether and how the health of the objects counts.
    #[serde(default)]
    pub health: HealthSpec,
    /// Suspends the Sync: nothing is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<Suspend>,
    /// How the content of the folder becomes objects. Defaults to what the folder contains: a kustomization, a chart, or YAML files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub render: Option<Render>,
    /// Lets the forge announce pushes, so that the Git server is asked at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Hook>,
    /// What happens if a revision fails. Defaults to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
}

fn yes() -> bool {
    true
}

impl SyncSpec {
    pub fn interval(&self) -> Time {
        self.interval.map_or(Time::from_mins(1), Duration::get).max(SHORTEST)
    }

    pub fn timeout(&self) -> Time {
        self.timeout.map_or(Time::from_mins(5), Duration::get)
    }

    pub fn wait_for_health(&self) -> bool {
        self.health.wait.unwrap_or(true)
    }

    pub fn health_timeout(&self) -> Time {
        self.health.timeout.map_or_else(|| self.timeout(), Duration::get)
    }
}

/// What happens if a revision fails.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollback {
    /// Whether a pull request is opened that reverts a revision which fails, or whose objects are not healthy after
    /// `health.timeout`: `Never` or `OnFailure`. It needs a Repository in the namespace of the Sync, with the URL of the source,
    /// whose login may push branches. Holdfast never merges it, and closes it when a newer revision is applied and healthy.
    /// Defaults to `Never`.
    #[serde(default)]
    pub pull_request: RevertPolicy,
}

/// Whether a pull request is opened that reverts a revision which fails: `Never` or `OnFailure`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum RevertPolicy {
    #[default]
    Never,
    OnFailure,
}

/// Repository that contains the desired state.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// A Git repository.
    pub git: Git,
}

/// A Git repository.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[x_kube(
    validation = Rule::new("!has(self.verify) || !has(self.verify.mode) || self.verify.mode == 'Head' || (has(self.ref) && (has(self.ref.tag) || has(self.ref.semver) || has(self.ref.name)))")
        .message("verify.mode Tag and TagAndHead need ref.tag, ref.semver or ref.name")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Git {
    /// URL of the repository: `https://`, `http://`, `ssh://` or `user@host:path`; `file://` if the agent runs with
    /// `--allow-file-sources`. It must not contain a password.
    #[x_kube(validation = Rule::new("self.matches('^(https?|ssh|file)://.+') || self.matches('^[^/:]+:.+')").message("must be https://, http://, ssh://, user@host:path or file://"))]
    pub url: String,
    /// Ref that is followed. Defaults to the branch `main`.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitRef>,
    /// Secret in the namespace of the Sync with the credentials: `username` and `password`; `bearerToken`; for ssh `identity`
    /// or `ssh-privatekey`, `known_hosts` and optionally `password`; `ca.crt`; `tls.crt` and `tls.key`. Defaults to no
    /// credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Signatures that are demanded before anything of a commit is rendered. Defaults to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verify>,
}

/// Signatures that are demanded before anything of a commit is rendered.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verify {
    /// What has to be signed: `Head` (the commit), `Tag` (the tag that the ref names) or `TagAndHead` (both). Defaults to `Head`.
    #[serde(default)]
    pub mode: VerifyMode,
    /// Secret in the namespace of the Sync with the public keys of those who may sign: SSH keys as `NAME.pub` or in the file
    /// `allowed_signers` of OpenSSH, OpenPGP keys as `NAME.asc`.
    pub secret_ref: SecretRef,
}

/// What has to be signed: `Head` (the commit), `Tag` (the tag that the ref names) or `TagAndHead` (both). Defaults to `Head`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum VerifyMode {
    /// The commit.
    #[default]
    Head,
    /// The tag that the ref names.
    Tag,
    /// The tag and its commit.
    TagAndHead,
}

/// Ref that is followed. Exactly one of its fields must be set.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, KubeSchema)]
#[x_kube(
    validation = Rule::new("[has(self.branch), has(self.tag), has(self.semver), has(self.name), has(self.commit)].filter(set, set).size() == 1")
        .message("must have exactly one of branch, tag, semver, name, commit")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitRef {
    /// Branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Range of versions, of which the highest tag is followed. `1.2` is any `1.2.x`. Prereleases count only if the range
    /// names one, as `>=1.0.0-0` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// Full name of a ref, such as `refs/pull/1/head`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Id of a commit, with all 40 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-f]{40}$')").message("must be all 40 hex digits of a commit"))]
    pub commit: Option<String>,
}

/// Changes that wait for an Approval: `Never` (only the deletion of everything because the render has no objects, and of a
/// Namespace or CustomResourceDefinition with data of others), `Irreversible` (changes that cannot be undone), `Deletions`
/// (every deletion and recreation) or `Always` (every change).
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ApprovalPolicy {
    /// Only the deletion of everything because the render has no objects, and of a Namespace or CustomResourceDefinition with
    /// data of others.
    Never,
    /// Changes that cannot be undone.
    #[default]
    Irreversible,
    /// Every deletion and recreation.
    Deletions,
    /// Every change.
    Always,
}

/// What happens to the objects when the Sync is deleted: `Prune` (they are deleted first) or `Orphan` (they stay, without the
/// labels and annotations of ownership). Defaults to `Prune`, or to `Orphan` if `prune` is false. A Sync that is suspended leaves
/// its objects. It may be set while the Sync is being deleted, to end a deletion that waits.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum Deletion {
    /// They are deleted, in the reverse of the order in which they were applied, and the Sync is there until they are gone.
    Prune,
    /// They stay in the cluster, without the labels and annotations of ownership.
    Orphan,
}

/// What happens if objects in the cluster differ from the applied revision.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drift {
    /// What happens to drift: `Correct` restores the value from Git, `Report` only reports it. Defaults to `Correct`.
    #[serde(default)]
    pub mode: DriftMode,
    /// Whether fields that other managers added to the objects are reported: `Ignore` or `Report`. They are never removed.
    /// Defaults to `Ignore`.
    #[serde(default)]
    pub unmanaged_fields: UnmanagedFields,
    /// Fields that others may write: they are not planned, not applied and not reported, and their live value stays. At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub ignore: Vec<IgnoreRule>,
    /// Objects whose drift is not corrected for a time. `holdfast drift snooze` writes them. At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub snooze: Vec<Snooze>,
}

/// Fields that others may write.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.paths) || has(self.managers)").message("must have paths, or managers, or both")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IgnoreRule {
    /// Objects that the rule is about. Defaults to all objects of the Sync.
    #[serde(default)]
    pub target: IgnoreTarget,
    /// JSON pointers (RFC 6901) of the fields, in which `*` stands for one segment. A path includes everything below it. At most
    /// 50. Defaults to all fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 512)))]
    #[x_kube(validation = Rule::new("self.all(path, path.startsWith('/'))").message("must be JSON pointers (RFC 6901), which begin with /: /spec/replicas"))]
    pub paths: Vec<String>,
    /// Globs of the field managers that may write. At most 50. Defaults to all managers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 128)))]
    pub managers: Vec<String>,
}

/// Objects that a rule is about: those that match all of these fields. Except for the selector, they are globs. A field that is
/// not set matches everything.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IgnoreTarget {
    /// API group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// API version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Label selector, such as `app=web,tier in (a, b),!legacy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
}

/// Object whose drift is not corrected for a time.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Snooze {
    /// Kind of the object.
    pub kind: String,
    /// API group of the object. Defaults to any group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Namespace of the object. Defaults to any namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: String,
    /// Time until which the drift is not corrected.
    pub until: Timestamp,
    /// Why the drift is not corrected.
    #[x_kube(validation = Rule::new("self.size() > 0").message("must state the reason"))]
    pub reason: String,
}

/// Whether fields that other managers added are reported: `Ignore` or `Report`. They are never removed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum UnmanagedFields {
    /// They are not reported.
    #[default]
    Ignore,
    /// They are reported as drift.
    Report,
}

/// Whether drift is corrected or only reported.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DriftMode {
    /// The value from Git is restored.
    #[default]
    Correct,
    /// It is only reported.
    Report,
}

/// Reference to a Sync.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dependency {
    /// Name of the Sync.
    pub name: String,
    /// Namespace of the Sync. Defaults to the namespace of this Sync. Another one is refused unless the agent runs with
    /// `--allow-cross-namespace-refs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl Dependency {
    /// The Sync that is meant by one in this namespace.
    pub fn of(&self, namespace: &str) -> SyncRef {
        SyncRef::new(self.namespace.as_deref().unwrap_or(namespace), &self.name)
    }
}

/// Whether and how the health of the objects counts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthSpec {
    /// Whether the Sync is Ready only if its objects are healthy. Defaults to true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<bool>,
    /// Time after which objects that are not healthy are reported with the reason HealthTimeout. Defaults to `spec.timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Health checks for kinds, in CEL. They replace the built-in rules for these kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<HealthCheck>,
}

/// Health check for a kind: expressions in CEL over the fields of the object. If an expression fails or its data is missing, the
/// object is not healthy.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheck {
    /// API group and version of the kind, such as `example.com/v1`.
    pub api_version: String,
    /// Kind of the objects.
    pub kind: String,
    /// CEL expression that is true if the object is healthy.
    pub current: String,
    /// CEL expression that is true if the object has failed and cannot recover by itself. Evaluated first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// CEL expression that is true while the object is becoming healthy. Evaluated before `current`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<String>,
}

/// Suspension: why nothing is changed, and until when.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Suspend {
    /// Why the resource is suspended.
    #[x_kube(validation = Rule::new("self.size() > 0").message("must state the reason"))]
    pub reason: String,
    /// Time at which the suspension ends. Defaults to no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Suspend {
    /// Why nothing is done at a time, if that is so.
    pub fn holds(&self, now: Timestamp) -> Option<String> {
        match self.until {
            Some(until) if until <= now => None,
            Some(until) => Some(format!("suspended until {until}: {}", self.reason)),
            None => Some(format!("suspended: {}", self.reason)),
        }
    }
}

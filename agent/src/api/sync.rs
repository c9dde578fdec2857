//! `Sync`: keep this path of this repository applied to this cluster. Types and their defaults, no behaviour.
//!
//! Unknown fields: the API server prunes them, and refuses them for clients that ask for strict validation, as kubectl
//! does; a structural schema cannot refuse them itself. Files that the command line reads are checked by serde. Pure.

use std::time::Duration as Time;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::Duration;
use super::hook::Hook;
use super::render::Render;
use super::sync_status::SyncStatus;
use crate::sync_ref::SyncRef;

/// Keeps a path of a repository applied to this cluster.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "holdfast.dev",
    version = "v1alpha1",
    kind = "Sync",
    namespaced,
    status = "SyncStatus",
    doc = "Keeps a path of a git repository applied to this cluster",
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
    pub source: Source,
    /// A folder below the root of the tree. Default: the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How often the ref is asked for. Default 1m, at least 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('5s')").message("must be at least 5s"))]
    pub interval: Option<Duration>,
    /// Of one run. Default 5m.
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
    /// Delete what leaves git. Default true.
    #[serde(default = "yes")]
    pub prune: bool,
    /// What happens to the objects when the Sync is deleted. Defaults to `Prune`, or to `Orphan` if `prune` is false. A Sync
    /// that is suspended leaves its objects. It may be set while the Sync is being deleted, to end a deletion that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
    /// Which changes wait for an Approval.
    #[serde(default)]
    pub approval: ApprovalPolicy,
    #[serde(default)]
    pub drift: Drift,
    /// Syncs that must be Ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    #[serde(default)]
    pub health: HealthSpec,
    /// Change nothing while this is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<Suspend>,
    /// How the folder becomes objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub render: Option<Render>,
    /// Lets the forge tell of pushes: git is looked at at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Hook>,
}

fn yes() -> bool {
    true
}

impl SyncSpec {
    pub fn interval(&self) -> Time {
        self.interval.map_or(Time::from_mins(1), Duration::get)
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

/// Where the desired state is.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    pub git: Git,
}

/// A git repository.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Git {
    /// https, http, ssh://, user@host:path; file:// where the agent allows it.
    #[x_kube(validation = Rule::new("self.matches('^(https?|ssh|file)://.+') || self.matches('^[^/:]+:.+')").message("must be https://, http://, ssh://, user@host:path or file://"))]
    pub url: String,
    /// Default: the branch main.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitRef>,
    /// A Secret in the namespace of the Sync: username and password | bearerToken | identity (password) and
    /// known_hosts | ca.crt | tls.crt and tls.key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// What is followed: exactly one of these.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, KubeSchema)]
#[x_kube(
    validation = Rule::new("[has(self.branch), has(self.tag), has(self.semver), has(self.name), has(self.commit)].filter(set, set).size() == 1")
        .message("must have exactly one of branch, tag, semver, name, commit")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitRef {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The highest tag in a range of versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// A full ref name, such as refs/pull/1/head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// All 40 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-f]{40}$')").message("must be all 40 hex digits of a commit"))]
    pub commit: Option<String>,
}

/// A Secret in the same namespace.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    pub name: String,
}

/// Which changes wait for an Approval.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ApprovalPolicy {
    /// None but the removal of everything by an empty folder.
    Never,
    /// What cannot be undone.
    #[default]
    Irreversible,
    /// Every deletion.
    Deletions,
    /// Every change.
    Always,
}

/// What happens to the objects of a Sync that is deleted.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum Deletion {
    /// They are deleted, in the reverse of the order in which they were applied, and the Sync is there until they are gone.
    Prune,
    /// They stay in the cluster, without the labels and annotations of ownership.
    Orphan,
}

/// What is done about differences that nobody committed.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drift {
    #[serde(default)]
    pub mode: DriftMode,
    /// What is said of fields that other managers added to our objects.
    #[serde(default)]
    pub ghosts: Ghosts,
    /// Fields that others may write: they are neither planned nor applied nor reported, and their live value stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub ignore: Vec<IgnoreRule>,
    /// Objects whose drift is left alone for a time. `holdfast drift snooze` writes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub snooze: Vec<Snooze>,
}

/// Which fields of which objects others may write.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.paths) || has(self.managers)").message("must have paths, or managers, or both")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IgnoreRule {
    /// Default: all objects of the Sync.
    #[serde(default)]
    pub target: IgnoreTarget,
    /// RFC 6901; `*` stands for one segment. A path covers what is below it. Default: every path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 512)))]
    #[x_kube(validation = Rule::new("self.all(path, path.startsWith('/'))").message("must be JSON pointers (RFC 6901), which begin with /: /spec/replicas"))]
    pub paths: Vec<String>,
    /// Field managers, as globs. Default: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 128)))]
    pub managers: Vec<String>,
}

/// Which objects: those for which everything that is given here holds. All but the selector are globs.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IgnoreTarget {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// As kubectl reads it: `app=web,tier in (a, b),!legacy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
}

/// One object whose drift is left alone, until when, and why.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Snooze {
    pub kind: String,
    /// Default: any group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Default: any namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub name: String,
    pub until: Timestamp,
    #[x_kube(validation = Rule::new("self.size() > 0").message("must say why"))]
    pub reason: String,
}

/// What is said of additions.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum Ghosts {
    /// Nothing.
    #[default]
    Ignore,
    /// They are drift of their own class. They are never removed.
    Report,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DriftMode {
    /// Put back.
    #[default]
    Correct,
    /// Only told.
    Report,
}

/// Another Sync.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dependency {
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

/// Whether Ready waits for the objects to be healthy.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthSpec {
    /// Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<bool>,
    /// Default: that of the Sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Rules for kinds that do not say by a condition Ready how they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<HealthCheck>,
}

/// How the objects of a kind say that they are well: expressions in CEL over the fields of the object.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheck {
    pub api_version: String,
    pub kind: String,
    /// True when it is as it should be.
    pub current: String,
    /// True when it will not become so without a change. Asked first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// True while it is on its way. Asked before `current`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<String>,
}

/// Why nothing is changed, and until when.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Suspend {
    #[x_kube(validation = Rule::new("self.size() > 0").message("must say why"))]
    pub reason: String,
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

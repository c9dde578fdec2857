//! `ImageUpdate`: watch these image repositories, select a tag, and write it to the config repository. Types, no
//! behaviour.

use std::collections::BTreeMap;
use std::time::Duration as Time;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::Duration;
use super::hook::Hook;
use super::image_update_status::ImageUpdateStatus;
use super::sync::{SecretRef, Suspend};

/// Writes new image versions into the config repository.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "holdfast.dev",
    version = "v1alpha1",
    kind = "ImageUpdate",
    namespaced,
    status = "ImageUpdateStatus",
    doc = "Writes new image versions into the config repository",
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
    printcolumn(name = "Commit", type_ = "string", json_path = ".status.commit.sha"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("!has(self.pullRequest) || (has(self.push) && self.push.branch != (has(self.git.branch) ? self.git.branch : 'main'))")
        .message("pullRequest needs push.branch, another branch than git.branch")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageUpdateSpec {
    /// How often tags are asked for. Default 5m, at least 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('5s')").message("must be at least 5s"))]
    pub interval: Option<Duration>,
    pub git: UpdateGit,
    /// Default: the branch that is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<Push>,
    /// Opens a pull request for push.branch, which must be another branch than git.branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitSpec>,
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub images: Vec<Image>,
    /// Hold updates back while a Sync that reads what they change is suspended. Default true.
    #[serde(default = "yes")]
    pub respect_suspend: bool,
    /// Change nothing while this is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<Suspend>,
    /// Lets a registry tell of a push: the tags are looked at at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Hook>,
}

fn yes() -> bool {
    true
}

impl ImageUpdateSpec {
    pub fn interval(&self) -> Time {
        self.interval.map_or(Time::from_mins(5), Duration::get)
    }

    /// The branch that is read.
    pub fn branch(&self) -> &str {
        self.git.branch.as_deref().unwrap_or("main")
    }

    /// The branch that is written.
    pub fn push_branch(&self) -> &str {
        self.push.as_ref().map_or(self.branch(), |push| push.branch.as_str())
    }
}

/// What is read and edited; `path` bounds the edits.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateGit {
    pub url: String,
    /// With the keys of a Sync's. It must be allowed to push. Default: that of a Sync of this namespace with this url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Default main.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A folder below the root of the tree. Default: the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Another branch is created or moved forward, never forced.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Push {
    pub branch: String,
}

/// A pull request for the branch that is pushed.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PullRequest {
    pub provider: Forge,
    /// Of the API of a forge of one's own: https://git.example.com. Default: the host of git.url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Key token. Default: the password or bearerToken of git.secretRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub labels: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Forge {
    GitHub,
    GitLab,
    Gitea,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitSpec {
    /// Default: Holdfast, holdfast@localhost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// Default: the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committer: Option<Author>,
    /// A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Lines `Key: value` at the end of the message.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trailers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Author {
    pub name: String,
    pub email: String,
}

/// A key that signs commits.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signing {
    /// Key identity (an OpenSSH private key) or git.asc (an armored OpenPGP private key), and password if it has one.
    pub secret_ref: SecretRef,
}

/// One image repository and its policy.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// What the markers name.
    pub name: String,
    pub repository: String,
    /// Of type kubernetes.io/dockerconfigjson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Keys ca.crt, tls.crt and tls.key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<SecretRef>,
    /// Plain http.
    #[serde(default)]
    pub insecure: bool,
    /// Repositories that are asked in this order in place of `repository`, which is asked last and is what is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub mirrors: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_tags: Option<FilterTags>,
    /// Regular expressions of tags that are never taken. Default: signatures, attestations and bills of material
    /// (`.sig`, `.att`, `.sbom`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub exclude: Option<Vec<String>>,
    pub policy: ImagePolicy,
    #[serde(default)]
    pub digest: DigestPolicy,
    #[serde(default)]
    pub downgrade: bool,
    /// Scalars that have no marker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub targets: Vec<Target>,
}

/// Scalars of a file that hold an image: exactly one of file, kustomization and helmValues names the file, as seen
/// from `git.path`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[x_kube(
    validation = Rule::new("[has(self.file), has(self.kustomization), has(self.helmValues)].filter(set, set).size() == 1")
        .message("must have exactly one of file, kustomization, helmValues"),
    validation = Rule::new("!has(self.file) || has(self.path)").message("file needs path, as RFC 6901 writes it"),
    validation = Rule::new("!has(self.kustomization) || !has(self.path)").message("kustomization has no path"),
    validation = Rule::new("!has(self.name) || has(self.kustomization)").message("name belongs to kustomization"),
    validation = Rule::new("!has(self.part) || has(self.file)").message("part belongs to file")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// A YAML or JSON file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// A kustomization.yaml, of which the entry of `images` is set: newTag and digest, and newName where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kustomization: Option<String>,
    /// A file with values of a chart, of which image.repository, image.tag and image.digest are set where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm_values: Option<String>,
    /// Of file: the scalar, as RFC 6901 writes it. Of helmValues: the mapping that has `image`; default the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Of file: which document of it, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<u32>,
    /// Of file: what the scalar holds. Default Image: repository, tag and digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<ImagePart>,
    /// Of kustomization: the name of the entry. Default: the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What of an image a scalar holds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ImagePart {
    #[default]
    Image,
    Name,
    Tag,
    Digest,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilterTags {
    /// A regular expression; tags that it does not find are left out.
    pub pattern: String,
    /// What of a tag the policy sees: text with `$name` or `$1` of the pattern. Default: the whole tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extract: Option<String>,
}

/// Exactly one of these.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, KubeSchema)]
#[x_kube(
    validation = Rule::new("[has(self.semver), has(self.alphabetical), has(self.numerical), has(self.newest)].filter(set, set).size() == 1")
        .message("must have exactly one of semver, alphabetical, numerical, newest")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImagePolicy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver: Option<SemverPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alphabetical: Option<OrderPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerical: Option<OrderPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<NewestPolicy>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SemverPolicy {
    /// As Masterminds' semver reads it. Prereleases are taken only where it names one.
    pub range: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderPolicy {
    #[serde(default)]
    pub order: Order,
}

/// Ascending: the last one in this order is taken.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewestPolicy {
    /// A named group of filterTags.pattern that holds a time (RFC 3339, 20060102150405, seconds since 1970 and the
    /// like). Default: when the image was created, asked of the registry for what filterTags leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Whether the digest is written beside the tag.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DigestPolicy {
    #[default]
    Never,
    /// The digest that the tag had when it was selected.
    IfNotPresent,
    /// The digest that the tag has now: asked at each interval.
    Always,
}

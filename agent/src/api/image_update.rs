//! `ImageUpdate`: watch these image repositories, select a tag, and write it to the config repository. Types, no
//! behaviour.

use std::collections::BTreeMap;
use std::time::Duration as Time;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::{Duration, SHORTEST};
use super::hook::Hook;
use super::image_update_status::ImageUpdateStatus;
use super::secret_ref::SecretRef;
use super::sync::Suspend;

/// Commits new image versions to a config repository.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "holdfast.dev",
    version = "v1alpha1",
    kind = "ImageUpdate",
    namespaced,
    status = "ImageUpdateStatus",
    doc = "Commits new image versions to a config repository",
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
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[x_kube(
    validation = Rule::new("!has(self.pullRequest) || (has(self.push) && self.push.branch != (has(self.git.branch) ? self.git.branch : 'main'))")
        .message("pullRequest needs push.branch, another branch than git.branch")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageUpdateSpec {
    /// Interval at which tags are listed. Defaults to 5m. At least 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || duration(self) >= duration('5s')")
        .message("must be at least 5s"))]
    pub interval: Option<Duration>,
    /// Config repository that is read and edited.
    pub git: UpdateGit,
    /// Branch to which commits are pushed. Defaults to the branch that is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<Push>,
    /// Pull request for `push.branch`, which must be another branch than `git.branch`. Defaults to no pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequest>,
    /// Author, message and signature of commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitSpec>,
    /// Image repositories and their policies. At most 200, each with another name.
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub images: Vec<Image>,
    /// Whether a file is left as it is while a Sync that reads it is suspended. Defaults to true.
    #[serde(default = "yes")]
    pub respect_suspend: bool,
    /// Suspends this ImageUpdate: nothing is listed and nothing is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<Suspend>,
    /// Lets the registry announce pushes, so that tags are listed at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Hook>,
}

fn yes() -> bool {
    true
}

impl ImageUpdateSpec {
    pub fn interval(&self) -> Time {
        self.interval.map_or(Time::from_mins(5), Duration::get).max(SHORTEST)
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

/// Config repository that is read and edited.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateGit {
    /// URL of the repository, in the forms that a Sync accepts.
    pub url: String,
    /// Secret in the namespace of the ImageUpdate, with the same keys as that of a Sync. Its credentials must be allowed to push.
    /// Defaults to the Secret of a Sync in this namespace that has the same URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Branch that is read. Defaults to `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Folder below which files are edited. Defaults to the root of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Branch to which commits are pushed. It is created or moved forward, never forced.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Push {
    /// Name of the branch.
    pub branch: String,
}

/// Pull request for the branch to which commits are pushed. At most one is open.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PullRequest {
    /// Kind of the forge.
    pub provider: Forge,
    /// Base URL of a self-hosted forge, such as `https://git.example.com`. Defaults to the host of `git.url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Secret in the namespace of the ImageUpdate, with the key `token`, or the keys `githubAppID`, `githubAppPrivateKey` and
    /// optionally `githubAppInstallationID` of a GitHub App. Defaults to `bearerToken` or `password` of
    /// `git.secretRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Template of the title. Defaults to a line that names the images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Labels of the pull request. At most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub labels: Vec<String>,
}

/// Kind of a forge.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum Forge {
    GitHub,
    GitLab,
    Gitea,
}

/// Author, message and signature of commits.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitSpec {
    /// Author of commits. Defaults to `Holdfast <holdfast@localhost>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// Committer of commits. Defaults to the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committer: Option<Author>,
    /// Template of the message. Defaults to a subject and a list of the changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Trailers, `Key: value`, at the end of the message.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trailers: BTreeMap<String, String>,
    /// Key with which commits are signed. Defaults to no signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,
}

/// A person in a commit.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Author {
    /// Name of the person.
    pub name: String,
    /// Address of the person.
    pub email: String,
}

/// Key with which commits are signed.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signing {
    /// Secret in the namespace of this resource, with the key `identity` (an OpenSSH private key) or `git.asc` (an armored
    /// OpenPGP private key), and `password` if the key is encrypted.
    pub secret_ref: SecretRef,
}

/// An image repository and the policy that selects a tag of it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// Name of the image in the markers.
    pub name: String,
    /// Image repository, without tag and digest.
    pub repository: String,
    /// Secret in the namespace of the ImageUpdate, of type `kubernetes.io/dockerconfigjson`. Defaults to no credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Secret in the namespace of the ImageUpdate, with the keys `ca.crt`, `tls.crt` and `tls.key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<SecretRef>,
    /// Whether the registry is used without TLS. Defaults to false.
    #[serde(default)]
    pub insecure: bool,
    /// Repositories that are used in this order in place of `repository`, which is used last. Git always gets `repository`. At
    /// most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub mirrors: Vec<String>,
    /// Tags that the policy may select, and the part of a tag that it sees. Defaults to all tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_tags: Option<FilterTags>,
    /// Regular expressions of tags that are never selected. At most 50. Defaults to signatures, attestations and bills of
    /// material (`.sig`, `.att`, `.sbom`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub exclude: Option<Vec<String>>,
    /// Policy that selects a tag.
    pub policy: ImagePolicy,
    /// Whether the digest is written with the tag: `Never`, `IfNotPresent` (the digest that the tag had when it was selected) or
    /// `Always` (the digest that the tag has now, requested at each interval). Defaults to `Never`.
    #[serde(default)]
    pub digest: DigestPolicy,
    /// Whether a version that is older than the written one may be selected. Defaults to false.
    #[serde(default)]
    pub downgrade: bool,
    /// Scalars without a marker that get the image. At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub targets: Vec<Target>,
}

/// Scalars of a file that contain an image. Exactly one of `file`, `kustomization` and `helmValues` names the file, relative to
/// `git.path`.
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
    /// YAML or JSON file in which the scalar at `path` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// A kustomization.yaml, of which the entry of `images` is set: `newTag` and `digest`, and `newName` if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kustomization: Option<String>,
    /// File with values of a chart, of which `image.repository`, `image.tag` and `image.digest` are set if they exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm_values: Option<String>,
    /// With `file`: JSON pointer (RFC 6901) to the scalar. With `helmValues`: JSON pointer to the mapping that has `image`; defaults
    /// to the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// With `file`: number of the document, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<u32>,
    /// With `file`: part of the image that the scalar contains. Defaults to `Image`: repository, tag and digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<ImagePart>,
    /// With `kustomization`: name of the entry. Defaults to the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Part of an image that a scalar contains.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ImagePart {
    #[default]
    Image,
    Name,
    Tag,
    Digest,
}

/// Filter of tags.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilterTags {
    /// Regular expression. Tags that do not match it are left out.
    pub pattern: String,
    /// Part of a tag that the policy sees, as a text with `$name` or `$1` for groups of the pattern. Defaults to the whole tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extract: Option<String>,
}

/// Policy that selects a tag. Exactly one of its fields must be set.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, KubeSchema)]
#[x_kube(
    validation = Rule::new("[has(self.semver), has(self.alphabetical), has(self.numerical), has(self.newest)].filter(set, set).size() == 1")
        .message("must have exactly one of semver, alphabetical, numerical, newest")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImagePolicy {
    /// Selects the highest version in a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver: Option<SemverPolicy>,
    /// Selects the last tag in alphabetical order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alphabetical: Option<OrderPolicy>,
    /// Selects the last tag in numerical order. Numbers may have any size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerical: Option<OrderPolicy>,
    /// Selects the newest tag by time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<NewestPolicy>,
}

/// Selects the highest version in a range.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SemverPolicy {
    /// Range of versions in the syntax of Masterminds/semver, such as `>=1.0.0 <2`. Prereleases are selected only if the range
    /// contains one.
    pub range: String,
}

/// Selects the last tag in an order.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderPolicy {
    /// Order of the tags, of which the last one is selected. Defaults to `Ascending`.
    #[serde(default)]
    pub order: Order,
}

/// Order of tags, of which the last one is selected.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

/// Selects the newest tag by time.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewestPolicy {
    /// Named group of `filterTags.pattern` that contains a time (RFC 3339, 20060102150405, seconds since 1970 and similar).
    /// Defaults to the creation time of the image, which the registry returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Whether the digest is written with the tag: `Never`, `IfNotPresent` (the digest that the tag had when it was selected) or
/// `Always` (the digest that the tag has now, requested at each interval).
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DigestPolicy {
    #[default]
    Never,
    /// The digest that the tag had when it was selected.
    IfNotPresent,
    /// The digest that the tag has now, requested at each interval.
    Always,
}

//! `spec.render` of a Sync: how its folder becomes objects. Types, no behaviour.

use std::collections::BTreeMap;
use std::fmt;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SecretRef;

/// How the content of the folder becomes objects.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Render {
    /// Renderer. Defaults to `Helm` if `helm.chart` is set, to `Kustomize` if the folder has a kustomization.yaml, to `Helm` if
    /// it has a Chart.yaml, and else to `Plain`: every YAML and JSON file of the folder and of the folders below it.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<RenderType>,
    /// Options of the renderer `Plain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain: Option<PlainOptions>,
    /// Options of kustomizations, and changes that are applied to the rendered objects as an overlay would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<KustomizeOptions>,
    /// Options of the chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm: Option<HelmOptions>,
    /// Variables that are substituted in the objects, after everything else. Defaults to no substitution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute: Option<Substitute>,
    /// Keys for files that SOPS encrypted. Without keys, an encrypted object is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decrypt: Option<Decrypt>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum RenderType {
    Plain,
    Kustomize,
    Helm,
}

/// Options of the renderer `Plain`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlainOptions {
    /// Files and folders that are not read, as patterns in the syntax of `.gitignore`, relative to `spec.path`. They are
    /// applied after the patterns of `.holdfastignore` files. At most 1000 patterns. Defaults to none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// Options of kustomizations, and changes that are applied to the rendered objects as an overlay would.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KustomizeOptions {
    /// Files that a kustomization may read. `RootOnly` permits files in and below its own folder, `None` every file of the
    /// repository. Defaults to `RootOnly`.
    #[serde(default)]
    pub load_restrictions: LoadRestrictions,
    /// Whether `helmCharts` of kustomizations are rendered. Defaults to false: they are an error.
    #[serde(default)]
    pub enable_helm: bool,
    /// Logins for bases of other repositories and for files of web servers that kustomizations name. Defaults to none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub remotes: Vec<Remote>,
    /// Patches that are applied to the rendered objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Names, tags and digests of images that are replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageOverride>,
    /// Folders of kustomize components, relative to `spec.path`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Prefix of the names of all objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_prefix: Option<String>,
    /// Suffix of the names of all objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_suffix: Option<String>,
}

/// A login for what a kustomization names by a URL.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Remote {
    /// Beginning of the URLs that the login is for, at least a scheme (`https`, `http` or `ssh`) and a host:
    /// `https://git.example.com/team`. If several match, the longest one is used.
    #[schemars(length(max = 2048), regex(pattern = r"^((https?|ssh)://[^/]|[^/]+@[^/]+:)"))]
    pub url: String,
    /// Secret with the login: the keys of `spec.source.git.secretRef` for repositories; `username`, `password`, `ca.crt`,
    /// `tls.crt` and `tls.key` for files.
    pub secret_ref: SecretRef,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum LoadRestrictions {
    #[default]
    RootOnly,
    None,
}

/// A strategic merge patch, or a JSON 6902 patch with a target.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    /// Patch as YAML or JSON.
    pub patch: String,
    /// Objects that the patch changes. A JSON 6902 patch needs it; a strategic merge patch without it changes the object that it
    /// names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PatchTarget>,
}

/// Objects that a patch changes: those that match all of these fields. Except for the selectors, they are regular expressions
/// that match the whole value. A field that is not set matches everything.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchTarget {
    /// API group of the objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// API version of the objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Kind of the objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name of the objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace of the objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Label selector, such as `app=web,tier in (a, b)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
    /// Annotation selector, in the same form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation_selector: Option<String>,
}

/// Replacement of the name, tag or digest of an image.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageOverride {
    /// Image to replace, without tag and digest.
    pub name: String,
    /// New name. Defaults to the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_name: Option<String>,
    /// New tag. Defaults to the same tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_tag: Option<String>,
    /// New digest, which replaces the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Options of a Helm chart.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HelmOptions {
    /// Chart in a chart repository or an OCI registry. Defaults to the chart in the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<Chart>,
    /// Name of the release. Defaults to the name of the Sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_name: Option<String>,
    /// Namespace of the release. Defaults to `spec.targetNamespace`, or else to the namespace of the Sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Values of the chart. They override all of `valuesFrom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
    /// Values from files, ConfigMaps and Secrets. Later entries override earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_from: Vec<ValuesFrom>,
    /// Whether the CustomResourceDefinitions in the folder `crds` of the chart are left out. Defaults to false.
    #[serde(default, rename = "skipCRDs")]
    pub skip_crds: bool,
    /// Whether the CustomResourceDefinitions in the folder `crds` of the chart are rendered. Defaults to true.
    #[serde(default, rename = "includeCRDs", skip_serializing_if = "Option::is_none")]
    pub include_crds: Option<bool>,
    /// Whether the values are not checked against the `values.schema.json` of the chart and of the charts that it depends on.
    /// Defaults to false: values that do not match the schema are an error.
    #[serde(default)]
    pub skip_schema_validation: bool,
    /// Kubernetes version that the chart sees. Defaults to the version of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_version: Option<String>,
    /// API versions that the chart sees. Defaults to those that the cluster serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
    /// Patches that are applied to the objects of the chart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
}

/// A chart in a chart repository or an OCI registry.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Chart {
    /// URL of the chart repository (`https://`, `http://`) or of the registry (`oci://`), without the name of the chart.
    #[x_kube(validation = Rule::new("self.matches('^(https?|oci)://.+')").message("must be https://, http:// or oci://"))]
    pub repository: String,
    /// Name of the chart.
    pub name: String,
    /// Whether an OCI registry is used without TLS. Defaults to false.
    #[serde(default)]
    pub insecure: bool,
    /// Version, or range of versions such as `>=1.2 <2`. Defaults to the newest version that is not a prerelease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Secret in the namespace of the Sync, with the keys `username` and `password`, or `.dockerconfigjson`; and optionally
    /// `ca.crt`, `tls.crt` and `tls.key`. Defaults to no credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// Values of a chart.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
pub struct Values(pub Map<String, Value>);

impl JsonSchema for Values {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Values".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    }
}

/// Values from a key of a ConfigMap or Secret in the namespace of the Sync, or from a file in the repository.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.file) != (has(self.kind) && has(self.name))").message("must have either file, or kind and name"))]
pub struct ValuesFrom {
    /// Kind of the object: `ConfigMap` or `Secret`. Must be set together with `name`, unless `file` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<InputKind>,
    /// Name of the ConfigMap or Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Key of the ConfigMap or Secret. Defaults to `values.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values_key: Option<String>,
    /// File in the repository, relative to `spec.path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Path at which the whole content is set as one value, such as `image.tag`. Defaults to merging the content as values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_path: Option<String>,
    /// Whether the ConfigMap, Secret or file may be missing. Defaults to false.
    #[serde(default)]
    pub optional: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub enum InputKind {
    ConfigMap,
    Secret,
}

impl fmt::Display for InputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        })
    }
}

/// Substitution of variables, `${name}`, in the objects.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Substitute {
    /// Variables with their values. They override those in `from`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// ConfigMaps and Secrets in the namespace of the Sync whose keys are variables. Later entries override earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<VarsFrom>,
    /// What happens to variables that are not defined. With `Strict` they are an error. With `Declared` they stay as they are.
    /// Defaults to `Strict`.
    #[serde(default)]
    pub mode: SubstituteMode,
    /// What becomes of strings that are quoted in the file of a manifest. With `Yaml` the quotes do not count, as in Flux: `"${n}"`
    /// becomes a number if the value of `n` is one. With `Text` such a field stays a string. Quotes in templates of charts never
    /// count. Defaults to `Yaml`.
    #[serde(default)]
    pub quoted: SubstituteQuoted,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum SubstituteMode {
    #[default]
    Strict,
    Declared,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum SubstituteQuoted {
    #[default]
    Yaml,
    Text,
}

/// ConfigMap or Secret whose keys are variables.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VarsFrom {
    /// Kind of the object: `ConfigMap` or `Secret`.
    pub kind: InputKind,
    /// Name of the object.
    pub name: String,
    /// Whether the object may be missing. Defaults to false.
    #[serde(default)]
    pub optional: bool,
}

/// Keys for files that SOPS encrypted.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decrypt {
    /// Secret in the namespace of the Sync. Keys that end in `.agekey` have age identities or SSH private keys, keys that end in
    /// `.asc` have OpenPGP private keys without passphrase.
    pub secret_ref: SecretRef,
}

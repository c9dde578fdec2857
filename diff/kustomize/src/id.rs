//! What a resource is called in kustomize: group, version, kind, namespace and name.
//!
//! Pure.

use std::fmt;

use smol_str::SmolStr;

use super::scope::is_cluster_scoped;

/// The effective namespace of what has none, which no namespace can be called.
pub const CLUSTER: &str = "_non_namespaceable_";

/// Group, version and kind. In selectors an empty part matches any.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gvk {
    /// Empty for the core group.
    pub group: SmolStr,
    pub version: SmolStr,
    pub kind: SmolStr,
}

/// A resource's identity at some point of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResId {
    pub gvk: Gvk,
    /// As written; empty where none is.
    pub namespace: SmolStr,
    pub name: SmolStr,
}

impl Gvk {
    /// From `group/version` or `version`, and a kind.
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.into(), version: version.into(), kind: kind.into() }
    }

    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// True if every part that the selector names is the same.
    pub fn is_selected(&self, selector: &Self) -> bool {
        let same = |selected: &SmolStr, own: &SmolStr| selected.is_empty() || selected == own;
        same(&selector.group, &self.group)
            && same(&selector.version, &self.version)
            && same(&selector.kind, &self.kind)
    }
}

impl ResId {
    /// The namespace in which a resource without one is: none for kinds that have none.
    pub fn effective_namespace(&self) -> &str {
        if is_cluster_scoped(&self.gvk) {
            CLUSTER
        } else if self.namespace.is_empty() {
            "default"
        } else {
            &self.namespace
        }
    }

    /// True if both name the same resource: no namespace is the namespace `default`.
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.gvk == other.gvk
            && self.effective_namespace() == other.effective_namespace()
    }
}

/// `Deployment.v1.apps`, with `[noKind]`, `[noVer]` and `[noGrp]` for what is missing.
impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: &SmolStr, missing: &'static str| {
            if text.is_empty() { missing.to_owned() } else { text.to_string() }
        };
        let (kind, version) = (or(&self.kind, "[noKind]"), or(&self.version, "[noVer]"));
        write!(f, "{kind}.{version}.{}", or(&self.group, "[noGrp]"))
    }
}

/// `Deployment.v1.apps/web.shop`, with `[noName]` and `[noNs]` for what is missing.
impl fmt::Display for ResId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "[noName]" } else { &self.name };
        let namespace = if self.namespace.is_empty() { "[noNs]" } else { &self.namespace };
        write!(f, "{}/{name}.{namespace}", self.gvk)
    }
}

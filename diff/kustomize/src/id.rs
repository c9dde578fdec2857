//! The identity of a resource in kustomize: group, version, kind, namespace and name.
//!
//! Pure.

use std::fmt;

use smol_str::SmolStr;

pub use super::gvk::Gvk;
use super::scope::is_cluster_scoped;

/// The effective namespace of cluster-scoped resources, which is not a valid name of a namespace.
pub const CLUSTER: &str = "_non_namespaceable_";

/// The identity of a resource at one point of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResId {
    pub gvk: Gvk,
    /// As written; empty if unset.
    pub namespace: SmolStr,
    pub name: SmolStr,
}

impl ResId {
    /// Returns the effective namespace: `default` if none is set, and a placeholder for cluster-scoped kinds.
    pub fn effective_namespace(&self) -> &str {
        if is_cluster_scoped(&self.gvk) {
            CLUSTER
        } else if self.namespace.is_empty() {
            "default"
        } else {
            &self.namespace
        }
    }

    /// True if both name the same resource: an unset namespace equals `default`.
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.gvk == other.gvk
            && self.effective_namespace() == other.effective_namespace()
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

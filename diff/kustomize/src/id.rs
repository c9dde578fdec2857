//! What a resource is called in kustomize: group, version, kind, namespace and name.
//!
//! Pure.

use std::fmt;

use smol_str::SmolStr;

pub use super::gvk::Gvk;
use super::scope::is_cluster_scoped;

/// The effective namespace of what has none, which no namespace can be called.
pub const CLUSTER: &str = "_non_namespaceable_";

/// A resource's identity at some point of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResId {
    pub gvk: Gvk,
    /// As written; empty where none is.
    pub namespace: SmolStr,
    pub name: SmolStr,
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

/// `Deployment.v1.apps/web.shop`, with `[noName]` and `[noNs]` for what is missing.
impl fmt::Display for ResId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "[noName]" } else { &self.name };
        let namespace = if self.namespace.is_empty() { "[noNs]" } else { &self.namespace };
        write!(f, "{}/{name}.{namespace}", self.gvk)
    }
}

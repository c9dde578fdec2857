//! Which of Kubernetes' own kinds have no namespace.
//!
//! Pure.

use super::id::Gvk;

/// True if it is certain that a kind has no namespace: it is one of Kubernetes' own, at a version that kustomize knows.
pub fn is_cluster_scoped(gvk: &Gvk) -> bool {
    matches!(
        (&*gvk.group, &*gvk.kind),
        ("", "Namespace" | "Node" | "PersistentVolume")
            | ("rbac.authorization.k8s.io", "ClusterRole" | "ClusterRoleBinding")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
    )
}

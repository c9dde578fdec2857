//! The scope of built-in kinds: cluster-scoped or namespaced.
//!
//! Only the kinds that kustomize knows are listed, which are those of Kubernetes 1.21: the scope of a newer kind is not
//! certain, and so a kustomization sets its namespace. Pure.

use super::gvk::Gvk;

/// Group, versions and kinds.
const CLUSTER_SCOPED: [(&str, &[&str], &[&str]); 12] = [
    ("", &["v1"], &["ComponentStatus", "Namespace", "Node", "NodeProxyOptions", "PersistentVolume"]),
    (
        "admissionregistration.k8s.io",
        &["v1", "v1beta1"],
        &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
    ),
    ("apiextensions.k8s.io", &["v1", "v1beta1"], &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["v1", "v1beta1"], &["APIService"]),
    ("certificates.k8s.io", &["v1", "v1beta1"], &["CertificateSigningRequest"]),
    ("flowcontrol.apiserver.k8s.io", &["v1beta1"], &["FlowSchema", "PriorityLevelConfiguration"]),
    ("networking.k8s.io", &["v1", "v1beta1"], &["IngressClass"]),
    ("node.k8s.io", &["v1", "v1beta1"], &["RuntimeClass"]),
    ("rbac.authorization.k8s.io", &["v1", "v1beta1"], &["ClusterRole", "ClusterRoleBinding"]),
    ("scheduling.k8s.io", &["v1", "v1beta1"], &["PriorityClass"]),
    ("policy", &["v1beta1"], &["PodSecurityPolicy"]),
    ("storage.k8s.io", &["v1", "v1beta1"], &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"]),
];

/// Namespaced kinds.
const NAMESPACED: [(&str, &[&str], &[&str]); 15] = [
    (
        "",
        &["v1"],
        &[
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "PodAttachOptions",
            "PodExecOptions",
            "PodPortForwardOptions",
            "PodProxyOptions",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
            "ServiceProxyOptions",
        ],
    ),
    ("apps", &["v1"], &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    ("autoscaling", &["v1"], &["HorizontalPodAutoscaler", "Scale"]),
    ("autoscaling", &["v2beta1", "v2beta2"], &["HorizontalPodAutoscaler"]),
    ("batch", &["v1"], &["CronJob", "Job"]),
    ("batch", &["v1beta1"], &["CronJob"]),
    ("coordination.k8s.io", &["v1", "v1beta1"], &["Lease"]),
    ("discovery.k8s.io", &["v1", "v1beta1"], &["EndpointSlice"]),
    ("events.k8s.io", &["v1", "v1beta1"], &["Event"]),
    ("extensions", &["v1beta1"], &["Ingress"]),
    ("networking.k8s.io", &["v1"], &["Ingress", "NetworkPolicy"]),
    ("networking.k8s.io", &["v1beta1"], &["Ingress"]),
    ("policy", &["v1", "v1beta1"], &["PodDisruptionBudget"]),
    ("rbac.authorization.k8s.io", &["v1", "v1beta1"], &["Role", "RoleBinding"]),
    ("storage.k8s.io", &["v1beta1"], &["CSIStorageCapacity"]),
];

/// True if it is certain that a kind is cluster-scoped: it is a built-in kind, in a version that kustomize knows.
pub fn is_cluster_scoped(gvk: &Gvk) -> bool {
    is_in(&CLUSTER_SCOPED, gvk)
}

/// True if a kind is built in, in a version that kustomize knows.
pub fn is_built_in(gvk: &Gvk) -> bool {
    is_in(&NAMESPACED, gvk) || is_in(&CLUSTER_SCOPED, gvk)
}

fn is_in(table: &[(&str, &[&str], &[&str])], gvk: &Gvk) -> bool {
    table.iter().any(|(group, versions, kinds)| {
        *group == gvk.group && kinds.contains(&gvk.kind.as_str()) && versions.contains(&gvk.version.as_str())
    })
}

//! Controllers whose additions are not unmanaged fields. Pure.

use crate::ignore::Glob;

/// Field managers, as globs: the control plane, its nodes, and controllers that set fields which an object leaves
/// empty.
const CONTROLLERS: [&str; 17] = [
    "*cloud-controller-manager",
    "cainjector",
    "cert-manager-cainjector*",
    "cluster-autoscaler",
    "coredns",
    "csi-attacher",
    "csi-provisioner",
    "csi-resizer",
    "external-provisioner",
    "horizontal-pod-autoscaler",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
    "vertical-pod-autoscaler*",
    "vpa-*",
];

/// Annotations of these controllers, which may be recorded under the name of another manager.
const ANNOTATIONS: [&str; 8] = [
    "autoscaling.alpha.kubernetes.io/*",
    "control-plane.alpha.kubernetes.io/*",
    "deployment.kubernetes.io/revision*",
    "endpoints.kubernetes.io/*",
    "kubectl.kubernetes.io/last-applied-configuration",
    "pv.kubernetes.io/*",
    "volume.beta.kubernetes.io/*",
    "volume.kubernetes.io/*",
];

/// Labels that the server sets on behalf of the manager that creates the object.
const LABELS: [&str; 1] = ["kubernetes.io/metadata.name"];

pub(super) fn is_controller(manager: &str) -> bool {
    CONTROLLERS.iter().any(|glob| Glob::new(glob).matches(manager))
}

pub(super) fn is_annotation(name: &str) -> bool {
    ANNOTATIONS.iter().any(|glob| Glob::new(glob).matches(name))
}

pub(super) fn is_label(name: &str) -> bool {
    LABELS.contains(&name)
}

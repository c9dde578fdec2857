//! The order in which objects are applied: by wave, then by kind. Deletion uses exactly the reverse order.
//!
//! Pure.

use crate::object::{GroupKind, Manifest};

/// The position of an object in the order of apply: objects of one stage are applied concurrently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stage {
    pub wave: i32,
    pub rank: u8,
}

impl Stage {
    pub fn of(manifest: &Manifest) -> Self {
        Self { wave: wave(|name| manifest.annotation(name)), rank: rank(&manifest.kind) }
    }
}

/// The ranks of kinds without running processes: from roles to Services.
const PASSIVE: std::ops::RangeInclusive<u8> = 4..=11;

impl Stage {
    /// True if no process runs because of its objects until others use them.
    pub fn is_passive(self) -> bool {
        PASSIVE.contains(&self.rank)
    }
}

/// Annotations that set a wave; the first one that exists counts.
const WAVE: [&str; 2] = ["holdfast.dev/wave", "argocd.argoproj.io/sync-wave"];

/// Returns the wave in the annotations of an object; 0 if there is none, or if it is not a number.
pub fn wave<'a>(annotation: impl Fn(&str) -> Option<&'a str>) -> i32 {
    WAVE.iter().find_map(|name| annotation(name)).and_then(|wave| wave.trim().parse().ok()).unwrap_or(0)
}

/// The rank of custom kinds: after the workloads that serve their webhooks.
const CUSTOM: u8 = 13;

/// Returns the rank of a kind; a lower one is applied earlier.
pub fn rank(kind: &GroupKind) -> u8 {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => 0,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => 1,
        (
            "scheduling.k8s.io" | "storage.k8s.io" | "node.k8s.io" | "networking.k8s.io" | "resource.k8s.io",
            class,
        ) if class.ends_with("Class") => 2,
        ("" | "policy", "ResourceQuota" | "LimitRange" | "PodDisruptionBudget")
        | ("networking.k8s.io", "NetworkPolicy") => 3,
        ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => 4,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding" | "RoleBinding") => 5,
        ("", "ServiceAccount") => 6,
        ("", "Secret") => 7,
        ("", "ConfigMap") => 8,
        ("", "PersistentVolume") | ("storage.k8s.io", _) => 9,
        ("", "PersistentVolumeClaim") => 10,
        ("", "Service") => 11,
        ("", "Pod" | "ReplicationController" | "PodTemplate") | ("apps" | "batch" | "autoscaling", _) => 12,
        ("networking.k8s.io", _) => 14,
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => 15,
        _ => CUSTOM,
    }
}

#[cfg(test)]
mod tests {
    use super::{rank, wave};
    use crate::object::GroupKind;

    #[test]
    fn what_others_need_comes_first() {
        let order = [
            ("", "Namespace"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("scheduling.k8s.io", "PriorityClass"),
            ("rbac.authorization.k8s.io", "Role"),
            ("rbac.authorization.k8s.io", "RoleBinding"),
            ("", "ServiceAccount"),
            ("", "Secret"),
            ("", "ConfigMap"),
            ("", "PersistentVolume"),
            ("", "PersistentVolumeClaim"),
            ("", "Service"),
            ("apps", "Deployment"),
            ("example.com", "Queue"),
            ("networking.k8s.io", "Ingress"),
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ];
        let ranks: Vec<u8> = order.iter().map(|(group, kind)| rank(&GroupKind::new(*group, *kind))).collect();
        assert!(ranks.is_sorted_by(|one, next| one < next), "{ranks:?}");
    }

    #[test]
    fn our_wave_goes_before_the_synonym() {
        let both = |name: &str| Some(if name.starts_with("holdfast") { "-1" } else { "5" });
        assert_eq!(wave(both), -1);
        assert_eq!(wave(|name| name.starts_with("argocd").then_some("5")), 5);
        assert_eq!(wave(|_| Some("soon")), 0);
    }
}

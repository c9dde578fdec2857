//! The objects that an object needs: if one of them failed, applying the object would fail too, or start it broken.
//!
//! Pure.

use serde_json::Value;

use crate::object::{Manifest, ObjectId};

/// True if an object, whose kind has this plural, needs another one: its namespace, the definition of its kind,
/// the role that it binds, or what its pods mount, read or run as.
pub fn needs(object: &ObjectId, plural: &str, manifest: &Manifest, other: &ObjectId) -> bool {
    let name = &*other.name;
    match (other.kind.group.as_str(), other.kind.kind.as_str()) {
        ("", "Namespace") => *object.namespace == *name,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            name.strip_prefix(plural).and_then(|rest| rest.strip_prefix('.')) == Some(&object.kind.group)
        }
        ("rbac.authorization.k8s.io", kind @ ("Role" | "ClusterRole")) => {
            let role = |field: &str| manifest.value.get("roleRef").and_then(|role| role.get(field)?.as_str());
            let near = other.namespace.is_empty() || other.namespace == object.namespace;
            near && role("kind") == Some(kind) && role("name") == Some(name)
        }
        ("", kind @ ("ServiceAccount" | "ConfigMap" | "Secret" | "PersistentVolumeClaim")) => {
            other.namespace == object.namespace
                && pod(&manifest.value).is_some_and(|pod| refers(pod, kind, name))
        }
        _ => false,
    }
}

/// Returns the specification of the pods of an object.
fn pod(value: &Value) -> Option<&Value> {
    ["/spec/jobTemplate/spec/template/spec", "/spec/template/spec", "/spec"]
        .into_iter()
        .filter_map(|path| value.pointer(path))
        .find(|spec| spec.get("containers").is_some())
}

/// True if a pod refers to an object of this kind and name that is not optional.
fn refers(value: &Value, kind: &str, name: &str) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| refers(item, kind, name)),
        Value::Object(fields) => fields.iter().any(|(key, field)| {
            let named = |by: &str| field.get(by).and_then(Value::as_str) == Some(name);
            let needed = field.get("optional") != Some(&Value::Bool(true));
            let here = match (kind, key.as_str()) {
                ("ServiceAccount", "serviceAccountName") => field.as_str() == Some(name),
                ("ConfigMap", "configMap" | "configMapRef" | "configMapKeyRef")
                | ("Secret", "secretRef" | "secretKeyRef") => named("name"),
                ("Secret", "secret") => named("secretName") || named("name"),
                ("PersistentVolumeClaim", "persistentVolumeClaim") => named("claimName"),
                _ => false,
            };
            (here && needed) || refers(field, kind, name)
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::object::{GroupKind, Origin};

    fn check(value: &Value, plural: &str, other: (&str, &str, &str, &str), expected: bool) {
        let version = value["apiVersion"].as_str().unwrap_or_default();
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        let kind = Arc::new(GroupKind::new(group, value["kind"].as_str().unwrap_or_default()));
        let manifest = Manifest {
            api_version: version.to_owned(),
            kind: kind.clone(),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            origin: Origin { file: "a.yaml".into(), line: 1 },
            value: value.clone(),
        };
        let (group, kind_of_other, namespace, name) = other;
        let other = ObjectId::new(Arc::new(GroupKind::new(group, kind_of_other)), namespace, name);
        let object = ObjectId::new(kind, "shop", "web");
        assert_eq!(needs(&object, plural, &manifest, &other), expected, "{object} needs {other}");
    }

    #[test]
    fn a_workload_needs_its_namespace_and_what_its_pods_use() {
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {
            "serviceAccountName": "runner",
            "containers": [{"name": "a", "envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "maybe", "optional": true}}]}],
            "volumes": [{"name": "v", "secret": {"secretName": "key"}}, {"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}}}});
        for (kind, namespace, name, expected) in [
            ("Namespace", "", "shop", true),
            ("Namespace", "", "other", false),
            ("ServiceAccount", "shop", "runner", true),
            ("ConfigMap", "shop", "settings", true),
            ("ConfigMap", "other", "settings", false),
            ("Secret", "shop", "key", true),
            ("Secret", "shop", "maybe", false),
            ("PersistentVolumeClaim", "shop", "data", true),
            ("Service", "shop", "web", false),
        ] {
            check(&deployment, "deployments", ("", kind, namespace, name), expected);
        }
    }

    #[test]
    fn a_custom_object_needs_its_definition_and_a_binding_its_role() {
        let queue = json!({"apiVersion": "example.com/v1", "kind": "Queue"});
        let definition = |name| ("apiextensions.k8s.io", "CustomResourceDefinition", "", name);
        check(&queue, "queues", definition("queues.example.com"), true);
        check(&queue, "queues", definition("topics.example.com"), false);
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "roleRef": {"kind": "Role", "name": "reader"}});
        check(&binding, "rolebindings", ("rbac.authorization.k8s.io", "Role", "shop", "reader"), true);
        check(&binding, "rolebindings", ("rbac.authorization.k8s.io", "ClusterRole", "", "reader"), false);
    }
}

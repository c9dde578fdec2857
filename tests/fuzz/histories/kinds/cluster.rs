//! Kinds that are in no namespace, and a definition with objects of its kind. Pure.

use serde_json::{Value, json};

use super::{Aspect, HERE, Kind, metadata, spec};

pub fn kinds() -> Vec<Kind> {
    vec![cluster_role(), cluster_role_binding(), priority_class(), definition(), thing(), space(), inside()]
}

fn cluster_role() -> Kind {
    let rule = |verbs: Value| json!({"apiGroups": [""], "resources": ["pods"], "verbs": verbs});
    let mut aspects = vec![Aspect::new(
        "rules",
        "rules",
        vec![
            json!({"rules": [rule(json!(["get"]))]}),
            json!({"rules": [rule(json!(["get", "list"])), {"nonResourceURLs": ["/x"], "verbs": ["get"]}]}),
            json!({"rules": []}),
        ],
    )];
    aspects.extend(metadata());
    Kind {
        name: "clusterrole",
        api: "apis/rbac.authorization.k8s.io/v1".to_owned(),
        plural: "clusterroles",
        cluster: true,
        only: None,
        within: None,
        base: json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}),
        aspects,
        scales: false,
        strategic: true,
    }
}

fn cluster_role_binding() -> Kind {
    let to = |name: &str| json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}});
    let subject = |name: &str| json!({"kind": "ServiceAccount", "name": name, "namespace": "trial"});
    let mut aspects = vec![
        Aspect::new("role", "roleRef", vec![to("one"), to("two")]).fixed(),
        Aspect::new(
            "subjects",
            "subjects",
            vec![
                json!({}),
                json!({"subjects": [subject("a")]}),
                json!({"subjects": [subject("b"), subject("a")]}),
            ],
        ),
    ];
    aspects.extend(metadata());
    Kind {
        name: "clusterrolebinding",
        api: "apis/rbac.authorization.k8s.io/v1".to_owned(),
        plural: "clusterrolebindings",
        cluster: true,
        only: None,
        within: None,
        base: json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding"}),
        aspects,
        scales: false,
        strategic: true,
    }
}

fn priority_class() -> Kind {
    let mut aspects = vec![
        Aspect::new("value", "value", vec![json!({"value": 10}), json!({"value": 20})]).fixed(),
        Aspect::new(
            "preemption",
            "preemptionPolicy",
            vec![
                json!({}),
                json!({"preemptionPolicy": "Never"}),
                json!({"preemptionPolicy": "PreemptLowerPriority"}),
            ],
        )
        .fixed(),
        Aspect::new(
            "description",
            "description",
            vec![json!({}), json!({"description": "a"}), json!({"description": "b"})],
        ),
    ];
    aspects.extend(metadata());
    Kind {
        name: "priorityclass",
        api: "apis/scheduling.k8s.io/v1".to_owned(),
        plural: "priorityclasses",
        cluster: true,
        only: None,
        within: None,
        base: json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}),
        aspects,
        scales: false,
        strategic: true,
    }
}

/// A definition whose versions and columns come and go.
fn definition() -> Kind {
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
        "properties": {"size": {"type": "integer", "default": 1}, "name": {"type": "string"}}}}}});
    let version = |name: &str, more: &Value| {
        let mut version = json!({"name": name, "served": true, "storage": name == "v1", "schema": schema});
        super::fragment::merge(&mut version, more);
        spec(json!({"versions": [version]}))
    };
    let columns =
        json!({"additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]});
    let mut aspects = vec![
        Aspect::new(
            "second",
            "spec/versions[v2]",
            vec![json!({}), version("v2", &json!({})), version("v2", &columns)],
        ),
        Aspect::new(
            "status",
            "spec/versions[v1]/subresources",
            vec![json!({}), spec(json!({"versions": [{"name": "v1", "subresources": {"status": {}}}]}))],
        ),
        Aspect::new(
            "names",
            "spec/names/shortNames spec/names/categories",
            vec![
                json!({}),
                spec(json!({"names": {"shortNames": ["th"]}})),
                spec(json!({"names": {"categories": ["all"]}})),
            ],
        ),
    ];
    aspects.extend(metadata());
    let mut base = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "spec": {"group": format!("{HERE}.example.com"), "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"}}});
    super::fragment::merge(&mut base, &version("v1", &json!({})));
    Kind {
        name: "definition",
        api: "apis/apiextensions.k8s.io/v1".to_owned(),
        plural: "customresourcedefinitions",
        cluster: true,
        only: Some(format!("things.{HERE}.example.com")),
        within: None,
        base,
        aspects,
        scales: false,
        strategic: false,
    }
}

/// An object of the kind that the definition defines.
fn thing() -> Kind {
    let version = |name: &str| json!({"apiVersion": format!("{HERE}.example.com/{name}")});
    let mut aspects = vec![
        Aspect::new("version", "apiVersion", vec![version("v1"), version("v2")]),
        Aspect::new("size", "spec/size", vec![json!({}), spec(json!({"size": 1})), spec(json!({"size": 2}))]),
        Aspect::new(
            "name",
            "spec/name",
            vec![json!({}), spec(json!({"name": "a"})), spec(json!({"name": "b"}))],
        ),
    ];
    aspects.extend(metadata());
    Kind {
        name: "thing",
        api: format!("apis/{HERE}.example.com/v1"),
        plural: "things",
        cluster: false,
        only: None,
        within: None,
        base: json!({"apiVersion": format!("{HERE}.example.com/v1"), "kind": "Thing", "spec": {}}),
        aspects,
        scales: false,
        strategic: false,
    }
}

/// A namespace.
fn space() -> Kind {
    Kind {
        name: "space",
        api: "api/v1".to_owned(),
        plural: "namespaces",
        cluster: true,
        only: Some(format!("{HERE}-in")),
        within: None,
        base: json!({"apiVersion": "v1", "kind": "Namespace"}),
        aspects: metadata(),
        scales: false,
        strategic: true,
    }
}

/// An object in that namespace.
fn inside() -> Kind {
    let data = |value: &str| json!({"data": {"key": value}});
    let mut aspects = vec![Aspect::new("key", "data/key", vec![json!({}), data("1"), data("2")])];
    aspects.extend(metadata());
    Kind {
        name: "inside",
        api: "api/v1".to_owned(),
        plural: "configmaps",
        cluster: false,
        only: None,
        within: Some(format!("{HERE}-in")),
        base: json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": format!("{HERE}-in")}}),
        aspects,
        scales: false,
        strategic: true,
    }
}

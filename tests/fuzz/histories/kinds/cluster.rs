//! Kinds that are in no namespace, and a definition with objects of its kind. Pure.

use serde_json::{Value, json};

use super::{Aspect, HERE, Kind, spec};

pub fn kinds() -> Vec<Kind> {
    vec![cluster_role(), cluster_role_binding(), priority_class(), definition(), thing(), space(), inside()]
}

fn cluster_role() -> Kind {
    let rule = |verbs: Value| json!({"apiGroups": [""], "resources": ["pods"], "verbs": verbs});
    let aspects = vec![Aspect::new(
        "rules",
        "rules",
        vec![
            json!({"rules": [rule(json!(["get"]))]}),
            json!({"rules": [rule(json!(["get", "list"])), {"nonResourceURLs": ["/x"], "verbs": ["get"]}]}),
            json!({"rules": []}),
        ],
    )];
    Kind::new(
        "clusterrole",
        "clusterroles",
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}),
        aspects,
    )
    .in_no_namespace()
}

fn cluster_role_binding() -> Kind {
    let to = |name: &str| json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}});
    let subject = |name: &str| json!({"kind": "ServiceAccount", "name": name, "namespace": "trial"});
    let aspects = vec![
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
    Kind::new(
        "clusterrolebinding",
        "clusterrolebindings",
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding"}),
        aspects,
    )
    .in_no_namespace()
}

fn priority_class() -> Kind {
    let aspects = vec![
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
    Kind::new(
        "priorityclass",
        "priorityclasses",
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}),
        aspects,
    )
    .in_no_namespace()
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
    let aspects = vec![
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
    let mut base = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "spec": {"group": format!("{HERE}.example.com"), "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"}}});
    super::fragment::merge(&mut base, &version("v1", &json!({})));
    Kind::new("definition", "customresourcedefinitions", base, aspects)
        .in_no_namespace()
        .only(format!("things.{HERE}.example.com"))
        .custom()
}

/// An object of the kind that the definition defines.
fn thing() -> Kind {
    let version = |name: &str| json!({"apiVersion": format!("{HERE}.example.com/{name}")});
    let aspects = vec![
        Aspect::new("version", "apiVersion", vec![version("v1"), version("v2")]),
        Aspect::new("size", "spec/size", vec![json!({}), spec(json!({"size": 1})), spec(json!({"size": 2}))]),
        Aspect::new(
            "name",
            "spec/name",
            vec![json!({}), spec(json!({"name": "a"})), spec(json!({"name": "b"}))],
        ),
    ];
    Kind::new(
        "thing",
        "things",
        json!({"apiVersion": format!("{HERE}.example.com/v1"), "kind": "Thing", "spec": {}}),
        aspects,
    )
    .custom()
}

/// A namespace.
fn space() -> Kind {
    Kind::new("space", "namespaces", json!({"apiVersion": "v1", "kind": "Namespace"}), Vec::new())
        .in_no_namespace()
        .only(format!("{HERE}-in"))
}

/// An object in that namespace.
fn inside() -> Kind {
    let data = |value: &str| json!({"data": {"key": value}});
    let aspects = vec![Aspect::new("key", "data/key", vec![json!({}), data("1"), data("2")])];
    Kind::new(
        "inside",
        "configmaps",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": format!("{HERE}-in")}}),
        aspects,
    )
    .within(format!("{HERE}-in"))
}

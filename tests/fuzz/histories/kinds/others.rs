//! Kinds of data, rights, budgets and autoscalers. Pure.

use serde_json::{Value, json};

use super::{Aspect, Kind, spec};

pub fn kinds() -> Vec<Kind> {
    vec![config_map(), secret(), budget(), autoscaler(), role(), role_binding(), service_account()]
}

/// What keeps an object when it leaves git.
fn keep() -> Aspect {
    let mark = |key: &str, value: &str| json!({"metadata": {"annotations": {key: value}}});
    Aspect::new(
        "keep",
        "metadata/annotations/holdfast.dev~1prune metadata/annotations/helm.sh~1resource-policy",
        vec![json!({}), mark("holdfast.dev/prune", "Disabled"), mark("helm.sh/resource-policy", "keep")],
    )
}

fn immutable() -> Aspect {
    Aspect::new(
        "immutable",
        "immutable",
        vec![json!({}), json!({"immutable": true}), json!({"immutable": false})],
    )
    .fixed()
}

fn config_map() -> Kind {
    let aspects = vec![
        Aspect::new(
            "one",
            "data/one",
            vec![
                json!({}),
                json!({"data": {"one": "1"}}),
                json!({"data": {"one": "2"}}),
                json!({"data": {"one": ""}}),
            ],
        ),
        Aspect::new(
            "two",
            "data/two binaryData/two",
            vec![
                json!({}),
                json!({"data": {"two": "1"}}),
                json!({"binaryData": {"two": "AAE="}}),
                json!({"data": {"two": "line\nline\n"}}),
            ],
        ),
        Aspect::new(
            "file",
            "data/app.yaml",
            vec![json!({}), json!({"data": {"app.yaml": "a: 1\n"}}), json!({"data": {"app.yaml": "a: 2\n"}})],
        ),
        immutable(),
        keep(),
    ];
    Kind::new("configmap", "configmaps", json!({"apiVersion": "v1", "kind": "ConfigMap"}), aspects)
}

fn secret() -> Kind {
    let aspects = vec![
        Aspect::new(
            "one",
            "data/one stringData/one",
            vec![
                json!({}),
                json!({"data": {"one": "MQ=="}}),
                json!({"stringData": {"one": "1"}}),
                json!({"stringData": {"one": "2"}}),
            ],
        ),
        Aspect::new(
            "two",
            "data/two",
            vec![json!({}), json!({"data": {"two": "Mg=="}}), json!({"data": {"two": ""}})],
        ),
        Aspect::new(
            "type",
            "type",
            vec![json!({}), json!({"type": "Opaque"}), json!({"type": "example.com/t"})],
        )
        .fixed(),
        immutable(),
        keep(),
    ];
    Kind::new("secret", "secrets", json!({"apiVersion": "v1", "kind": "Secret"}), aspects)
}

fn budget() -> Kind {
    let aspects = vec![
        Aspect::new(
            "allowed",
            "spec/minAvailable spec/maxUnavailable",
            vec![
                spec(json!({"maxUnavailable": 1})),
                spec(json!({"minAvailable": 1})),
                spec(json!({"minAvailable": "50%"})),
                spec(json!({"maxUnavailable": "20%"})),
            ],
        ),
        Aspect::new(
            "eviction",
            "spec/unhealthyPodEvictionPolicy",
            vec![
                json!({}),
                spec(json!({"unhealthyPodEvictionPolicy": "AlwaysAllow"})),
                spec(json!({"unhealthyPodEvictionPolicy": "IfHealthyBudget"})),
            ],
        ),
        Aspect::new(
            "selector",
            "spec/selector",
            vec![
                spec(json!({"selector": {"matchLabels": {"app": "web"}}})),
                spec(json!({"selector": {"matchLabels": {"app": "web", "tier": "a"}}})),
            ],
        ),
    ];
    Kind::new(
        "budget",
        "poddisruptionbudgets",
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}),
        aspects,
    )
}

fn autoscaler() -> Kind {
    let cpu = |target: Value| json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
    let average = |value: u32| cpu(json!({"type": "Utilization", "averageUtilization": value}));
    let aspects = vec![
        Aspect::new(
            "metrics",
            "spec/metrics",
            vec![
                json!({}),
                spec(json!({"metrics": [average(50)]})),
                spec(json!({"metrics": [cpu(json!({"type": "AverageValue", "averageValue": "500m"}))]})),
                spec(
                    json!({"metrics": [average(60), {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 70}}}]}),
                ),
            ],
        ),
        Aspect::new(
            "behaviour",
            "spec/behavior",
            vec![
                json!({}),
                spec(json!({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}})),
                spec(
                    json!({"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}], "selectPolicy": "Min"}}}),
                ),
            ],
        ),
        Aspect::new(
            "least",
            "spec/minReplicas",
            vec![
                json!({}),
                spec(json!({"minReplicas": 1})),
                spec(json!({"minReplicas": 2})),
                spec(json!({"minReplicas": null})),
            ],
        ),
        Aspect::new(
            "most",
            "spec/maxReplicas",
            vec![spec(json!({"maxReplicas": 4})), spec(json!({"maxReplicas": 6}))],
        ),
        Aspect::new(
            "target",
            "spec/scaleTargetRef",
            vec![
                spec(
                    json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}}),
                ),
                spec(json!({"scaleTargetRef": {"kind": "ReplicationController", "name": "none"}})),
            ],
        ),
    ];
    Kind::new(
        "autoscaler",
        "horizontalpodautoscalers",
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}),
        aspects,
    )
}

fn role() -> Kind {
    let rule = |verbs: Value| json!({"apiGroups": [""], "resources": ["pods"], "verbs": verbs});
    let aspects = vec![Aspect::new(
        "rules",
        "rules",
        vec![
            json!({"rules": [rule(json!(["get"]))]}),
            json!({"rules": [rule(json!(["get", "list"])), rule(json!(["watch"]))]}),
            json!({"rules": []}),
            json!({"rules": [rule(json!(["list", "get"]))]}),
        ],
    )];
    Kind::new("role", "roles", json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}), aspects)
}

fn role_binding() -> Kind {
    let to = |name: &str| json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}});
    let subject = |name: &str| json!({"kind": "ServiceAccount", "name": name, "namespace": "default"});
    let aspects = vec![
        Aspect::new("role", "roleRef", vec![to("one"), to("two")]).fixed(),
        Aspect::new(
            "subjects",
            "subjects",
            vec![
                json!({}),
                json!({"subjects": [subject("a")]}),
                json!({"subjects": [subject("b"), subject("a")]}),
                json!({"subjects": [{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}]}),
            ],
        ),
    ];
    Kind::new(
        "rolebinding",
        "rolebindings",
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}),
        aspects,
    )
}

fn service_account() -> Kind {
    let aspects = vec![
        Aspect::new(
            "token",
            "automountServiceAccountToken",
            vec![
                json!({}),
                json!({"automountServiceAccountToken": false}),
                json!({"automountServiceAccountToken": true}),
            ],
        ),
        Aspect::new(
            "pull",
            "imagePullSecrets",
            vec![
                json!({}),
                json!({"imagePullSecrets": [{"name": "a"}]}),
                json!({"imagePullSecrets": [{"name": "b"}, {"name": "a"}]}),
            ],
        ),
    ];
    Kind::new(
        "serviceaccount",
        "serviceaccounts",
        json!({"apiVersion": "v1", "kind": "ServiceAccount"}),
        aspects,
    )
}

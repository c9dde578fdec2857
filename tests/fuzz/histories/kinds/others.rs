//! Kinds of data, rights, budgets and autoscalers. Pure.

use serde_json::{Value, json};

use super::{Aspect, Kind, metadata, spec};

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
    let mut aspects = vec![
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
    aspects.extend(metadata());
    Kind {
        name: "configmap",
        api: "api/v1".to_owned(),
        plural: "configmaps",
        cluster: false,
        only: None,
        within: None,
        base: json!({"apiVersion": "v1", "kind": "ConfigMap"}),
        aspects,
        scales: false,
        strategic: true,
    }
}

fn secret() -> Kind {
    let mut aspects = vec![
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
    aspects.extend(metadata());
    Kind {
        name: "secret",
        api: "api/v1".to_owned(),
        plural: "secrets",
        cluster: false,
        only: None,
        within: None,
        base: json!({"apiVersion": "v1", "kind": "Secret"}),
        aspects,
        scales: false,
        strategic: true,
    }
}

fn budget() -> Kind {
    let mut aspects = vec![
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
    aspects.extend(metadata());
    Kind {
        name: "budget",
        api: "apis/policy/v1".to_owned(),
        plural: "poddisruptionbudgets",
        cluster: false,
        only: None,
        within: None,
        base: json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}),
        aspects,
        scales: false,
        strategic: true,
    }
}

fn autoscaler() -> Kind {
    let cpu = |target: Value| json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
    let average = |value: u32| cpu(json!({"type": "Utilization", "averageUtilization": value}));
    let mut aspects = vec![
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
    aspects.extend(metadata());
    Kind {
        name: "autoscaler",
        api: "apis/autoscaling/v2".to_owned(),
        plural: "horizontalpodautoscalers",
        cluster: false,
        only: None,
        within: None,
        base: json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}),
        aspects,
        scales: false,
        strategic: true,
    }
}

fn role() -> Kind {
    let rule = |verbs: Value| json!({"apiGroups": [""], "resources": ["pods"], "verbs": verbs});
    let mut aspects = vec![Aspect::new(
        "rules",
        "rules",
        vec![
            json!({"rules": [rule(json!(["get"]))]}),
            json!({"rules": [rule(json!(["get", "list"])), rule(json!(["watch"]))]}),
            json!({"rules": []}),
            json!({"rules": [rule(json!(["list", "get"]))]}),
        ],
    )];
    aspects.extend(metadata());
    Kind {
        name: "role",
        api: "apis/rbac.authorization.k8s.io/v1".to_owned(),
        plural: "roles",
        cluster: false,
        only: None,
        within: None,
        base: json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}),
        aspects,
        scales: false,
        strategic: true,
    }
}

fn role_binding() -> Kind {
    let to = |name: &str| json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}});
    let subject = |name: &str| json!({"kind": "ServiceAccount", "name": name, "namespace": "default"});
    let mut aspects = vec![
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
    aspects.extend(metadata());
    Kind {
        name: "rolebinding",
        api: "apis/rbac.authorization.k8s.io/v1".to_owned(),
        plural: "rolebindings",
        cluster: false,
        only: None,
        within: None,
        base: json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}),
        aspects,
        scales: false,
        strategic: true,
    }
}

fn service_account() -> Kind {
    let mut aspects = vec![
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
    aspects.extend(metadata());
    Kind {
        name: "serviceaccount",
        api: "api/v1".to_owned(),
        plural: "serviceaccounts",
        cluster: false,
        only: None,
        within: None,
        base: json!({"apiVersion": "v1", "kind": "ServiceAccount"}),
        aspects,
        scales: false,
        strategic: true,
    }
}

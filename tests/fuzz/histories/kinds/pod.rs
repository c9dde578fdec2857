//! The aspects of a pod template: unions, keyed lists, atomic lists and defaults. Pure.

use serde_json::{Value, json};

use super::{Aspect, below};
use crate::histories::fragment;

/// The base of a template.
pub fn base(app: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c0", "image": "example.com/web:1"}]}})
}

/// The name of an aspect, its roots below the template, and its variants.
type Row = (&'static str, String, Vec<Value>);

const C0: &str = "spec/containers[c0]";

/// What containers and volumes of a template may say, below the fields that lead to the template.
pub fn aspects(template: &[&str]) -> Vec<Aspect> {
    let prefix = template.join("/");
    let all = [containers(), unions(), pods()].into_iter().flatten().map(|(name, roots, variants)| {
        let roots = roots.split(' ').map(|root| fragment::path(&format!("{prefix}/{root}"))).collect();
        let variants = variants.into_iter().map(|part| below_unless_empty(template, part)).collect();
        Aspect { name, roots, variants, fixed: false }
    });
    all.collect()
}

fn below_unless_empty(fields: &[&str], part: Value) -> Value {
    if part == json!({}) { part } else { below(fields, part) }
}

fn container(mut part: Value) -> Value {
    part["name"] = json!("c0");
    json!({"spec": {"containers": [part]}})
}

fn env(name: &str, mut part: Value) -> Value {
    part["name"] = json!(name);
    container(json!({"env": [part]}))
}

fn map(name: &str) -> Value {
    json!({"valueFrom": {"configMapKeyRef": {"name": name, "key": "k"}}})
}

fn volume(mut part: Value) -> Value {
    part["name"] = json!("data");
    json!({"spec": {"volumes": [part]}})
}

fn mounted(part: Value) -> Value {
    let mut whole = volume(part);
    let mount = json!({"volumeMounts": [{"mountPath": "/data", "name": "data"}]});
    fragment::merge(&mut whole, &container(mount));
    whole
}

/// Fields and lists of a container.
fn containers() -> Vec<Row> {
    vec![
        (
            "image",
            format!("{C0}/image"),
            vec![
                json!({}),
                container(json!({"image": "example.com/web:2"})),
                container(json!({"image": "example.com/web:3"})),
            ],
        ),
        (
            "env-a",
            format!("{C0}/env[A]"),
            vec![
                json!({}),
                env("A", json!({"value": "1"})),
                env("A", json!({"value": "2"})),
                env("A", map("m")),
                env("A", json!({"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})),
                env("A", json!({"valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": true}}})),
            ],
        ),
        (
            "env-b",
            format!("{C0}/env[B]"),
            vec![
                json!({}),
                env("B", json!({"value": "x"})),
                env("B", map("n")),
                env("B", json!({"value": ""})),
            ],
        ),
        (
            "ports",
            format!("{C0}/ports"),
            vec![
                json!({}),
                container(json!({"ports": [{"containerPort": 80, "name": "http"}]})),
                container(json!({"ports": [{"containerPort": 8080, "name": "http"}]})),
                container(
                    json!({"ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81, "name": "more"}]}),
                ),
                container(json!({"ports": [{"containerPort": 80, "name": "dns", "protocol": "UDP"}]})),
            ],
        ),
        (
            "resources",
            format!("{C0}/resources"),
            vec![
                json!({}),
                container(json!({"resources": {"limits": {"cpu": "1"}}})),
                container(
                    json!({"resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}, "requests": {"cpu": "100m"}}}),
                ),
                container(json!({"resources": {"requests": {"memory": "1024Mi"}}})),
            ],
        ),
        (
            "args",
            format!("{C0}/args"),
            vec![
                json!({}),
                container(json!({"args": ["a"]})),
                container(json!({"args": ["a", "b"]})),
                container(json!({"args": ["b", "a"]})),
            ],
        ),
        (
            "security",
            format!("{C0}/securityContext"),
            vec![
                json!({}),
                container(json!({"securityContext": {"runAsUser": 1000}})),
                container(
                    json!({"securityContext": {"readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}}}),
                ),
            ],
        ),
    ]
}

/// Structs of which one member excludes the others.
fn unions() -> Vec<Row> {
    let probe = |part: Value| container(json!({ "readinessProbe": part }));
    let hook = |part: Value| container(json!({"lifecycle": {"preStop": part}}));
    vec![
        (
            "volume",
            format!("spec/volumes[data] {C0}/volumeMounts[/data]"),
            vec![
                json!({}),
                volume(json!({"emptyDir": {}})),
                volume(json!({"configMap": {"name": "m"}})),
                mounted(json!({"secret": {"secretName": "s"}})),
                mounted(json!({"emptyDir": {"medium": "Memory"}})),
                volume(json!({"persistentVolumeClaim": {"claimName": "p"}})),
            ],
        ),
        (
            "probe",
            format!("{C0}/readinessProbe"),
            vec![
                json!({}),
                probe(json!({"httpGet": {"port": 80, "path": "/ok"}})),
                probe(json!({"tcpSocket": {"port": 80}})),
                probe(json!({"exec": {"command": ["true"]}, "periodSeconds": 5})),
                probe(json!({"grpc": {"port": 90}})),
            ],
        ),
        (
            "hook",
            format!("{C0}/lifecycle"),
            vec![
                json!({}),
                hook(json!({"exec": {"command": ["true"]}})),
                hook(json!({"httpGet": {"port": 80, "path": "/bye"}})),
                hook(json!({"sleep": {"seconds": 1}})),
            ],
        ),
    ]
}

/// What else a template may say.
fn pods() -> Vec<Row> {
    vec![
        (
            "sidecar",
            "spec/containers[c1]".to_owned(),
            vec![
                json!({}),
                json!({"spec": {"containers": [{"name": "c1", "image": "example.com/side:1"}]}}),
                json!({"spec": {"containers": [{"name": "c1", "image": "example.com/side:2", "env": [{"name": "S", "value": "1"}]}]}}),
            ],
        ),
        (
            "init",
            "spec/initContainers".to_owned(),
            vec![
                json!({}),
                json!({"spec": {"initContainers": [{"name": "i0", "image": "example.com/init:1"}]}}),
                json!({"spec": {"initContainers": [{"name": "i1", "image": "example.com/init:1"}, {"name": "i0", "image": "example.com/init:2"}]}}),
            ],
        ),
        (
            "tolerations",
            "spec/tolerations".to_owned(),
            vec![
                json!({}),
                json!({"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}}),
                json!({"spec": {"tolerations": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Equal", "value": "1", "effect": "NoSchedule"}]}}),
            ],
        ),
        (
            "grace",
            "spec/terminationGracePeriodSeconds".to_owned(),
            vec![
                json!({}),
                json!({"spec": {"terminationGracePeriodSeconds": 0}}),
                json!({"spec": {"terminationGracePeriodSeconds": 1}}),
                json!({"spec": {"terminationGracePeriodSeconds": null}}),
            ],
        ),
        (
            "template-annotation",
            "metadata/annotations".to_owned(),
            vec![
                json!({}),
                json!({"metadata": {"annotations": {"example.com/roll": "1"}}}),
                json!({"metadata": {"annotations": {"example.com/roll": "2", "example.com/more": "1"}}}),
            ],
        ),
        (
            "aliases",
            "spec/hostAliases".to_owned(),
            vec![
                json!({}),
                json!({"spec": {"hostAliases": [{"ip": "10.1.1.1", "hostnames": ["a"]}]}}),
                json!({"spec": {"hostAliases": [{"ip": "10.1.1.1", "hostnames": ["b"]}, {"ip": "10.1.1.2", "hostnames": ["c"]}]}}),
            ],
        ),
    ]
}

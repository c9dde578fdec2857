//! Values of which an object has one form or another, in many kinds: Git changes from one form to the other and back, and a user
//! makes one of the other by hand. I/O: processes, network.

use anyhow::{Context as _, ensure};
use holdfast_tests::eventually;
use holdfast_tests::shared::{SOON, Shared, run};
use serde_json::{Value, json};

const NAMESPACE: &str = "members";

/// An object in two forms: where these differ, and both values.
struct Member {
    object: &'static str,
    manifest: Value,
    path: &'static str,
    forms: [Value; 2],
}

fn workload(kind: &str, name: &str, pod: &Value) -> Value {
    let mut spec = json!({"selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": pod}});
    if kind != "DaemonSet" {
        spec["replicas"] = 0.into();
    }
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// A Deployment whose pod, or first container, has the value.
fn pod(object: &'static str, path: &'static str, forms: [Value; 2]) -> Member {
    let name = object.rsplit('/').next().unwrap_or_default();
    let pod = json!({"containers": [{"name": "c", "image": "i:1"}],
        "volumes": [{"name": "v", "emptyDir": {}}]});
    Member { object, manifest: workload("Deployment", name, &pod), path, forms }
}

fn of(object: &'static str, api: &str, spec: &Value, path: &'static str, forms: [Value; 2]) -> Member {
    let (kind, name) = object.split_once('/').unwrap_or_default();
    let manifest = json!({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec});
    Member { object, manifest, path, forms }
}

#[expect(clippy::too_many_lines, reason = "a table of objects")]
fn members() -> Vec<Member> {
    let metric = |kind: &str, field: &str, more: Value| {
        let mut metric =
            json!({"type": kind, field: {"target": {"type": "AverageValue", "averageValue": "5"}}});
        metric[field]
            .as_object_mut()
            .expect("it is one")
            .extend(more.as_object().cloned().unwrap_or_default());
        json!([metric])
    };
    let key = |field: &str| json!({"name": "A", "valueFrom": {field: {"name": "x", "key": "k"}}});
    let field = json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}});
    let resource = json!({"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}});
    let scale = json!({"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}});
    let rules = |backend: Value| json!([{"host": "a.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]);
    let failure = |rule: Value| json!({"rules": [rule]});
    let job = json!({"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}}}});
    let http = json!({"selector": {"app": "x"}, "ports": [{"name": "http", "port": 80}]});
    let source = |name: &str| json!({"name": "v", "projected": {"sources": [{name: {"name": "x"}}]}});
    let token = json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}});
    let webhook = |client: Value| {
        json!([{"name": "a.members.example.com", "clientConfig": client, "failurePolicy": "Ignore", "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "rules": [{"apiGroups": ["members.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["none"]}]}])
    };
    let level = |response: Value| json!({"nominalConcurrencyShares": 1, "limitResponse": response});
    vec![
        pod(
            "Deployment/env-one",
            "/spec/template/spec/containers/0/env",
            [json!([key("configMapKeyRef")]), json!([key("secretKeyRef")])],
        ),
        pod(
            "Deployment/env-two",
            "/spec/template/spec/containers/0/env",
            [json!([field]), json!([resource])],
        ),
        pod(
            "Deployment/env-three",
            "/spec/template/spec/containers/0/envFrom",
            [json!([{"configMapRef": {"name": "x"}}]), json!([{"secretRef": {"name": "x"}}])],
        ),
        pod(
            "Deployment/projected-one",
            "/spec/template/spec/volumes/0",
            [source("configMap"), source("secret")],
        ),
        pod(
            "Deployment/projected-two",
            "/spec/template/spec/volumes/0",
            [token, json!({"name": "v", "secret": {"secretName": "x"}})],
        ),
        pod(
            "Deployment/volume",
            "/spec/template/spec/volumes/0",
            [
                json!({"name": "v", "hostPath": {"path": "/x", "type": "Directory"}}),
                json!({"name": "v", "persistentVolumeClaim": {"claimName": "x"}}),
            ],
        ),
        pod(
            "Deployment/probe",
            "/spec/template/spec/containers/0/readinessProbe",
            [json!({"grpc": {"port": 80}}), json!({"tcpSocket": {"port": 80}})],
        ),
        pod(
            "Deployment/hook",
            "/spec/template/spec/containers/0/lifecycle",
            [
                json!({"preStop": {"exec": {"command": ["x"]}}}),
                json!({"preStop": {"httpGet": {"path": "/", "port": 80}}}),
            ],
        ),
        pod(
            "Deployment/seccomp",
            "/spec/template/spec/securityContext",
            [
                json!({"seccompProfile": {"type": "Localhost", "localhostProfile": "a"}}),
                json!({"seccompProfile": {"type": "RuntimeDefault"}}),
            ],
        ),
        pod(
            "Deployment/strategy",
            "/spec/strategy",
            [json!({"type": "Recreate"}), json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}})],
        ),
        Member {
            object: "DaemonSet/daemon",
            manifest: workload(
                "DaemonSet",
                "daemon",
                &json!({"nodeSelector": {"no": "where"}, "containers": [{"name": "c", "image": "i:1"}]}),
            ),
            path: "/spec/updateStrategy",
            forms: [
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}),
                json!({"type": "OnDelete"}),
            ],
        },
        of(
            "HorizontalPodAutoscaler/one",
            "autoscaling/v2",
            &scale,
            "/spec/metrics",
            [
                metric("Resource", "resource", json!({"name": "cpu"})),
                metric("ContainerResource", "containerResource", json!({"name": "cpu", "container": "c"})),
            ],
        ),
        of(
            "HorizontalPodAutoscaler/two",
            "autoscaling/v2",
            &scale,
            "/spec/metrics",
            [
                metric("Pods", "pods", json!({"metric": {"name": "m"}})),
                metric("External", "external", json!({"metric": {"name": "m"}})),
            ],
        ),
        of(
            "NetworkPolicy/peers",
            "networking.k8s.io/v1",
            &json!({"podSelector": {}}),
            "/spec/ingress",
            [
                json!([{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]),
                json!([{"from": [{"podSelector": {"matchLabels": {"a": "b"}}}]}]),
            ],
        ),
        of(
            "Ingress/port",
            "networking.k8s.io/v1",
            &json!({}),
            "/spec/rules",
            [
                rules(json!({"service": {"name": "x", "port": {"number": 80}}})),
                rules(json!({"service": {"name": "x", "port": {"name": "http"}}})),
            ],
        ),
        of(
            "Ingress/backend",
            "networking.k8s.io/v1",
            &json!({}),
            "/spec/defaultBackend",
            [
                json!({"service": {"name": "x", "port": {"number": 80}}}),
                json!({"resource": {"apiGroup": "a.example.com", "kind": "B", "name": "x"}}),
            ],
        ),
        of(
            "CronJob/failures",
            "batch/v1",
            &job,
            "/spec/jobTemplate/spec/podFailurePolicy",
            [
                failure(json!({"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3]}})),
                failure(
                    json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}),
                ),
            ],
        ),
        of(
            "PodDisruptionBudget/budget",
            "policy/v1",
            &json!({"selector": {"matchLabels": {"app": "x"}}}),
            "/spec",
            [json!({"minAvailable": "50%"}), json!({"maxUnavailable": 1})],
        ),
        of(
            "Service/affinity",
            "v1",
            &http,
            "/spec",
            [
                json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}),
                json!({"sessionAffinity": "None"}),
            ],
        ),
        of(
            "Service/type",
            "v1",
            &http,
            "/spec",
            [json!({"type": "NodePort", "externalTrafficPolicy": "Local"}), json!({"type": "ClusterIP"})],
        ),
        of(
            "Service/ports",
            "v1",
            &json!({"selector": {"app": "x"}}),
            "/spec/ports",
            [
                json!([{"name": "dns", "port": 53, "protocol": "TCP"}]),
                json!([{"name": "dns", "port": 53, "protocol": "UDP"}]),
            ],
        ),
        Member {
            object: "ValidatingWebhookConfiguration/members-hook",
            manifest: json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "members-hook"}}),
            path: "/webhooks",
            forms: [
                webhook(json!({"url": "https://127.0.0.1:1/x"})),
                webhook(json!({"service": {"name": "x", "namespace": NAMESPACE}})),
            ],
        },
        of(
            "PriorityLevelConfiguration/members-level",
            "flowcontrol.apiserver.k8s.io/v1",
            &json!({"type": "Limited"}),
            "/spec/limited",
            [
                level(json!({"type": "Reject"})),
                level(
                    json!({"type": "Queue", "queuing": {"queues": 4, "handSize": 2, "queueLengthLimit": 5}}),
                ),
            ],
        ),
        of(
            "CustomResourceDefinition/monitors.members.example.com",
            "apiextensions.k8s.io/v1",
            &definition(),
            "/spec/conversion",
            [
                json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/x"}}}),
                json!({"strategy": "None"}),
            ],
        ),
        of(
            "Monitor/keyed",
            "members.example.com/v1",
            &json!({"name": "x"}),
            "/spec/endpoints",
            [
                json!([{"name": "a", "port": "http"}, {"name": "b", "targetPort": 80}]),
                json!([{"name": "a", "targetPort": 81}, {"name": "b", "port": "http"}]),
            ],
        ),
        of(
            "Monitor/twice-keyed",
            "members.example.com/v1",
            &json!({"name": "x"}),
            "/spec/hosts",
            [
                json!([{"host": "a", "port": 80, "tls": "on"}]),
                json!([{"host": "a", "port": 81, "plain": "on"}]),
            ],
        ),
    ]
}

/// A kind like that of a ServiceMonitor: lists that are keyed by one and by two fields, whose items have one field or another.
fn definition() -> Value {
    let one_of = |one: &str, other: &str| json!([{"required": [one]}, {"required": [other]}]);
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "name": {"type": "string"},
        "endpoints": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "oneOf": one_of("port", "targetPort"),
                "properties": {"name": {"type": "string"}, "port": {"type": "string"}, "targetPort": {"type": "integer"}}}},
        "hosts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["host", "port"], "maxItems": 1,
            "items": {"type": "object", "required": ["host", "port"],
                "properties": {"host": {"type": "string"}, "port": {"type": "integer"}, "tls": {"type": "string"}, "plain": {"type": "string"}}}},
    }}}});
    json!({"group": "members.example.com", "scope": "Namespaced",
        "names": {"plural": "monitors", "singular": "monitor", "kind": "Monitor", "listKind": "MonitorList"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]})
}

impl Member {
    /// The manifest in one of the forms.
    fn form(&self, which: usize) -> anyhow::Result<Value> {
        let mut manifest = self.manifest.clone();
        let (parent, name) = self.path.rsplit_once('/').context("a path")?;
        let parent =
            manifest.pointer_mut(parent).with_context(|| format!("{} of {}", self.path, self.object))?;
        match (parent, &self.forms[which]) {
            (Value::Object(fields), Value::Object(form)) if self.path == "/spec" => {
                let spec = fields.get_mut(name).and_then(Value::as_object_mut).context("a spec")?;
                spec.extend(form.clone());
            }
            (Value::Object(fields), form) => drop(fields.insert(name.to_owned(), form.clone())),
            (Value::Array(items), form) => items[name.parse::<usize>()?] = form.clone(),
            _ => anyhow::bail!("{} of {}", self.path, self.object),
        }
        Ok(manifest)
    }

    /// What a live object has beside or without what a form says.
    fn differs(&self, live: &Value, which: usize) -> Option<String> {
        let found = live.pointer(self.path).cloned().unwrap_or_default();
        let (form, other) = (&self.forms[which], &self.forms[1 - which]);
        (!holds(&found, form) || has_more(&found, form, other)).then(|| format!("{}: {found}", self.object))
    }
}

/// True if a live value has everything that a form says, and no other items in its lists.
fn holds(live: &Value, form: &Value) -> bool {
    match (live, form) {
        (Value::Object(live), Value::Object(form)) => {
            form.iter().all(|(name, form)| live.get(name).is_some_and(|live| holds(live, form)))
        }
        (Value::Array(live), Value::Array(form)) => {
            live.len() == form.len() && live.iter().zip(form).all(|(live, form)| holds(live, form))
        }
        (live, form) => live == form,
    }
}

/// True if a live value has what only the other form says.
fn has_more(live: &Value, form: &Value, other: &Value) -> bool {
    match (live, form, other) {
        (Value::Object(live), Value::Object(form), Value::Object(other)) => {
            other.iter().any(|(name, other)| match (live.get(name), form.get(name)) {
                (Some(_), None) => true,
                (Some(live), Some(form)) => has_more(live, form, other),
                (None, _) => false,
            })
        }
        (Value::Array(live), Value::Array(form), Value::Array(other)) => {
            live.iter().zip(form).zip(other).any(|((live, form), other)| has_more(live, form, other))
        }
        _ => false,
    }
}

async fn read(shared: &Shared, object: &str) -> anyhow::Result<Value> {
    let text = shared.env.cluster.must(&["-n", NAMESPACE, "get", object, "-o", "json"]).await?;
    Ok(serde_json::from_str(&text)?)
}

/// Waits until all objects have one of their forms.
async fn all_are(shared: &Shared, members: &[Member], which: usize) -> anyhow::Result<()> {
    for member in members {
        eventually(SOON, &format!("{} to be in form {which}", member.object), || async {
            let differs = member.differs(&read(shared, member.object).await?, which);
            ensure!(differs.is_none(), "{}", differs.unwrap_or_default());
            Ok(true)
        })
        .await?;
    }
    Ok(())
}

/// Makes the other form of an object by hand.
async fn replace(shared: &Shared, member: &Member, which: usize) -> anyhow::Result<()> {
    let mut live = read(shared, member.object).await?;
    let form = member.form(which)?;
    let value = form.pointer(member.path).cloned().unwrap_or_default();
    if member.path == "/spec" {
        let before = member.forms[1 - which].as_object().context("fields")?;
        let spec = live["spec"].as_object_mut().context("a spec")?;
        spec.retain(|name, _| !before.contains_key(name));
        spec.extend(value.as_object().cloned().unwrap_or_default());
    } else {
        *live.pointer_mut(member.path).with_context(|| format!("{} of {}", member.path, member.object))? =
            value;
    }
    let cluster = &shared.env.cluster;
    let arguments = ["-n", NAMESPACE, "replace", "--field-manager=kubectl-edit", "-f", "-"];
    let output = cluster.kubectl_with(&cluster.kubeconfig(), &arguments, &live.to_string()).await?;
    ensure!(output.status.success(), "{}: {output:?}", member.object);
    Ok(())
}

#[test]
fn every_form_of_a_value_yields_to_the_one_in_git() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let members = members();
        let files = |which: usize| -> anyhow::Result<String> {
            let all = members.iter().map(|member| Ok(member.form(which)?.to_string()));
            Ok(all.collect::<anyhow::Result<Vec<String>>>()?.join("\n---\n"))
        };
        let more = json!({"health": {"wait": false}, "approval": "Never"});
        let repository = shared.begin(NAMESPACE, &[("all.yaml", &files(0)?)], &more).await?;
        all_are(shared, &members, 0).await?;
        for which in [1, 0] {
            let commit = repository.commit(&[("all.yaml", &files(which)?)], "The other form")?;
            shared.env.ready(NAMESPACE, "app", Some(&commit)).await?;
            all_are(shared, &members, which).await?;
        }
        for member in &members {
            replace(shared, member, 1).await?;
        }
        all_are(shared, &members, 0).await?;
        shared.env.ready(NAMESPACE, "app", None).await
    })
}

//! Fields on a real API server: a field that leaves Git leaves the cluster, whatever other managers own it; what cannot stand beside what git
//! says yields to it; and what is handed over stays as it is. I/O: processes, network.

#[path = "fields/additions.rs"]
mod additions;
#[path = "fields/items.rs"]
mod items;
#[path = "fields/leftovers.rs"]
mod leftovers;
#[path = "fields/members.rs"]
mod members;

use anyhow::Context as _;
use holdfast_tests::agent::holdfast;
use holdfast_tests::shared::{SOON, Shared, run};
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

/// Runs kubectl in a namespace with a manifest on its standard input.
async fn kubectl(shared: &Shared, namespace: &str, more: &[&str], manifest: &str) -> anyhow::Result<()> {
    let cluster = &shared.env.cluster;
    let arguments = [&["-n", namespace], more].concat();
    let output = cluster.kubectl_with(&cluster.kubeconfig(), &arguments, manifest).await?;
    anyhow::ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(())
}

/// Changes an object by a JSON patch, as `kubectl edit` would.
async fn edit(shared: &Shared, namespace: &str, object: &str, patch: &Value) -> anyhow::Result<()> {
    let patch = patch.to_string();
    let arguments =
        ["-n", namespace, "patch", object, "--type=json", "--field-manager=kubectl-edit", "-p", &patch];
    shared.env.cluster.must(&arguments).await?;
    Ok(())
}

/// The changes of `holdfast plan`, by the name of the object.
async fn plan(shared: &Shared, namespace: &str) -> anyhow::Result<(String, Vec<Value>)> {
    let arguments = ["plan", "app", "-n", namespace, "-o", "json"];
    let output = holdfast(&shared.env.cluster.kubeconfig(), &arguments).await?;
    let found: Value =
        serde_json::from_slice(&output.stdout).with_context(|| format!("no JSON: {output:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((said, found["changes"].as_array().cloned().unwrap_or_default()))
}

async fn suspend(shared: &Shared, namespace: &str, reason: Option<&str>) -> anyhow::Result<()> {
    let suspend = reason.map(|reason| json!({"reason": reason}));
    shared.patch(namespace, "sync/app", &json!({"spec": {"suspend": suspend}})).await?;
    Ok(())
}

fn map(name: &str, more: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: \"1\"{more}}}\n")
}

#[test]
fn what_leaves_git_goes_whoever_else_owns_it() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "leaves";
        let repository = shared.env.forge.repository(namespace).await?;
        shared.env.namespace(namespace).await?;
        let create = ["create", "-f", "-"];
        kubectl(shared, namespace, &create, &map("created", ", more: \"1\"")).await?;
        let with = ", more: \"1\"";
        let names = ["applied", "created", "patched", "former", "operated"];
        let all = |more: &str| names.map(|name| map(name, more)).join("---\n");
        let first = names.map(|name| map(name, if name == "patched" { "" } else { with })).join("---\n");
        let commit = repository.commit(&[("all.yaml", &first)], "Begin")?;
        shared.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &json!({}))).await?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let apply = |manager: &'static str| {
            ["apply", "--server-side", "--force-conflicts", "-f", "-", "--field-manager", manager]
        };
        kubectl(shared, namespace, &apply("kubectl"), &map("applied", with)).await?;
        kubectl(shared, namespace, &apply("kustomize-controller"), &map("former", with)).await?;
        kubectl(shared, namespace, &apply("example-operator"), &map("operated", with)).await?;
        shared.patch(namespace, "configmap/patched", &json!({"data": {"more": "1"}})).await?;
        let commit = repository.commit(&[("all.yaml", &all(with))], "Commit the hotfix as it is")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;

        suspend(shared, namespace, Some("the plan first")).await?;
        shared.env.reason(namespace, "app", "Suspended").await?;
        let commit = repository.commit(&[("all.yaml", &all(""))], "Take it out")?;
        let (said, changes) = plan(shared, namespace).await?;
        let gone: Vec<&str> = changes
            .iter()
            .filter(|change| {
                let mut fields = change["fields"].as_array().into_iter().flatten();
                fields.any(|field| {
                    field["path"] == "/data/more" && field["before"] == "1" && field["after"].is_null()
                })
            })
            .filter_map(|change| change["object"]["name"].as_str())
            .collect();
        assert_eq!(gone, ["applied", "created", "former", "patched"], "{changes:#?}");
        assert!(said.contains("operated") && said.contains("example-operator"), "{said}");
        suspend(shared, namespace, None).await?;
        for name in ["applied", "created", "former", "patched"] {
            shared.until(namespace, &format!("configmap/{name}"), "{.data}", r#"{"key":"1"}"#).await?;
        }
        // A controller that may still write it keeps it, and that is drift.
        eventually(SOON, "the field of the operator to be drift", || async {
            let sync = shared.env.read(namespace, "app").await?;
            let told = sync["status"]["drift"].to_string();
            anyhow::ensure!(
                sync["status"]["revision"]["applied"].as_str().is_some_and(|at| at.ends_with(&commit)),
                "{sync}"
            );
            anyhow::ensure!(told.contains("operated") && told.contains("example-operator"), "{told}");
            anyhow::ensure!(told.contains("/data/more") && told.contains("ignore"), "{told}");
            Ok(shared.env.condition(namespace, "app", "Drifted").await?.status == "True")
        })
        .await?;
        assert_eq!(shared.jsonpath(namespace, "configmap/operated", "{.data.more}").await?, "1");
        // The operator lets go of it: it goes, and nothing differs any more.
        kubectl(shared, namespace, &apply("example-operator"), &map("operated", "")).await?;
        shared.until(namespace, "configmap/operated", "{.data}", r#"{"key":"1"}"#).await?;
        eventually(SOON, "the drift to be over", || async {
            Ok(shared.env.condition(namespace, "app", "Drifted").await?.status == "False")
        })
        .await
    })
}

/// Objects with unions and keyed lists, in two forms each.
fn unions(second: bool) -> String {
    let pick = |one: &'static str, other: &'static str| if second { other } else { one };
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{selector: {{app: web}}, ports: [{{name: http, port: {port}}}]}}\n---\n\
         apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: web}}\nspec: {{{budget}, selector: {{matchLabels: {{app: web}}}}}}\n---\n\
         apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db}}\nspec:\n  serviceName: db\n  replicas: 0\n  updateStrategy: {{{update}}}\n  selector: {{matchLabels: {{app: db}}}}\n  template: {{metadata: {{labels: {{app: db}}}}, spec: {{containers: [{{name: db, image: \"db:1\"}}]}}}}\n---\n\
         apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: web}}\nspec: {{defaultBackend: {{service: {{name: web, port: {{{backend}}}}}}}}}\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: 0\n  strategy: {{{strategy}}}\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      volumes: [{{name: data, {volume}}}]\n      containers:\n      - name: web\n        image: web:1\n        env: [{{name: A, {env}}}]\n        livenessProbe: {{periodSeconds: 7, {probe}}}\n",
        port = pick("80", "81"),
        budget = pick("minAvailable: 1", "maxUnavailable: 1"),
        update = pick("type: RollingUpdate, rollingUpdate: {partition: 1}", "type: OnDelete"),
        backend = pick("number: 80", "name: http"),
        strategy = pick("type: RollingUpdate, rollingUpdate: {maxSurge: 1}", "type: Recreate"),
        volume = pick("emptyDir: {}", "configMap: {name: data}"),
        env = pick("value: \"1\"", "valueFrom: {fieldRef: {fieldPath: metadata.name}}"),
        probe = pick("httpGet: {path: /, port: 80}", "exec: {command: [\"true\"]}"),
    )
}

/// What of the two forms is there.
async fn form(shared: &Shared, namespace: &str) -> anyhow::Result<String> {
    let paths = [
        ("service/web", "{.spec.ports[*].port}"),
        ("pdb/web", "{.spec.minAvailable}/{.spec.maxUnavailable}"),
        ("statefulset/db", "{.spec.updateStrategy.type}/{.spec.updateStrategy.rollingUpdate.partition}"),
        ("ingress/web", "{.spec.defaultBackend.service.port}"),
        ("deployment/web", "{.spec.strategy.type}/{.spec.strategy.rollingUpdate.maxSurge}"),
        (
            "deployment/web",
            "{.spec.template.spec.volumes[0].emptyDir}/{.spec.template.spec.volumes[0].configMap.name}",
        ),
        (
            "deployment/web",
            "{.spec.template.spec.containers[0].env[0].value}/{.spec.template.spec.containers[0].env[0].valueFrom.fieldRef.fieldPath}",
        ),
        (
            "deployment/web",
            "{.spec.template.spec.containers[0].livenessProbe.httpGet.path}/{.spec.template.spec.containers[0].livenessProbe.exec.command}",
        ),
    ];
    let mut found = Vec::new();
    for (object, path) in paths {
        found.push(shared.jsonpath(namespace, object, path).await?);
    }
    Ok(found.join(" "))
}

const ONE: &str = r#"80 1/ RollingUpdate/1 {"number":80} RollingUpdate/1 {}/ 1/ //"#;
const OTHER: &str = r#"81 /1 OnDelete/ {"name":"http"} Recreate/ /data /metadata.name /["true"]"#;

/// Replaces every object of the first form by one of the second, as `kubectl replace` does.
async fn replace_all(shared: &Shared, namespace: &str) -> anyhow::Result<()> {
    edit(
        shared,
        namespace,
        "service/web",
        &json!([{"op": "replace", "path": "/spec/ports", "value": [{"name": "http", "port": 81}]}]),
    )
    .await?;
    edit(shared, namespace, "pdb/web", &json!([{"op": "remove", "path": "/spec/minAvailable"}, {"op": "add", "path": "/spec/maxUnavailable", "value": 1}])).await?;
    edit(
        shared,
        namespace,
        "statefulset/db",
        &json!([{"op": "replace", "path": "/spec/updateStrategy", "value": {"type": "OnDelete"}}]),
    )
    .await?;
    edit(
        shared,
        namespace,
        "ingress/web",
        &json!([{"op": "replace", "path": "/spec/defaultBackend/service/port", "value": {"name": "http"}}]),
    )
    .await?;
    let container = "/spec/template/spec/containers/0";
    edit(shared, namespace, "deployment/web", &json!([
        {"op": "replace", "path": "/spec/strategy", "value": {"type": "Recreate"}},
        {"op": "replace", "path": "/spec/template/spec/volumes", "value": [{"name": "data", "configMap": {"name": "data"}}]},
        {"op": "replace", "path": format!("{container}/env"), "value": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        {"op": "remove", "path": format!("{container}/livenessProbe/httpGet")},
        {"op": "add", "path": format!("{container}/livenessProbe/exec"), "value": {"command": ["true"]}},
    ])).await
}

async fn becomes(shared: &Shared, namespace: &str, expected: &str) -> anyhow::Result<()> {
    eventually(SOON, &format!("the objects of {namespace} to become {expected}"), || async {
        let found = form(shared, namespace).await?;
        anyhow::ensure!(found == expected, "{found}");
        Ok(true)
    })
    .await
}

#[test]
fn what_cannot_stand_beside_what_git_says_yields_to_it() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "unions";
        let repository = shared
            .begin(namespace, &[("all.yaml", &unions(false))], &json!({"health": {"wait": false}}))
            .await?;
        becomes(shared, namespace, ONE).await?;
        // By hand, while nothing corrects it: the plan has it, with its owner.
        suspend(shared, namespace, Some("the plan first")).await?;
        shared.env.reason(namespace, "app", "Suspended").await?;
        replace_all(shared, namespace).await?;
        becomes(shared, namespace, OTHER).await?;
        let (said, changes) = plan(shared, namespace).await?;
        let names: Vec<String> =
            changes.iter().map(|change| format!("{}", change["object"]["kind"])).collect();
        assert_eq!(changes.len(), 5, "{said} {names:?} {changes:#?}");
        assert!(changes.iter().all(|change| change.to_string().contains("kubectl-edit")), "{changes:#?}");
        suspend(shared, namespace, None).await?;
        becomes(shared, namespace, ONE).await?;
        shared.env.ready(namespace, "app", None).await?;
        // Git itself goes to the other form, and back.
        for (second, expected) in [(true, OTHER), (false, ONE)] {
            let commit = repository.commit(&[("all.yaml", &unions(second))], "Change the form")?;
            becomes(shared, namespace, expected).await?;
            shared.env.ready(namespace, "app", Some(&commit)).await?;
        }
        Ok(())
    })
}

#[test]
fn an_object_in_the_other_form_of_a_union_is_adopted() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "adopted";
        shared.env.namespace(namespace).await?;
        kubectl(shared, namespace, &["create", "-f", "-"], &unions(true)).await?;
        let repository = shared.env.forge.repository(namespace).await?;
        let commit = repository.commit(&[("all.yaml", &unions(false))], "Begin")?;
        let more = json!({"health": {"wait": false}});
        shared.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &more)).await?;
        becomes(shared, namespace, ONE).await?;
        shared.env.ready(namespace, "app", Some(&commit)).await
    })
}

#[test]
fn replicas_that_leave_git_stay_as_they_are() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "handed";
        let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: pools.fields.example.com}\nspec:\n  group: fields.example.com\n  scope: Namespaced\n  names: {plural: pools, singular: pool, kind: Pool, listKind: PoolList}\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    subresources: {status: {}, scale: {specReplicasPath: .spec.pool.size, statusReplicasPath: .status.size}}\n    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {pool: {type: object, properties: {size: {type: integer, default: 1}, other: {type: integer, default: 1}, tag: {type: string}}}}}, status: {type: object, properties: {size: {type: integer}}}}}}\n";
        shared.env.cluster.apply(definition).await?;
        let all = |replicas: &str, size: &str| {
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n{replicas}  selector: {{matchLabels: {{app: web}}}}\n  template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{{name: web, image: \"web:1\"}}]}}}}\n---\n\
                 apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db}}\nspec:\n{replicas}  serviceName: db\n  selector: {{matchLabels: {{app: db}}}}\n  template: {{metadata: {{labels: {{app: db}}}}, spec: {{containers: [{{name: db, image: \"db:1\"}}]}}}}\n---\n\
                 apiVersion: fields.example.com/v1\nkind: Pool\nmetadata: {{name: pool}}\nspec: {{pool: {{{size}}}}}\n"
            )
        };
        let more = json!({"health": {"wait": false}});
        let before = all("  replicas: 4\n  revisionHistoryLimit: 3\n", "tag: a, size: 4, other: 4");
        let repository = shared.begin(namespace, &[("all.yaml", &before)], &more).await?;
        suspend(shared, namespace, Some("the plan first")).await?;
        shared.env.reason(namespace, "app", "Suspended").await?;
        let commit = repository.commit(&[("all.yaml", &all("", "tag: a"))], "Leave them to an autoscaler")?;
        let (_, changes) = plan(shared, namespace).await?;
        let kept = |change: &&Value| {
            change["reason"].as_str().is_some_and(|reason| reason.contains("the live value stays"))
        };
        assert_eq!(changes.iter().filter(kept).count(), 3, "{changes:#?}");
        suspend(shared, namespace, None).await?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        // Every other field goes back to the default of the server.
        let scaled = "{.spec.replicas} {.spec.revisionHistoryLimit}";
        assert_eq!(shared.jsonpath(namespace, "deployment/web", scaled).await?, "4 10");
        assert_eq!(shared.jsonpath(namespace, "statefulset/db", scaled).await?, "4 10");
        let pool = "{.spec.pool.size} {.spec.pool.other}";
        assert_eq!(shared.jsonpath(namespace, "pool/pool", pool).await?, "4 1");
        // They belong to another manager now.
        shared.env.cluster.must(&["-n", namespace, "scale", "deployment", "web", "--replicas=6"]).await?;
        let commit = repository
            .commit(&[("all.yaml", &format!("{}---\n{}", all("", "tag: a"), map("a", "")))], "Add")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        assert_eq!(shared.jsonpath(namespace, "deployment/web", "{.spec.replicas}").await?, "6");
        Ok(())
    })
}

const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 0\n  selector: {matchLabels: {app: web}}\n  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: \"web:1\", env: [{name: A, value: \"1\"}]}]}}\n";

#[test]
fn an_item_that_was_renamed_or_doubled_by_hand_is_put_back_alone() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "renamed";
        let more = json!({"health": {"wait": false}});
        shared.begin(namespace, &[("web.yaml", WEB)], &more).await?;
        let container = "/spec/template/spec/containers/0";
        let rename = json!([{"op": "replace", "path": format!("{container}/name"), "value": "other"}]);
        edit(shared, namespace, "deployment/web", &rename).await?;
        let names = "{.spec.template.spec.containers[*].name}";
        shared.until(namespace, "deployment/web", names, "web").await?;
        let double = json!([{"op": "add", "path": format!("{container}/env/-"), "value": {"name": "A", "value": "2"}}]);
        edit(shared, namespace, "deployment/web", &double).await?;
        let values = "{.spec.template.spec.containers[0].env[*].value}";
        shared.until(namespace, "deployment/web", values, "1").await?;
        shared.env.ready(namespace, "app", None).await
    })
}

#[test]
fn null_removes_a_field_and_status_is_left_out() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "nulls";
        let more = json!({"health": {"wait": false}});
        let files = [("web.yaml", WEB), ("a.yaml", &*map("a", ""))];
        let repository = shared.begin(namespace, &files, &more).await?;
        shared.patch(namespace, "configmap/a", &json!({"data": {"more": "1"}})).await?;
        let web = WEB
            .replace("  replicas: 0\n", "  replicas: 0\n  strategy: {type: Recreate, rollingUpdate: null}\n");
        let web = format!("{web}status: {{replicas: 3}}\n");
        let files = [("web.yaml", &*web), ("a.yaml", &*map("a", ", more: null"))];
        let commit = repository.commit(&files, "Remove by null")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        assert_eq!(shared.jsonpath(namespace, "configmap/a", "{.data}").await?, r#"{"key":"1"}"#);
        assert_eq!(
            shared.jsonpath(namespace, "deployment/web", "{.spec.strategy}").await?,
            r#"{"type":"Recreate"}"#
        );
        let warnings = shared.jsonpath(namespace, "sync/app", "{.status.warnings}").await?;
        assert!(
            warnings.contains("Deployment.apps nulls/web (web.yaml:1): its status is ignored"),
            "{warnings}"
        );
        Ok(())
    })
}

#[test]
fn what_somebody_sets_where_git_has_null_is_put_back_but_for_replicas() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "nulls-again";
        let more = json!({"health": {"wait": false}});
        let a = map("a", ", more: null");
        let repository = shared.begin(namespace, &[("web.yaml", WEB), ("a.yaml", &*a)], &more).await?;
        shared.patch(namespace, "configmap/a", &json!({"data": {"more": "1"}})).await?;
        shared.until(namespace, "configmap/a", "{.data}", r#"{"key":"1"}"#).await?;
        // Charts have null there to leave it to an autoscaler: it is not set to its default, 1.
        let web = WEB.replace("  replicas: 0\n", "  replicas: null\n");
        let commit = repository.commit(&[("web.yaml", &*web)], "Leave replicas to an autoscaler")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let replicas = shared.jsonpath(namespace, "deployment/web", "{.spec.replicas}").await?;
        assert_eq!(replicas, "0");
        let scale = ["scale", "deployment", "web", "--replicas=2"];
        kubectl(shared, namespace, &scale, "").await?;
        assert_eq!(plan(shared, namespace).await?.1, [Value::Null; 0]);
        Ok(())
    })
}

#[test]
fn fields_that_were_applied_in_another_version_are_taken_over_too() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "versions";
        shared.env.namespace(namespace).await?;
        let target = "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 3";
        let old = format!(
            "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web, labels: {{old: tool}}}}\nspec: {{{target}, minReplicas: 2, targetCPUUtilizationPercentage: 50}}\n"
        );
        kubectl(shared, namespace, &["apply", "-f", "-"], &old).await?;
        let new = format!(
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web}}\nspec: {{{target}}}\n"
        );
        let repository = shared.env.forge.repository(namespace).await?;
        let commit = repository.commit(&[("hpa.yaml", &new)], "Begin")?;
        let more = json!({"health": {"wait": false}});
        shared.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &more)).await?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let left = "{.metadata.labels.old}/{.spec.minReplicas}/{.spec.metrics[0].resource.target.averageUtilization}";
        // The last one is the default of the server.
        assert_eq!(shared.jsonpath(namespace, "hpa/web", left).await?, "/1/80");
        Ok(())
    })
}

#[test]
fn metrics_that_leave_git_with_the_version_that_has_them_leave_the_cluster() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "older";
        let target = "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 3";
        let scaler = |version: &str, more: &str| {
            format!(
                "apiVersion: autoscaling/{version}\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web}}\nspec: {{{target}, {more}}}\n"
            )
        };
        let metric = |name: &str, value: u32| {
            format!(
                "{{type: Resource, resource: {{name: {name}, target: {{type: Utilization, averageUtilization: {value}}}}}}}"
            )
        };
        let behavior = "behavior: {scaleDown: {stabilizationWindowSeconds: 7}}";
        let new =
            scaler("v2", &format!("metrics: [{}, {}], {behavior}", metric("memory", 60), metric("cpu", 40)));
        let more = json!({"health": {"wait": false}});
        let repository = shared.begin(namespace, &[("hpa.yaml", &new)], &more).await?;
        let old = scaler("v1", "targetCPUUtilizationPercentage: 33");
        let commit = repository.commit(&[("hpa.yaml", &old)], "Use the older version")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let left = "{.spec.metrics[*].resource.name}/{.spec.metrics[0].resource.target.averageUtilization}/{.spec.behavior}";
        assert_eq!(
            shared.jsonpath(namespace, "horizontalpodautoscalers.v2.autoscaling/web", left).await?,
            "cpu/33/"
        );
        Ok(())
    })
}

/// A definition with these versions, the last one stored.
fn definition(versions: &[&str]) -> String {
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}});
    let version = |name: &&str| json!({"name": name, "served": true, "storage": versions.last() == Some(name), "schema": schema});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "boats.fields.example.com"},
        "spec": {"group": "fields.example.com", "scope": "Namespaced", "names": {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"},
            "versions": versions.iter().map(version).collect::<Vec<_>>()}})
    .to_string()
}

fn boat(version: &str, spec: &str) -> String {
    format!("apiVersion: fields.example.com/{version}\nkind: Boat\nmetadata: {{name: b}}\nspec: {{{spec}}}\n")
}

#[test]
fn a_new_version_is_an_update_and_a_removed_one_stops_nothing() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "boats";
        let files = [("crd.yaml", &*definition(&["v1"])), ("b.yaml", &*boat("v1", "a: 1"))];
        let repository = shared.begin(namespace, &files, &json!({})).await?;
        kubectl(
            shared,
            namespace,
            &["apply", "--server-side", "--field-manager=kubectl-old", "-f", "-"],
            &boat("v1", "old: 1"),
        )
        .await?;
        suspend(shared, namespace, Some("the plan first")).await?;
        shared.env.reason(namespace, "app", "Suspended").await?;
        let files = [("crd.yaml", &*definition(&["v1", "v2"])), ("b.yaml", &*boat("v2", "a: 2"))];
        let commit = repository.commit(&files, "A new version and its object")?;
        let (said, changes) = plan(shared, namespace).await?;
        let boat_change = changes
            .iter()
            .find(|change| change["object"]["kind"] == "Boat" || change.to_string().contains("Boat"));
        assert_eq!(
            boat_change.map(|change| &change["operation"]),
            Some(&json!("Update")),
            "{said} {changes:#?}"
        );
        suspend(shared, namespace, None).await?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        // The old version goes; entries of managedFields still name it.
        shared
            .env
            .cluster
            .must(&[
                "patch",
                "crd",
                "boats.fields.example.com",
                "--subresource=status",
                "--type=merge",
                "-p",
                r#"{"status":{"storedVersions":["v2"]}}"#,
            ])
            .await?;
        let files = [("crd.yaml", &*definition(&["v2"])), ("b.yaml", &*boat("v2", "a: 3"))];
        let commit = repository.commit(&files, "Remove the old version")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let commit = repository.commit(&[("b.yaml", &boat("v2", "a: 4"))], "Change")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        // kubectl would look for it in a version that it remembers.
        let path = "/apis/fields.example.com/v2/namespaces/boats/boats/b";
        let found: Value = serde_json::from_str(&shared.env.cluster.must(&["get", "--raw", path]).await?)?;
        assert_eq!(found["spec"], json!({"a": 4, "old": 1}));
        Ok(())
    })
}

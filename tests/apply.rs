//! Order, waiting, health and removal on a real API server: what depends on what, what waits for whom, and what is never
//! touched. I/O: processes, network.

use std::time::Duration;

use holdfast_tests::shared::{SOON, config_map, run};
use holdfast_tests::webhook::Webhook;
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

const DEPLOYMENT: &str = include_str!("data/web.yaml");
/// The kind `Gate` of `apply.example.com`, with a status.
const GATES: &str = include_str!("data/gates.yaml");

#[test]
fn what_needs_a_failed_object_waits_and_the_rest_goes_on() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "needs";
        let webhook = Webhook::start().await?;
        shared.env.cluster.apply(&webhook.configuration("deny", "", &["configmaps"], 10)).await?;
        shared.env.namespace(namespace).await?;
        shared.env.cluster.must(&["label", "namespace", namespace, "webhook=deny"]).await?;
        let user = DEPLOYMENT.replace(
            "        image: web:1",
            "        image: web:1\n        envFrom: [{configMapRef: {name: settings}}]",
        );
        let other = DEPLOYMENT.replace("name: web", "name: other").replace("app: web", "app: other");
        let repository = shared.env.forge.repository(namespace).await?;
        let files =
            [("a.yaml", &*config_map("settings", "1")), ("user.yaml", &*user), ("other.yaml", &*other)];
        let commit = repository.commit(&files, "Begin")?;
        shared.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &json!({}))).await?;
        shared.env.reason(namespace, "app", "Denied").await?;
        shared.until(namespace, "deployment/other", "{.metadata.name}", "other").await?;
        shared.gone(namespace, "deployment/web").await?;
        shared.env.cluster.must(&["delete", "validatingwebhookconfiguration", "test-deny"]).await?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        shared.until(namespace, "deployment/web", "{.status.readyReplicas}", "1").await
    })
}

#[test]
fn kinds_come_in_their_order_and_go_in_the_reverse() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "order";
        let all = format!(
            "{DEPLOYMENT}---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}\n---\n\
             {}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: sa}}\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: r}}\nrules: []\n---\n\
             apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: i}}\nspec: {{defaultBackend: {{service: {{name: web, port: {{number: 80}}}}}}}}\n",
            config_map("c", "1")
        );
        shared.begin(namespace, &[("all.yaml", &all)], &json!({})).await?;
        shared.env.cluster.must(&["-n", namespace, "delete", "sync", "app", "--timeout=30s"]).await?;
        let order =
            ["roles", "serviceaccounts", "secrets", "configmaps", "services", "deployments", "ingresses"];
        let asked = |verb: &'static str| {
            shared.env.cluster.requests(move |line| {
                line["userAgent"].as_str().unwrap_or_default().starts_with("holdfast/")
                    && line["objectRef"]["namespace"] == namespace
                    && line["verb"] == verb
                    && line["objectRef"]["resource"] != "syncs"
            })
        };
        let resources = |lines: Vec<Value>| -> Vec<String> {
            lines
                .iter()
                .filter_map(|line| line["objectRef"]["resource"].as_str().map(str::to_owned))
                .collect()
        };
        assert_eq!(resources(asked("patch")?), order);
        let reverse: Vec<&str> = order.into_iter().rev().collect();
        assert_eq!(resources(asked("delete")?), reverse);
        Ok(())
    })
}

#[test]
fn a_job_that_removes_itself_is_not_run_twice() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "job";
        let job = |image: &str| {
            format!(
                "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: once}}\nspec:\n  ttlSecondsAfterFinished: 1\n  template: {{spec: {{restartPolicy: Never, containers: [{{name: a, image: \"{image}\"}}]}}}}\n"
            )
        };
        let files = [("job.yaml", &*job("a:1")), ("a.yaml", &*config_map("a", "1"))];
        let repository = shared.begin(namespace, &files, &json!({})).await?;
        shared.gone(namespace, "job/once").await?;
        shared.agent.at_work_for(Duration::from_secs(7)).await?;
        let made = || {
            shared.env.cluster.requests(move |line| {
                line["userAgent"].as_str().unwrap_or_default().starts_with("holdfast/")
                    && line["objectRef"]["namespace"] == namespace
                    && line["objectRef"]["resource"] == "jobs"
                    && line["verb"] == "patch"
            })
        };
        assert_eq!(made()?.len(), 1);
        shared.env.ready(namespace, "app", None).await?;
        // A commit elsewhere in the folder leaves it alone; another Job is run.
        let commit = repository.commit(&[("a.yaml", &config_map("a", "2"))], "Change")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        assert_eq!(made()?.len(), 1);
        let commit = repository.commit(&[("job.yaml", &job("a:2"))], "Another image")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        assert_eq!(made()?.len(), 2);
        Ok(())
    })
}

#[test]
fn what_takes_data_along_waits_for_an_approval() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "along";
        let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  serviceName: db\n  replicas: 0\n  selector: {matchLabels: {app: db}}\n  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: \"db:1\"}]}}\n";
        let held =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/backup]}\n";
        let files = [
            ("db.yaml", set),
            ("held.yaml", held),
            ("a.yaml", &*config_map("a", "1")),
            ("b.yaml", &*config_map("b", "1")),
            ("c.yaml", &*config_map("c", "1")),
        ];
        let repository = shared.begin(namespace, &files, &json!({})).await?;
        let uid = shared.jsonpath(namespace, "statefulset/db", "{.metadata.uid}").await?;
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data-db-0", "namespace": namespace,
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": uid}]},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        shared.env.cluster.apply(&claim.to_string()).await?;
        repository.remove(&["db.yaml", "held.yaml"], "Remove the data")?;
        let said = shared.env.reason(namespace, "app", "AwaitingApproval").await?;
        assert!(
            said.message.contains("PersistentVolumeClaim along/data-db-0 depends on it"),
            "{}",
            said.message
        );
        assert!(
            said.message.contains("the finalizer example.com/backup may remove more"),
            "{}",
            said.message
        );
        shared
            .env
            .cluster
            .must(&["-n", namespace, "get", "statefulset/db", "configmap/held", "pvc/data-db-0"])
            .await?;

        // Approved, what cannot go stays visible with its age and what holds it, and holds nothing else up.
        let id = shared.env.read(namespace, "app").await?["status"]["plan"]["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let kubeconfig = shared.env.cluster.kubeconfig();
        let approved = holdfast_tests::agent::holdfast(
            &kubeconfig,
            &["approve", "-n", namespace, "app", &id, "--reason", "agreed"],
        )
        .await?;
        assert!(approved.status.success(), "{approved:?}");
        shared.gone(namespace, "statefulset/db").await?;
        eventually(SOON, "the finalizer to be named", || async {
            let ready = shared.env.condition(namespace, "app", "Ready").await?;
            anyhow::ensure!(
                ready.message.contains("held by example.com/backup") && ready.message.contains("since 20"),
                "{ready:?}"
            );
            Ok(true)
        })
        .await?;
        shared.patch(namespace, "configmap/held", &json!({"metadata": {"finalizers": null}})).await?;
        shared.env.ready(namespace, "app", None).await
    })
}

#[test]
fn an_object_with_copied_marks_is_not_pruned() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "copied";
        let files = [("a.yaml", &*config_map("a", "1")), ("b.yaml", &*config_map("b", "1"))];
        let repository = shared.begin(namespace, &files, &json!({})).await?;
        let text = shared.env.cluster.must(&["-n", namespace, "get", "configmap", "a", "-o", "json"]).await?;
        let mut copy: Value = serde_json::from_str(&text)?;
        let marks = (copy["metadata"]["labels"].take(), copy["metadata"]["annotations"].take());
        copy["metadata"] =
            json!({"name": "copy", "namespace": namespace, "labels": marks.0, "annotations": marks.1});
        shared.env.cluster.apply(&copy.to_string()).await?;
        let commit = repository.commit(&[("a.yaml", &config_map("a", "2"))], "Change")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let commit = repository.remove(&["b.yaml"], "Remove")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        shared.gone(namespace, "configmap/b").await?;
        shared.until(namespace, "configmap/copy", "{.data.key}", "1").await
    })
}

#[test]
fn a_custom_kind_is_as_well_as_its_check_says() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "gates";
        shared.env.cluster.apply(GATES).await?;
        let gate = "apiVersion: apply.example.com/v1\nkind: Gate\nmetadata: {name: g}\nspec: {doors: 2}\n";
        let check = |current: &str| json!({"health": {"checks": [{"apiVersion": "apply.example.com/v1", "kind": "Gate", "current": current, "failed": "has(status.jammed) && status.jammed"}]}});
        shared.create(namespace, &[("g.yaml", gate)], &check("status.open == spec.doors")).await?;
        shared.env.says(namespace, "app", "Progressing", "the check `current` has no data").await?;
        let set = async |status: Value| {
            let patch = json!({"status": status}).to_string();
            shared
                .env
                .cluster
                .must(&[
                    "-n",
                    namespace,
                    "patch",
                    "gate",
                    "g",
                    "--subresource=status",
                    "--type=merge",
                    "-p",
                    &patch,
                ])
                .await
        };
        set(json!({"open": 1})).await?;
        shared.env.reason(namespace, "app", "Progressing").await?;
        set(json!({"open": 1, "jammed": true})).await?;
        shared.env.reason(namespace, "app", "Unhealthy").await?;
        set(json!({"open": 2, "jammed": false})).await?;
        shared.env.ready(namespace, "app", None).await?;
        // A changed check judges what is there, and one that is none is an error of its own.
        shared.patch(namespace, "sync/app", &json!({"spec": check("status.open > 5")})).await?;
        shared.env.reason(namespace, "app", "Progressing").await?;
        shared.patch(namespace, "sync/app", &json!({"spec": check("status.open >")})).await?;
        let said = shared.env.reason(namespace, "app", "HealthCheckInvalid").await?;
        assert!(
            said.message.contains("Gate of apply.example.com/v1: the expression `current`"),
            "{}",
            said.message
        );
        shared.patch(namespace, "sync/app", &json!({"spec": check("status.open == 2")})).await?;
        shared.env.ready(namespace, "app", None).await
    })
}

#[test]
fn dependencies_are_ready_at_the_same_revision_and_a_circle_is_told() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "first";
        let files = [("one/a.yaml", &*config_map("a", "1")), ("two/b.yaml", &*config_map("b", "1"))];
        let repository = shared.begin(namespace, &files, &json!({"path": "one"})).await?;
        let two = json!({"path": "two", "dependsOn": [{"name": "app"}]});
        shared.env.cluster.apply(&sync::sync(namespace, "two", &repository.https_url, &two)).await?;
        shared.env.ready(namespace, "two", None).await?;
        // The first one is broken at the new revision, so the second one stays where it was.
        let broken = DEPLOYMENT.replace("web:1", "broken:1");
        let files = [("one/web.yaml", &*broken), ("two/b.yaml", &*config_map("b", "2"))];
        repository.commit(&files, "Break the first")?;
        let said = shared.env.reason(namespace, "two", "DependencyNotReady").await?;
        assert!(said.message.contains("waits for Sync first/app"), "{}", said.message);
        assert_eq!(shared.jsonpath(namespace, "configmap/b", "{.data.key}").await?, "1");
        let commit = repository.commit(&[("one/web.yaml", DEPLOYMENT)], "Mend it")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        shared.until(namespace, "configmap/b", "{.data.key}", "2").await?;
        shared.patch(namespace, "sync/app", &json!({"spec": {"dependsOn": [{"name": "two"}]}})).await?;
        let said = shared.env.reason(namespace, "app", "DependencyCycle").await?;
        assert!(said.message.contains("first/app -> first/two -> first/app"), "{}", said.message);
        Ok(())
    })
}

#[test]
fn a_bad_wave_does_not_block_the_commit_that_mends_it() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "mend";
        let late = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: late, annotations: {holdfast.dev/wave: \"1\"}}\n";
        let broken = DEPLOYMENT.replace("web:1", "broken:1");
        let (repository, _) =
            shared.create(namespace, &[("web.yaml", &broken), ("late.yaml", late)], &json!({})).await?;
        eventually(SOON, "the wave to wait", || async {
            let ready = shared.env.condition(namespace, "app", "Ready").await?;
            Ok(ready.message.contains("wave 1 waits for Deployment.apps mend/web"))
        })
        .await?;
        shared.gone(namespace, "configmap/late").await?;
        let commit = repository.commit(&[("web.yaml", DEPLOYMENT)], "Mend it")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        shared.until(namespace, "configmap/late", "{.metadata.name}", "late").await
    })
}

#[test]
fn rights_that_are_missing_are_told_for_each_object_before_anything_is_written() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "rights";
        shared.env.namespace(namespace).await?;
        shared.env.cluster.must(&["-n", namespace, "create", "serviceaccount", "deployer"]).await?;
        shared
            .env
            .cluster
            .must(&[
                "-n",
                namespace,
                "create",
                "role",
                "maps",
                "--verb=get,list,create,patch",
                "--resource=configmaps",
            ])
            .await?;
        shared
            .env
            .cluster
            .must(&[
                "-n",
                namespace,
                "create",
                "role",
                "look",
                "--verb=get,list",
                "--resource=secrets,deployments.apps",
            ])
            .await?;
        for role in ["maps", "look"] {
            shared
                .env
                .cluster
                .must(&[
                    "-n",
                    namespace,
                    "create",
                    "rolebinding",
                    role,
                    &format!("--role={role}"),
                    "--serviceaccount=rights:deployer",
                ])
                .await?;
        }
        let repository = shared.env.forge.repository(namespace).await?;
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
        repository.commit(
            &[("a.yaml", &config_map("a", "1")), ("s.yaml", secret), ("web.yaml", DEPLOYMENT)],
            "Begin",
        )?;
        let more = json!({"serviceAccountName": "deployer"});
        shared.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &more)).await?;
        let said = shared.env.reason(namespace, "app", "Forbidden").await?;
        for word in [
            "Secret rights/s (s.yaml:1): system:serviceaccount:rights:deployer may not create, patch secrets in namespace rights",
            "Deployment.apps rights/web (web.yaml:1): system:serviceaccount:rights:deployer may not create, patch deployments.apps",
        ] {
            assert!(said.message.contains(word), "{}", said.message);
        }
        let refused = shared.env.cluster.requests(|line| {
            line["impersonatedUser"]["username"] == "system:serviceaccount:rights:deployer"
                && line["verb"] == "patch"
                && line["responseStatus"]["code"] == 403
        })?;
        assert_eq!(refused, Vec::<Value>::new(), "it was tried all the same");
        shared.until(namespace, "configmap/a", "{.data.key}", "1").await?;
        shared
            .env
            .cluster
            .must(&[
                "-n",
                namespace,
                "create",
                "rolebinding",
                "all",
                "--clusterrole=cluster-admin",
                "--serviceaccount=rights:deployer",
            ])
            .await?;
        shared
            .env
            .cluster
            .must(&["-n", namespace, "annotate", "sync", "app", "holdfast.dev/reconcile-at=now"])
            .await?;
        shared.env.ready(namespace, "app", None).await
    })
}

#[test]
fn another_namespace_or_path_moves_what_is_there_and_loses_nothing() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "elsewhere";
        let files = [
            ("one/a.yaml", &*config_map("a", "1")),
            ("two/a.yaml", &*config_map("a", "2")),
            ("two/b.yaml", &*config_map("b", "2")),
        ];
        shared.begin(namespace, &files, &json!({"path": "one"})).await?;
        let uid = shared.jsonpath(namespace, "configmap/a", "{.metadata.uid}").await?;
        shared.patch(namespace, "sync/app", &json!({"spec": {"path": "two"}})).await?;
        shared.until(namespace, "configmap/b", "{.data.key}", "2").await?;
        shared.env.ready(namespace, "app", None).await?;
        assert_eq!(
            shared.jsonpath(namespace, "configmap/a", "{.metadata.uid} {.data.key}").await?,
            format!("{uid} 2")
        );
        shared.env.cluster.must(&["create", "namespace", "elsewhere-two"]).await?;
        shared.patch(namespace, "sync/app", &json!({"spec": {"targetNamespace": "elsewhere-two"}})).await?;
        shared.until("elsewhere-two", "configmap/b", "{.data.key}", "2").await?;
        shared.gone(namespace, "configmap/a").await?;
        shared.env.ready(namespace, "app", None).await
    })
}

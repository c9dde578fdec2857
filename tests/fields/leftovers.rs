//! Fields that another manager took before they left Git: by force, by hand, or by removing all owners. They leave the cluster all
//! the same, be it after a restart; what comes back is told. I/O: processes, network.

use std::time::Duration;

use anyhow::ensure;
use holdfast_tests::agent::holdfast;
use holdfast_tests::shared::{SOON, Shared, run};
use holdfast_tests::{Env, eventually, sync};
use serde_json::{Value, json};

use super::{edit, kubectl, map, plan};

const FORCE: [&str; 5] = ["apply", "--server-side", "--force-conflicts", "-f", "-"];

fn service(ports: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{ports: [{ports}]}}\n")
}

fn web(more: &str, template: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web{more}}}\nspec:\n  replicas: 0\n  selector: {{matchLabels: {{app: web}}}}\n  template: {{metadata: {{labels: {{app: web}}}}, spec: {{{template}containers: [{{name: web, image: \"web:1\"}}]}}}}\n"
    )
}

const HTTP: &str = "{name: http, port: 80}";
const BOTH: &str = "{name: http, port: 80}, {name: admin, port: 81}";

/// All objects with what is to leave, or without it.
fn files(with: bool) -> [(&'static str, String); 4] {
    let pick = |one: &'static str| if with { one } else { "" };
    let more = pick(", more: \"1\"");
    let maps = ["forced", "replaced", "unowned", "untouched"].map(|name| map(name, more)).join("---\n");
    let env = if with {
        ", env: [{name: A, value: \"1\"}, {name: B, value: \"1\"}]"
    } else {
        ", env: [{name: A, value: \"1\"}]"
    };
    let web = web(
        pick(", labels: {team: shop}"),
        pick("nodeSelector: {disk: ssd}, initContainers: [{name: init, image: \"init:1\"}], "),
    );
    [
        ("maps.yaml", maps),
        ("service.yaml", service(if with { BOTH } else { HTTP })),
        ("web.yaml", web.replace("image: \"web:1\"", &format!("image: \"web:1\"{env}"))),
        (
            "secret.yaml",
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{key: a{}}}\n",
                pick(", more: b")
            ),
        ),
    ]
}

fn list<'a>(files: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    files.iter().map(|(name, text)| (*name, text.as_str())).collect()
}

/// Takes what is to leave, each object in another way.
async fn take(env: &Env, namespace: &str) -> anyhow::Result<()> {
    let with = |arguments: &'static [&'static str], manifest: String| async move {
        let cluster = &env.cluster;
        let arguments = [&["-n", namespace], arguments].concat();
        let output = cluster.kubectl_with(&cluster.kubeconfig(), &arguments, &manifest).await?;
        ensure!(output.status.success(), "{arguments:?}: {output:?}");
        anyhow::Ok(())
    };
    with(&FORCE, map("forced", ", more: \"2\"")).await?;
    let live = env.cluster.must(&["-n", namespace, "get", "configmap", "replaced", "-o", "json"]).await?;
    let mut live: Value = serde_json::from_str(&live)?;
    live["data"]["more"] = "2".into();
    with(&["replace", "-f", "-"], live.to_string()).await?;
    let patch = |object: &'static str, kind: &'static str, patch: Value| async move {
        let (kind, patch) = (format!("--type={kind}"), patch.to_string());
        env.cluster.must(&["-n", namespace, "patch", object, &kind, "-p", &patch]).await
    };
    let unowned = json!({"metadata": {"managedFields": [{}]}});
    patch("configmap/unowned", "merge", unowned.clone()).await?;
    patch(
        "service/web",
        "json",
        json!([{"op": "replace", "path": "/spec/ports/1/targetPort", "value": 9000}]),
    )
    .await?;
    patch(
        "deployment/web",
        "strategic",
        json!({"metadata": {"labels": {"team": "other"}}, "spec": {"template": {"spec": {
        "nodeSelector": {"disk": "hdd"}, "initContainers": [{"name": "init", "image": "init:2"}],
        "containers": [{"name": "web", "env": [{"name": "B", "value": "2"}]}]}}}}),
    )
    .await?;
    patch("secret/s", "merge", unowned).await?;
    Ok(())
}

/// Waits until nothing of what left is live.
async fn left(env: &Env, namespace: &str) -> anyhow::Result<()> {
    for (object, path, expected) in [
        ("configmap/untouched", "{.data}", r#"{"key":"1"}"#),
        ("configmap/forced", "{.data}", r#"{"key":"1"}"#),
        ("configmap/replaced", "{.data}", r#"{"key":"1"}"#),
        ("configmap/unowned", "{.data}", r#"{"key":"1"}"#),
        ("service/web", "{.spec.ports[*].name}", "http"),
        (
            "deployment/web",
            "{.metadata.labels.team}{.spec.template.spec.nodeSelector}{.spec.template.spec.initContainers}",
            "",
        ),
        ("deployment/web", "{.spec.template.spec.containers[0].env[*].name}", "A"),
        ("secret/s", "{.data}", r#"{"key":"YQ=="}"#),
    ] {
        eventually(SOON, &format!("{path} of {object} to be {expected:?}"), || async {
            let found = env
                .cluster
                .must(&["-n", namespace, "get", object, "-o", &format!("jsonpath={path}")])
                .await?;
            ensure!(found == expected, "it is {found}");
            Ok(true)
        })
        .await?;
    }
    eventually(SOON, "no drift", || async {
        Ok(env.condition(namespace, "app", "Drifted").await?.status == "False")
    })
    .await
}

#[test]
fn what_others_took_before_it_left_git_leaves_all_the_same() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "taken";
        let more = json!({"health": {"wait": false}, "drift": {"mode": "Report"}});
        let repository = shared.begin(namespace, &list(&files(true)), &more).await?;
        take(&shared.env, namespace).await?;
        eventually(SOON, "the changes to be reported as drift", || async {
            let told = shared.env.read(namespace, "app").await?["status"]["drift"].to_string();
            Ok(["forced", "replaced", "web"].iter().all(|name| told.contains(name)))
        })
        .await?;
        let tree = tempfile::tempdir()?;
        for (name, text) in files(false) {
            std::fs::write(tree.path().join(name), text)?;
        }
        let tree = tree.path().display().to_string();
        let arguments = ["plan", "app", "-n", namespace, "--tree", &tree];
        let planned = holdfast(&shared.env.cluster.kubeconfig(), &arguments).await?;
        let said = String::from_utf8_lossy(&planned.stdout);
        for object in
            ["ConfigMap taken/forced", "ConfigMap taken/unowned", "Service taken/web", "Secret taken/s"]
        {
            ensure!(said.contains(object), "{object} is not in the plan of a working tree: {planned:?}");
        }
        let commit = repository.commit(&list(&files(false)), "Take it out")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        left(&shared.env, namespace).await?;
        let (said, changes) = plan(shared, namespace).await?;
        assert_eq!(changes, Vec::<Value>::new(), "{said}");
        Ok(())
    })
}

#[test]
fn what_left_git_while_the_agent_did_not_run_leaves_at_its_start() -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let env = Env::start().await?;
        let (namespace, agent) = ("restart", env.agent(&[]).await?);
        let repository = env.forge.repository(namespace).await?;
        let commit = repository.commit(&list(&files(true)), "Begin")?;
        env.namespace(namespace).await?;
        let more = json!({"health": {"wait": false}});
        env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &more)).await?;
        env.ready(namespace, "app", Some(&commit)).await?;
        drop(agent);
        take(&env, namespace).await?;
        // A wave that fails keeps the others waiting, over another restart too.
        let wave = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name, annotations: {holdfast.dev/wave: \"-1\"}}\n";
        repository.commit(&[("more.yaml", wave)], "A commit between")?;
        repository.commit(&list(&files(false)), "Take it out")?;
        let agent = env.agent(&[]).await?;
        env.reason(namespace, "app", "Invalid").await?;
        drop(agent);
        let _agent = env.agent(&[]).await?;
        env.reason(namespace, "app", "Invalid").await?;
        let commit = repository.remove(&["more.yaml"], "Correct the name")?;
        env.ready(namespace, "app", Some(&commit)).await?;
        left(&env, namespace).await
    })
}

/// A tool whose name says nothing: it applies its field again whenever that is gone.
async fn insists(
    shared: &'static Shared,
    namespace: &'static str,
    stop: tokio::sync::oneshot::Receiver<()>,
) -> usize {
    let arguments = [&FORCE[..], &["--field-manager", "my-tool"]].concat();
    let (mut applied, mut stop) = (0, stop);
    while stop.try_recv().is_err() {
        let found = shared.jsonpath(namespace, "configmap/a", "{.data.more}").await.unwrap_or_default();
        if found.is_empty()
            && kubectl(shared, namespace, &arguments, &map("a", ", more: \"1\"")).await.is_ok()
        {
            applied += 1;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    applied
}

#[test]
fn what_comes_back_after_it_left_git_is_told_and_not_fought_about() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "returns";
        let repository =
            shared.begin(namespace, &[("a.yaml", &map("a", ", more: \"1\""))], &json!({})).await?;
        let arguments = [&FORCE[..], &["--field-manager", "my-tool"]].concat();
        kubectl(shared, namespace, &arguments, &map("a", ", more: \"1\"")).await?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let tool = tokio::spawn(insists(shared, namespace, stopped));
        let commit = repository.commit(&[("a.yaml", &map("a", ""))], "Take it out")?;
        eventually(SOON, "the field that came back to be drift", || async {
            let sync = shared.env.read(namespace, "app").await?;
            let told = sync["status"]["drift"].to_string();
            ensure!(
                sync["status"]["revision"]["applied"].as_str().is_some_and(|at| at.ends_with(&commit)),
                "{sync}"
            );
            ensure!(told.contains("/data/more") && told.contains("my-tool"), "{told}");
            ensure!(told.contains("stop my-tool") && told.contains("spec.drift.ignore"), "{told}");
            Ok(shared.env.condition(namespace, "app", "Drifted").await?.status == "True")
        })
        .await?;
        let (said, changes) = plan(shared, namespace).await?;
        ensure!(changes.is_empty() && said.contains("/data/more left Git and stays"), "{said} {changes:?}");
        stop.send(()).map_err(|()| anyhow::anyhow!("the tool has ended"))?;
        ensure!(tool.await? == 1, "it had to be removed more than once");
        // A person removes it for good.
        edit(shared, namespace, "configmap/a", &json!([{"op": "remove", "path": "/data/more"}])).await?;
        eventually(SOON, "the drift to be over", || async {
            Ok(shared.env.condition(namespace, "app", "Drifted").await?.status == "False")
        })
        .await?;
        assert_eq!(shared.jsonpath(namespace, "configmap/a", "{.data}").await?, r#"{"key":"1"}"#);
        Ok(())
    })
}

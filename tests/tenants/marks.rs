//! Labels, annotations and field managers are claims: copying or forging them neither gets an object deleted, counted or
//! waited for, nor does the victim notice more than a line in its status. I/O: processes, network.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use holdfast_tests::agent::holdfast;
use holdfast_tests::forge::Repository;
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

use super::stage::{FLAGS, Stage, Tenant, run};

/// How long what is expected may take on a machine that has a lot to do.
const SOON: Duration = Duration::from_secs(40);

fn map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: \"{value}\"}}\n")
}

/// A tenant whose Sync `app` has applied these ConfigMaps.
async fn begin(
    stage: &Stage,
    namespace: &str,
    maps: &[&str],
    more: &Value,
) -> anyhow::Result<(Tenant, Repository)> {
    let tenant = stage.tenant(namespace).await?;
    let repository = stage.env.forge.repository(namespace).await?;
    let files: Vec<(String, String)> =
        maps.iter().map(|name| (format!("{name}.yaml"), map(name, "1"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (&**file, &**text)).collect();
    let commit = repository.commit(&files, "Begin")?;
    stage.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, more)).await?;
    stage.env.ready(namespace, "app", Some(&commit)).await?;
    Ok((tenant, repository))
}

async fn live(stage: &Stage, namespace: &str, name: &str) -> anyhow::Result<Value> {
    let text = stage
        .env
        .cluster
        .must(&["-n", namespace, "get", "configmap", name, "-o", "json", "--show-managed-fields"])
        .await?;
    serde_json::from_str(&text).context("kubectl printed no JSON")
}

async fn exists(stage: &Stage, namespace: &str, name: &str) -> anyhow::Result<bool> {
    let arguments = ["-n", namespace, "get", "configmap", name, "--ignore-not-found", "-o", "name"];
    Ok(!stage.env.cluster.must(&arguments).await?.trim().is_empty())
}

/// Creates an object as a person would who restores it from a backup, managedFields and all.
async fn create(stage: &Stage, tenant: &Tenant, mut object: Value) -> anyhow::Result<()> {
    for field in ["uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"] {
        object["metadata"].as_object_mut().context("an object has metadata")?.remove(field);
    }
    let output =
        stage.env.cluster.kubectl_with(&tenant.person, &["create", "-f", "-"], &object.to_string()).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The same object under another name.
fn renamed(object: &Value, namespace: &str, name: &str) -> Value {
    let mut copy = object.clone();
    copy["metadata"]["namespace"] = namespace.into();
    copy["metadata"]["name"] = name.into();
    copy
}

async fn warnings(stage: &Stage, namespace: &str) -> anyhow::Result<String> {
    Ok(stage.env.read(namespace, "app").await?["status"]["warnings"].to_string())
}

/// Fails if an object is gone or being deleted.
async fn untouched(stage: &Stage, namespace: &str, name: &str) -> anyhow::Result<()> {
    let metadata = &live(stage, namespace, name).await?["metadata"];
    ensure!(metadata.get("deletionTimestamp").is_none(), "{namespace}/{name} is being deleted");
    Ok(())
}

#[test]
fn copies_and_forgeries_are_neither_pruned_nor_counted_nor_waited_for() -> anyhow::Result<()> {
    run(|stage| async move {
        let (victim, repository) = begin(stage, "copied-a", &["a", "b"], &json!({})).await?;
        let attacker = stage.tenant("copied-b").await?;
        let original = live(stage, "copied-a", "b").await?;

        // A backup restored in another namespace, and under another name beside the original.
        create(stage, &attacker, renamed(&original, "copied-b", "b")).await?;
        create(stage, &victim, renamed(&original, "copied-a", "b-copy")).await?;
        // A forgery that would be removed first and never end.
        let forged = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "namespace": "copied-b", "name": "evil", "finalizers": ["example.com/hold"],
            "labels": original["metadata"]["labels"],
            "annotations": {
                "holdfast.dev/sync": "copied-a/app", "holdfast.dev/wave": "1000",
                "holdfast.dev/mark": original["metadata"]["annotations"]["holdfast.dev/mark"]}}});
        let apply = ["apply", "--server-side", "--field-manager=holdfast", "-f", "-"];
        let applied = stage.env.cluster.kubectl_with(&attacker.person, &apply, &forged.to_string()).await?;
        ensure!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));

        let commit = repository.remove(&["b.yaml"], "Remove b")?;
        stage.env.ready("copied-a", "app", Some(&commit)).await?;
        eventually(SOON, "b to be gone", || async { Ok(!exists(stage, "copied-a", "b").await?) }).await?;
        untouched(stage, "copied-b", "b").await?;
        untouched(stage, "copied-b", "evil").await?;
        untouched(stage, "copied-a", "b-copy").await?;
        let status = &stage.env.read("copied-a", "app").await?["status"];
        ensure!(status["objects"]["total"] == 1, "{}", status["objects"]);

        // The status of the victim names its own namespace, and no other one.
        eventually(SOON, "the copy to be reported", || async {
            Ok(warnings(stage, "copied-a").await?.contains("ConfigMap copied-a/b-copy carries the marks"))
        })
        .await?;
        let told = warnings(stage, "copied-a").await?;
        ensure!(!told.contains("copied-b") && !told.contains("evil"), "{told}");
        let free = r#"{"metadata":{"finalizers":null}}"#;
        stage
            .env
            .cluster
            .must(&["-n", "copied-b", "patch", "configmap", "evil", "--type=merge", "-p", free])
            .await?;
        Ok(())
    })
}

#[test]
fn what_is_created_again_with_an_old_mark_is_no_member() -> anyhow::Result<()> {
    run(|stage| async move {
        let (victim, repository) = begin(stage, "again", &["a", "b"], &json!({})).await?;
        let original = live(stage, "again", "b").await?;
        let commit = repository.remove(&["b.yaml"], "Remove b")?;
        stage.env.ready("again", "app", Some(&commit)).await?;
        eventually(SOON, "b to be gone", || async { Ok(!exists(stage, "again", "b").await?) }).await?;

        create(stage, &victim, original).await?;
        let commit = repository.commit(&[("a.yaml", &map("a", "2"))], "Change a")?;
        stage.env.ready("again", "app", Some(&commit)).await?;
        untouched(stage, "again", "b").await?;
        let status = &stage.env.read("again", "app").await?["status"];
        ensure!(status["objects"]["total"] == 1, "{}", status["objects"]);

        // In git again, it is adopted; out of git again, it is pruned.
        let commit = repository.commit(&[("b.yaml", &map("b", "1"))], "Bring b back")?;
        stage.env.ready("again", "app", Some(&commit)).await?;
        let status = &stage.env.read("again", "app").await?["status"];
        ensure!(status["objects"]["total"] == 2, "{}", status["objects"]);
        repository.remove(&["b.yaml"], "Remove b for good")?;
        eventually(SOON, "b to be gone", || async { Ok(!exists(stage, "again", "b").await?) }).await
    })
}

#[test]
fn an_object_without_managed_fields_is_a_member_all_the_same() -> anyhow::Result<()> {
    run(|stage| async move {
        let report = json!({"drift": {"mode": "Report"}});
        let (_, repository) = begin(stage, "wiped", &["a", "b"], &report).await?;
        let wipe = r#"{"metadata":{"managedFields":[{}]}}"#;
        stage
            .env
            .cluster
            .must(&["-n", "wiped", "patch", "configmap", "b", "--type=merge", "-p", wipe])
            .await?;
        let commit = repository.commit(&[("a.yaml", &map("a", "2"))], "Change a")?;
        stage.env.ready("wiped", "app", Some(&commit)).await?;
        let fields = &live(stage, "wiped", "b").await?["metadata"]["managedFields"];
        ensure!(fields.as_array().is_none_or(Vec::is_empty), "{fields}");
        let status = &stage.env.read("wiped", "app").await?["status"];
        ensure!(status["objects"]["total"] == 2, "{}", status["objects"]);
        repository.remove(&["b.yaml"], "Remove b")?;
        eventually(SOON, "b to be gone", || async { Ok(!exists(stage, "wiped", "b").await?) }).await
    })
}

#[test]
fn marks_of_one_kind_mean_nothing_on_another() -> anyhow::Result<()> {
    run(|stage| async move {
        let (victim, repository) = begin(stage, "kinds", &["a", "b"], &json!({})).await?;
        let secret = |name: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n");
        let commit = repository.commit(&[("s.yaml", &secret("s"))], "Add a Secret")?;
        stage.env.ready("kinds", "app", Some(&commit)).await?;
        let original = live(stage, "kinds", "b").await?;
        let copy = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "kinds", "name": "b",
            "labels": original["metadata"]["labels"], "annotations": original["metadata"]["annotations"]}});
        create(stage, &victim, copy).await?;
        let commit = repository.remove(&["b.yaml"], "Remove b")?;
        stage.env.ready("kinds", "app", Some(&commit)).await?;
        eventually(SOON, "b to be gone", || async { Ok(!exists(stage, "kinds", "b").await?) }).await?;
        stage.env.cluster.must(&["-n", "kinds", "get", "secret", "b"]).await?;
        let status = &stage.env.read("kinds", "app").await?["status"];
        ensure!(status["objects"]["total"] == 2, "{}", status["objects"]);
        eventually(SOON, "the copy to be reported", || async {
            Ok(warnings(stage, "kinds").await?.contains("Secret kinds/b carries the marks"))
        })
        .await
    })
}

#[test]
fn what_lost_its_marks_before_it_left_git_is_told_and_not_removed() -> anyhow::Result<()> {
    run(|stage| async move {
        let report = json!({"drift": {"mode": "Report"}});
        let (_, repository) = begin(stage, "stripped", &["a", "b", "c", "d"], &report).await?;
        let cluster = &stage.env.cluster;
        cluster
            .must(&["-n", "stripped", "label", "configmap", "b", "applyset.kubernetes.io/part-of-"])
            .await?;
        cluster
            .must(&[
                "-n",
                "stripped",
                "annotate",
                "configmap",
                "c",
                "holdfast.dev/mark-",
                "holdfast.dev/sync-",
            ])
            .await?;
        let strip = r#"{"metadata":{"labels":null,"annotations":null,"managedFields":[{}]}}"#;
        cluster.must(&["-n", "stripped", "patch", "configmap", "d", "--type=merge", "-p", strip]).await?;
        eventually(SOON, "the objects to be none of the set", || async {
            Ok(stage.env.read("stripped", "app").await?["status"]["objects"]["total"] == 1)
        })
        .await?;
        let commit = repository.remove(&["b.yaml", "c.yaml", "d.yaml"], "Remove three")?;
        stage.env.ready("stripped", "app", Some(&commit)).await?;
        let told = warnings(stage, "stripped").await?;
        for name in ["b", "c", "d"] {
            untouched(stage, "stripped", name).await?;
            ensure!(
                told.contains(&format!("ConfigMap stripped/{name} was removed from Git but not deleted")),
                "{told}"
            );
            ensure!(told.contains(&format!("kubectl -n stripped delete configmap {name}")), "{told}");
        }
        Ok(())
    })
}

/// The key is made once, people verify marks without it, and when it is lost everything is adopted again.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_costs_no_object() -> anyhow::Result<()> {
    let mut stage = Stage::start(&FLAGS).await?;
    let (tenant, repository) = begin(&stage, "lost", &["a", "b"], &json!({})).await?;
    let cluster = &stage.env.cluster;
    let secret = ["-n", "holdfast-system", "get", "secret", "holdfast-marks", "-o", "json"];
    let secret: Value = serde_json::from_str(&cluster.must(&secret).await?)?;
    ensure!(secret["immutable"] == true, "the key can be overwritten");
    let before = live(&stage, "lost", "a").await?;

    let plan = holdfast(&tenant.person, &["plan", "app", "-n", "lost"]).await?;
    let said = String::from_utf8_lossy(&plan.stderr).into_owned();
    ensure!(!said.contains("not verified"), "{said}");

    cluster.must(&["-n", "holdfast-system", "delete", "secret", "holdfast-marks"]).await?;
    let token = cluster.must(&["-n", "holdfast-system", "create", "token", "holdfast"]).await?;
    let account = cluster.kubeconfig_for_token("again", token.trim())?;
    stage.agent = stage.agent.restart(&account, &FLAGS).await?;
    let mark = "holdfast.dev/mark";
    eventually(SOON, "a to be marked with the new key", || async {
        let now = live(&stage, "lost", "a").await?;
        Ok(now["metadata"]["annotations"][mark] != before["metadata"]["annotations"][mark])
    })
    .await?;
    let after = live(&stage, "lost", "a").await?;
    ensure!(after["metadata"]["uid"] == before["metadata"]["uid"], "a was deleted");
    stage.env.ready("lost", "app", None).await?;
    repository.remove(&["b.yaml"], "Remove b")?;
    eventually(SOON, "b to be gone", || async { Ok(!exists(&stage, "lost", "b").await?) }).await
}

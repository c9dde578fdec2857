//! Naming an object of another tenant, reading the same repository, or holding an object by a finalizer gives no tenant power
//! over another one's Sync. I/O: processes, network.

use std::time::Duration;

use anyhow::ensure;
use holdfast_tests::forge::Repository;
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

use super::stage::{Stage, Tenant, run};

/// How long what is expected may take on a machine that has a lot to do.
const SOON: Duration = Duration::from_secs(40);

fn map(namespace: &str, name: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}{more}}}\ndata: {{key: value}}\n"
    )
}

/// Creates a Sync of a tenant as its person, acting as the tenant's ServiceAccount.
async fn create(
    stage: &Stage,
    tenant: &Tenant,
    name: &str,
    repository: &Repository,
    more: &Value,
) -> anyhow::Result<()> {
    let mut spec = json!({"serviceAccountName": "deployer"});
    sync::merge(&mut spec, more);
    let yaml = sync::sync(&tenant.namespace, name, &repository.https_url, &spec);
    let made = stage.env.cluster.kubectl_with(&tenant.person, &["apply", "-f", "-"], &yaml).await?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

async fn gone(stage: &Stage, namespace: &str, name: &str) -> anyhow::Result<()> {
    eventually(SOON, &format!("{namespace}/{name} to be gone"), || async {
        let arguments = ["-n", namespace, "get", "configmap", name, "--ignore-not-found", "-o", "name"];
        Ok(stage.env.cluster.must(&arguments).await?.trim().is_empty())
    })
    .await
}

#[test]
fn whoever_names_an_object_that_it_may_not_write_has_no_claim_on_it() -> anyhow::Result<()> {
    run(|stage| async move {
        let (victim, attacker) = (stage.tenant("claim-a").await?, stage.tenant("claim-b").await?);
        let repository = stage.env.forge.repository("claim-a").await?;
        let files = ["first", "second"].map(|name| (format!("{name}.yaml"), map("claim-a", name, "")));
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (&**file, &**text)).collect();
        let commit = repository.commit(&files, "Begin")?;
        create(stage, &victim, "app", &repository, &json!({})).await?;
        stage.env.ready("claim-a", "app", Some(&commit)).await?;

        // The other one names what is there, and what is not there yet.
        let hostile = stage.env.forge.repository("claim-b").await?;
        let all = ["first", "second", "third"].map(|name| map("claim-a", name, "")).join("---\n");
        hostile.commit(&[("all.yaml", &all)], "Name what is not ours")?;
        create(stage, &attacker, "evil", &hostile, &json!({})).await?;
        eventually(SOON, "the attacker to be refused", || async {
            let ready = stage.env.condition("claim-b", "evil", "Ready").await?;
            Ok(ready.status == "False" && !ready.message.contains("claim-a/app"))
        })
        .await?;

        let commit = repository.commit(&[("third.yaml", &map("claim-a", "third", ""))], "Add the third")?;
        stage.env.ready("claim-a", "app", Some(&commit)).await?;
        repository.remove(&["second.yaml"], "Remove the second")?;
        gone(stage, "claim-a", "second").await?;
        let said = stage.env.read("claim-a", "app").await?["status"].to_string();
        ensure!(!said.contains("claim-b") && !said.contains("evil"), "{said}");
        Ok(())
    })
}

#[test]
fn a_broken_sync_delays_no_other_sync_of_the_same_repository() -> anyhow::Result<()> {
    run(|stage| async move {
        let (victim, other) = (stage.tenant("behind-a").await?, stage.tenant("behind-b").await?);
        let repository = stage.env.forge.repository("behind").await?;
        let maps = ["first", "second"].map(|name| map("behind-a", name, ""));
        repository.commit(&[("good/first.yaml", &maps[0]), ("good/second.yaml", &maps[1])], "Begin")?;
        create(stage, &victim, "app", &repository, &json!({"path": "good"})).await?;
        stage.env.ready("behind-a", "app", None).await?;
        create(stage, &other, "parasite", &repository, &json!({"path": "missing"})).await?;
        create(stage, &victim, "broken", &repository, &json!({"path": "missing"})).await?;
        for (namespace, name) in [("behind-b", "parasite"), ("behind-a", "broken")] {
            eventually(SOON, "the parasite to fail", || async {
                Ok(stage.env.condition(namespace, name, "Stalled").await?.status == "True")
            })
            .await?;
        }
        repository.remove(&["good/second.yaml"], "Remove the second")?;
        gone(stage, "behind-a", "second").await?;
        stage.env.ready("behind-a", "app", None).await
    })
}

#[test]
fn a_finalizer_holds_up_the_rest_for_no_longer_than_the_timeout() -> anyhow::Result<()> {
    run(|stage| async move {
        let (platform, tenant) = (stage.tenant("linger-a").await?, stage.tenant("linger-b").await?);
        let account = "--serviceaccount=linger-a:deployer";
        let bind = ["create", "clusterrolebinding", "linger", "--clusterrole=cluster-admin", account];
        stage.env.cluster.must(&bind).await?;
        let repository = stage.env.forge.repository("linger").await?;
        let wave = r#", annotations: {holdfast.dev/wave: "5"}"#;
        let files = [
            ("held.yaml", map("linger-b", "held", wave)),
            ("rest.yaml", map("linger-b", "rest", "")),
            ("stays.yaml", map("linger-b", "stays", "")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, &**text)).collect();
        repository.commit(&files, "Begin")?;
        create(stage, &platform, "app", &repository, &json!({"approval": "Never", "timeout": "10s"})).await?;
        stage.env.ready("linger-a", "app", None).await?;

        let hold = r#"{"metadata":{"finalizers":["example.com/hold"]}}"#;
        let patch = ["-n", "linger-b", "patch", "configmap", "held", "--type=merge", "-p", hold];
        let held = stage.env.cluster.kubectl_with(&tenant.person, &patch, "").await?;
        ensure!(held.status.success(), "{}", String::from_utf8_lossy(&held.stderr));
        let commit = repository.remove(&["held.yaml", "rest.yaml"], "Remove two")?;
        gone(stage, "linger-b", "rest").await?;
        stage.env.ready("linger-a", "app", Some(&commit)).await?;
        let status = &stage.env.read("linger-a", "app").await?["status"];
        let warnings = status["warnings"].to_string();
        ensure!(
            warnings.contains("ConfigMap linger-b/held is being deleted since")
                && warnings.contains("example.com/hold"),
            "{warnings}"
        );
        ensure!(status["objects"]["total"] == 1, "{}", status["objects"]);

        // The Sync itself waits for it, and says so, but removes the rest.
        stage.env.cluster.must(&["-n", "linger-a", "delete", "sync", "app", "--wait=false"]).await?;
        gone(stage, "linger-b", "stays").await?;
        eventually(SOON, "the Sync to say what holds it", || async {
            let ready = stage.env.condition("linger-a", "app", "Ready").await?;
            Ok(ready.message.contains("linger-b/held") && ready.message.contains("example.com/hold"))
        })
        .await?;
        let free = r#"{"metadata":{"finalizers":null}}"#;
        stage
            .env
            .cluster
            .must(&["-n", "linger-b", "patch", "configmap", "held", "--type=merge", "-p", free])
            .await?;
        eventually(SOON, "the Sync to be gone", || async {
            let found = ["-n", "linger-a", "get", "sync", "app", "--ignore-not-found", "-o", "name"];
            Ok(stage.env.cluster.must(&found).await?.trim().is_empty())
        })
        .await
    })
}

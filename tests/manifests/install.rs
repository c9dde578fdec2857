//! `holdfast install` and `holdfast doctor` against the real API server. I/O: processes, network.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use holdfast_tests::agent::{Agent, holdfast};
use holdfast_tests::{Env, eventually, sync, tools};
use serde_json::{Value, json};

use super::chart::{kustomized, meaning, rendered};

/// What the verb prints is what kubectl and Helm render: there is one source for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_installed_is_what_the_kustomizations_and_the_chart_install() -> anyhow::Result<()> {
    let nowhere = tempfile::tempdir()?.path().join("kubeconfig");
    let printed = |arguments: &'static [&'static str]| {
        let nowhere = nowhere.clone();
        async move {
            let output = holdfast(&nowhere, &[&["install", "--dry-run"], arguments].concat()).await?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            meaning(&String::from_utf8(output.stdout)?)
        }
    };
    assert_eq!(printed(&[]).await?, meaning(&kustomized(&["."], &[])?)?);
    let whole = printed(&["--mode=tenants", "--with=ui,monitoring"]).await?;
    assert_eq!(whole, meaning(&kustomized(&["tenants", "monitoring"], &["ui"])?)?);
    let mut namespaced =
        printed(&["-n", "gitops", "--mode=namespaced", "--namespaces=a,b", "--replicas=2"]).await?;
    namespaced.remove("Namespace /gitops").context("no namespace")?;
    let values = "rbac.mode=namespaced,rbac.namespaces={a,b},replicas=2";
    let chart = meaning(&rendered(&tools::helm()?, &["holdfast", "-n", "gitops", "--set", values])?)?;
    assert_eq!(namespaced.keys().collect::<Vec<_>>(), chart.keys().collect::<Vec<_>>());
    for (key, mut object) in namespaced {
        let mut other = chart[&key].clone();
        if key.starts_with("Deployment") {
            // The order of flags has no meaning.
            for object in [&mut object, &mut other] {
                let arguments = &mut object["spec"]["template"]["spec"]["containers"][0]["args"];
                let arguments = arguments.as_array_mut().context("no arguments")?;
                arguments.sort_by_key(ToString::to_string);
            }
        }
        assert_eq!(object, other, "{key}");
    }
    let refused = holdfast(&nowhere, &["install", "--dry-run", "--mode=namespaced"]).await?;
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--namespaces=team-a,team-b"), "{refused:?}");
    Ok(())
}

/// The findings of a check with a result.
fn found<'f>(findings: &'f [Value], check: &str, result: &str) -> Vec<&'f str> {
    let of = findings.iter().filter(|one| one["check"] == check && one["result"] == result);
    of.filter_map(|one| one["message"].as_str()).collect()
}

async fn doctor(env: &Env) -> anyhow::Result<(bool, Vec<Value>)> {
    let output = holdfast(&env.cluster.kubeconfig(), &["doctor", "-o", "json"]).await?;
    let findings = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("no JSON: {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((output.status.success(), findings))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_is_waited_for_checked_and_changed_to_another_mode() -> anyhow::Result<()> {
    let env = Env::start().await?;
    let kubeconfig = env.cluster.kubeconfig();
    env.cluster.must(&["delete", "crd", "alerts.holdfast.dev", "repositories.holdfast.dev"]).await?;
    let (healthy, findings) = doctor(&env).await?;
    assert!(!healthy);
    assert_eq!(
        found(&findings, "definitions", "Error"),
        ["alerts.holdfast.dev is not installed", "repositories.holdfast.dev is not installed"]
    );
    assert!(found(&findings, "agent", "Error")[0].contains("no Deployment"), "{findings:?}");
    assert_eq!(found(&findings, "admission", "Error").len(), 1, "{findings:?}");

    // An image that cannot be pulled: the objects are there, and the error says why the agent is not ready.
    let image = ["install", "--image=registry.example.com/broken:1", "--timeout=10s"];
    let failed = holdfast(&kubeconfig, &image).await?;
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(!failed.status.success() && said.contains("ImagePullBackOff"), "{said}");
    let installed = holdfast(&kubeconfig, &["install", "--timeout=3m"]).await?;
    ensure!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let lines = String::from_utf8_lossy(&installed.stdout).into_owned();
    assert!(lines.contains("Deployment holdfast-system/holdfast applied"), "{lines}");

    // The pods of the harness do not run: the agent is a process with the token of its ServiceAccount.
    let token = env.cluster.must(&["-n", "holdfast-system", "create", "token", "holdfast"]).await?;
    let account = env.cluster.kubeconfig_for_token("holdfast", token.trim())?;
    let _agent = Agent::start(&account, &["--leader-elect", "-n", "holdfast-system"]).await?;
    let repository = env.forge.repository("doctor").await?;
    repository.commit(&[("map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")], "Begin")?;
    env.namespace("team-a").await?;
    env.cluster.apply(&sync::sync("team-a", "app", &repository.https_url, &json!({}))).await?;
    let away = sync::sync(
        "team-a",
        "away",
        "https://127.0.0.1:9/config.git",
        &json!({"suspend": {"reason": "a test"}}),
    );
    env.cluster.apply(&away).await?;
    // A policy is enforced some time after it is created.
    eventually(Duration::from_mins(1), "all but the network to be in order", || async {
        let (healthy, findings) = doctor(&env).await?;
        let errors: Vec<&Value> = findings.iter().filter(|one| one["result"] == "Error").collect();
        ensure!(!healthy && errors.len() == 1 && errors[0]["check"] == "network", "{errors:?}");
        ensure!(
            errors[0]["message"].as_str().is_some_and(|text| text.contains("Sync team-a/away")),
            "{errors:?}"
        );
        for check in ["cluster", "definitions", "agent", "rights", "admission", "network"] {
            ensure!(!found(&findings, check, "Ok").is_empty(), "{check}: {findings:?}");
        }
        ensure!(
            found(&findings, "rights", "Warning")[0].contains("administrator of the cluster"),
            "{findings:?}"
        );
        Ok(true)
    })
    .await?;

    // Another mode takes the rights away that it does not have, and then the agent must be bound where Syncs are.
    let tenants = holdfast(&kubeconfig, &["install", "--mode=tenants", "--timeout=3m"]).await?;
    let said = String::from_utf8_lossy(&tenants.stdout).into_owned();
    assert!(said.contains("ClusterRoleBinding holdfast-cluster-admin deleted"), "{tenants:?}");
    let prune = json!([{"op": "remove", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/prune"}]);
    let prune = prune.to_string();
    env.cluster.must(&["patch", "crd", "syncs.holdfast.dev", "--type=json", "-p", &prune]).await?;
    let output = holdfast(&kubeconfig, &["doctor"]).await?;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "namespace team-a has Syncs and the agent is not bound there",
        "kubectl -n team-a create rolebinding holdfast --clusterrole=holdfast-tenant",
        "syncs.holdfast.dev is older than holdfast",
        "v1alpha1.spec.prune",
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    let bound = holdfast(
        &kubeconfig,
        &["install", "--mode=tenants", "--namespaces=team-a", "--force-conflicts", "--timeout=0s"],
    )
    .await?;
    ensure!(bound.status.success(), "{}", String::from_utf8_lossy(&bound.stderr));
    eventually(Duration::from_secs(30), "the agent to be bound", || async {
        let (_, findings) = doctor(&env).await?;
        Ok(found(&findings, "rights", "Error").is_empty()
            && found(&findings, "definitions", "Error").is_empty())
    })
    .await?;
    Ok(())
}

/// Without rights a check is skipped, and without a cluster one error says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_rights_and_a_cluster_that_is_away() -> anyhow::Result<()> {
    let env = Env::start().await?;
    let guest = env.cluster.kubeconfig_for_user("guest")?;
    let output = holdfast(&guest, &["doctor", "-o", "json"]).await?;
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    assert!(output.status.success(), "{findings:?}");
    assert!(!found(&findings, "definitions", "Skipped").is_empty(), "{findings:?}");
    let refused = holdfast(&guest, &["install"]).await?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("customresourcedefinitions"), "{said}");
    let folder = tempfile::tempdir()?;
    let away = folder.path().join("kubeconfig");
    let cluster = json!({"apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:9"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "users": [{"name": "a", "user": {"token": "a"}}]});
    std::fs::write(&away, cluster.to_string())?;
    let output = holdfast(&away, &["doctor", "-o", "json"]).await?;
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    assert!(!output.status.success() && findings.len() == 1, "{findings:?}");
    assert!(found(&findings, "cluster", "Error")[0].contains("does not answer"), "{findings:?}");
    Ok(())
}

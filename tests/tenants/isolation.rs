//! One tenant's servers hang, and another tenant's commits and drift are handled as ever. I/O: processes, network.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use holdfast_tests::agent::Agent;
use holdfast_tests::shared::config_map;
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

use super::hostile::servers::{MANNERS, Manner, Server};
use super::stage::{self, Stage, Tenant};

/// How long a commit may take in a loaded test run, from the request to look until it is applied.
const COMMIT: Duration = Duration::from_secs(5);
const DRIFT: Duration = Duration::from_secs(3);

/// Syncs of a tenant that read from a server.
async fn hanging(
    stage: &Stage,
    tenant: &Tenant,
    name: &str,
    server: &Server,
    count: usize,
) -> anyhow::Result<()> {
    let (more, url) = (json!({"interval": "5s", "timeout": "30m"}), server.url());
    let one = |at: usize| -> anyhow::Result<Value> {
        let sync = sync::sync(&tenant.namespace, &format!("{name}-{at}"), &format!("{url}/{at}.git"), &more);
        Ok(serde_json::from_str(&sync)?)
    };
    let items = (0..count).map(one).collect::<anyhow::Result<Vec<Value>>>()?;
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let made = stage.env.cluster.kubectl_with(&tenant.person, &["apply", "-f", "-"], &list).await?;
    anyhow::ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// The value of the key of a ConfigMap.
async fn value(stage: &Stage, namespace: &str, map: &str) -> anyhow::Result<String> {
    let map = format!("configmap/{map}");
    stage.env.cluster.must(&["-n", namespace, "get", &map, "-o", "jsonpath={.data.key}"]).await
}

#[test]
fn servers_that_never_answer_delay_no_other_tenant() -> anyhow::Result<()> {
    stage::run(|stage| async move {
        let good = stage.tenant("hangs-a").await?;
        let bad = stage.tenant("hangs-b").await?;
        let repository = stage.env.forge.repository("hangs-a").await?;
        let commit = repository.commit(&[("a.yaml", &config_map("a", "1"))], "Begin")?;
        let more = json!({"interval": "1h"});
        let sync = sync::sync(&good.namespace, "app", &repository.https_url, &more);
        stage.env.cluster.apply(&sync).await?;
        stage.env.ready(&good.namespace, "app", Some(&commit)).await?;
        let mut servers = Vec::new();
        for manner in MANNERS {
            let server = Server::start(manner).await?;
            hanging(stage, &bad, &format!("{manner:?}").to_lowercase(), &server, 1).await?;
            eventually(Duration::from_secs(20), "the server to be asked", || async { Ok(server.seen() > 0) })
                .await?;
            servers.push(server);
        }
        let silent = servers.last().context("the last one is silent")?;
        hanging(stage, &bad, "hangs", silent, 200).await?;
        let open = || servers.iter().map(Server::open).sum::<usize>();
        eventually(Duration::from_secs(20), "connections that hang", || async { Ok(open() >= 8) }).await?;
        for round in 2..5 {
            let text = round.to_string();
            repository.commit(&[("a.yaml", &config_map("a", &text))], "Change")?;
            let asked = json!({"metadata": {"annotations": {"holdfast.dev/reconcile-at": text}}}).to_string();
            let started = Instant::now();
            let arguments = ["-n", &good.namespace, "patch", "sync", "app", "--type=merge", "-p", &asked];
            stage.env.cluster.must(&arguments).await?;
            eventually(COMMIT, "the commit", || async {
                Ok(value(stage, &good.namespace, "a").await? == text)
            })
            .await?;
            holdfast_tests::tools::progress(&format!(
                "a commit beside 200 that hang: {:?}",
                started.elapsed()
            ));
            let by_hand = json!({"data": {"key": "by hand"}}).to_string();
            let arguments =
                ["-n", &good.namespace, "patch", "configmap", "a", "--type=merge", "-p", &by_hand];
            stage.env.cluster.must(&arguments).await?;
            eventually(DRIFT, "the drift", || async {
                Ok(value(stage, &good.namespace, "a").await? == text)
            })
            .await?;
        }
        anyhow::ensure!(open() <= 8, "{} connections of one tenant", open());
        let threads = stage.agent.metric("process_threads").await?;
        anyhow::ensure!(threads < 60.0, "{threads} threads");
        // What is deleted ends, whatever it waits for.
        let arguments = ["-n", &bad.namespace, "delete", "syncs", "--all", "--wait=false"];
        stage.env.cluster.must(&arguments).await?;
        eventually(Duration::from_secs(30), "the connections to end", || async { Ok(open() == 0) }).await
    })
}

#[test]
fn the_agent_ends_whatever_hangs() -> anyhow::Result<()> {
    stage::run(|stage| async move {
        let tenant = stage.tenant("ends").await?;
        let server = Server::start(Manner::Silent).await?;
        hanging(stage, &tenant, "hangs", &server, 20).await?;
        let arguments = ["--namespaces", &tenant.namespace];
        let mut agent = Agent::start(&stage.env.cluster.kubeconfig(), &arguments).await?;
        eventually(Duration::from_secs(20), "connections of both agents", || async {
            Ok(server.open() >= 9)
        })
        .await?;
        let (status, took) = agent.terminate(Duration::from_secs(5))?;
        anyhow::ensure!(status.success(), "{status}");
        anyhow::ensure!(took < Duration::from_secs(5), "{took:?}");
        let arguments = ["-n", &tenant.namespace, "delete", "syncs", "--all", "--wait=false"];
        stage.env.cluster.must(&arguments).await?;
        Ok(())
    })
}

//! Nothing is asked of the API server while nothing changes, and nothing that the server normalises is drift.
//! I/O: processes, network.

use std::time::Duration;

use anyhow::Context as _;
use holdfast_tests::agent::{Agent, holdfast};
use holdfast_tests::shared::SOON;
use holdfast_tests::{Env, eventually, sync};
use serde_json::{Value, json};

/// Manifests that the server stores otherwise than they are written: each was reported as false drift for a peer.
const NORMALISED: &str = include_str!("data/normalised.yaml");

/// The certificate of an authority, which another process writes into a configuration.
const BUNDLE: &str = include_str!("data/bundle.base64");

/// Requests of the agent, watches and leases apart, since a moment.
fn requests(env: &Env, since: &str) -> anyhow::Result<Vec<Value>> {
    env.cluster.requests(|line| {
        let text = |field: &str| line[field].as_str().unwrap_or_default();
        text("userAgent").starts_with("holdfast/")
            && text("verb") != "watch"
            && line["objectRef"]["resource"] != "leases"
            && line["objectRef"]["resource"] != "events"
            && text("requestReceivedTimestamp") > since
    })
}

fn told(requests: &[Value]) -> Vec<String> {
    requests.iter().map(|line| format!("{} {}", line["verb"], line["requestURI"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_normalises_is_in_sync_and_asks_nothing() -> anyhow::Result<()> {
    let env = Env::start().await?;
    let repository = env.forge.repository("quiet").await?;
    repository.commit(&[("all/all.yaml", NORMALISED)], "Begin")?;
    env.namespace("quiet").await?;
    env.cluster.apply(&sync::sync("quiet", "app", &repository.https_url, &json!({"path": "all"}))).await?;
    let agent = env.agent(&[]).await?;
    env.ready("quiet", "app", None).await?;
    let bundle =
        json!([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": BUNDLE}]).to_string();
    let inject = ["patch", "validatingwebhookconfiguration", "quiet-webhook", "--type=json", "-p", &bundle];
    env.cluster.must(&inject).await?;
    let versions = versions(&env).await?;

    tokio::time::sleep(Duration::from_secs(3)).await;
    let quiet = jiff::Timestamp::now().to_string();
    agent.at_work_for(Duration::from_secs(7)).await?;
    let asked = requests(&env, &quiet)?;
    assert!(asked.is_empty(), "{:#?}", told(&asked));

    // A commit elsewhere, which this path does not read.
    let elsewhere = repository.commit(&[("elsewhere/readme.md", "Not read")], "Elsewhere")?;
    eventually(SOON, "the agent to see the commit", || async {
        Ok(agent.get("metrics").await?.contains(&elsewhere))
    })
    .await?;
    agent.at_work_for(Duration::from_secs(6)).await?;
    let asked = requests(&env, &quiet)?;
    assert!(asked.is_empty(), "{:#?}", told(&asked));
    let before = requests(&env, "")?;
    assert!(
        before.len() > 10,
        "the audit log has only {} requests of the agent: it shows nothing",
        before.len()
    );

    // A restart may look, and must not write.
    let restarted = jiff::Timestamp::now().to_string();
    let agent: Agent = agent.restart(&env.cluster.kubeconfig(), &[]).await?;
    agent.at_work_for(Duration::from_secs(8)).await?;
    let writes = requests(&env, &restarted)?;
    let writes: Vec<Value> = writes
        .into_iter()
        .filter(|line| {
            line["verb"] != "get"
                && line["verb"] != "list"
                && !line["requestURI"].as_str().unwrap_or_default().contains("dryRun=All")
        })
        .collect();
    assert!(writes.is_empty(), "{:#?}", told(&writes));
    assert_eq!(self::versions(&env).await?, versions, "an object was written");
    env.ready("quiet", "app", None).await?;
    let found = holdfast(&env.cluster.kubeconfig(), &["plan", "app", "-n", "quiet", "-o", "json"]).await?;
    let found: Value = serde_json::from_slice(&found.stdout)?;
    assert_eq!((&found["changes"], &found["errors"]), (&json!([]), &json!([])), "{found:#}");
    let written =
        env.cluster.must(&["get", "validatingwebhookconfiguration", "quiet-webhook", "-o", "json"]).await?;
    assert!(written.contains(BUNDLE), "{written}");
    let quiet = jiff::Timestamp::now().to_string();
    agent.at_work_for(Duration::from_secs(7)).await?;
    let asked = requests(&env, &quiet)?;
    assert!(asked.is_empty(), "{:#?}", told(&asked));
    let lines = agent.lines()?;
    assert!(lines.iter().all(|line| line["message"] != "Corrected drift"), "{lines:#?}");
    Ok(())
}

/// The generation of every object of the set: it counts writes of the spec.
async fn versions(env: &Env) -> anyhow::Result<Vec<String>> {
    let kinds = "configmaps,secrets,services,deployments,statefulsets,roles,horizontalpodautoscalers,networkpolicies,cronjobs,ingresses";
    let text = env
        .cluster
        .must(&["-n", "quiet", "get", kinds, "-l", "applyset.kubernetes.io/part-of", "-o", "json"])
        .await?;
    let list: Value = serde_json::from_str(&text).context("kubectl printed no JSON")?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    assert!(items.len() >= 10, "{} objects", items.len());
    Ok(items
        .iter()
        .map(|item| {
            format!("{} {} {}", item["kind"], item["metadata"]["name"], item["metadata"]["generation"])
        })
        .collect())
}

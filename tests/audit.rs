//! A real API server sends its audit events to a real agent, and they name who wrote what its objects hold.
//! I/O: processes, network, disk.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use holdfast::report::audit::{Audit, Object, Write};
use holdfast_tests::agent::{Agent, holdfast};
use holdfast_tests::controlplane::Options;
use holdfast_tests::shared::{SOON, config_map};
use holdfast_tests::watchdog::Folder;
use holdfast_tests::{Env, eventually, ports, root, sync};
use jiff::Timestamp;
use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// How long the API server repeats batches that were not accepted: five times, with these flags.
const SETTLED: Duration = Duration::from_secs(4);

/// The flags of an API server that sends its audit events to a port of this machine.
fn flags(folder: &Path, port: u16) -> anyhow::Result<Vec<String>> {
    let config = folder.join("webhook.yaml");
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "holdfast",
        "clusters": [{"name": "holdfast", "cluster": {"server": format!("http://audit:{TOKEN}@127.0.0.1:{port}/audit")}}],
        "contexts": [{"name": "holdfast", "context": {"cluster": "holdfast"}}]});
    std::fs::write(&config, kubeconfig.to_string())?;
    Ok(vec![
        format!("--audit-policy-file={}", root().join("tests/data/audit-policy.yaml").display()),
        format!("--audit-webhook-config-file={}", config.display()),
        "--audit-webhook-mode=batch".to_owned(),
        "--audit-webhook-batch-max-wait=100ms".to_owned(),
        "--audit-webhook-initial-backoff=200ms".to_owned(),
    ])
}

/// An agent that takes audit events from who shows this token.
async fn agent(env: &Env, folder: &Path, port: u16, token: &str) -> anyhow::Result<Agent> {
    let file = folder.join("token");
    std::fs::write(&file, format!("{token}\n"))?;
    let file = file.display().to_string();
    Agent::start_at(port, &env.cluster.kubeconfig(), &["--audit-token-file", &file]).await
}

/// The counter of a result, 0 if there is none yet.
async fn counted(agent: &Agent, result: &str) -> anyhow::Result<u64> {
    let count = agent.metric(&format!("holdfast_audit_events_total{{result=\"{result}\"}}")).await?;
    // Nothing at all adds up to -0.
    Ok(count.abs().to_string().parse()?)
}

/// Runs kubectl as alice, who may do everything, and must succeed.
async fn alice(env: &Env, arguments: &[&str]) -> anyhow::Result<()> {
    let kubeconfig = format!("--kubeconfig={}", env.cluster.kubeconfig_for_user("alice")?.display());
    env.cluster.must(&[&[kubeconfig.as_str()], arguments].concat()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_that_others_make_arrives_once() -> anyhow::Result<()> {
    let (folder, port) = (Folder::make("audit")?, ports::free()?);
    let apiserver_flags = flags(folder.path(), port)?;
    let env = Env::start_with(Options { controllers: false, apiserver_flags }).await?;
    let role = ["create", "clusterrolebinding", "alice", "--clusterrole=cluster-admin", "--user=alice"];
    env.cluster.must(&role).await?;
    let mut agent = agent(&env, folder.path(), port, TOKEN).await?;
    let repository = env.forge.repository("shop").await?;
    repository.commit(&[("app.yaml", &config_map("app", "1"))], "Begin")?;
    // What could not be sent before the agent was there has been given up.
    tokio::time::sleep(SETTLED).await;
    let before = counted(&agent, "ok").await?;

    // The agent's own writes are not reported: these are three of the administrator.
    env.namespace("shop").await?;
    env.cluster.apply(&sync::sync("shop", "app", &repository.https_url, &json!({}))).await?;
    env.ready("shop", "app", None).await?;
    eventually(SOON, "the changes of the administrator", || async {
        Ok(counted(&agent, "ok").await? - before >= 3)
    })
    .await?;
    // These are eight of alice.
    alice(&env, &["-n", "shop", "create", "deployment", "web", "--image=nginx", "--replicas=0"]).await?;
    alice(&env, &["-n", "shop", "scale", "deployment", "web", "--replicas=1"]).await?;
    alice(&env, &["-n", "shop", "annotate", "deployment", "web", "a=b"]).await?;
    alice(
        &env,
        &["-n", "shop", "annotate", "deployment", "web", "c=d", "--as=bob", "--as-group=system:masters"],
    )
    .await?;
    alice(&env, &["-n", "shop", "create", "configmap", "one"]).await?;
    alice(&env, &["-n", "shop", "delete", "configmap", "one"]).await?;
    alice(&env, &["-n", "shop", "delete", "deployment", "web"]).await?;
    alice(&env, &["delete", "--raw", "/api/v1/namespaces/shop/secrets?labelSelector=none%3Dhere"]).await?;
    // And these change nothing.
    alice(&env, &["-n", "shop", "create", "configmap", "two", "--dry-run=server"]).await?;
    alice(&env, &["-n", "shop", "get", "configmap", "app"]).await?;
    assert!(alice(&env, &["-n", "shop", "delete", "configmap", "none"]).await.is_err());
    eventually(SOON, "the changes of alice", || async { Ok(counted(&agent, "ok").await? - before >= 11) })
        .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(counted(&agent, "ok").await? - before, 11);
    assert_eq!((counted(&agent, "refused").await?, counted(&agent, "invalid").await?), (0, 0));

    drift_is_told_with_its_user(&env).await?;
    refused(&env, &mut agent).await?;
    agent.terminate(SOON)?;
    refused_for_its_token(&env, folder.path(), port).await
}

/// Drift names the user, though the audit event comes later than the change.
async fn drift_is_told_with_its_user(env: &Env) -> anyhow::Result<()> {
    let told = |path: &'static str| async move {
        let sync = env.read("shop", "app").await?;
        anyhow::Ok(sync.pointer(path).and_then(Value::as_str).map(str::to_owned))
    };
    alice(env, &["-n", "shop", "patch", "configmap", "app", "-p", r#"{"data":{"key":"hand"}}"#]).await?;
    eventually(SOON, "alice to be named for the change", || async {
        Ok(told("/status/drift/objects/0/changes/0/user").await?.as_deref() == Some("alice"))
    })
    .await?;
    alice(env, &["-n", "shop", "delete", "configmap", "app"]).await?;
    eventually(SOON, "alice to be named for the deletion", || async {
        Ok(told("/status/drift/objects/0/user").await?.as_deref() == Some("alice"))
    })
    .await
}

/// Invalid requests are refused and counted, and the agent continues.
async fn refused(env: &Env, agent: &mut Agent) -> anyhow::Result<()> {
    let url = format!("http://{}/audit", agent.address());
    let client = reqwest::Client::new();
    for token in ["", "wrong", &TOKEN[1..]] {
        let answer = client.post(&url).bearer_auth(token).body("{}").send().await?;
        assert_eq!((answer.status().as_u16(), answer.text().await?), (401, String::new()), "{token}");
    }
    assert_eq!(client.post(&url).body("{}").send().await?.status(), 401);
    let answer = client.post(&url).bearer_auth(TOKEN).body("{}").send().await?;
    assert_eq!(answer.status(), 400);
    assert_eq!(
        answer.text().await?,
        "the body is a \"\" of \"\", and must be an EventList of audit.k8s.io/v1\n"
    );
    assert_eq!(client.get(&url).bearer_auth(TOKEN).send().await?.status(), 405);
    assert_eq!(counted(agent, "refused").await?, 4);
    assert_eq!(counted(agent, "invalid").await?, 1);
    agent.get("healthz").await?;
    agent.check()?;
    let without = env.agent(&[]).await?;
    let url = format!("http://{}/audit", without.address());
    assert_eq!(client.post(&url).bearer_auth(TOKEN).body("{}").send().await?.status(), 404);
    Ok(())
}

/// An agent that knows another token takes nothing of what the API server sends.
async fn refused_for_its_token(env: &Env, folder: &Path, port: u16) -> anyhow::Result<()> {
    let mut other = agent(env, folder, port, "another token".replace(' ', "-").repeat(2).as_str()).await?;
    alice(env, &["-n", "shop", "create", "configmap", "three"]).await?;
    eventually(SOON, "the API server to be refused", || async { Ok(counted(&other, "refused").await? >= 1) })
        .await?;
    assert_eq!(counted(&other, "ok").await?, 0);
    other.get("healthz").await?;
    other.check()
}

#[tokio::test]
async fn an_agent_does_not_start_with_a_token_that_is_of_no_use() -> anyhow::Result<()> {
    let folder = Folder::make("audit")?;
    let file = folder.path().join("token");
    let start = async || -> anyhow::Result<String> {
        let arguments = ["agent", "--audit-token-file", &file.display().to_string()];
        let output = holdfast(&folder.path().join("none"), &arguments).await?;
        assert_eq!(output.status.code(), Some(1));
        Ok(String::from_utf8(output.stderr)?)
    };
    let error = start().await?;
    assert!(error.contains("cannot read the token of --audit-token-file"), "{error}");
    std::fs::write(&file, "short\n")?;
    let error = start().await?;
    assert!(error.contains("the token has 5 characters and needs at least 16"), "{error}");
    Ok(())
}

/// The record, asked with what the API server wrote into `managedFields`.
#[tokio::test(flavor = "multi_thread")]
async fn audit_events_name_the_user_of_each_entry_of_managed_fields() -> anyhow::Result<()> {
    let env = Env::start_with(Options { controllers: false, ..Options::default() }).await?;
    let role = ["create", "clusterrolebinding", "alice", "--clusterrole=cluster-admin", "--user=alice"];
    env.cluster.must(&role).await?;
    alice(&env, &["create", "namespace", "shop"]).await?;
    alice(&env, &["-n", "shop", "create", "deployment", "web", "--image=nginx", "--replicas=0"]).await?;
    alice(&env, &["-n", "shop", "scale", "deployment", "web", "--replicas=1"]).await?;
    alice(
        &env,
        &["-n", "shop", "annotate", "deployment", "web", "a=b", "--as=bob", "--as-group=system:masters"],
    )
    .await?;
    env.cluster.must(&["-n", "shop", "label", "deployment", "web", "e=f"]).await?;
    let seen =
        env.cluster.must(&["-n", "shop", "get", "deployment", "web", "-o", "json", "--show-managed-fields"]);
    let seen: Value = serde_json::from_str(&seen.await?)?;
    let web = Object { group: "apps", resource: "deployments", namespace: "shop", name: "web" };
    let audit = Audit::default();
    eventually(SOON, "the last of the events", || async {
        take_log(&env, &audit)?;
        Ok(audit.user(web, Write { manager: Some("kubectl-label"), ..Write::default() }).is_some())
    })
    .await?;
    let mut told = Vec::new();
    for entry in seen["metadata"]["managedFields"].as_array().context("no managedFields")? {
        let at = entry["time"].as_str().map(str::parse::<Timestamp>).transpose()?;
        let (manager, subresource) = (entry["manager"].as_str(), entry["subresource"].as_str());
        let user = audit.user(web, Write { manager, subresource, at });
        told.push((manager.unwrap_or_default(), user.map(|user| user.name.to_string())));
    }
    told.sort();
    let expected = [
        ("kubectl", "alice"),
        ("kubectl-annotate", "bob (impersonated by alice)"),
        ("kubectl-create", "alice"),
        ("kubectl-label", "admin"),
    ];
    assert_eq!(told, expected.map(|(manager, user)| (manager, Some(user.to_owned()))));

    alice(&env, &["-n", "shop", "delete", "deployment", "web"]).await?;
    let gone = Timestamp::now();
    eventually(SOON, "the event of the deletion", || async {
        take_log(&env, &audit)?;
        Ok(audit.deleter(web, gone).is_some_and(|user| &*user.name == "alice"))
    })
    .await
}

/// Takes everything that is in the audit log, which has the events that a webhook is sent.
fn take_log(env: &Env, audit: &Audit) -> anyhow::Result<()> {
    let writes = env.cluster.requests(|line| line["objectRef"]["namespace"] == "shop")?;
    let list = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": writes});
    audit.take(list.to_string().as_bytes(), Timestamp::now())?;
    Ok(())
}

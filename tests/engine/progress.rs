//! A run that takes long says what it is doing and how far it is: in the status, in kubectl, in the metrics and to who waits.
//! I/O: processes, network.

use std::time::{Duration, Instant};

use anyhow::ensure;
use holdfast_tests::agent::{holdfast, program};
use holdfast_tests::shared::{self, Shared, run};
use holdfast_tests::webhook::Webhook;
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

use super::servers::{Manner, Server};

/// What a slow webhook may take beside its own time.
const SOON: Duration = Duration::from_secs(40);

fn in_wave(name: &str, wave: usize) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {{holdfast.dev/wave: \"{wave}\"}}}}\n"
    )
}

/// A webhook that waits for eight seconds, once the API server calls it.
async fn slow(shared: &Shared, namespace: &str) -> anyhow::Result<Webhook> {
    let webhook = Webhook::start().await?;
    let cluster = &shared.env.cluster;
    cluster.must(&["label", "namespace", namespace, "webhook=slow"]).await?;
    cluster.apply(&webhook.configuration("slow", "", &["configmaps"], 20)).await?;
    eventually(SOON, "the webhook to be called", || async {
        let begun = Instant::now();
        cluster.must(&["-n", namespace, "create", "configmap", "probe", "--dry-run=server"]).await?;
        Ok(begun.elapsed() > Duration::from_secs(5))
    })
    .await?;
    Ok(webhook)
}

fn condition<'a>(sync: &'a Value, kind: &str) -> &'a Value {
    let all = sync["status"]["conditions"].as_array();
    all.into_iter().flatten().find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

#[test]
fn a_run_behind_a_slow_webhook_says_how_far_it_is_in_place_of_an_old_verdict() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let repository = shared.env.forge.repository("progress").await?;
        repository.commit(&[("other/a.yaml", &shared::config_map("a", "1"))], "Begin")?;
        shared.env.namespace("progress").await?;
        let more = json!({"path": "./shop", "interval": "5s"});
        shared.env.cluster.apply(&sync::sync("progress", "app", &repository.https_url, &more)).await?;
        shared.env.reason("progress", "app", "PathNotFound").await?;
        let _webhook = slow(shared, "progress").await?;
        let files: Vec<(String, String)> = [("a", 0), ("b", 0), ("c", 0), ("d", 1), ("e", 1)]
            .iter()
            .map(|(name, wave)| (format!("shop/{name}.yaml"), in_wave(name, *wave)))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
        let commit = repository.commit(&files, "Add the shop")?;
        let kubeconfig = shared.env.cluster.kubeconfig();
        let waiting = holdfast(&kubeconfig, &["-n", "progress", "reconcile", "app", "--wait"]);
        let watching = async {
            eventually(SOON, "the first wave to be told", || async {
                let sync = shared.env.read("progress", "app").await?;
                Ok(sync["status"]["progress"]["message"] == "applying 0 of 5 objects, wave 1 of 2")
            })
            .await?;
            let sync = shared.env.read("progress", "app").await?;
            let progress = &sync["status"]["progress"];
            ensure!(progress["stage"] == "apply" && progress["wave"] == "1/2", "{progress}");
            ensure!(progress["revision"].as_str().is_some_and(|it| it.ends_with(&commit)), "{progress}");
            ensure!(progress["since"].is_string(), "{progress}");
            let ready = condition(&sync, "Ready");
            ensure!(ready["status"] == "False" && ready["reason"] == "Progressing", "{ready}");
            ensure!(condition(&sync, "Stalled").is_null(), "{sync}");
            let reconciling = condition(&sync, "Reconciling")["message"].as_str().unwrap_or_default();
            ensure!(
                reconciling.starts_with("applying 0 of 5 objects, wave 1 of 2 of main@"),
                "{reconciling}"
            );
            let listed = shared.env.cluster.must(&["-n", "progress", "get", "syncs"]).await?;
            ensure!(listed.contains("applying 0 of 5 objects"), "{listed}");
            let status = holdfast(&kubeconfig, &["-n", "progress", "status", "app"]).await?;
            let status = String::from_utf8_lossy(&status.stdout).into_owned();
            ensure!(status.contains("progress  applying 0 of 5 objects, wave 1 of 2 of main@"), "{status}");
            let expected = "holdfast_sync_progress_objects_expected{namespace=\"progress\",sync=\"app\"}";
            ensure!(shared.agent.metric(expected).await? > 4.0);
            eventually(SOON, "the second wave to be told", || async {
                let sync = shared.env.read("progress", "app").await?;
                Ok(sync["status"]["progress"]["message"] == "applying 3 of 5 objects, wave 2 of 2")
            })
            .await
        };
        let (waited, watched) = tokio::join!(waiting, watching);
        watched?;
        let waited = waited?;
        let said = String::from_utf8_lossy(&waited.stderr);
        ensure!(waited.status.success(), "{said}");
        ensure!(said.contains("applying 0 of 5 objects, wave 1 of 2") && said.contains("InSync: "), "{said}");
        ensure!(!said.contains("PathNotFound") && !said.contains('\x1b'), "{said}");
        let sync = shared.env.read("progress", "app").await?;
        ensure!(sync["status"]["progress"].is_null(), "{sync}");
        ensure!(condition(&sync, "Reconciling").is_null(), "{sync}");
        let metrics = shared.agent.get("metrics").await?;
        let series = "holdfast_sync_progress_objects{namespace=\"progress\"";
        ensure!(!metrics.contains(series), "the series outlives the run");
        let writes = shared.env.cluster.requests(|line| {
            line["verb"] == "patch"
                && line["objectRef"]["namespace"] == "progress"
                && line["objectRef"]["subresource"] == "status"
                && line["objectRef"]["resource"] == "syncs"
        })?;
        // The verdicts before and after, and progress at most once in five seconds of sixteen.
        ensure!(writes.len() <= 8, "{} status writes", writes.len());
        Ok(())
    })
}

#[test]
fn a_wait_for_what_cannot_become_ready_ends_with_an_error() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let repository =
            shared.begin("waits", &[("a.yaml", &shared::config_map("a", "1"))], &json!({})).await?;
        let kubeconfig = shared.env.cluster.kubeconfig();
        let wait = ["-n", "waits", "reconcile", "app", "--wait"];
        let ready = holdfast(&kubeconfig, &wait).await?;
        ensure!(ready.status.success(), "{}", String::from_utf8_lossy(&ready.stderr));
        repository.commit(&[("a.yaml", "kind: ConfigMap\n")], "Make a mistake")?;
        let failed = holdfast(&kubeconfig, &wait).await?;
        let said = String::from_utf8_lossy(&failed.stderr);
        ensure!(failed.status.code() == Some(1), "{said}");
        ensure!(said.contains("a.yaml"), "{said}");
        Ok(())
    })
}

/// Waits until the status says what a Sync does, and `Reconciling` says the same; returns the status.
async fn told(shared: &Shared, name: &str, stage: &str, words: &str) -> anyhow::Result<Value> {
    eventually(SOON, &format!("{name} to say that it is {words}"), || async {
        let status = shared.env.read("stages", name).await?["status"].clone();
        let message = status["progress"]["message"].as_str().unwrap_or_default().to_owned();
        ensure!(message.contains(words), "it is {status}");
        Ok(true)
    })
    .await?;
    let sync = shared.env.read("stages", name).await?;
    let (progress, reconciling) = (&sync["status"]["progress"], condition(&sync, "Reconciling"));
    ensure!(progress["stage"] == stage && progress["since"].is_string(), "{name}: {progress}");
    ensure!(reconciling["status"] == "True", "{name}: {reconciling}");
    ensure!(condition(&sync, "Ready")["status"] == "False", "{name}: {sync}");
    Ok(sync["status"].clone())
}

/// What a terminal shows of a command that is stopped as Ctrl-C does it.
async fn in_a_terminal(shared: &Shared, arguments: &str) -> anyhow::Result<String> {
    let command = format!("timeout --foreground -s INT 3 {} {arguments}", program().await?.display());
    let mut script = tokio::process::Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).env("KUBECONFIG", shared.env.cluster.kubeconfig());
    let output = script.stdin(std::process::Stdio::null()).output().await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn every_stage_that_takes_long_is_named_with_what_it_waits_for() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let (cluster, silent) = (&shared.env.cluster, Server::start(Manner::Silent).await?);
        let repository = shared.env.forge.repository("stages").await?;
        let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {a: b}}\n  \
                          template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: a, image: broken}]}\n";
        let held = |name: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, finalizers: [example.com/hold]}}\n"
            )
        };
        let map = shared::config_map("plain", "1");
        let files = [
            ("health/a.yaml", deployment),
            ("prune/a.yaml", &*held("left")),
            ("prune/b.yaml", &*map),
            ("end/a.yaml", &*held("last")),
        ];
        let commit = repository.commit(&files, "Begin")?;
        shared.env.namespace("stages").await?;
        let url = repository.https_url.as_str();
        let chart = json!({"repository": silent.url(), "name": "web", "version": "1.0.0"});
        let syncs = [
            ("source", format!("{}/a.git", silent.url()), json!({})),
            ("render", url.to_owned(), json!({"render": {"helm": {"chart": chart}}})),
            ("health", url.to_owned(), json!({"path": "health"})),
            ("prune", url.to_owned(), json!({"path": "prune", "approval": "Never"})),
            ("end", url.to_owned(), json!({"path": "end", "approval": "Never"})),
        ];
        for (name, url, more) in &syncs {
            cluster.apply(&sync::sync("stages", name, url, more)).await?;
        }
        told(shared, "source", "source", "fetching the source").await?;
        let status = told(shared, "render", "render", "fetching the chart").await?;
        ensure!(status["progress"]["revision"].as_str().is_some_and(|it| it.ends_with(&commit)), "{status}");
        told(shared, "health", "health", "waiting for health: 0 of 1 objects are healthy").await?;
        let shown = in_a_terminal(shared, "-n stages status health --watch").await?;
        ensure!(
            shown.contains("\r\x1b[2Kwaiting for health: 0 of 1 objects are healthy (main@"),
            "{shown:?}"
        );
        ensure!(shown.ends_with("\r\n"), "the prompt stands behind the line: {shown:?}");
        shared.env.ready("stages", "prune", Some(&commit)).await?;
        shared.env.ready("stages", "end", Some(&commit)).await?;
        repository.remove(&["prune/a.yaml"], "Remove one")?;
        cluster.must(&["-n", "stages", "delete", "sync", "end", "--wait=false"]).await?;
        told(shared, "prune", "apply", "left").await?;
        told(shared, "end", "apply", "last").await?;
        let free = json!({"metadata": {"finalizers": null}});
        for (object, sync) in [("configmap/left", "prune"), ("configmap/last", "end")] {
            shared.patch("stages", object, &free).await?;
            shared.gone("stages", object).await?;
            if sync == "prune" {
                shared.until("stages", "sync/prune", "{.status.progress}", "").await?;
            }
        }
        shared.gone("stages", "sync/end").await
    })
}

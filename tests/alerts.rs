//! Alerts on real parts: drift that is told at once, attributed, and resolved; receivers that are rude or down; restarts.
//! I/O: processes, network.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use holdfast_tests::receiver::Receiver;
use holdfast_tests::shared::{self, Shared, run};
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

/// An Alert of the namespace that sends to a webhook, signed.
async fn alert(shared: &Shared, namespace: &str, url: &str, more: &Value) -> anyhow::Result<()> {
    shared.env.cluster.apply(&sync::secret(namespace, "hook", &[("token", "s3cret-token")])).await?;
    let mut alert = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Alert",
        "metadata": {"name": "on-call", "namespace": namespace},
        "spec": {"receiver": {"webhook": {"url": url, "secretRef": {"name": "hook"}}}}});
    for (name, value) in more.as_object().into_iter().flatten() {
        alert["spec"][name] = value.clone();
    }
    shared.env.cluster.apply(&alert.to_string()).await?;
    shared
        .until(namespace, "alert/on-call", "{.status.conditions[?(@.type==\"Ready\")].status}", "True")
        .await
}

fn is(notice: &Value, event: &str, status: &str) -> bool {
    notice["event"] == event && notice["status"] == status
}

#[test]
fn drift_is_told_at_once_with_its_manager_and_ends_by_itself() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let receiver = Receiver::webhook(Some("s3cret-token")).await?;
        shared.begin("told", &[("a.yaml", &shared::config_map("a", "git"))], &json!({})).await?;
        alert(shared, "told", &receiver.url(), &json!({})).await?;
        let started = Instant::now();
        shared.patch("told", "configmap/a", &json!({"data": {"key": "hand"}})).await?;
        let notices =
            receiver.until("the onset", |all| all.iter().any(|one| is(one, "Drifted", "firing"))).await?;
        let onset = notices.iter().find(|one| is(one, "Drifted", "firing")).context("no onset")?;
        eprintln!("{} ms, {onset:#}", started.elapsed().as_millis());
        let object = &onset["objects"][0];
        assert_eq!((&object["kind"], &object["name"]), (&json!("ConfigMap"), &json!("a")));
        let change = &object["changes"][0];
        assert_eq!(
            (&change["path"], &change["desired"], &change["live"], &change["manager"], &change["operation"]),
            (&json!("/data/key"), &json!("git"), &json!("hand"), &json!("kubectl-patch"), &json!("Update"))
        );
        shared.until("told", "configmap/a", "{.data.key}", "git").await?;
        let notices =
            receiver.until("the end", |all| all.iter().any(|one| is(one, "Drifted", "resolved"))).await?;
        let end = notices.iter().find(|one| is(one, "Drifted", "resolved")).context("no end")?;
        assert_eq!(end["startsAt"], onset["startsAt"]);
        eventually(SOON, "the episode to be closed", || async {
            Ok(shared.env.read("told", "app").await?["status"]["drift"].is_null())
        })
        .await
    })
}

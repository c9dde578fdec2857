//! Two agents: the one that waits for the Lease leads to the one that holds it. I/O: processes, network.

use std::time::Duration;

use anyhow::ensure;
use holdfast_tests::agent::Agent;
use holdfast_tests::eventually;
use holdfast_tests::shared::{SOON, config_map, run};
use serde_json::json;

use super::kit::{AGENT, account, people};
use super::visitor::{Visitor, address, proof};

#[test]
fn an_agent_that_waits_leads_to_the_one_that_works_and_takes_over_from_it() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-standby";
        let flags = [
            "--ui-auth=token",
            "--ui-listen=127.0.0.1:0",
            "--leader-elect",
            "-n",
            namespace,
            "--namespaces",
            namespace,
        ];
        let kubeconfig = shared.env.cluster.kubeconfig();
        let mut first = Agent::start(&kubeconfig, &flags).await?;
        shared.begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({})).await?;
        let second = Agent::start(&kubeconfig, &flags).await?;
        eventually(SOON, "the second to wait", || async {
            Ok(second.output()?.contains("Waiting for the Lease"))
        })
        .await?;
        let editor = account(shared, namespace, "editor", "holdfast-edit").await?;
        let base = address(&second)?;
        // Signing in, reading, acting and the events of a tab, all through the one that waits.
        let signed = Visitor::sign_in(&base, &editor).await?;
        let page = signed.get("/syncs/ui-standby/app").await?;
        page.is_guarded()?;
        ensure!(page.status == 200 && page.text.contains("Reconcile now"), "{}", page.text);
        let mut events = signed.stream("/events", None).await?;
        events.until("data: ui-standby/app", SOON).await?;
        let fields =
            [("proof", proof(&page.text)?), ("reason", "incident".to_owned()), ("for", "1h".to_owned())];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let done = signed.post("/syncs/ui-standby/app/suspend", &fields).await?;
        ensure!(
            done.status == 303 && done.header("location").starts_with("/syncs/ui-standby/app"),
            "{done:?}"
        );
        ensure!(shared.jsonpath(namespace, "sync/app", "{.spec.suspend.reason}").await? == "incident");
        events.until("data: ui-standby/app", SOON).await?;
        // The first ends: the other one serves by itself, and the user signs in again.
        first.terminate(Duration::from_secs(5))?;
        eventually(Duration::from_secs(60), "the other one to serve the page", || async {
            let Ok(signed) = Visitor::sign_in(&base, &editor).await else { return Ok(false) };
            Ok(signed.get("/syncs/ui-standby/app").await?.text.contains("The Sync is suspended")
                || signed.get("/syncs/ui-standby/app").await?.text.contains("Resume"))
        })
        .await
    })
}

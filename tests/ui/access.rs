//! How users are known: on loopback, by a proxy, and by a kubeconfig. I/O: processes, network.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use holdfast_tests::agent::program;
use holdfast_tests::eventually;
use holdfast_tests::shared::{SOON, config_map, run};
use holdfast_tests::watchdog::{Folder, Process};
use serde_json::json;

use super::browser;
use super::kit::{AGENT, people};
use super::visitor::{Answer, Visitor, address, proof};

#[test]
fn on_loopback_everybody_reads_nobody_writes_and_reading_asks_nothing() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let namespace = "ui-loopback";
        let agent = shared
            .env
            .agent(&["--ui-auth=loopback", "--ui-listen=127.0.0.1:0", "--namespaces", namespace])
            .await?;
        shared.begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({})).await?;
        let anonymous = Visitor::anonymous(&address(&agent)?)?;
        let page = anonymous.get("/syncs/ui-loopback/app").await?;
        ensure!(
            page.status == 200
                && page.text.contains("ConfigMap ui-loopback/a")
                && page.text.contains("read only"),
            "{}",
            page.text
        );
        for deed in ["reconcile", "suspend", "decide"] {
            let answer =
                anonymous.post(&format!("/syncs/ui-loopback/app/{deed}"), &[("reason", "x")]).await?;
            ensure!((400..500).contains(&answer.status), "{deed}: {answer:?}");
        }
        ensure!(
            anonymous.as_host("/", "ui.example.com").await?.status == 403,
            "a name of another site is refused"
        );
        let requests = || async { agent.metric("holdfast_api_requests_total").await };
        let before = requests().await?;
        for path in ["/", "/drift", "/images", "/syncs/ui-loopback/app"] {
            for _ in 0..20 {
                ensure!(anonymous.get(path).await?.status == 200, "{path}");
            }
        }
        ensure!((requests().await? - before).abs() < 3.0, "the pages cost requests");
        // An object of no Sync is not read with the rights of the agent, and neither are logs.
        for path in [
            "object?kind=Secret&namespace=ui-loopback&name=git",
            "log?namespace=ui-loopback&pod=web&container=app",
        ] {
            let answer = anonymous.get(&format!("/syncs/ui-loopback/app/{path}")).await?;
            ensure!((400..500).contains(&answer.status), "{path}: {answer:?}");
        }
        browser::look(&address(&agent)?, namespace).await
    })
}

#[test]
fn a_proxy_names_users_and_what_the_agent_does_for_them_is_recorded() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-proxy";
        let flags = [
            "--ui-auth=proxy",
            "--ui-listen=127.0.0.1:0",
            "--ui-proxy-from=127.0.0.1",
            "--namespaces",
            namespace,
        ];
        let agent = shared.env.agent(&flags).await?;
        shared.begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({})).await?;
        for (name, role, subject) in [
            ("edit", "holdfast-edit", "--user=alice@example.com"),
            ("view", "holdfast-view", "--group=readers"),
        ] {
            let role = format!("--clusterrole={role}");
            shared
                .env
                .cluster
                .must(&["-n", namespace, "create", "rolebinding", name, &role, subject])
                .await?;
        }
        let base = address(&agent)?;
        let alice = Visitor::proxied(&base, "alice@example.com", "")?;
        let page = alice.get("/syncs/ui-proxy/app").await?;
        ensure!(
            page.text.contains("alice@example.com") && page.text.contains("Reconcile now"),
            "{}",
            page.text
        );
        let proof = proof(&page.text)?;
        let act = "/syncs/ui-proxy/app/suspend";
        let fields = [("proof", proof.as_str()), ("reason", "incident"), ("for", "1h")];
        let bob = Visitor::proxied(&base, "bob@example.com", "readers, system:masters")?;
        ensure!(bob.get("/syncs/ui-proxy/app").await?.status == 200);
        for visitor in [
            bob,
            Visitor::proxied(&base, "system:admin", "")?,
            Visitor::proxied(&base, "carol", "system:masters")?,
            Visitor::anonymous(&base)?,
        ] {
            let answer = visitor.post(act, &fields).await?;
            ensure!(matches!(answer.status, 403 | 404), "{answer:?}");
        }
        ensure!(alice.post(act, &fields).await?.status == 303);
        ensure!(shared.jsonpath(namespace, "sync/app", "{.spec.suspend.reason}").await? == "incident");
        eventually(SOON, "an Event that names the user", || async {
            let events = shared
                .env
                .cluster
                .must(&["-n", namespace, "get", "events", "-o", "jsonpath={.items[*].message}"])
                .await?;
            Ok(events.contains("alice@example.com suspended the Sync"))
        })
        .await
    })
}

/// `holdfast ui` as a user of the cluster.
async fn serve(kubeconfig: PathBuf, arguments: &[&str]) -> anyhow::Result<(Process, Folder, String)> {
    let folder = Folder::make("ui")?;
    let log = folder.path().join("log");
    let mut command = std::process::Command::new(program().await?);
    command.args(["ui", "--listen", "127.0.0.1:0"]).args(arguments).env("KUBECONFIG", kubeconfig);
    let process = Process::start("holdfast-ui", &mut command, &log)?;
    let mut url = String::new();
    for _ in 0..400 {
        let text = std::fs::read_to_string(&log)?;
        if let Some(found) = text.lines().find(|line| line.starts_with("http://")) {
            found.clone_into(&mut url);
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(!url.is_empty(), "{}", std::fs::read_to_string(&log)?);
    Ok((process, folder, url))
}

#[test]
fn the_ui_of_the_command_line_has_the_rights_of_its_kubeconfig() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-own";
        let kubeconfig = shared.env.cluster.kubeconfig_for_user("ui-dora")?;
        let cluster = &shared.env.cluster;
        shared.begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({})).await?;
        cluster
            .must(&[
                "-n",
                namespace,
                "create",
                "rolebinding",
                "dora",
                "--clusterrole=holdfast-view",
                "--user=ui-dora",
            ])
            .await?;
        let (_process, _folder, url) = serve(kubeconfig, &["-n", namespace]).await?;
        let (base, _) = url.split_once("/open").context("no key")?;
        ensure!(
            Visitor::anonymous(base)?.get("/").await?.status == 403,
            "who does not know the key sees nothing"
        );
        let opened = Visitor::anonymous(base)?.get(&url[base.len()..]).await?;
        let dora = Visitor::with_cookie(base, &opened.header("set-cookie"))?;
        eventually(SOON, "the page to show the Sync", || async {
            let home: Answer = dora.get("/").await?;
            Ok(home.text.contains("ui-own/app") && home.text.contains("ui-dora"))
        })
        .await?;
        let page = dora.get("/syncs/ui-own/app").await?;
        page.is_guarded()?;
        let refused = dora.post("/syncs/ui-own/app/reconcile", &[("proof", &proof(&page.text)?)]).await?;
        ensure!(refused.status == 403 && refused.text.contains("ui-dora"), "{refused:?}");
        ensure!(dora.as_host("/", "evil.example.com").await?.status == 403);
        Ok(())
    })
}

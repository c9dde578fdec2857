//! Who sees what, texts that stay texts, and live updates. I/O: processes, network.

use std::time::Duration;

use anyhow::ensure;
use holdfast_tests::eventually;
use holdfast_tests::shared::{SOON, config_map, run};
use serde_json::{Value, json};

use super::kit::{AGENT, HOSTILE, REPORT, account, people};
use super::visitor::{Visitor, address};

#[test]
fn a_user_sees_the_namespaces_that_the_user_may_list_and_not_the_name_of_another() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        for namespace in ["ui-a", "ui-b"] {
            shared.begin(namespace, &[("a.yaml", &config_map("of-this", "1"))], &json!({})).await?;
        }
        let reader = account(shared, "ui-a", "reader", "view").await?;
        let stranger = account(shared, "ui-a", "stranger", "").await?;
        let syncs_only = account(shared, "ui-a", "syncs-only", "holdfast-view").await?;
        let base = address(&shared.agent)?;
        let reader = Visitor::bearer(&base, &reader)?;
        for path in
            ["/", "/drift", "/images", "/?namespace=ui-b", "/?q=ui-b", "/syncs/ui-b/app", "/syncs/ui-b/none"]
        {
            let page = reader.get(path).await?;
            page.is_guarded()?;
            let shown = page.text.replace("value=\"ui-b\"", "");
            ensure!(!shown.contains("ui-b/") && !shown.contains(">ui-b"), "{path} names ui-b: {shown}");
        }
        ensure!(reader.get("/").await?.text.contains("ui-a/app"));
        let page = reader.get("/syncs/ui-a/app").await?;
        ensure!(page.status == 200 && page.text.contains("ConfigMap ui-a/of-this"), "{}", page.text);
        ensure!(!page.text.contains("Reconcile now"), "a reader gets no form");
        let (other, none) = (reader.get("/syncs/ui-b/app").await?, reader.get("/syncs/ui-b/none").await?);
        ensure!(
            (other.status, &other.text) == (404, &none.text),
            "what may not be read is as what is not there"
        );
        // Objects of a kind that the user may not list are not listed; the status of the Sync, which the user may read, is as it is.
        let page = Visitor::bearer(&base, &syncs_only)?.json("/syncs/ui-a/app").await?;
        let value: Value = serde_json::from_str(&page.text)?;
        ensure!(
            value["sync"]["kind"] == "Sync" && value["objects"] == json!({"listed": [], "more": 0}),
            "{value}"
        );
        let stranger = Visitor::bearer(&base, &stranger)?;
        ensure!(!stranger.get("/").await?.text.contains("ui-a/app"));
        ensure!(stranger.get("/syncs/ui-a/app").await?.status == 404);
        // The value of a page, as the command line prints it.
        let home: Value = serde_json::from_str(&reader.json("/").await?.text)?;
        ensure!(home["syncs"][0]["metadata"]["name"] == "app" && home["total"] == 1, "{home}");
        let sync: Value = serde_json::from_str(&reader.json("/syncs/ui-a/app").await?.text)?;
        ensure!(
            sync["sync"]["kind"] == "Sync" && sync["objects"]["listed"][0]["name"] == "of-this",
            "{sync}"
        );
        // Without a token, and with a wrong one.
        let anonymous = Visitor::anonymous(&base)?;
        let home = anonymous.get("/").await?;
        ensure!((home.status, home.header("location")) == (303, "/login?next=%2F".to_owned()), "{home:?}");
        ensure!(anonymous.json("/").await?.status == 401);
        ensure!(Visitor::bearer(&base, "wrong-token")?.get("/").await?.status == 401);
        Ok(())
    })
}

#[test]
fn texts_of_git_and_the_cluster_stay_texts() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-hostile";
        let files = [("<img src=x onerror=alert(1)>.yaml", config_map("a", "1"))];
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let repository = shared.begin(namespace, &files, &json!({"drift": {"mode": REPORT}})).await?;
        let commit = repository.commit(&[("b.yaml", &config_map("b", "1"))], HOSTILE)?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let patch = json!({"data": {"key": HOSTILE, "<script>alert(2)</script>": "\u{202e}x"}}).to_string();
        let patch = [
            "-n",
            namespace,
            "patch",
            "configmap/a",
            "--type=merge",
            "--field-manager=<script>alert(3)</script>",
            "-p",
            &patch,
        ];
        // The API server refuses such a key; the value stays hostile.
        if !shared.env.cluster.kubectl(&patch).await?.status.success() {
            let patch = json!({"data": {"key": HOSTILE}}).to_string();
            let manager = "--field-manager=<script>alert(3)</script>";
            shared
                .env
                .cluster
                .must(&["-n", namespace, "patch", "configmap/a", "--type=merge", manager, "-p", &patch])
                .await?;
        }
        let reader = account(shared, namespace, "reader", "view").await?;
        let reader = Visitor::bearer(&address(&shared.agent)?, &reader)?;
        eventually(SOON, "the drift to be shown", || async {
            Ok(reader.get("/drift").await?.text.contains("&lt;script&gt;alert(3)"))
        })
        .await?;
        for path in [
            "/",
            "/drift",
            "/syncs/ui-hostile/app",
            "/?q=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
            "/%3Cscript%3Ealert(1)",
            "/login?next=%22%3E%3Cscript%3E",
        ] {
            let page = reader.get(path).await?;
            page.is_guarded()?;
            ensure!(
                !page.text.contains("<script>alert")
                    && !page.text.contains("<img")
                    && !page.text.contains('\u{202e}'),
                "{path}: {}",
                page.text
            );
        }
        ensure!(
            reader.get("/syncs/ui-hostile/app").await?.text.contains("&lt;img src=x onerror=alert(1)&gt;")
        );
        Ok(())
    })
}

#[test]
fn a_change_is_told_at_once_to_those_who_may_read_it() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-live";
        shared.begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({})).await?;
        let (reader, stranger) = (
            account(shared, namespace, "reader", "view").await?,
            account(shared, namespace, "stranger", "").await?,
        );
        let base = address(&shared.agent)?;
        let mut seen = Visitor::bearer(&base, &reader)?.stream("/events", None).await?;
        let mut unseen = Visitor::bearer(&base, &stranger)?.stream("/events", None).await?;
        // The first beat of a process is about everything that is there.
        seen.until("data: ui-live/app", SOON).await?;
        let started = std::time::Instant::now();
        shared.patch(namespace, "sync/app", &json!({"metadata": {"annotations": {"a": "b"}}})).await?;
        seen.until("data: ui-live/app", SOON).await?;
        ensure!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        ensure!(!unseen.so_far(Duration::from_millis(300)).await?.contains("ui-live"));
        // Who comes back with the last id gets what came since, and who comes with another one everything.
        let again = Visitor::bearer(&base, &reader)?;
        let mut after = again.stream("/events", Some("another-1")).await?;
        after.until("data: *", SOON).await?;
        Ok(())
    })
}

//! What makes a preview happen at once, and what ends one that is out of date: webhooks, newer pushes. And what a forge does with
//! the status: a branch that requires it.

use anyhow::bail;
use holdfast_tests::shared::{SOON, config_map, run};
use holdfast_tests::{eventually, sync};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::kit::{AGENT, BOB, Room, Wish};

#[test]
fn webhooks_of_the_forge_bring_previews_and_approvals_without_an_interval() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let token = "0123456789abcdef0123";
        let wish = Wish {
            approval: "Deletions",
            repository: json!({"interval": "1h", "webhook": {"provider": "Gitea", "secretRef": {"name": "hook"}}}),
            ..Wish::default()
        };
        let room = Room::set(shared, "reviews-hook", &[("a", "one"), ("b", "one")], &wish).await?;
        shared.env.cluster.apply(&sync::secret("reviews-hook", "hook", &[("token", token)])).await?;
        let mut path = String::new();
        eventually(SOON, "the path for webhooks", || async {
            Ok(room.path("{.status.webhookPath}").await?.starts_with("/hooks/"))
        })
        .await?;
        path.push_str(&room.path("{.status.webhookPath}").await?);
        let config = json!({"url": format!("http://{}{path}", shared.agent.address()),
            "content_type": "json", "secret": token});
        let events = ["pull_request", "pull_request_sync", "pull_request_comment", "issue_comment"];
        let hook = json!({"type": "gitea", "active": true, "events": events, "config": config});
        room.call(Method::POST, "hooks", &hook).await?;

        room.branch("change", &[("a.yaml", Some(&config_map("a", "two")))])?;
        let number = room.open("change", "Change").await?;
        room.says(number, "Holdfast: 1 update").await?;
        room.branch("change", &[("a.yaml", Some(&config_map("a", "two"))), ("b.yaml", None)])?;
        let text = room.says(number, "1 update, 1 deletion").await?;
        assert!(text.contains("waits for an approval"), "{text}");
        let plan = room.plan().await?;
        room.comment(number, BOB, &format!("/holdfast approve {plan} agreed")).await?;
        room.says(number, "approved as `bob@example.com`").await?;
        Ok(())
    })
}

#[test]
fn a_push_cancels_the_preview_of_the_head_before_it() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let room = Room::set(shared, "reviews-slow", &[("a", "one")], &Wish::default()).await?;
        // A server that accepts and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/more.yaml", silent.local_addr()?);
        let slow = format!("kind: Kustomization\nresources: [a.yaml, \"{url}\"]\n");
        room.branch("slow", &[("kustomization.yaml", Some(&slow))])?;
        let number = room.open("slow", "Slow").await?;
        let Ok(held) = tokio::time::timeout(SOON, silent.accept()).await else {
            bail!("nothing was fetched: {}", room.path("{.status}").await?);
        };
        let _held = held?;
        room.branch("slow", &[("a.yaml", Some(&config_map("a", "two")))])?;
        room.says(number, "Holdfast: 1 update").await?;
        Ok(())
    })
}

#[test]
fn a_protected_branch_takes_only_what_has_a_green_status() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let room = Room::set(shared, "reviews-guard", &[("a", "one")], &Wish::default()).await?;
        let broken = room.branch("change", &[("a.yaml", Some("kind: [ConfigMap\n"))])?;
        let number = room.open("change", "Change").await?;
        room.git.commit(&[("README.txt", "text\n")], "Text")?;
        let other = room.branch("docs", &[("README.txt", Some("another text\n"))])?;
        let docs = room.open("docs", "Text").await?;
        let status = room.until_status(&broken, "failure").await?;
        let rule = json!({"rule_name": "main", "enable_push": true, "enable_status_check": true,
            "status_check_contexts": [status["context"]]});
        room.call(Method::POST, "branch_protections", &rule).await?;
        let merge = |number: i64| format!("pulls/{number}/merge");
        let refused = room.call(Method::POST, &merge(number), &json!({"Do": "merge"})).await;
        assert!(refused.is_err(), "a red status keeps the branch from being merged");

        // No Sync reads it: it is green, and nothing is said in it.
        let status = room.until_status(&other, "success").await?;
        assert_eq!(status["description"], "no Sync reads what changes", "{status}");
        assert_eq!(room.ours(docs).await?, Vec::<Value>::new());
        room.merge(docs).await?;

        let mended = room.branch("change", &[("a.yaml", Some(&config_map("a", "two")))])?;
        room.until_status(&mended, "success").await?;
        let merged = room.merge(number).await?;
        room.says(number, "### Holdfast: applied and healthy").await?;
        room.until_status(&merged, "success").await.map(drop)
    })
}

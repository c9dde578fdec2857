//! Pull requests at a real forge: what Holdfast says in them, which approvals it takes from them, and what it says after the merge.
//! I/O: processes, network.

#[path = "reviews/calls.rs"]
mod calls;
#[path = "reviews/edges.rs"]
mod edges;
#[path = "reviews/hard.rs"]
mod hard;
#[path = "reviews/kit.rs"]
mod kit;
#[path = "reviews/outage.rs"]
mod outage;
#[path = "reviews/reverts.rs"]
mod reverts;

use holdfast_tests::shared::{config_map, run};
use kit::{AGENT, ALICE, BOB, Room, Wish};
use serde_json::json;

#[test]
fn a_pull_request_is_previewed_approved_and_followed_until_it_is_applied() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let wish = Wish { approval: "Deletions", ..Wish::default() };
        let room = Room::set(shared, "reviews", &[("a", "one"), ("b", "one")], &wish).await?;
        let head = room.branch("feature", &[("a.yaml", Some(&config_map("a", "two"))), ("b.yaml", None)])?;
        let number = room.open("feature", "Remove <b> `b`").await?;

        // What the merge does, before it is merged.
        let text = room.says(number, "1 update, 1 deletion, 1 change waits for approval").await?;
        for part in
            ["Sync `reviews/app` waits for an approval", r#"+ /data/key: "two""#, r#"- /data/key: "one""#]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let plan = room.plan().await?;
        assert!(text.contains(&format!("/holdfast approve {plan} REASON")), "{text}");
        let status = room.status(&head).await?;
        assert_eq!(status["status"], "success", "{status}");
        assert!(status["context"].as_str().is_some_and(|name| name.ends_with("/reviews")), "{status}");
        room.state(number, "Waiting").await?;

        // Not by the author, not by an unknown plan, not without a reason.
        room.comment(number, ALICE, &format!("/holdfast approve {plan} mine")).await?;
        room.says(number, "the author of a pull request may not approve its plans").await?;
        room.comment(number, BOB, &format!("/holdfast approve {} because", "0".repeat(32))).await?;
        room.says(number, "no plan with this id waits").await?;
        room.comment(number, BOB, &format!("/holdfast approve {plan}")).await?;
        room.says(number, "the reason is missing").await?;
        assert_eq!(room.approvals().await?, Vec::<serde_json::Value>::new());

        // By somebody who may.
        room.comment(number, BOB, &format!("/holdfast approve {plan} window agreed")).await?;
        let text = room.says(number, "approved as `bob@example.com`: `window agreed`").await?;
        assert!(!text.contains("waits for an approval"), "{text}");
        let approvals = room.approvals().await?;
        let spec = &approvals[0]["spec"];
        assert_eq!((&spec["planId"], &spec["approver"]), (&json!(plan), &json!("bob@example.com")));
        assert_eq!(spec["origin"]["pullRequest"], json!(number));
        assert_eq!((approvals.len(), &spec["origin"]["user"]), (1, &json!(BOB)));

        // After the merge nothing waits, and the same comment says how it ended.
        let merged = room.merge(number).await?;
        let text = room.says(number, "### Holdfast: applied and healthy").await?;
        assert!(text.contains(&merged[..7]) && text.contains("The preview of the merge"), "{text}");
        shared.gone("reviews", "configmap/b").await?;
        assert_eq!(shared.jsonpath("reviews", "configmap/a", "{.data.key}").await?, "two");
        assert_eq!(
            shared.jsonpath("reviews", "sync/app", "{.status.history[0].revision}").await?,
            format!("main@sha1:{merged}")
        );
        assert_eq!(room.approvals().await?[0]["status"]["state"], "Used");
        room.until_status(&merged, "success").await?;
        assert_eq!(room.ours(number).await?.len(), 1);
        Ok(())
    })
}

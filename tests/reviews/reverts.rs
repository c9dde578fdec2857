//! A revision that fails gets a pull request that reverts it, which is closed when a newer revision is healthy.

use anyhow::{Context as _, bail};
use holdfast_tests::shared::{SOON, config_map, run};
use holdfast_tests::{eventually, sync};
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{AGENT, Room, Wish};

/// The pull request that reverts, once it is open.
async fn revert(room: &Room) -> anyhow::Result<Value> {
    let path = "{.status.reverts[0].number}";
    eventually(SOON, "a revert to be open", || async {
        if room.path(path).await?.is_empty() {
            bail!("{}", room.path("{.status}").await?);
        }
        Ok(true)
    })
    .await?;
    let number = room.path(path).await?;
    room.call(Method::GET, &format!("pulls/{number}"), &Value::Null).await
}

#[test]
fn a_failed_revision_gets_a_revert_that_mends_it_or_is_closed_by_a_newer_one() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let signing = json!({"author": {"name": "Robot", "email": "robot@example.com"}, "signing": {"secretRef": {"name": "key"}}});
        let wish = Wish {
            sync: json!({"rollback": {"pullRequest": "OnFailure"}}),
            repository: json!({"commit": signing}),
            ..Wish::default()
        };
        let room = Room::set(shared, "reviews-revert", &[("a", "one"), ("b", "one")], &wish).await?;
        let key = shared.env.forge.deploy_key(&room.git, false).await?;
        shared.env.cluster.apply(&sync::secret("reviews-revert", "key", &[("identity", &key)])).await?;
        let broken = room
            .git
            .commit(&[("a.yaml", "kind: [ConfigMap\n"), ("c.yaml", &config_map("c", "new"))], "Break")?;
        let pull = revert(&room).await?;
        let text = pull["body"].as_str().context("it has a description")?;
        for part in [&*broken, "a.yaml", "reviews-revert/app", "Failed since"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!((&pull["state"], &pull["merged"]), (&json!("open"), &json!(false)), "{pull}");
        let number = pull["number"].as_i64().context("a number")?;
        let head = pull["head"]["ref"].as_str().context("it has a branch")?;
        room.git.git(&["fetch", "--quiet", &room.git.push_url, head])?;
        let commit = room.git.git(&["cat-file", "commit", "FETCH_HEAD"])?;
        for part in ["author Robot <robot@example.com>", "gpgsig -----BEGIN SSH SIGNATURE-----"] {
            assert!(commit.contains(part), "{part}: {commit}");
        }
        // It is previewed like any other, and mends the Sync when somebody merges it.
        room.says(number, "Holdfast").await?;
        let merged = room.merge(number).await?;
        shared.env.ready("reviews-revert", "app", Some(&merged)).await?;
        room.git.git(&["pull", "--quiet", &room.git.push_url, "main"])?;
        assert_eq!(std::fs::read_to_string(room.git.clone.join("a.yaml"))?, config_map("a", "one"));
        assert!(!room.git.clone.join("c.yaml").exists(), "what the revision added goes");

        // Broken again, and mended by a newer commit: the revert is closed, and not merged.
        room.git.commit(&[("a.yaml", "kind: [ConfigMap\n")], "Break again")?;
        eventually(SOON, "another revert", || async {
            let found = room.path("{.status.reverts[0].number}").await?;
            Ok(!found.is_empty() && found != number.to_string())
        })
        .await?;
        let second = revert(&room).await?;
        room.git.commit(&[("a.yaml", &config_map("a", "two"))], "Mend")?;
        // The status loses it after the forge closed it.
        eventually(SOON, "the status to have no revert", || async {
            Ok(room.path("{.status.reverts}").await?.is_empty())
        })
        .await?;
        let path = format!("pulls/{}", second["number"]);
        let closed = room.call(Method::GET, &path, &Value::Null).await?;
        assert_eq!((&closed["state"], &closed["merged"]), (&json!("closed"), &json!(false)), "{closed}");
        Ok(())
    })
}

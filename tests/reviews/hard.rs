//! Pull requests that are closed, moved, pushed without a branch or very large; repositories and logins that change.

use anyhow::{Context as _, bail};
use holdfast_tests::forge::USER;
use holdfast_tests::shared::{SOON, config_map, run};
use holdfast_tests::{eventually, sync};
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{AGENT, Room, Wish};

#[test]
fn a_pull_request_without_a_branch_counts_as_one_of_a_fork() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let wish = Wish { pulls: json!({"forks": "Labelled"}), ..Wish::default() };
        let room = Room::set(shared, "reviews-agit", &[("a", "one")], &wish).await?;
        std::fs::write(room.git.clone.join("a.yaml"), config_map("a", "two"))?;
        room.git.git(&["checkout", "--quiet", "-b", "topic"])?;
        room.git.git(&["commit", "--quiet", "--all", "-m", "Topic"])?;
        room.git.git(&["push", "--quiet", &room.git.push_url, "HEAD:refs/for/main/topic"])?;
        let all = room.call(Method::GET, "pulls", &Value::Null).await?;
        let number = all[0]["number"].as_i64().context("the forge made a pull request")?;
        room.state(number, "Skipped").await?;
        assert_eq!(room.ours(number).await?, Vec::<Value>::new());
        room.label(number, "preview").await?;
        room.says(number, "Holdfast: 1 update").await?;
        let merged = room.merge(number).await?;
        room.says(number, "### Holdfast: applied and healthy").await?;
        room.until_status(&merged, "success").await.map(drop)
    })
}

#[test]
fn pull_requests_that_are_closed_are_forgotten_and_reopened_ones_keep_their_comment() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let room = Room::set(shared, "reviews-closed", &[("a", "one")], &Wish::default()).await?;
        let changes = [("reopened", "two"), ("deleted", "three")];
        let mut numbers = Vec::new();
        for (branch, value) in changes {
            room.branch(branch, &[("a.yaml", Some(&config_map("a", value)))])?;
            let number = room.open(branch, branch).await?;
            room.says(number, &format!("\"{value}\"")).await?;
            numbers.push(number);
        }
        let path = format!("pulls/{}", numbers[0]);
        room.call(Method::PATCH, &path, &json!({"state": "closed"})).await?;
        // The forge closes the pull request of a branch that is deleted.
        room.call(Method::DELETE, "branches/deleted", &Value::Null).await?;
        eventually(SOON, "the status to list no pull request", || async {
            Ok(room.path("{.status.pullRequests}").await?.trim_matches(['[', ']']).is_empty())
        })
        .await?;
        room.call(Method::PATCH, &path, &json!({"state": "open"})).await?;
        room.state(numbers[0], "Previewed").await?;
        room.branch("reopened", &[("a.yaml", None)])?;
        room.says(numbers[0], "1 deletion").await?;
        assert_eq!(room.ours(numbers[0]).await?.len(), 1, "the comment is found again by its marker");
        Ok(())
    })
}

#[test]
fn a_mistake_at_the_base_is_named_and_thousands_of_files_are_merged() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let room = Room::set(shared, "reviews-base", &[("a", "one")], &Wish::default()).await?;
        let more = room.git.clone.join("more");
        room.git.git(&["checkout", "--quiet", "-b", "many"])?;
        std::fs::create_dir_all(&more)?;
        for at in 0..10_000 {
            std::fs::write(more.join(format!("{at}.txt")), format!("{at}\n"))?;
        }
        std::fs::write(room.git.clone.join("a.yaml"), config_map("a", "many"))?;
        room.git.git(&["add", "--all"])?;
        room.git.git(&["commit", "--quiet", "-m", "Many"])?;
        room.git.push("many")?;
        room.git.git(&["checkout", "--quiet", "main"])?;
        let many = room.open("many", "Ten thousand files").await?;
        room.says(many, "Holdfast: 1 update").await?;

        room.git.commit(&[("b.yaml", "kind: [ConfigMap\n")], "Break the base")?;
        room.branch("mend", &[("a.yaml", Some(&config_map("a", "two"))), ("b.yaml", None)])?;
        let mend = room.open("mend", "Mend").await?;
        room.says(mend, "the base cannot be rendered").await?;
        // The base moved under the other one, which does not mend it.
        let text = room.says(many, "1 error").await?;
        assert!(text.contains("at the base already") && text.contains("b.yaml:1"), "{text}");
        Ok(())
    })
}

#[test]
fn a_repository_that_moved_and_a_login_without_scopes_are_named() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let room = Room::set(shared, "reviews-moved", &[("a", "one")], &Wish::default()).await?;
        let forge = &shared.env.forge;
        let token = json!({"name": "reviews-moved-weak", "scopes": ["read:repository"]});
        let token = forge.api(Method::POST, &format!("users/{USER}/tokens"), &token).await?;
        let token = token["sha1"].as_str().context("the forge gave no token")?;
        let weak = sync::secret("reviews-moved", "forge", &[("token", token), ("ca.crt", forge.ca())]);
        shared.env.cluster.apply(&weak).await?;
        room.branch("change", &[("a.yaml", Some(&config_map("a", "two")))])?;
        room.open("change", "Change").await?;
        says(&room, "it needs the scope read:issue (in all, the scopes write:repository and write:issue")
            .await?;

        let renamed = format!("{}-renamed", room.git.name);
        room.call(Method::PATCH, "", &json!({"name": renamed})).await?;
        says(&room, &format!("the repository was moved to {USER}/{renamed}; set spec.url")).await
    })
}

/// Waits until the Repository is not Ready, with this message.
async fn says(room: &Room, part: &str) -> anyhow::Result<()> {
    let path = r#"{.status.conditions[?(@.type=="Ready")].message}"#;
    eventually(SOON, &format!("the Repository to say {part}"), || async {
        let found = room.path(path).await?;
        if !found.contains(part) {
            bail!("{found}");
        }
        Ok(true)
    })
    .await
}

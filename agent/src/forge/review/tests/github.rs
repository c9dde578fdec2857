//! GitHub: reads, writes and limits, against [its stand-in](super::hub).

use serde_json::{Value, json};

use super::hub::{answer, merge};
use super::standin::Standin;
use super::*;
use crate::forge::{ForgeError, Target};

fn app(standin: &Standin) -> Target {
    let (token, bot) = ("ghs_app".to_owned(), Some("holdfast".to_owned()));
    Target { token, bot, ..standin.target(Forge::GitHub) }
}

#[tokio::test]
async fn a_list_that_did_not_change_is_one_conditional_request() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    standin.change(|state| {
        state.kept.insert("pulls".to_owned(), vec![json!({"number": 1}), json!({"number": 2})]);
    });
    let (client, target) = (client(), standin.target(Forge::GitHub));
    assert!(matches!(client.open(&target, false).await?, Listing::Changed(all, false) if all.len() == 2));
    standin.forget();
    assert_eq!(client.open(&target, false).await?, Listing::Unchanged);
    assert_eq!(standin.asked(), 1);
    assert!(matches!(client.open(&target, true).await?, Listing::Changed(all, _) if all.len() == 2));
    standin.change(|state| {
        state
            .kept
            .insert("pulls".to_owned(), vec![json!({"number": 1}), json!({"number": 2, "state": "closed"})]);
    });
    standin.forget();
    assert!(matches!(client.open(&target, false).await?, Listing::Changed(all, _) if all.len() == 1));
    assert_eq!(standin.asked(), 1, "the page that changed is the list");
    assert!(client.rate(&target).is_some_and(|rate| rate.limit == 5000));
    assert_eq!(client.moved(&target), None);
    Ok(())
}

#[tokio::test]
async fn a_long_list_that_did_not_change_is_one_request_and_no_close_is_missed() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    let (client, target) = (client(), standin.target(Forge::GitHub));
    let Listing::Changed(all, false) = client.open(&target, false).await? else { anyhow::bail!("no list") };
    assert_eq!(all.len(), 207);
    for _ in 0..3 {
        standin.forget();
        assert_eq!(client.open(&target, false).await?, Listing::Unchanged);
        assert_eq!(standin.asked(), 1);
    }
    // One on the last page is closed: the first page of the open ones is as it was.
    standin.change(|state| {
        let close = |number: i64| {
            if number == 207 {
                json!({"number": number, "state": "closed", "updated_at": "2026-01-02T00:00:00Z"})
            } else {
                json!({"number": number})
            }
        };
        state.kept.insert("pulls".to_owned(), (1..=207).map(close).collect());
    });
    assert!(matches!(client.open(&target, false).await?, Listing::Changed(all, _) if all.len() == 206));
    assert_eq!(client.open(&target, false).await?, Listing::Unchanged);
    // Most are closed, so that the rest is one page again.
    standin.change(|state| {
        let all = (1..=3).map(|number| json!({"number": number, "updated_at": "2026-01-03T00:00:00Z"}));
        state.kept.insert("pulls".to_owned(), all.collect());
    });
    assert!(matches!(client.open(&target, false).await?, Listing::Changed(all, _) if all.len() == 3));
    for expected in [Listing::Unchanged, Listing::Unchanged] {
        standin.forget();
        assert_eq!(client.open(&target, false).await?, expected);
        assert_eq!(standin.asked(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_repository_that_was_renamed_is_known_by_its_new_name() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    standin.change(|state| {
        let repo = json!({"id": 1, "full_name": "org/renamed"});
        let pull = json!({"number": 1, "base": {"sha": "b", "ref": "main", "repo": repo}});
        state.kept.insert("pulls".to_owned(), vec![pull]);
    });
    let (client, target) = (client(), standin.target(Forge::GitHub));
    client.open(&target, false).await?;
    assert_eq!(client.moved(&target).as_deref(), Some("org/renamed"));
    Ok(())
}

#[tokio::test]
async fn comments_are_written_edited_and_read_to_the_last_page() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    let (client, target) = (client(), standin.target(Forge::GitHub));
    let id = client.add_comment(&target, 1, "hello").await?;
    assert!(client.edit_comment(&target, 1, id, "again").await?);
    assert!(!client.edit_comment(&target, 1, 99, "gone").await?);
    client.react(&target, 1, id, Reaction::Done).await?;
    standin.change(|state| {
        let rows = state.kept.entry("issues/{}/comments".to_owned()).or_default();
        let row = rows[0].clone();
        rows.extend((2..=250).map(|id| merge(row.clone(), &json!({"id": id}))));
    });
    let all = client.comments(&target, 1).await?;
    assert_eq!((all.len(), all[0].body.as_str(), all[249].id), (250, "again", 250));
    // Who we are is known from what was written.
    standin.forget();
    assert!(client.user(&target).await?.is_some_and(|user| user.id == 7));
    assert_eq!(standin.asked(), 0);
    Ok(())
}

#[tokio::test]
async fn limits_of_a_commit_and_of_a_pull_request_are_named() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    let (client, target) = (client(), standin.target(Forge::GitHub));
    client.report(&target, &report(State::Success, &[]), None).await?;
    standin.change(|state| {
        for rows in state.kept.values_mut() {
            *rows = vec![Value::Null; 1000];
        }
        state.kept.insert("issues/{}/comments".to_owned(), vec![Value::Null; 2500]);
    });
    let error = client.report(&target, &report(State::Success, &[]), None).await.err();
    assert!(error.is_some_and(|error| matches!(error, ForgeError::Full { .. })));
    let error = client.add_comment(&target, 1, "x").await.err();
    assert!(
        error.is_some_and(|error| error.to_string().contains("its limit for this commit or pull request"))
    );
    Ok(())
}

#[tokio::test]
async fn an_app_writes_check_runs_with_annotations_and_everybody_else_a_status() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    let annotation =
        Annotation { path: "a.yaml".to_owned(), line: 3, level: Level::Failure, message: "m".repeat(70_000) };
    let annotations = vec![annotation; 80];
    let (client, app) = (client(), app(&standin));
    let id = client.report(&app, &report(State::Pending, &[]), None).await?;
    assert_eq!(id, Some(77));
    assert_eq!(client.report(&app, &report(State::Failure, &annotations), id).await?, id);
    standin.change(|state| {
        let written = &state.kept["check-runs"];
        assert_eq!(written[0]["status"], "in_progress");
        assert_eq!(
            (&written[1]["status"], &written[1]["conclusion"]),
            (&json!("completed"), &json!("failure"))
        );
        assert_eq!(written[1]["output"]["annotations"].as_array().map(Vec::len), Some(50));
        assert_eq!(written[1]["output"]["annotations"][0]["start_line"], 3);
    });
    assert!(client.user(&app).await?.is_some_and(|user| user.id == 8 && user.login.contains("bot")));
    let token = standin.target(Forge::GitHub);
    let long = Report { title: &"ü".repeat(300), ..report(State::Error, &annotations) };
    assert_eq!(client.report(&token, &long, None).await?, None);
    assert!(standin.calls().last().is_some_and(|call| call == "POST /api/v3/repos/org/config/statuses/aa"));
    Ok(())
}

#[tokio::test]
async fn a_deployment_merges_nothing_and_waits_for_nothing() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    let (client, target) = (client(), standin.target(Forge::GitHub));
    let deployment = Deployment {
        commit: "aa",
        reference: "main",
        environment: "production",
        url: Some("https://shop.example.com"),
        description: &"d".repeat(200),
    };
    let id = client.deploy(&target, &deployment, Deployed::InProgress, None).await?;
    assert_eq!(id, Some(5));
    client.deploy(&target, &deployment, Deployed::Success, id).await?;
    client.deploy(&target, &deployment, Deployed::Superseded, id).await?;
    standin.change(|state| {
        assert_eq!(state.kept["deployments"].len(), 1);
        assert_eq!(
            state.kept["deployments/{}/statuses"],
            [json!("in_progress"), json!("success"), json!("inactive")]
        );
    });
    Ok(())
}

#[tokio::test]
async fn a_label_counts_if_somebody_with_write_access_gave_it_last() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    let (client, target) = (client(), standin.target(Forge::GitHub));
    for (names, expected) in
        [(&["alice"][..], true), (&["mallory"], false), (&["alice", "mallory"], false), (&[], false)]
    {
        standin.change(|state| {
            let event = |name: &&str| json!({"id": name, "event": "labeled", "label": {"name": "Preview"}, "actor": {"id": 1, "login": name}});
            state.kept.insert("issues/{}/events".to_owned(), names.iter().map(event).collect());
        });
        assert_eq!(client.is_trusted(&target, 1, "preview").await?, expected, "{names:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_commit_is_traced_to_its_pull_request() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    let (client, target) = (client(), standin.target(Forge::GitHub));
    assert!(
        client
            .origin(&target, "cc")
            .await?
            .is_some_and(|origin| origin.number == 1 && origin.author.login == "carol")
    );
    assert_eq!(client.origin(&target, "dd").await?, None);
    assert!(
        client
            .pull_request(&target, 7)
            .await?
            .is_some_and(|(found, fate)| found.number == 7 && fate == Fate::Open)
    );
    assert_eq!(client.pull_request(&target, 999).await?, None);
    assert_eq!(client.ancestor(&target, "b", "h1").await?.as_deref(), Some("cc"));
    assert_eq!(client.ancestor(&target, "b", "gone").await?, None);
    Ok(())
}

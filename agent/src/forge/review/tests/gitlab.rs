//! GitLab: reads, writes and limits, against [its stand-in](super::lab).

use serde_json::{Value, json};

use super::lab::answer;
use super::standin::{Standin, TOKEN};
use super::*;
use crate::forge::Target;

fn target(standin: &Standin) -> Target {
    let git = "git@gitlab.example.com:org/team/config.git";
    let target = Target::parse(Forge::GitLab, git, Some(&standin.origin()), TOKEN, None);
    target.unwrap_or_else(|error| unreachable!("{error}"))
}

#[tokio::test]
async fn a_merge_request_is_read_and_commented_on() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    let (client, target) = (client(), target(&standin));
    assert!(matches!(client.open(&target, false).await?, Listing::Changed(all, false) if all[0].number == 3));
    assert_eq!(client.open(&target, false).await?, Listing::Unchanged);
    assert_eq!((standin.asked(), client.moved(&target)), (2, None));
    assert!(
        client.pull_request(&target, 3).await?.is_some_and(|(_, fate)| matches!(fate, Fate::Merged { .. }))
    );
    assert_eq!(client.pull_request(&target, 4).await?, None);
    assert!(client.user(&target).await?.is_some_and(|user| user.login == "bot"));
    let id = client.add_comment(&target, 3, "hello").await?;
    assert!(client.edit_comment(&target, 3, id, "again").await?);
    assert!(!client.edit_comment(&target, 3, 99, "gone").await?);
    assert_eq!(client.comments(&target, 3).await?.len(), 1);
    for _ in 0..2 {
        client.react(&target, 3, id, Reaction::Done).await?;
    }
    assert_eq!(client.ancestor(&target, "aa", "bb").await?.as_deref(), Some("cc"));
    assert!(client.origin(&target, "cc").await?.is_some_and(|origin| origin.number == 3));
    Ok(())
}

#[tokio::test]
async fn a_status_is_written_when_it_is_final_and_a_state_that_is_there_is_done() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    let (client, target) = (client(), target(&standin));
    client.report(&target, &report(State::Pending, &[]), None).await?;
    assert_eq!(standin.asked(), 0, "a status that does not end blocks merges");
    let long = "x".repeat(300);
    for state in [State::Failure, State::Failure, State::Success] {
        client.report(&target, &Report { title: &long, context: &long, ..report(state, &[]) }, None).await?;
    }
    standin.change(|state| {
        let written: Vec<&Value> = state.kept.values().flatten().map(|row| &row["state"]).collect();
        assert_eq!(written, ["failed", "success"]);
    });
    Ok(())
}

#[tokio::test]
async fn a_deployment_has_a_url_and_a_state_that_is_there_is_done() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    let (client, target) = (client(), target(&standin));
    let deployment = Deployment {
        commit: "aa",
        reference: "main",
        environment: "production",
        url: Some("https://shop.example.com"),
        description: "d",
    };
    let id = client.deploy(&target, &deployment, Deployed::InProgress, None).await?;
    assert_eq!(id, Some(42));
    for _ in 0..2 {
        assert_eq!(client.deploy(&target, &deployment, Deployed::Success, id).await?, id);
    }
    standin.change(|state| {
        assert_eq!(state.kept["deployments"], [json!("running"), json!("success")]);
        assert_eq!(state.kept["url"].len(), 1, "the URL is written once");
    });
    Ok(())
}

#[tokio::test]
async fn a_label_counts_if_a_developer_gave_it() -> anyhow::Result<()> {
    let standin = Standin::start(answer).await;
    let (client, target) = (client(), target(&standin));
    assert!(client.is_trusted(&target, 3, "preview").await?);
    assert!(!client.is_trusted(&target, 4, "preview").await?);
    Ok(())
}

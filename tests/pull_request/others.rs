//! Pull requests of others at the real forge: what is read of them, and what is written about them. I/O: processes, network.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast::error::StageError as _;
use holdfast::forge::review::{
    Annotation, Client, Deployed, Deployment, Fate, Level, Listing, PullRequest, Reaction, Report, State,
};
use holdfast::forge::{Session, Target};
use holdfast_tests::eventually;
use holdfast_tests::forge::{Forge, Repository, USER};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::{SOON, WRITER, branched, run, target, token};

fn client() -> Client {
    Client::new(Arc::new(Session::default()))
}

/// Opens a pull request, once the forge knows its branch; its number.
async fn open(forge: &Forge, repository: &Repository, head: &str) -> anyhow::Result<i64> {
    let path = format!("repos/{USER}/{}/pulls", repository.name);
    let body = json!({"head": head, "base": "main", "title": "<b>Change</b> `@all`"});
    eventually(SOON, "the pull request is open", || async {
        Ok(forge.api(Method::POST, &path, &body).await.is_ok())
    })
    .await?;
    let all = forge.api(Method::GET, &format!("{path}?state=open&sort=recentupdate"), &Value::Null).await?;
    all[0]["number"].as_i64().context("a number")
}

async fn listed(client: &Client, target: &Target) -> anyhow::Result<Vec<PullRequest>> {
    match client.open(target, false).await? {
        Listing::Changed(all, false) => Ok(all),
        other => anyhow::bail!("{other:?}"),
    }
}

fn report(commit: &str, state: State) -> Report<'_> {
    Report {
        commit,
        context: "holdfast/1a2b3c4d/team-a",
        state,
        title: "3 updates",
        summary: "",
        url: None,
        annotations: &[],
        started: Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn a_pull_request_of_others_is_listed_until_it_is_closed_or_merged() -> anyhow::Result<()> {
    run(|forge| async move {
        let repository = branched(forge, "listed", "change").await?;
        let number = open(forge, &repository, "change").await?;
        let (client, target) =
            (client(), target(forge, &repository.https_url, &token(forge, "listed", WRITER).await?)?);
        let all = listed(&client, &target).await?;
        let head = repository.git(&["rev-parse", "HEAD"])?.trim().to_owned();
        let found = all.first().context("it is open")?;
        assert_eq!(
            (found.number, &found.head, found.base.as_str(), found.fork),
            (number, &head, "main", false)
        );
        assert_eq!(found.ancestor, Some(repository.git(&["rev-parse", "HEAD~1"])?.trim().to_owned()));
        assert_eq!(client.open(&target, false).await?, Listing::Unchanged);
        // A push is a change, and so is a comment.
        super::commit(&repository, "change", "2")?;
        let head = repository.git(&["rev-parse", "HEAD"])?.trim().to_owned();
        eventually(SOON, "the push is listed", || async {
            Ok(matches!(client.open(&target, false).await?, Listing::Changed(all, _) if all[0].head == head))
        })
        .await?;
        let path = format!("repos/{USER}/{}", repository.name);
        let merge = json!({"Do": "merge"});
        eventually(SOON, "it is merged", || async {
            let place = format!("{path}/pulls/{number}/merge");
            Ok(forge.api(Method::POST, &place, &merge).await.is_ok())
        })
        .await?;
        assert_eq!(listed(&client, &target).await?, []);
        let (_, fate) = client.pull_request(&target, number).await?.context("it is still there")?;
        let Fate::Merged { commit: Some(commit) } = fate else { anyhow::bail!("{fate:?}") };
        let origin = client.origin(&target, &commit).await?.context("the commit is of a pull request")?;
        assert_eq!((origin.number, origin.author.login.as_str()), (number, USER));
        assert_eq!(client.pull_request(&target, 999).await?, None);
        // One that was closed is told from one that was merged.
        super::commit(&repository, "other", "3")?;
        let number = open(forge, &repository, "other").await?;
        assert_eq!(listed(&client, &target).await?.len(), 1);
        let place = format!("{path}/pulls/{number}");
        forge.api(Method::PATCH, &place, &json!({"state": "closed"})).await?;
        let found = client.pull_request(&target, number).await?.context("it is still there")?;
        assert_eq!(found.1, Fate::Closed);
        Ok(())
    })
}

#[test]
fn a_comment_is_written_edited_and_missed_once_somebody_deleted_it() -> anyhow::Result<()> {
    run(|forge| async move {
        let repository = branched(forge, "commented", "change").await?;
        let number = open(forge, &repository, "change").await?;
        let (client, target) =
            (client(), target(forge, &repository.https_url, &token(forge, "commented", WRITER).await?)?);
        assert_eq!(client.user(&target).await?, None, "the token has no scope read:user");
        let id = client.add_comment(&target, number, "<!-- marker -->\nfirst").await?;
        let user = client.user(&target).await?.context("known from the comment")?;
        assert_eq!(user.login, USER);
        assert!(client.edit_comment(&target, number, id, "<!-- marker -->\nsecond").await?);
        let path = format!("repos/{USER}/{}/issues", repository.name);
        for count in 0..51 {
            let body = json!({"body": format!("/holdfast approve {count}")});
            forge.api(Method::POST, &format!("{path}/{number}/comments"), &body).await?;
        }
        let all = client.comments(&target, number).await?;
        assert_eq!(
            (all.len(), all[0].body.as_str(), all[0].author.id),
            (52, "<!-- marker -->\nsecond", user.id)
        );
        for reaction in [Reaction::Seen, Reaction::Seen, Reaction::Done] {
            client.react(&target, number, all[1].id, reaction).await?;
        }
        let place = format!("{path}/comments/{}/reactions", all[1].id);
        let reactions = forge.api(Method::GET, &place, &Value::Null).await?;
        assert_eq!(reactions.as_array().map(Vec::len), Some(2));
        forge.api(Method::DELETE, &format!("{path}/comments/{id}"), &Value::Null).await?;
        assert!(!client.edit_comment(&target, number, id, "third").await?);
        client.react(&target, number, id, Reaction::Refused).await?;
        Ok(())
    })
}

#[test]
fn a_commit_gets_a_status_and_its_lines_get_comments() -> anyhow::Result<()> {
    run(|forge| async move {
        let repository = super::repository(forge, "status").await?;
        repository.commit(&[("same.yaml", "a: 1\n")], "Begin")?;
        super::commit(&repository, "change", "1")?;
        let number = open(forge, &repository, "change").await?;
        let (client, target) =
            (client(), target(forge, &repository.https_url, &token(forge, "status", WRITER).await?)?);
        let head = repository.git(&["rev-parse", "HEAD"])?.trim().to_owned();
        for state in [State::Pending, State::Failure] {
            client.report(&target, &report(&head, state), None).await?;
        }
        let path = format!("repos/{USER}/{}", repository.name);
        let found = forge.api(Method::GET, &format!("{path}/commits/{head}/status"), &Value::Null).await?;
        assert_eq!((&found["state"], &found["total_count"]), (&json!("failure"), &json!(1)), "{found}");
        assert_eq!(found["statuses"][0]["context"], "holdfast/1a2b3c4d/team-a");
        let message = "value must be a number".to_owned();
        let at = |path: &str| Annotation {
            path: path.to_owned(),
            line: 1,
            level: Level::Failure,
            message: message.clone(),
        };
        let lines = [at("a.yaml")];
        assert!(client.annotate(&target, number, &head, "1 error", &lines).await?);
        let reviews = forge.api(Method::GET, &format!("{path}/pulls/{number}/reviews"), &Value::Null).await?;
        assert_eq!((&reviews[0]["state"], &reviews[0]["comments_count"]), (&json!("COMMENT"), &json!(1)));
        // A file that the pull request does not change.
        let other = client.annotate(&target, number, &head, "1 error", &[at("same.yaml")]).await;
        assert_eq!(other.ok(), Some(true));
        let deployment =
            Deployment { commit: &head, reference: "main", environment: "p", url: None, description: "" };
        assert_eq!(
            client.deploy(&target, &deployment, Deployed::Success, None).await?,
            None,
            "Gitea has none"
        );
        Ok(())
    })
}

#[test]
fn pull_requests_without_a_branch_count_as_those_of_a_fork() -> anyhow::Result<()> {
    run(|forge| async move {
        let repository = branched(forge, "forked", "change").await?;
        let (client, target) =
            (client(), target(forge, &repository.https_url, &token(forge, "forked", WRITER).await?)?);
        forge.api(Method::POST, "orgs", &json!({"username": "strangers"})).await?;
        let path = format!("repos/{USER}/{}", repository.name);
        forge.api(Method::POST, &format!("{path}/forks"), &json!({"organization": "strangers"})).await?;
        let file = json!({"content": STANDARD.encode("a: 1\n"), "message": "Change", "branch": "main", "new_branch": "topic"});
        let place = format!("repos/strangers/{}/contents/fork.yaml", repository.name);
        forge.api(Method::POST, &place, &file).await?;
        let number = open(forge, &repository, "strangers:topic").await?;
        let push = ["push", "--quiet", &repository.push_url, "HEAD:refs/for/main", "-o", "topic=agit"];
        repository.git(&push)?;
        let all = listed(&client, &target).await?;
        let fork = all.iter().find(|found| found.number == number).context("the fork")?;
        assert!(fork.fork);
        let agit = all.iter().find(|found| found.number != number).context("without a branch")?;
        // Users who may only read can open one, so it is trusted no more than a fork.
        assert_eq!((agit.fork, agit.base.as_str()), (true, "main"));
        assert_eq!(agit.head, repository.git(&["rev-parse", "HEAD"])?.trim());
        Ok(())
    })
}

#[test]
fn a_repository_that_was_renamed_or_archived_is_named() -> anyhow::Result<()> {
    run(|forge| async move {
        let repository = branched(forge, "moved", "change").await?;
        let number = open(forge, &repository, "change").await?;
        let (client, target) =
            (client(), target(forge, &repository.https_url, &token(forge, "moved", WRITER).await?)?);
        let path = format!("repos/{USER}/{}", repository.name);
        forge.api(Method::PATCH, &path, &json!({"name": "moved-away"})).await?;
        match client.open(&target, false).await {
            Ok(_) => assert_eq!(client.moved(&target).as_deref(), Some("alice/moved-away")),
            Err(error) => ensure!(error.name() == "Moved", "{error}"),
        }
        let path = format!("repos/{USER}/moved-away");
        forge.api(Method::PATCH, &path, &json!({"archived": true})).await?;
        let here = repository.https_url.replace(&repository.name, "moved-away");
        let target = super::target(forge, &here, &token(forge, "archived", WRITER).await?)?;
        let error = client.add_comment(&target, number, "hello").await.err();
        let error = error.context("it is archived")?;
        assert_eq!(error.name(), "Archived", "{error}");
        Ok(())
    })
}

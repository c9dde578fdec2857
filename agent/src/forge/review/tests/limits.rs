//! What becomes of a login whose forge limits requests. I/O: listens on loopback.

use super::standin::{Reply, Standin};
use super::*;
use crate::forge::ForgeError;

#[tokio::test]
async fn a_login_that_was_asked_to_wait_sends_nothing_until_then() -> anyhow::Result<()> {
    for (status, headers, body, seconds) in [
        (403, vec![("retry-after", "2")], r#"{"message": "You have exceeded a secondary rate limit"}"#, 2),
        (403, vec![], r#"{"message": "You have exceeded a secondary rate limit"}"#, 60),
        (429, vec![("retry-after", "5")], "", 5),
        (429, vec![], "", 60),
    ] {
        let standin = Standin::fixed(status, &headers, body).await;
        let (client, target) = (client(), standin.target(Forge::GitHub));
        let first = client.add_comment(&target, 1, "x").await.err();
        let after = first.and_then(|error| error.retry_after());
        assert_eq!(after.map(|after| after.as_secs()), Some(seconds), "{status} {headers:?}");
        let error = client.open(&target, false).await.err();
        assert!(matches!(error, Some(ForgeError::Busy { .. })), "{error:?}");
        assert_eq!(standin.asked(), 1, "reads and writes wait alike");
    }
    Ok(())
}

#[tokio::test]
async fn a_login_that_waits_keeps_no_other_login_waiting() -> anyhow::Result<()> {
    let standin = Standin::start(|state, asked| {
        state.calls.push(asked.path.clone());
        if asked.header("authorization").contains("other") {
            return Reply::json(201, &json!({"id": 1}));
        }
        Reply { headers: vec![("retry-after", "60".to_owned())], ..Reply::json(429, &Value::Null) }
    })
    .await;
    let (client, target) = (client(), standin.target(Forge::Gitea));
    let refused = client.add_comment(&target, 1, "x").await;
    assert!(matches!(refused, Err(ForgeError::Busy { .. })), "{refused:?}");
    let api = standin.origin();
    let other = Target::parse(Forge::Gitea, "https://git.example.com/org/config", Some(&api), "other", None)?;
    assert_eq!(client.add_comment(&other, 1, "x").await?, 1);
    Ok(())
}

#[tokio::test]
async fn writes_of_a_login_are_apart_and_never_at_the_same_time() -> anyhow::Result<()> {
    let standin = Standin::fixed(201, &[], r#"{"id": 1}"#).await;
    let gap = Duration::from_millis(50);
    let client = Client::new(Arc::new(Session::default().with_gap(gap)));
    let target = standin.target(Forge::GitHub);
    let begun = std::time::Instant::now();
    let (one, two, three) = tokio::join!(
        client.add_comment(&target, 1, "a"),
        client.add_comment(&target, 2, "b"),
        client.edit_comment(&target, 1, 1, "c"),
    );
    assert_eq!((one?, two?, three?), (1, 1, true));
    assert!(begun.elapsed() >= gap * 2, "{:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_written_to_is_named() -> anyhow::Result<()> {
    for (forge, status, body, expected) in [
        (Forge::GitHub, 403, r#"{"message": "Repository was archived so is read-only."}"#, "is archived at"),
        (Forge::Gitea, 423, r#"{"message": "repo is archived"}"#, "is archived at"),
        (
            Forge::GitLab,
            405,
            r#"{"message": "Non GET methods are not allowed for moved projects"}"#,
            "was moved at",
        ),
        (
            Forge::GitHub,
            403,
            r#"{"message": "Resource not accessible by integration"}"#,
            "Commit statuses: read and write",
        ),
        (Forge::GitHub, 410, r#"{"message": "Issues are disabled for this repo"}"#, "not found at"),
    ] {
        let standin = Standin::fixed(status, &[], body).await;
        let error = client().report(&standin.target(forge), &report(State::Success, &[]), None).await;
        let said = error.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains(expected), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_login_that_may_not_know_its_user_learns_it_from_its_first_comment() -> anyhow::Result<()> {
    let standin = Standin::start(|state, asked| {
        state.calls.push(asked.path.clone());
        let at = "2026-01-01T00:00:00Z";
        if asked.method == "GET" {
            return Reply::json(
                403,
                &json!({"message": "token does not have at least one of required scope(s): [read:user]"}),
            );
        }
        let user = json!({"id": 7, "login": "bot"});
        Reply::json(201, &json!({"id": 1, "body": "x", "user": user, "created_at": at, "updated_at": at}))
    })
    .await;
    let (client, target) = (client(), standin.target(Forge::Gitea));
    assert_eq!(client.user(&target).await?, None);
    client.add_comment(&target, 1, "x").await?;
    assert!(client.user(&target).await?.is_some_and(|user| user.id == 7));
    Ok(())
}

//! What is asked of forges, against stand-ins that hold to their documentation and refuse what it does not allow.

mod gitea;
mod github;
mod gitlab;
pub(super) mod standin;
mod targets;

use self::standin::{Reply, Standin};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::error::{Class, StageError as _};

/// Writes without a pause in between.
fn proposals() -> PullRequests {
    PullRequests::new(Arc::new(Session::default().with_gap(Duration::ZERO)))
}

fn wanted() -> Wanted {
    Wanted {
        head: "image-updates/web".to_owned(),
        base: "main".to_owned(),
        title: "Update web to 1.2.3".to_owned(),
        body: "A table.\n".to_owned(),
        labels: vec!["images".to_owned(), "automated".to_owned()],
    }
}

/// Opens, leaves alone, changes, labels and closes, and counts what was asked.
async fn lives(standin: &Standin, target: &Target) {
    let (all, mut wanted) = (proposals(), wanted());
    let opened = all.ensure(target, &wanted).await.expect("it is opened");
    assert_eq!((opened.number, opened.done, opened.unlabelled), (7, Done::Created, None));
    assert!(opened.url.ends_with("/7"), "{}", opened.url);
    assert_eq!(standin.labels(7), ["images", "automated"]);
    standin.forget();
    let again = all.ensure(target, &wanted).await.expect("it is found");
    assert_eq!((again.number, again.done), (7, Done::Unchanged));
    assert_eq!(standin.asked(), 1, "nothing but the look: {:?}", standin.calls());
    wanted.title = "Update web to 1.2.4".to_owned();
    let changed = all.ensure(target, &wanted).await.expect("it is changed");
    assert_eq!((changed.number, changed.done), (7, Done::Updated));
    assert_eq!(standin.title(7), "Update web to 1.2.4");
    wanted.labels.push("more".to_owned());
    let labelled = all.ensure(target, &wanted).await.expect("it is labelled");
    assert_eq!((labelled.number, labelled.done), (7, Done::Updated));
    assert_eq!(standin.labels(7), ["images", "automated", "more"]);
    let other = Wanted { head: "image-updates/api".to_owned(), ..wanted.clone() };
    assert_eq!(all.ensure(target, &other).await.expect("another branch, another one").number, 8);
    let closed =
        all.close(target, &wanted.head, "main", "Nothing is left of it.").await.expect("it is closed");
    assert_eq!(closed.map(|closed| (closed.number, closed.silent)), Some((7, None)));
    assert_eq!(standin.comments(7), ["Nothing is left of it."]);
    assert_eq!(all.close(target, &wanted.head, "main", "Again").await, Ok(None));
    let anew = all.ensure(target, &wanted).await.expect("a closed one is not found");
    assert_eq!((anew.number, anew.done), (9, Done::Created));
}

#[tokio::test]
async fn a_proposal_that_is_open_is_read_again_only_if_it_has_changed() {
    let standin = Standin::start(|state, asked| {
        let version = state.next;
        state.calls.push(asked.header("if-none-match").to_owned());
        let tag = format!("\"{version}\"");
        if asked.header("if-none-match") == tag {
            return Reply::json(304, &Value::Null);
        }
        let body = serde_json::json!({"number": 7, "state": if version > 0 { "closed" } else { "open" }});
        Reply { headers: vec![("etag", tag)], ..Reply::json(200, &body) }
    })
    .await;
    let (all, target) = (proposals(), standin.target(Forge::GitHub));
    for _ in 0..3 {
        assert_eq!(all.is_refused(&target, 7).await, Ok(false));
    }
    standin.change(|state| state.next = 1);
    for _ in 0..2 {
        assert_eq!(all.is_refused(&target, 7).await, Ok(true));
    }
    assert_eq!(standin.calls(), ["", "\"0\"", "\"0\"", "\"0\"", ""]);
}

/// Asks a forge that answers in this way, and returns what is said about it.
async fn refused(provider: Forge, status: u16, headers: &[(&str, &str)], body: &str) -> ForgeError {
    let standin = Standin::fixed(status, headers, body).await;
    let found = proposals().ensure(&standin.target(provider), &wanted()).await;
    found.expect_err("it is refused")
}

#[tokio::test]
async fn what_forges_refuse_is_said_with_what_to_do() {
    use Class::{Transient, User};
    let json = |text: &str| format!("{{\"message\": \"{text}\"}}");
    for (provider, status, headers, body, class, name, part) in [
        (
            Forge::GitHub,
            401,
            vec![],
            json("Bad credentials"),
            User,
            "LoginRefused",
            "Pull requests and Contents: read and write",
        ),
        (
            Forge::GitHub,
            403,
            vec![],
            json("Resource not accessible by personal access token"),
            User,
            "Forbidden",
            "Pull requests and Contents",
        ),
        (
            Forge::GitLab,
            403,
            vec![],
            "{\"error\":\"insufficient_scope\",\"scope\":\"api\"}".to_owned(),
            User,
            "Forbidden",
            "the scope api",
        ),
        (
            Forge::Gitea,
            403,
            vec![],
            json("token does not have at least one of required scope(s)"),
            User,
            "Forbidden",
            "write:repository",
        ),
        (Forge::GitHub, 404, vec![], json("Not Found"), User, "NotFound", "org/config"),
        (
            Forge::GitHub,
            403,
            vec![("x-ratelimit-remaining", "0")],
            json("API rate limit exceeded"),
            Transient,
            "Busy",
            "limits requests",
        ),
        (
            Forge::GitHub,
            403,
            vec![("retry-after", "60")],
            json("secondary rate limit"),
            Transient,
            "Busy",
            "for 60 s",
        ),
        (Forge::GitLab, 429, vec![("retry-after", "30")], String::new(), Transient, "Busy", "for 30 s"),
        (Forge::Gitea, 500, vec![], json("broken"), Transient, "Answered", "the status 500"),
        (Forge::Gitea, 503, vec![], "<html>".to_owned(), Transient, "Answered", "503"),
        (
            Forge::GitLab,
            400,
            vec![],
            "{\"message\":{\"title\":[\"can't be blank\"]}}".to_owned(),
            User,
            "Refused",
            "the status 400",
        ),
        (Forge::GitHub, 200, vec![], "<html>".to_owned(), User, "NotTheApi", "no JSON"),
        (Forge::GitHub, 200, vec![], "{}".to_owned(), User, "NotTheApi", "list"),
        (Forge::GitHub, 200, vec![], "[{\"number\": \"seven\"}]".to_owned(), User, "NotTheApi", "number"),
        (
            Forge::GitHub,
            301,
            vec![("location", "https://elsewhere.example.com/")],
            String::new(),
            User,
            "Redirected",
            "to another host",
        ),
        (Forge::GitHub, 302, vec![("location", "/again")], String::new(), User, "Redirected", "too often"),
        (Forge::GitHub, 302, vec![], String::new(), User, "Redirected", "not a URL"),
    ] {
        let error = refused(provider, status, &headers, &body).await;
        assert_eq!((error.class(), error.name()), (class, name), "{status} {body}: {error}");
        assert!(error.to_string().contains(part), "{status} {body}: {error}");
    }
}

#[tokio::test]
async fn how_long_to_wait_is_told() {
    let error = refused(Forge::GitLab, 429, &[("retry-after", "30")], "").await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    let error = refused(Forge::GitLab, 429, &[("retry-after", "999999")], "").await;
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
    let then = jiff::Timestamp::now().as_second() + 100;
    let reset = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &then.to_string())];
    let wait = refused(Forge::GitHub, 403, &reset, "").await.retry_after().expect("a time");
    assert!(wait > Duration::from_secs(90) && wait <= Duration::from_secs(100), "{wait:?}");
}

#[tokio::test]
async fn the_token_is_in_no_error() {
    for body in [format!("{{\"message\": \"bad token {}\"}}", standin::TOKEN), standin::TOKEN.to_owned()] {
        for status in [400, 401, 403, 404, 422, 500] {
            let error = refused(Forge::Gitea, status, &[], &body).await;
            assert!(!format!("{error} {error:?}").contains(standin::TOKEN), "{status}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_token_does_not_follow_a_redirect_to_another_host() {
    let other = Standin::fixed(200, &[], "[]").await;
    let location = format!("{}/repos/org/config/pulls", other.origin());
    let error = refused(Forge::GitHub, 307, &[("location", &location)], "").await;
    assert_eq!(error.name(), "Redirected");
    assert_eq!(other.asked(), 0);
}

#[tokio::test]
async fn a_redirect_at_the_same_host_is_followed() {
    let standin = Standin::start(|state, asked| {
        state.calls.push(asked.path.clone());
        if asked.path.starts_with("/repositories/1") {
            return standin::Reply::json(200, &serde_json::json!([]));
        }
        let mut reply = standin::Reply::json(301, &Value::Null);
        reply.headers.push(("location", "/repositories/1/pulls".to_owned()));
        reply
    })
    .await;
    let found = proposals().close(&standin.target(Forge::GitHub), "a", "main", "").await;
    assert_eq!(found, Ok(None));
    assert_eq!(standin.asked(), 2);
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let standin = Standin::fixed(200, &[], &format!("[{}]", " ".repeat(17 * 1024 * 1024))).await;
    let found = proposals().close(&standin.target(Forge::GitHub), "a", "main", "").await;
    assert_eq!(found.expect_err("too large").name(), "TooLarge");
}

#[tokio::test]
async fn a_forge_that_is_not_there_may_come_back() {
    let target = Target::parse(Forge::Gitea, "http://127.0.0.1:1/org/config", None, standin::TOKEN, None);
    let found = proposals().ensure(&target.unwrap_or_else(|error| unreachable!("{error}")), &wanted()).await;
    let error = found.expect_err("no server listens");
    assert_eq!((error.class(), error.name()), (Class::Transient, "Unreachable"));
}

#[test]
fn the_mark_of_a_draft_stays() {
    let check = |found: &str, expected: &str| {
        assert_eq!(dialect(Forge::GitLab).title(found, "Update web"), expected, "{found}");
    };
    check("Update web", "Update web");
    check("Draft: Update api", "Draft: Update web");
    check("draft:Update api", "draft: Update web");
    check("[Draft] Update api", "[Draft] Update web");
    check("Drafts", "Update web");
    check("ü", "Update web");
    assert_eq!(dialect(Forge::Gitea).title("WIP: a", "b"), "WIP: b");
    assert_eq!(dialect(Forge::GitHub).title("Draft: a", "b"), "b");
}

//! A stand-in for GitHub, by the documentation of its REST API, version 2022-11-28: pulls, issue comments, labels.
//! I/O: listens on loopback.

use serde_json::{Value, json};

use super::super::{Done, Wanted};
use super::standin::{Asked, Pull, Reply, Standin, State, TOKEN};
use super::{lives, proposals, wanted};
use crate::api::Forge;
use crate::error::{Class, StageError as _};

const PULLS: &str = "/api/v3/repos/org/config/pulls";
const ISSUES: &str = "/api/v3/repos/org/config/issues/";

fn answer(state: &mut State, asked: &Asked) -> Reply {
    state.calls.push(format!("{} {}", asked.method, asked.path));
    judged(state, asked).unwrap_or_else(|reply| reply)
}

fn judged(state: &mut State, asked: &Asked) -> Result<Reply, Reply> {
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        return Err(Reply::json(401, &json!({"message": "Bad credentials", "status": "401"})));
    }
    for (name, value) in [("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")] {
        if asked.header(name) != value {
            return Err(Reply::odd(&format!("{name} is {:?}", asked.header(name))));
        }
    }
    if !asked.header("user-agent").starts_with("holdfast/") {
        return Err(Reply::json(403, &json!({"message": "Request forbidden by administrative rules."})));
    }
    if let Some(rest) = asked.path.strip_prefix(ISSUES) {
        return issue(state, asked, rest);
    }
    match (asked.method.as_str(), asked.path.strip_prefix(PULLS)) {
        ("GET", Some("")) => Ok(list(state, asked)),
        ("POST", Some("")) => create(state, asked),
        ("PATCH", Some(rest)) => edit(state, asked, rest.trim_start_matches('/')),
        _ => Err(Reply::json(404, &json!({"message": "Not Found", "status": "404"}))),
    }
}

/// As GitHub does, a head that has no owner is ignored.
fn list(state: &State, asked: &Asked) -> Reply {
    let found = state.pulls.iter().filter(|pull| {
        let head = asked.query("head").split_once(':');
        (asked.query("state") != "open" || !pull.closed)
            && head.is_none_or(|(owner, head)| owner == "org" && head == pull.head)
            && (asked.query("base").is_empty() || asked.query("base") == pull.base)
    });
    Reply::json(200, &found.map(shown).collect())
}

fn create(state: &mut State, asked: &Asked) -> Result<Reply, Reply> {
    asked.only(&["title", "head", "head_repo", "base", "body", "maintainer_can_modify", "draft", "issue"])?;
    let (head, base) = (asked.text("head")?, asked.text("base")?);
    let invalid = |why: String| {
        let errors = json!([{"resource": "PullRequest", "code": "custom", "message": why}]);
        Reply::json(422, &json!({"message": "Validation Failed", "errors": errors, "status": "422"}))
    };
    if head == "empty" {
        return Err(invalid(format!("No commits between {base} and {head}")));
    }
    if head == "nowhere" {
        let errors = json!([{"resource": "PullRequest", "field": "head", "code": "invalid"}]);
        return Err(Reply::json(
            422,
            &json!({"message": "Validation Failed", "errors": errors, "status": "422"}),
        ));
    }
    if state.open(&head, &base).is_some() {
        return Err(invalid(format!("A pull request already exists for org:{head}.")));
    }
    let (title, body) = (asked.text("title")?, asked.text("body")?);
    Ok(Reply::json(201, &shown(&state.add(Pull { head, base, title, body, ..Pull::default() }))))
}

fn edit(state: &mut State, asked: &Asked, number: &str) -> Result<Reply, Reply> {
    asked.only(&["title", "body", "state", "base", "maintainer_can_modify"])?;
    let pull = state.pull(number).ok_or_else(|| Reply::json(404, &json!({"message": "Not Found"})))?;
    if let Some(title) = asked.body["title"].as_str() {
        title.clone_into(&mut pull.title);
    }
    if let Some(body) = asked.body["body"].as_str() {
        body.clone_into(&mut pull.body);
    }
    pull.closed = asked.body["state"] == "closed";
    Ok(Reply::json(200, &shown(pull)))
}

fn issue(state: &mut State, asked: &Asked, rest: &str) -> Result<Reply, Reply> {
    let (number, what) = rest.split_once('/').unwrap_or((rest, ""));
    let pull = state.pull(number).ok_or_else(|| Reply::json(404, &json!({"message": "Not Found"})))?;
    match (asked.method.as_str(), what) {
        ("POST", "comments") => {
            asked.only(&["body"])?;
            pull.comments.push(asked.text("body")?);
            Ok(Reply::json(201, &json!({"id": 1})))
        }
        ("POST", "labels") => {
            asked.only(&["labels"])?;
            let labels = asked.body["labels"].as_array().ok_or_else(|| Reply::odd("labels are no list"))?;
            for label in labels {
                let label = label.as_str().ok_or_else(|| Reply::odd("a label is no text"))?;
                pull.labels.push(label.to_owned());
            }
            Ok(Reply::json(
                200,
                &json!(pull.labels.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()),
            ))
        }
        _ => Err(Reply::json(404, &json!({"message": "Not Found"}))),
    }
}

fn shown(pull: &Pull) -> Value {
    let Pull { number, head, base, title, body, labels, comments: _, closed } = pull;
    json!({
        "url": format!("https://api.github.com/repos/org/config/pulls/{number}"),
        "html_url": format!("https://github.com/org/config/pull/{number}"),
        "id": 1000 + number,
        "number": number,
        "state": if *closed { "closed" } else { "open" },
        "title": title,
        "body": body.replace('\n', "\r\n"),
        "labels": labels.iter().map(|name| json!({"id": 1, "name": name, "color": "ededed"})).collect::<Vec<_>>(),
        "head": {"label": format!("org:{head}"), "ref": head, "sha": "0", "repo": {"id": 1, "full_name": "org/config"}},
        "base": {"label": format!("org:{base}"), "ref": base, "sha": "0", "repo": {"id": 1, "full_name": "org/config"}},
        "draft": false,
    })
}

#[tokio::test]
async fn a_pull_request_of_github_lives() {
    let standin = Standin::start(answer).await;
    lives(&standin, &standin.target(Forge::GitHub)).await;
}

#[tokio::test]
async fn nothing_to_merge_is_known_as_such() {
    let standin = Standin::start(answer).await;
    let empty = Wanted { head: "empty".to_owned(), ..wanted() };
    let found = proposals().ensure(&standin.target(Forge::GitHub), &empty).await;
    let expected = super::super::ForgeError::NothingToMerge { head: "empty".into(), base: "main".into() };
    assert_eq!(found, Err(expected));
}

#[tokio::test]
async fn a_branch_that_is_not_there_is_waited_for_and_named() {
    let standin = Standin::start(answer).await;
    let nowhere = Wanted { head: "nowhere".to_owned(), ..wanted() };
    let found = proposals().ensure(&standin.target(Forge::GitHub), &nowhere).await;
    let error = found.expect_err("there is no such branch");
    assert_eq!((error.name(), error.class()), ("NoBranch", Class::Transient));
    assert!(error.to_string().contains("branch nowhere or main"), "{error}");
    assert_eq!(standin.asked(), 5, "a look, and four attempts");
}

/// The list does not show it yet, and then it does.
#[tokio::test]
async fn who_opens_at_the_same_time_finds_the_one_that_was_faster() {
    let standin = Standin::start(|state, asked| {
        let first = state.calls.is_empty();
        let reply = answer(state, asked);
        if !first {
            return reply;
        }
        let Wanted { head, base, title, body, labels } = wanted();
        state.add(Pull { head, base, title, body, labels, ..Pull::default() });
        reply
    })
    .await;
    let opened = proposals().ensure(&standin.target(Forge::GitHub), &wanted()).await.expect("it is found");
    assert_eq!((opened.number, opened.done), (7, Done::Unchanged));
    assert_eq!(standin.calls().len(), 3, "{:?}", standin.calls());
}

#[tokio::test]
async fn a_pull_request_without_its_labels_is_open_all_the_same() {
    let standin = Standin::start(|state, asked| {
        if asked.path.ends_with("/labels") && state.next < 2 {
            return Reply::json(403, &json!({"message": "Resource not accessible by personal access token"}));
        }
        answer(state, asked)
    })
    .await;
    let (all, target) = (proposals(), standin.target(Forge::GitHub));
    let opened = all.ensure(&target, &wanted()).await.expect("it is opened");
    assert_eq!((opened.number, opened.done), (7, Done::Created));
    assert!(opened.unlabelled.is_some_and(|error| error.to_string().contains("label the pull request")));
    standin.change(|state| state.next = 2);
    let again = all.ensure(&target, &wanted()).await.expect("it is found");
    assert_eq!((again.number, again.done, again.unlabelled), (7, Done::Updated, None));
}

/// The branch of a fork has the same name.
#[tokio::test]
async fn the_pull_request_of_a_fork_is_not_ours() {
    let standin = Standin::start(|state, asked| {
        let mut reply = answer(state, asked);
        if asked.method == "GET" {
            let Wanted { head, base, title, body, labels } = wanted();
            let mut theirs = shown(&Pull { number: 3, head, base, title, body, labels, ..Pull::default() });
            theirs["head"]["repo"]["id"] = json!(2);
            reply = Reply::json(200, &json!([theirs]));
        }
        reply
    })
    .await;
    let opened = proposals().ensure(&standin.target(Forge::GitHub), &wanted()).await.expect("it is opened");
    assert_eq!((opened.number, opened.done), (7, Done::Created));
}

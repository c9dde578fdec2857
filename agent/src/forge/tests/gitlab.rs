//! A stand-in for GitLab, by the documentation of its REST API: merge requests and notes. I/O: listens on loopback.

use serde_json::{Value, json};

use super::super::{Done, Target, Wanted};
use super::standin::{Asked, Pull, Reply, Standin, State, TOKEN};
use super::{lives, proposals, wanted};
use crate::api::Forge;

/// `org/team/config`: the path of a project is one segment.
const REQUESTS: &str = "/api/v4/projects/org%2Fteam%2Fconfig/merge_requests";

fn answer(state: &mut State, asked: &Asked) -> Reply {
    state.calls.push(format!("{} {}", asked.method, asked.path));
    judged(state, asked).unwrap_or_else(|reply| reply)
}

fn judged(state: &mut State, asked: &Asked) -> Result<Reply, Reply> {
    let bearer = asked.header("authorization") == format!("Bearer {TOKEN}");
    if !bearer && asked.header("private-token") != TOKEN {
        return Err(Reply::json(401, &json!({"message": "401 Unauthorized"})));
    }
    let Some(rest) = asked.path.strip_prefix(REQUESTS) else {
        return Err(Reply::json(404, &json!({"message": "404 Project Not Found"})));
    };
    let parts: Vec<&str> = rest.split('/').skip(1).collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", []) => list(state, asked),
        ("POST", []) => create(state, asked),
        ("PUT", [number]) => edit(state, asked, number),
        ("POST", [number, "notes"]) => {
            asked.only(&["body", "internal", "created_at"])?;
            let pull =
                state.pull(number).ok_or_else(|| Reply::json(404, &json!({"message": "404 Not found"})))?;
            pull.comments.push(asked.text("body")?);
            Ok(Reply::json(201, &json!({"id": 1})))
        }
        _ => Err(Reply::json(404, &json!({"error": "404 Not Found"}))),
    }
}

fn list(state: &State, asked: &Asked) -> Result<Reply, Reply> {
    if !["opened", "closed", "locked", "merged", "all", ""].contains(&asked.query("state")) {
        return Err(Reply::json(400, &json!({"error": "state does not have a valid value"})));
    }
    let found = state.pulls.iter().filter(|pull| {
        (asked.query("state") != "opened" || !pull.closed)
            && (asked.query("source_branch").is_empty() || asked.query("source_branch") == pull.head)
            && (asked.query("target_branch").is_empty() || asked.query("target_branch") == pull.base)
    });
    Ok(Reply::json(200, &found.map(shown).collect()))
}

fn create(state: &mut State, asked: &Asked) -> Result<Reply, Reply> {
    asked.only(&[
        "source_branch",
        "target_branch",
        "title",
        "description",
        "labels",
        "remove_source_branch",
    ])?;
    let (head, base) = (asked.text("source_branch")?, asked.text("target_branch")?);
    if let Some(pull) = state.open(&head, &base) {
        let text =
            format!("Another open merge request already exists for this source branch: !{}", pull.number);
        return Err(Reply::json(409, &json!({"message": [text]})));
    }
    let (title, body) =
        (asked.text("title")?, asked.body["description"].as_str().unwrap_or_default().to_owned());
    let labels = listed(&asked.body["labels"])?;
    Ok(Reply::json(201, &shown(&state.add(Pull { head, base, title, body, labels, ..Pull::default() }))))
}

fn edit(state: &mut State, asked: &Asked, number: &str) -> Result<Reply, Reply> {
    asked.only(&[
        "title",
        "description",
        "add_labels",
        "remove_labels",
        "labels",
        "state_event",
        "target_branch",
    ])?;
    let pull = state.pull(number).ok_or_else(|| Reply::json(404, &json!({"message": "404 Not found"})))?;
    if let Some(title) = asked.body["title"].as_str() {
        title.clone_into(&mut pull.title);
    }
    if let Some(body) = asked.body["description"].as_str() {
        body.clone_into(&mut pull.body);
    }
    pull.labels.extend(listed(&asked.body["add_labels"])?);
    match asked.body["state_event"].as_str() {
        Some("close") => pull.closed = true,
        Some("reopen") => pull.closed = false,
        None => {}
        Some(_) => {
            return Err(Reply::json(400, &json!({"error": "state_event does not have a valid value"})));
        }
    }
    Ok(Reply::json(200, &shown(pull)))
}

/// Labels come as one text.
fn listed(labels: &Value) -> Result<Vec<String>, Reply> {
    match labels {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(text.split(',').map(ToOwned::to_owned).collect()),
        _ => Err(Reply::json(400, &json!({"error": "labels is invalid"}))),
    }
}

fn shown(pull: &Pull) -> Value {
    let Pull { number, head, base, title, body, labels, comments: _, closed } = pull;
    json!({
        "id": 1000 + number,
        "iid": number,
        "project_id": 1,
        "title": title,
        "description": body,
        "state": if *closed { "closed" } else { "opened" },
        "source_branch": head,
        "target_branch": base,
        "source_project_id": 1,
        "target_project_id": 1,
        "labels": labels,
        "draft": title.starts_with("Draft:"),
        "web_url": format!("https://gitlab.example.com/org/team/config/-/merge_requests/{number}"),
    })
}

fn target(standin: &Standin) -> Target {
    let git = "git@gitlab.example.com:org/team/config.git";
    let target = Target::parse(Forge::GitLab, git, Some(&standin.origin()), TOKEN, None);
    target.unwrap_or_else(|error| unreachable!("{error}"))
}

#[tokio::test]
async fn a_merge_request_of_gitlab_lives() {
    let standin = Standin::start(answer).await;
    lives(&standin, &target(&standin)).await;
}

#[tokio::test]
async fn a_draft_stays_a_draft() {
    let standin = Standin::start(answer).await;
    let (all, target) = (proposals(), target(&standin));
    all.ensure(&target, &wanted()).await.expect("it is opened");
    standin.change(|state| state.pulls[0].title.insert_str(0, "Draft: "));
    let again = all.ensure(&target, &wanted()).await.expect("it is found");
    assert_eq!(again.done, Done::Unchanged);
    let newer = Wanted { title: "Update web to 2".to_owned(), ..wanted() };
    all.ensure(&target, &newer).await.expect("it is changed");
    assert_eq!(standin.title(7), "Draft: Update web to 2");
}

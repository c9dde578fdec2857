//! A stand-in for GitHub, by the documentation of its REST API, version 2022-11-28, for all that reviews need of it.
//! I/O: listens on loopback.

use std::time::{Duration, Instant};

use holdfast_diff::digest::Digest;
use serde_json::{Value, json};

use super::form::{Form, check};
use super::standin::{Asked, Reply, State as Kept, TOKEN};

const AT: &str = "2026-01-01T00:00:00Z";
/// The time between writes below which they are refused.
const GAP: Duration = Duration::from_millis(10);
const FORMS: &[Form] = &[
    (
        "GET",
        "/api/v3/repos/org/config/pulls",
        &["state", "head", "base", "sort", "direction", "per_page", "page"],
    ),
    ("GET", "/api/v3/repos/org/config/pulls/{}", &[]),
    ("GET", "/api/v3/repos/org/config/issues/{}/comments", &["since", "per_page", "page"]),
    ("POST", "/api/v3/repos/org/config/issues/{}/comments", &["body"]),
    ("PATCH", "/api/v3/repos/org/config/issues/comments/{}", &["body"]),
    ("POST", "/api/v3/repos/org/config/issues/comments/{}/reactions", &["content"]),
    ("POST", "/api/v3/repos/org/config/statuses/{}", &["state", "target_url", "description", "context"]),
    ("POST", "/api/v3/repos/org/config/check-runs", CHECK),
    ("PATCH", "/api/v3/repos/org/config/check-runs/{}", CHECK),
    (
        "POST",
        "/api/v3/repos/org/config/deployments",
        &[
            "ref",
            "task",
            "auto_merge",
            "required_contexts",
            "payload",
            "environment",
            "description",
            "transient_environment",
            "production_environment",
        ],
    ),
    (
        "POST",
        "/api/v3/repos/org/config/deployments/{}/statuses",
        &["state", "target_url", "log_url", "description", "environment", "environment_url", "auto_inactive"],
    ),
    ("GET", "/api/v3/repos/org/config/issues/{}/events", &["per_page", "page"]),
    ("GET", "/api/v3/repos/org/config/collaborators/{}/permission", &[]),
    ("GET", "/api/v3/repos/org/config/commits/{}/pulls", &["per_page", "page"]),
    ("GET", "/api/v3/repos/org/config/compare/{}", &["per_page", "page"]),
    ("GET", "/api/v3/user", &[]),
    ("GET", "/api/v3/users/{}", &[]),
];
const CHECK: &[&str] = &[
    "name",
    "head_sha",
    "details_url",
    "external_id",
    "status",
    "started_at",
    "conclusion",
    "completed_at",
    "output",
    "actions",
];

pub fn answer(state: &mut Kept, asked: &Asked) -> Reply {
    state.calls.push(format!("{} {}", asked.method, asked.path));
    let mut reply = judged(state, asked).unwrap_or_else(|reply| reply);
    let tag = format!("\"{}\"", Digest::of_bytes(reply.body.as_bytes()));
    if asked.method == "GET" && reply.status == 200 && asked.header("if-none-match") == tag {
        reply = Reply::json(304, &Value::Null);
    } else if asked.method == "GET" && reply.status == 200 {
        reply.headers.push(("etag", tag));
    }
    let left = 5000 - i64::try_from(state.calls.len()).unwrap_or(0);
    reply.headers.push(("x-ratelimit-limit", "5000".to_owned()));
    reply.headers.push(("x-ratelimit-remaining", left.to_string()));
    reply
}

/// Refuses a text that is too long.
fn limited(text: &str, most: usize, name: &str) -> Result<(), Reply> {
    if text.chars().count() > most {
        return Err(invalid(&format!("{name} is too long (maximum is {most} characters)")));
    }
    Ok(())
}

fn not_found() -> Reply {
    Reply::json(404, &json!({"message": "Not Found"}))
}

fn invalid(why: &str) -> Reply {
    Reply::json(422, &json!({"message": "Validation Failed", "errors": [{"message": why}], "status": "422"}))
}

fn judged(state: &mut Kept, asked: &Asked) -> Result<Reply, Reply> {
    let is_app = asked.header("authorization") == "Bearer ghs_app";
    if asked.header("authorization") != format!("Bearer {TOKEN}") && !is_app {
        return Err(Reply::json(401, &json!({"message": "Bad credentials"})));
    }
    for (name, value) in [("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")] {
        if asked.header(name) != value {
            return Err(Reply::odd(&format!("{name} is {:?}", asked.header(name))));
        }
    }
    if !asked.header("user-agent").starts_with("holdfast/") {
        return Err(Reply::json(403, &json!({"message": "Request forbidden by administrative rules."})));
    }
    let (path, parts) = check(FORMS, asked)?;
    if asked.method != "GET" {
        let early = state.wrote.is_some_and(|wrote| wrote.elapsed() < GAP);
        state.wrote = Some(Instant::now());
        if early {
            return Err(Reply::json(403, &json!({"message": "You have exceeded a secondary rate limit."})));
        }
    }
    let key = path.trim_start_matches("/api/v3/repos/org/config/");
    match (asked.method.as_str(), key) {
        ("GET", "pulls") => Ok(list(state, asked)),
        ("GET", "pulls/{}") => {
            let number: i64 = parts[0].parse().map_err(|_| invalid("number"))?;
            let found = pulls(state).into_iter().find(|pull| pull["number"] == number);
            found.map(|pull| Reply::json(200, &pull)).ok_or_else(not_found)
        }
        ("GET", "issues/{}/comments" | "issues/{}/events") => {
            let rows = state.kept.get(key).cloned().unwrap_or_default();
            Ok(paged(&rows, asked, 30))
        }
        ("POST", "issues/{}/comments") => comment(state, asked),
        ("PATCH", "issues/comments/{}") => edit(state, asked, parts[0]),
        ("POST", "issues/comments/{}/reactions") => {
            let known = ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];
            if !known.contains(&asked.text("content")?.as_str()) {
                return Err(invalid("content is not included in the list"));
            }
            Ok(Reply::json(201, &json!({"id": 1})))
        }
        ("POST", "statuses/{}") => status(state, asked, parts[0]),
        (_, "check-runs" | "check-runs/{}") if !is_app => {
            Err(Reply::json(403, &json!({"message": "You must authenticate via a GitHub App."})))
        }
        (_, "check-runs" | "check-runs/{}") => check_run(state, asked),
        (_, "deployments") => deployment(state, asked),
        (_, "deployments/{}/statuses") => deployed(state, asked, parts[0]),
        ("GET", "collaborators/{}/permission") => {
            let permission = if parts[0] == "alice" { "write" } else { "read" };
            Ok(Reply::json(200, &json!({"permission": permission, "user": {"id": 1, "login": parts[0]}})))
        }
        ("GET", "commits/{}/pulls") if parts[0] == "cc" => {
            let merged = |pull: Value| merge(pull, &json!({"merged_at": AT, "state": "closed"}));
            Ok(Reply::json(200, &pulls(state).into_iter().take(1).map(merged).collect()))
        }
        ("GET", "commits/{}/pulls") => Err(invalid("No commit found for SHA")),
        ("GET", "compare/{}") if parts[0] == "b...h1" => {
            Ok(Reply::json(200, &json!({"merge_base_commit": {"sha": "cc"}, "total_commits": 1})))
        }
        ("GET", "compare/{}") => Err(not_found()),
        ("GET", "/api/v3/user") if is_app => {
            Err(Reply::json(403, &json!({"message": "Resource not accessible by integration"})))
        }
        ("GET", "/api/v3/user") => Ok(Reply::json(200, &json!({"id": 7, "login": "bot"}))),
        ("GET", "/api/v3/users/{}") => Ok(Reply::json(200, &json!({"id": 8, "login": parts[0]}))),
        _ => Err(Reply::odd("the stand-in does not know it")),
    }
}

fn comment(state: &mut Kept, asked: &Asked) -> Result<Reply, Reply> {
    limited(&asked.text("body")?, 65536, "body")?;
    let rows = state.kept.entry("issues/{}/comments".to_owned()).or_default();
    if rows.len() >= 2500 {
        let said = "Commenting is disabled on issues with more than 2500 comments";
        return Err(Reply::json(403, &json!({"message": said})));
    }
    let id = rows.len() + 1;
    let row = json!({"id": id, "user": {"id": 7, "login": "bot"}, "body": asked.body["body"], "created_at": AT, "updated_at": AT});
    rows.push(row.clone());
    Ok(Reply::json(201, &row))
}

fn edit(state: &mut Kept, asked: &Asked, id: &str) -> Result<Reply, Reply> {
    limited(&asked.text("body")?, 65536, "body")?;
    let rows = state.kept.entry("issues/{}/comments".to_owned()).or_default();
    let found = rows.iter_mut().find(|row| row["id"].as_i64() == id.parse().ok());
    let row = found.ok_or_else(not_found)?;
    row["body"] = asked.body["body"].clone();
    Ok(Reply::json(200, row))
}

fn status(state: &mut Kept, asked: &Asked, commit: &str) -> Result<Reply, Reply> {
    if !["error", "failure", "pending", "success"].contains(&asked.text("state")?.as_str()) {
        return Err(invalid("state is not included in the list"));
    }
    limited(asked.body["description"].as_str().unwrap_or_default(), 140, "description")?;
    let rows = state.kept.entry(format!("statuses {commit} {}", asked.body["context"])).or_default();
    if rows.len() >= 1000 {
        return Err(invalid("This SHA and context has reached the maximum number of statuses."));
    }
    rows.push(asked.body.clone());
    Ok(Reply::json(201, &json!({"id": 1, "state": asked.body["state"]})))
}

fn check_run(state: &mut Kept, asked: &Asked) -> Result<Reply, Reply> {
    if asked.method == "POST" {
        asked.text("name")?;
        asked.text("head_sha")?;
    }
    let output = &asked.body["output"];
    limited(output["title"].as_str().ok_or_else(|| invalid("title"))?, 255, "title")?;
    limited(output["summary"].as_str().ok_or_else(|| invalid("summary"))?, 65535, "summary")?;
    let annotations = output["annotations"].as_array().map(Vec::as_slice).unwrap_or_default();
    if annotations.len() > 50 {
        return Err(invalid("No more than 50 annotations are permitted"));
    }
    for row in annotations {
        let level = row["annotation_level"].as_str().unwrap_or_default();
        let is_whole = ["path", "message"].iter().all(|field| row[*field].is_string())
            && ["start_line", "end_line"]
                .iter()
                .all(|field| row[*field].as_i64().is_some_and(|line| line > 0));
        if !is_whole || !["notice", "warning", "failure"].contains(&level) {
            return Err(invalid("annotation"));
        }
    }
    let (status, end) = (asked.text("status")?, asked.body["conclusion"].as_str());
    let known = ["success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"];
    let fits = match status.as_str() {
        "completed" => end.is_some_and(|end| known.contains(&end)),
        "queued" | "in_progress" => end.is_none(),
        _ => false,
    };
    if !fits || asked.text("started_at").is_err() {
        return Err(invalid("status, conclusion and started_at do not go together"));
    }
    state.kept.entry("check-runs".to_owned()).or_default().push(asked.body.clone());
    Ok(Reply::json(if asked.method == "POST" { 201 } else { 200 }, &json!({"id": 77})))
}

fn deployment(state: &mut Kept, asked: &Asked) -> Result<Reply, Reply> {
    if asked.body["auto_merge"] != false || asked.body["required_contexts"] != json!([]) {
        return Err(Reply::json(
            409,
            &json!({"message": "Conflict: Commit status checks failed for master."}),
        ));
    }
    limited(asked.body["description"].as_str().unwrap_or_default(), 140, "description")?;
    asked.text("ref")?;
    asked.text("environment")?;
    state.kept.entry("deployments".to_owned()).or_default().push(asked.body.clone());
    Ok(Reply::json(201, &json!({"id": 5})))
}

fn deployed(state: &mut Kept, asked: &Asked, id: &str) -> Result<Reply, Reply> {
    let known = ["error", "failure", "inactive", "in_progress", "queued", "pending", "success"];
    if !known.contains(&asked.text("state")?.as_str()) || id != "5" {
        return Err(invalid("state is not included in the list"));
    }
    limited(asked.body["description"].as_str().unwrap_or_default(), 140, "description")?;
    state.kept.entry("deployments/{}/statuses".to_owned()).or_default().push(asked.body["state"].clone());
    Ok(Reply::json(201, &json!({"id": 6})))
}

pub fn merge(mut item: Value, other: &Value) -> Value {
    for (key, value) in other.as_object().into_iter().flatten() {
        item[key] = value.clone();
    }
    item
}

/// As many pull requests as are kept, or 207 open ones.
fn pulls(state: &Kept) -> Vec<Value> {
    let pull = |number: i64| {
        let repo = json!({"id": 1, "full_name": "org/config"});
        json!({"number": number, "state": "open", "html_url": "", "title": "", "updated_at": AT, "user": {"id": 3, "login": "carol"},
            "head": {"sha": format!("h{number}"), "repo": repo}, "base": {"sha": "b", "ref": "main", "repo": repo}})
    };
    match state.kept.get("pulls") {
        Some(kept) => {
            kept.iter().map(|kept| merge(pull(kept["number"].as_i64().unwrap_or(0)), kept)).collect()
        }
        None => (1..=207).map(pull).collect(),
    }
}

fn list(state: &Kept, asked: &Asked) -> Reply {
    let mut found = pulls(state);
    found.retain(|pull| asked.query("state") == "all" || pull["state"] == "open");
    found.sort_by_key(|pull| std::cmp::Reverse(pull["updated_at"].to_string()));
    paged(&found, asked, 30)
}

fn paged(rows: &[Value], asked: &Asked, default: usize) -> Reply {
    let number = |name: &str, default: usize| asked.query(name).parse().unwrap_or(default);
    let (size, page) = (number("per_page", default).min(100), number("page", 1));
    let shown: Vec<&Value> = rows.iter().skip((page - 1) * size).take(size).collect();
    let mut reply = Reply::json(200, &json!(shown));
    if rows.len() > page * size {
        reply.headers.push(("link", format!("<https://x.test?page={}>; rel=\"next\"", page + 1)));
    }
    reply
}

//! A stand-in for GitLab, by the documentation of its REST API, for all that reviews need of it. I/O: listens on loopback.

use serde_json::{Value, json};

use super::form::{Form, check};
use super::standin::{Asked, Reply, State as Kept, TOKEN};

const AT: &str = "2026-01-01T00:00:00Z";
const FORMS: &[Form] = &[
    (
        "GET",
        "/api/v4/projects/org%2Fteam%2Fconfig/merge_requests",
        &["state", "order_by", "sort", "per_page", "page"],
    ),
    ("GET", "/api/v4/projects/org%2Fteam%2Fconfig/merge_requests/{}", &[]),
    (
        "GET",
        "/api/v4/projects/org%2Fteam%2Fconfig/merge_requests/{}/notes",
        &["sort", "order_by", "per_page", "page"],
    ),
    (
        "POST",
        "/api/v4/projects/org%2Fteam%2Fconfig/merge_requests/{}/notes",
        &["body", "created_at", "internal"],
    ),
    ("PUT", "/api/v4/projects/org%2Fteam%2Fconfig/merge_requests/{}/notes/{}", &["body"]),
    ("POST", "/api/v4/projects/org%2Fteam%2Fconfig/merge_requests/{}/notes/{}/award_emoji", &["name"]),
    (
        "POST",
        "/api/v4/projects/org%2Fteam%2Fconfig/statuses/{}",
        &["state", "ref", "name", "context", "target_url", "description", "coverage", "pipeline_id"],
    ),
    (
        "POST",
        "/api/v4/projects/org%2Fteam%2Fconfig/deployments",
        &["environment", "sha", "ref", "tag", "status"],
    ),
    ("PUT", "/api/v4/projects/org%2Fteam%2Fconfig/deployments/{}", &["status"]),
    ("PUT", "/api/v4/projects/org%2Fteam%2Fconfig/environments/{}", &["external_url", "tier", "description"]),
    (
        "GET",
        "/api/v4/projects/org%2Fteam%2Fconfig/merge_requests/{}/resource_label_events",
        &["per_page", "page"],
    ),
    ("GET", "/api/v4/projects/org%2Fteam%2Fconfig/members/all/{}", &[]),
    ("GET", "/api/v4/projects/org%2Fteam%2Fconfig/repository/commits/{}/merge_requests", &["state"]),
    ("GET", "/api/v4/projects/org%2Fteam%2Fconfig/repository/merge_base", &["refs[]"]),
    ("GET", "/api/v4/user", &[]),
];

pub fn answer(state: &mut Kept, asked: &Asked) -> Reply {
    state.calls.push(format!("{} {}", asked.method, asked.path));
    judged(state, asked).unwrap_or_else(|reply| reply)
}

fn bad(why: &str) -> Reply {
    Reply::json(400, &json!({"message": why}))
}

fn judged(state: &mut Kept, asked: &Asked) -> Result<Reply, Reply> {
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        return Err(Reply::json(401, &json!({"message": "401 Unauthorized"})));
    }
    let (path, parts) = check(FORMS, asked)?;
    let short = |field: &str| {
        let length = asked.body[field].as_str().map_or(0, |text| text.chars().count());
        if length > 255 {
            Err(bad(&format!("{field} is too long (maximum is 255 characters)")))
        } else {
            Ok(())
        }
    };
    let key = path.trim_start_matches("/api/v4/projects/org%2Fteam%2Fconfig/");
    match (asked.method.as_str(), key) {
        ("GET", "merge_requests") => {
            if !["opened", "closed", "locked", "merged", "all"].contains(&asked.query("state")) {
                return Err(bad("state does not have a valid value"));
            }
            Ok(Reply::json(200, &json!([request("opened")])))
        }
        ("GET", "merge_requests/{}") if parts[0] == "3" => Ok(Reply::json(200, &request("merged"))),
        ("GET", "merge_requests/{}/notes") => {
            Ok(Reply::json(200, &json!(state.kept.get("notes").cloned().unwrap_or_default())))
        }
        ("POST", "merge_requests/{}/notes") => {
            let rows = state.kept.entry("notes".to_owned()).or_default();
            let row = json!({"id": rows.len() + 1, "body": asked.text("body")?, "author": {"id": 7, "username": "bot"},
                "created_at": AT, "updated_at": AT, "system": false});
            rows.push(row.clone());
            Ok(Reply::json(201, &row))
        }
        ("PUT", "merge_requests/{}/notes/{}") if parts[1] == "1" => {
            Ok(Reply::json(200, &json!({"id": 1, "body": asked.text("body")?})))
        }
        ("POST", "merge_requests/{}/notes/{}/award_emoji") => {
            let rows = state.kept.entry("award_emoji".to_owned()).or_default();
            if rows.contains(&asked.body["name"]) {
                return Err(Reply::json(
                    404,
                    &json!({"message": "404 Award Emoji Name has already been taken Not Found"}),
                ));
            }
            rows.push(asked.body["name"].clone());
            Ok(Reply::json(201, &json!({"id": 1})))
        }
        ("POST", "statuses/{}") => {
            let wanted = asked.text("state")?;
            if !["pending", "running", "success", "failed", "canceled", "skipped"].contains(&wanted.as_str())
            {
                return Err(bad("state does not have a valid value"));
            }
            ["name", "description", "target_url"].into_iter().try_for_each(short)?;
            let rows = state.kept.entry(format!("{key} {} {}", parts[0], asked.body["name"])).or_default();
            if rows.last().is_some_and(|last| last["state"] == asked.body["state"]) {
                let said = format!(
                    "Cannot transition status via :{wanted} from :{wanted} (Reason(s): Status cannot transition)"
                );
                return Err(bad(&said));
            }
            rows.push(asked.body.clone());
            Ok(Reply::json(201, &json!({"id": 1, "status": wanted})))
        }
        (_, "deployments" | "deployments/{}" | "environments/{}") => deploy(state, asked, key, &parts),
        ("GET", "merge_requests/{}/resource_label_events") => {
            let user = if parts[0] == "3" { 30 } else { 20 };
            Ok(Reply::json(
                200,
                &json!([{"id": 1, "action": "add", "label": {"name": "preview"}, "user": {"id": user, "username": "x"}}]),
            ))
        }
        ("GET", "members/all/{}") => {
            let level: i64 = parts[0].parse().map_err(|_| bad("user_id is invalid"))?;
            Ok(Reply::json(200, &json!({"id": level, "access_level": level})))
        }
        ("GET", "repository/commits/{}/merge_requests") => {
            Ok(Reply::json(200, &json!([request("closed"), request("merged")])))
        }
        ("GET", "repository/merge_base") => Ok(Reply::json(200, &json!({"id": "cc"}))),
        ("GET", "/api/v4/user") => Ok(Reply::json(200, &json!({"id": 7, "username": "bot"}))),
        _ => Err(Reply::json(404, &json!({"error": "404 Not Found"}))),
    }
}

fn deploy(state: &mut Kept, asked: &Asked, key: &str, parts: &[&str]) -> Result<Reply, Reply> {
    match (asked.method.as_str(), key) {
        ("POST", "deployments") => {
            asked.text("environment")?;
            asked.text("sha")?;
            asked.text("ref")?;
            asked.text("status")?;
            if asked.body["tag"] != false {
                return Err(bad("tag is missing"));
            }
            let environment = json!({"id": 9, "name": asked.body["environment"], "external_url": state.kept.get("url").and_then(|rows| rows.last())});
            state.kept.insert("deployments".to_owned(), vec![asked.body["status"].clone()]);
            Ok(Reply::json(
                201,
                &json!({"id": 42, "status": asked.body["status"], "environment": environment}),
            ))
        }
        ("PUT", "deployments/{}") if parts[0] == "42" => {
            let rows = state.kept.entry("deployments".to_owned()).or_default();
            if rows.last() == Some(&asked.body["status"]) {
                return Err(bad("Cannot transition status via :succeed from :success"));
            }
            rows.push(asked.body["status"].clone());
            let environment =
                json!({"id": 9, "external_url": state.kept.get("url").and_then(|rows| rows.last())});
            Ok(Reply::json(200, &json!({"id": 42, "environment": environment})))
        }
        ("PUT", "environments/{}") if parts[0] == "9" => {
            state.kept.entry("url".to_owned()).or_default().push(asked.body["external_url"].clone());
            Ok(Reply::json(200, &json!({"id": 9})))
        }
        _ => Err(Reply::json(404, &json!({"error": "404 Not Found"}))),
    }
}

fn request(state: &str) -> Value {
    json!({"iid": 3, "sha": "aa", "target_branch": "main", "state": state, "source_project_id": 1, "target_project_id": 1,
        "labels": [], "author": {"id": 9, "username": "bob"}, "updated_at": AT, "title": "t", "web_url": "u",
        "references": {"full": "org/team/config!3"}})
}

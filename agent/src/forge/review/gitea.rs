//! Gitea and Forgejo: <https://docs.gitea.com/api/>. Pure.

use http::Method;
use serde_json::{Value, json};

use super::super::dialect::{call, names, text};
use super::super::web::Call;
use super::{
    Action, Comment, Fate, PullRequest, Reaction, Report, Reviews, Target, issue_comment, issue_fate,
    optional, report, repository, time, user, with,
};

/// Items of a page, which is what a server gives at most where it was not set otherwise.
const LIMIT: &str = "50";
/// What a title of a draft begins with.
const DRAFT: [&str; 2] = ["WIP:", "[WIP]"];

pub struct Gitea;

impl Reviews for Gitea {
    fn open(&self, target: &Target, page: usize) -> Call {
        let query = vec![
            ("state", "open".to_owned()),
            ("sort", "recentupdate".to_owned()),
            ("page", page.to_string()),
            ("limit", LIMIT.to_owned()),
        ];
        Call { query, ..repository(target, Action::Read, &["pulls"]) }
    }

    fn latest(&self, target: &Target) -> Call {
        let query = vec![
            ("state", "all".to_owned()),
            ("sort", "recentupdate".to_owned()),
            ("limit", "10".to_owned()),
        ];
        Call { query, ..repository(target, Action::Read, &["pulls"]) }
    }

    fn get(&self, target: &Target, number: i64) -> Call {
        repository(target, Action::Read, &["pulls", &number.to_string()])
    }

    fn pull_request(&self, item: &Value) -> Option<PullRequest> {
        let repository = |side: &str| item.pointer(&format!("/{side}/repo_id")).and_then(Value::as_i64);
        let title = text(item, "/title");
        let is_marked =
            |mark: &str| title.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark));
        Some(PullRequest {
            number: item["number"].as_i64()?,
            url: text(item, "/html_url"),
            draft: item["draft"] == true || DRAFT.iter().any(|mark| is_marked(mark)),
            title,
            labels: names(item, "/labels"),
            author: user(&item["user"]),
            head: optional(item, "/head/sha")?,
            base: optional(item, "/base/ref")?,
            base_commit: optional(item, "/base/sha"),
            ancestor: optional(item, "/merge_base"),
            fork: repository("head") != repository("base"),
            updated: time(&item["updated_at"]),
        })
    }

    fn fate(&self, item: &Value) -> Fate {
        issue_fate(item)
    }

    fn repository(&self, item: &Value) -> Option<String> {
        optional(item, "/base/repo/full_name")
    }

    /// All at once: this list has no pages.
    fn comments(&self, target: &Target, number: i64, page: usize) -> Call {
        let query = vec![("page", page.to_string()), ("limit", LIMIT.to_owned())];
        Call {
            query,
            ..repository(target, Action::ReadComments, &["issues", &number.to_string(), "comments"])
        }
    }

    fn comment(&self, item: &Value) -> Option<Comment> {
        issue_comment(item)
    }

    fn add_comment(&self, target: &Target, number: i64, text: &str) -> Call {
        let call = repository(target, Action::Comment, &["issues", &number.to_string(), "comments"]);
        with(Method::POST, call, json!({"body": text}))
    }

    fn edit_comment(&self, target: &Target, _: i64, id: i64, text: &str) -> Call {
        let call = repository(target, Action::Comment, &["issues", "comments", &id.to_string()]);
        with(Method::PATCH, call, json!({"body": text}))
    }

    fn react(&self, target: &Target, _: i64, id: i64, reaction: Reaction) -> Call {
        let call = repository(target, Action::React, &["issues", "comments", &id.to_string(), "reactions"]);
        let content = match reaction {
            Reaction::Seen => "eyes",
            Reaction::Done => "+1",
            Reaction::Refused => "-1",
        };
        with(Method::POST, call, json!({"content": content}))
    }

    fn user(&self, _: &Target) -> Call {
        call(Action::WhoAmI, Method::GET, &["user"])
    }

    /// Known from the pull request; the comparison of commits does not name it.
    fn ancestor(&self, target: &Target, base: &str, head: &str) -> (Call, &'static str) {
        (
            repository(target, Action::Read, &["compare", &format!("{base}...{head}")]),
            "/merge_base_commit/sha",
        )
    }

    fn origin(&self, target: &Target, commit: &str) -> Call {
        repository(target, Action::Read, &["commits", commit, "pull"])
    }

    fn status(&self, target: &Target, report: &Report<'_>) -> Option<Call> {
        report::status(target, report)
    }
}

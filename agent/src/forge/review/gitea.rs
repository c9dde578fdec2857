//! Gitea and Forgejo: <https://docs.gitea.com/api/>. Pure.

use http::Method;
use serde_json::Value;

use super::super::dialect::{call, names, text};
use super::super::web::Call;
use super::{Action, PullRequest, Reviews, Target, comments, optional, repository, time, user};

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
            fork: repository("head") != repository("base") || is_agit(item),
            updated: time(&item["updated_at"]),
        })
    }

    /// All at once: this list has no pages.
    fn comments(&self, target: &Target, number: i64, page: usize) -> Call {
        let query = vec![("page", page.to_string()), ("limit", LIMIT.to_owned())];
        Call { query, ..comments(target, Action::ReadComments, number) }
    }

    fn user(&self, _: &Target) -> Call {
        call(Action::WhoAmI, Method::GET, &["user"])
    }

    fn origin(&self, target: &Target, commit: &str) -> Call {
        repository(target, Action::Read, &["commits", commit, "pull"])
    }
}

/// True if it was pushed to `refs/for/BRANCH` (AGit), which everybody may do who may read the repository. Its head is no branch.
fn is_agit(item: &Value) -> bool {
    item.pointer("/head/ref").and_then(Value::as_str).is_some_and(|name| name.starts_with("refs/"))
}

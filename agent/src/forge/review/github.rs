//! GitHub: <https://docs.github.com/en/rest/pulls/pulls>, issue comments and commit statuses. Pure.

use http::Method;
use serde_json::Value;

use super::super::dialect::{call, names, text};
use super::super::web::Call;
use super::{Action, PullRequest, Reviews, Target, comments, optional, repository, time, user};

pub struct GitHub;

impl Reviews for GitHub {
    fn open(&self, target: &Target, page: usize) -> Call {
        let query = vec![
            ("state", "open".to_owned()),
            ("sort", "updated".to_owned()),
            ("direction", "desc".to_owned()),
            ("per_page", "100".to_owned()),
            ("page", page.to_string()),
        ];
        Call { query, ..repository(target, Action::Read, &["pulls"]) }
    }

    fn latest(&self, target: &Target) -> Call {
        let query = vec![
            ("state", "all".to_owned()),
            ("sort", "updated".to_owned()),
            ("direction", "desc".to_owned()),
            ("per_page", "10".to_owned()),
        ];
        Call { query, ..repository(target, Action::Read, &["pulls"]) }
    }

    fn pull_request(&self, item: &Value) -> Option<PullRequest> {
        let repository = |side: &str| item.pointer(&format!("/{side}/repo/id")).and_then(Value::as_i64);
        Some(PullRequest {
            number: item["number"].as_i64()?,
            url: text(item, "/html_url"),
            title: text(item, "/title"),
            draft: item["draft"] == true,
            labels: names(item, "/labels"),
            author: user(&item["user"]),
            head: optional(item, "/head/sha")?,
            base: optional(item, "/base/ref")?,
            base_commit: optional(item, "/base/sha"),
            ancestor: None,
            // The repository of a fork that was deleted is null.
            fork: repository("head").is_none() || repository("head") != repository("base"),
            updated: time(&item["updated_at"]),
        })
    }

    fn comments(&self, target: &Target, number: i64, page: usize) -> Call {
        let query = vec![("per_page", "100".to_owned()), ("page", page.to_string())];
        Call { query, ..comments(target, Action::ReadComments, number) }
    }

    /// Of an App, its bot, since nobody else writes with its tokens.
    fn user(&self, target: &Target) -> Call {
        match &target.bot {
            Some(slug) => call(Action::WhoAmI, Method::GET, &["users", &format!("{slug}[bot]")]),
            None => call(Action::WhoAmI, Method::GET, &["user"]),
        }
    }

    fn ancestor(&self, target: &Target, base: &str, head: &str) -> (Call, &'static str) {
        let call = repository(target, Action::Read, &["compare", &format!("{base}...{head}")]);
        (Call { query: vec![("per_page", "1".to_owned())], ..call }, "/merge_base_commit/sha")
    }

    fn origin(&self, target: &Target, commit: &str) -> Call {
        repository(target, Action::Read, &["commits", commit, "pulls"])
    }
}

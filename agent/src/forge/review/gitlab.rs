//! GitLab: <https://docs.gitlab.com/api/merge_requests/>, notes and commit statuses. Pure.

use http::Method;
use serde_json::{Value, json};

use super::super::dialect::{call, text};
use super::super::web::Call;
use super::report::cut;
use super::{
    Action, Comment, Fate, PullRequest, Reaction, Report, Reviews, Target, optional, time, user, with,
};

/// Characters of a name and of a description that GitLab takes.
const TEXT: usize = 255;

pub struct GitLab;

fn project(target: &Target, what: Action, rest: &[&str]) -> Call {
    call(what, Method::GET, &[&["projects", target.repository.as_str()], rest].concat())
}

impl Reviews for GitLab {
    fn open(&self, target: &Target, page: usize) -> Call {
        let query = vec![
            ("state", "opened".to_owned()),
            ("order_by", "updated_at".to_owned()),
            ("sort", "desc".to_owned()),
            ("per_page", "100".to_owned()),
            ("page", page.to_string()),
        ];
        Call { query, ..project(target, Action::Read, &["merge_requests"]) }
    }

    fn latest(&self, target: &Target) -> Call {
        let query = vec![
            ("state", "all".to_owned()),
            ("order_by", "updated_at".to_owned()),
            ("sort", "desc".to_owned()),
            ("per_page", "10".to_owned()),
        ];
        Call { query, ..project(target, Action::Read, &["merge_requests"]) }
    }

    fn get(&self, target: &Target, number: i64) -> Call {
        project(target, Action::Read, &["merge_requests", &number.to_string()])
    }

    fn pull_request(&self, item: &Value) -> Option<PullRequest> {
        let labels = item["labels"].as_array().map(Vec::as_slice).unwrap_or_default();
        Some(PullRequest {
            number: item["iid"].as_i64()?,
            url: text(item, "/web_url"),
            title: text(item, "/title"),
            draft: item["draft"] == true || item["work_in_progress"] == true,
            labels: labels.iter().filter_map(|label| Some(label.as_str()?.to_owned())).collect(),
            author: user(&item["author"]),
            head: optional(item, "/sha")?,
            base: optional(item, "/target_branch")?,
            base_commit: optional(item, "/diff_refs/start_sha"),
            ancestor: optional(item, "/diff_refs/base_sha"),
            fork: item["source_project_id"] != item["target_project_id"],
            updated: time(&item["updated_at"]),
        })
    }

    /// A merge without a merge commit leaves the head itself, or one commit of all.
    fn fate(&self, item: &Value) -> Fate {
        let commit = ["/merge_commit_sha", "/squash_commit_sha", "/sha"];
        match item["state"].as_str() {
            Some("merged") => Fate::Merged { commit: commit.iter().find_map(|place| optional(item, place)) },
            Some("closed") => Fate::Closed,
            _ => Fate::Open,
        }
    }

    fn repository(&self, item: &Value) -> Option<String> {
        let full = item.pointer("/references/full")?.as_str()?;
        Some(full.rsplit_once('!')?.0.to_owned())
    }

    fn comments(&self, target: &Target, number: i64, page: usize) -> Call {
        let query = vec![
            ("sort", "asc".to_owned()),
            ("order_by", "created_at".to_owned()),
            ("per_page", "100".to_owned()),
            ("page", page.to_string()),
        ];
        Call {
            query,
            ..project(target, Action::ReadComments, &["merge_requests", &number.to_string(), "notes"])
        }
    }

    /// Notes of the forge itself are no comments.
    fn comment(&self, item: &Value) -> Option<Comment> {
        (item["system"] != true).then_some(())?;
        Some(Comment {
            id: item["id"].as_i64()?,
            author: user(&item["author"]),
            body: item["body"].as_str()?.to_owned(),
            created: time(&item["created_at"])?,
            updated: time(&item["updated_at"])?,
        })
    }

    fn add_comment(&self, target: &Target, number: i64, text: &str) -> Call {
        let call = project(target, Action::Comment, &["merge_requests", &number.to_string(), "notes"]);
        with(Method::POST, call, json!({"body": text}))
    }

    fn edit_comment(&self, target: &Target, number: i64, id: i64, text: &str) -> Call {
        let call = project(
            target,
            Action::Comment,
            &["merge_requests", &number.to_string(), "notes", &id.to_string()],
        );
        with(Method::PUT, call, json!({"body": text}))
    }

    fn react(&self, target: &Target, number: i64, id: i64, reaction: Reaction) -> Call {
        let rest = ["merge_requests", &number.to_string(), "notes", &id.to_string(), "award_emoji"];
        let name = match reaction {
            Reaction::Seen => "eyes",
            Reaction::Done => "thumbsup",
            Reaction::Refused => "thumbsdown",
        };
        with(Method::POST, project(target, Action::React, &rest), json!({"name": name}))
    }

    fn user(&self, _: &Target) -> Call {
        call(Action::WhoAmI, Method::GET, &["user"])
    }

    fn ancestor(&self, target: &Target, base: &str, head: &str) -> (Call, &'static str) {
        let query = vec![("refs[]", base.to_owned()), ("refs[]", head.to_owned())];
        (Call { query, ..project(target, Action::Read, &["repository", "merge_base"]) }, "/id")
    }

    fn origin(&self, target: &Target, commit: &str) -> Call {
        project(target, Action::Read, &["repository", "commits", commit, "merge_requests"])
    }

    /// A status that does not end blocks merges, so only one that is final is written.
    fn status(&self, target: &Target, report: &Report<'_>) -> Option<Call> {
        let state = report.state.word(target.provider)?;
        let mut body = json!({"state": state, "name": cut(report.context, TEXT), "description": cut(report.title, TEXT)});
        if let Some(url) = report.url.filter(|url| url.len() <= TEXT) {
            body["target_url"] = url.into();
        }
        Some(with(Method::POST, project(target, Action::Status, &["statuses", report.commit]), body))
    }
}

//! What is read and written about the pull requests of others: which are open, what people wrote in them; comments, reactions,
//! statuses, check runs and deployments of our own.
//!
//! What the forges call it differs by dialect. Leaves when to read and what to write to `review`. I/O: through [`Client`].

mod client;
mod deploy;
mod gitea;
mod github;
mod gitlab;
mod list;
mod page;
mod report;
mod rights;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::client::Client;
pub use self::deploy::{Deployed, Deployment};
pub use self::list::Listing;
pub use self::report::{Annotation, Level, Report, State};
use super::web::Call;
use super::{Action, Target};
use crate::api::Forge;

/// A pull request, as a forge shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    pub number: i64,
    /// The URL of its page.
    pub url: String,
    pub title: String,
    pub draft: bool,
    pub labels: Vec<String>,
    pub author: User,
    /// The commit of its head.
    pub head: String,
    /// The branch that it is merged into, and the commit of that, if the forge says so.
    pub base: String,
    pub base_commit: Option<String>,
    /// Where both parted, if the forge says so.
    pub ancestor: Option<String>,
    /// True if its branch is one of another repository, or is gone.
    pub fork: bool,
    pub updated: Option<Timestamp>,
}

/// What became of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Open,
    Closed,
    /// The commit is the one that the base branch got, if the forge says so.
    Merged {
        commit: Option<String>,
    },
}

/// A user of a forge. The login can change hands; the id cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub id: i64,
    pub login: String,
}

/// A comment in a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    pub id: i64,
    pub author: User,
    pub body: String,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// How a comment of somebody is answered without a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    Seen,
    Done,
    Refused,
}

/// A merged pull request that a commit is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub number: i64,
    pub url: String,
    pub title: String,
    pub author: User,
}

/// The language of a forge. What GitHub and Gitea have in common is the default.
trait Reviews: Sync {
    /// A page of the open pull requests, the last changed first.
    fn open(&self, target: &Target, page: usize) -> Call;

    /// The last changed pull requests, open or not.
    fn latest(&self, target: &Target) -> Call;

    fn get(&self, target: &Target, number: i64) -> Call {
        repository(target, Action::Read, &["pulls", &number.to_string()])
    }

    fn pull_request(&self, item: &Value) -> Option<PullRequest>;

    fn fate(&self, item: &Value) -> Fate {
        if item["merged"] == true || item["merged_at"].is_string() {
            return Fate::Merged { commit: optional(item, "/merge_commit_sha") };
        }
        if item["state"] == "closed" { Fate::Closed } else { Fate::Open }
    }

    /// The repository that a pull request is in, as the forge calls it now.
    fn repository(&self, item: &Value) -> Option<String> {
        optional(item, "/base/repo/full_name")
    }

    /// A page of the comments in a pull request, the oldest first.
    fn comments(&self, target: &Target, number: i64, page: usize) -> Call;

    fn comment(&self, item: &Value) -> Option<Comment> {
        Some(Comment {
            id: item["id"].as_i64()?,
            author: user(&item["user"]),
            body: item["body"].as_str()?.to_owned(),
            created: time(&item["created_at"])?,
            updated: time(&item["updated_at"])?,
        })
    }

    fn add_comment(&self, target: &Target, number: i64, text: &str) -> Call {
        with(Method::POST, comments(target, Action::Comment, number), json!({"body": text}))
    }

    fn edit_comment(&self, target: &Target, _number: i64, id: i64, text: &str) -> Call {
        let call = repository(target, Action::Comment, &["issues", "comments", &id.to_string()]);
        with(Method::PATCH, call, json!({"body": text}))
    }

    fn react(&self, target: &Target, _number: i64, id: i64, reaction: Reaction) -> Call {
        let call = repository(target, Action::React, &["issues", "comments", &id.to_string(), "reactions"]);
        let content = match reaction {
            Reaction::Seen => "eyes",
            Reaction::Done => "+1",
            Reaction::Refused => "-1",
        };
        with(Method::POST, call, json!({"content": content}))
    }

    /// The user of the login.
    fn user(&self, target: &Target) -> Call;

    /// Where two commits parted, and the place of it in the answer.
    fn ancestor(&self, target: &Target, base: &str, head: &str) -> (Call, &'static str) {
        let call = repository(target, Action::Read, &["compare", &format!("{base}...{head}")]);
        (call, "/merge_base_commit/sha")
    }

    /// The pull requests that a commit is of.
    fn origin(&self, target: &Target, commit: &str) -> Call;

    fn status(&self, target: &Target, report: &Report<'_>) -> Option<Call> {
        report::status(target, report)
    }
}

fn reviews(provider: Forge) -> &'static dyn Reviews {
    match provider {
        Forge::GitHub => &github::GitHub,
        Forge::GitLab => &gitlab::GitLab,
        Forge::Gitea => &gitea::Gitea,
    }
}

/// The ref of the head of a pull request, in the repository that it is to be merged into. It is there for forks too.
pub fn head_ref(provider: Forge, number: i64) -> String {
    match provider {
        Forge::GitHub | Forge::Gitea => format!("refs/pull/{number}/head"),
        Forge::GitLab => format!("refs/merge-requests/{number}/head"),
    }
}

/// A user in the form of all forges.
fn user(item: &Value) -> User {
    let login = ["login", "username"].iter().find_map(|field| item[*field].as_str()).unwrap_or_default();
    User { id: item["id"].as_i64().unwrap_or_default(), login: login.to_owned() }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn optional(item: &Value, pointer: &str) -> Option<String> {
    let text = item.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// A request below the repository, in the form of GitHub and Gitea.
fn repository(target: &Target, what: Action, rest: &[&str]) -> Call {
    let (owner, repository) = target.names();
    super::dialect::call(what, Method::GET, &[&["repos", owner, repository], rest].concat())
}

/// The comments in a pull request, in the form of GitHub and Gitea.
fn comments(target: &Target, what: Action, number: i64) -> Call {
    repository(target, what, &["issues", &number.to_string(), "comments"])
}

/// A request with a body.
fn with(method: Method, call: Call, body: Value) -> Call {
    Call { method, body: Some(body), ..call }
}

#[cfg(test)]
mod tests;

//! What a commit is said to be: a check run by a GitHub App, a commit status by everybody else; and at Gitea a review for
//! what a status cannot show, lines of files.
//!
//! GitLab gets final states alone, since a status there that does not end blocks merges. I/O: through the session.

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::web::Call;
use super::super::{Action, ForgeError, Target};
use super::client::{Client, odd};
use super::{repository, reviews, with};
use crate::api::Forge;

/// Annotations of one request, as many as GitHub takes.
const ANNOTATIONS: usize = 50;
/// Characters of what GitHub takes: of a title, of a summary, of a message.
const TITLE: usize = 255;
const SUMMARY: usize = 60_000;
const MESSAGE: usize = 4000;
/// Characters of the description of a status: GitHub takes 140, GitLab 255.
const DESCRIPTION: usize = 140;

/// How a commit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    Success,
    /// A person must change something: conflicts, or mistakes in the files.
    Failure,
    /// It could not be found out.
    Error,
}

impl State {
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }

    /// As a forge calls it. `None` where it is not to be written.
    pub fn word(self, forge: Forge) -> Option<&'static str> {
        match (forge, self) {
            (Forge::GitLab, Self::Pending) => None,
            (_, Self::Pending) => Some("pending"),
            (_, Self::Success) => Some("success"),
            (Forge::GitLab, Self::Failure | Self::Error) => Some("failed"),
            (_, Self::Failure) => Some("failure"),
            (_, Self::Error) => Some("error"),
        }
    }
}

/// How grave an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Notice,
    Warning,
    Failure,
}

/// What is said about a line of a file. Lines count from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    pub path: String,
    pub line: u32,
    pub level: Level,
    /// Plain text.
    pub message: String,
}

/// What is said about a commit.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    pub commit: &'a str,
    /// The name of the status or check run, which branch protection can require.
    pub context: &'a str,
    pub state: State,
    /// One line.
    pub title: &'a str,
    /// Markdown. Only check runs have it.
    pub summary: &'a str,
    pub url: Option<&'a str>,
    /// Only check runs have them, at most 50.
    pub annotations: &'a [Annotation],
    /// When the work on it began.
    pub started: Timestamp,
}

impl Client {
    /// Writes a check run or a commit status; the id of a check run, which is to be given as `known` when it is written again.
    /// A state that GitLab has already is no error.
    pub async fn report(
        &self,
        target: &Target,
        report: &Report<'_>,
        known: Option<i64>,
    ) -> Result<Option<i64>, ForgeError> {
        if target.provider == Forge::GitHub && target.is_app() {
            let answer = self.send(target, &check_run(target, report, known)).await?;
            let id = answer.body["id"].as_i64();
            return id.map(Some).ok_or_else(|| odd(target, "its check run has no id"));
        }
        let Some(call) = reviews(target.provider).status(target, report) else { return Ok(None) };
        match self.session.write(target, &call).await? {
            Ok(_) => Ok(None),
            // "Cannot transition status via :success from :success".
            Err(refusal)
                if target.provider == Forge::GitLab
                    && refusal.status == StatusCode::BAD_REQUEST
                    && refusal.said.contains("Cannot transition status") =>
            {
                Ok(None)
            }
            Err(refusal) => Err(refusal.into_error(target, call.what)),
        }
    }

    /// Writes a review with a comment at each line. False where a forge has nothing that fits: GitHub has check runs, and GitLab
    /// takes comments at changed lines alone.
    pub async fn annotate(
        &self,
        target: &Target,
        number: i64,
        commit: &str,
        text: &str,
        annotations: &[Annotation],
    ) -> Result<bool, ForgeError> {
        if target.provider != Forge::Gitea || annotations.is_empty() {
            return Ok(false);
        }
        let comment = |Annotation { path, line, message, level: _ }: &Annotation| json!({"path": path, "body": cut(message, MESSAGE), "new_position": line, "old_position": 0});
        let comments: Vec<Value> = annotations.iter().take(ANNOTATIONS).map(comment).collect();
        let body = json!({"event": "COMMENT", "commit_id": commit, "body": text, "comments": comments});
        let call = repository(target, Action::Review, &["pulls", &number.to_string(), "reviews"]);
        self.send(target, &with(Method::POST, call, body)).await.map(|_| true)
    }
}

/// <https://docs.github.com/en/rest/checks/runs>
fn check_run(target: &Target, report: &Report<'_>, known: Option<i64>) -> Call {
    let Report { commit, context, state, title, summary, url, annotations, started } = *report;
    let annotations: Vec<Value> = annotations.iter().take(ANNOTATIONS).map(annotation).collect();
    let output =
        json!({"title": cut(title, TITLE), "summary": cut(summary, SUMMARY), "annotations": annotations});
    let mut body = json!({
        "name": context,
        "status": if state.is_final() { "completed" } else { "in_progress" },
        "started_at": started.to_string(),
        "output": output,
    });
    if let Some(conclusion) = conclusion(state) {
        body["conclusion"] = conclusion.into();
    }
    if let Some(url) = url {
        body["details_url"] = url.into();
    }
    match known {
        None => {
            body["head_sha"] = commit.into();
            with(Method::POST, repository(target, Action::Check, &["check-runs"]), body)
        }
        Some(id) => {
            with(Method::PATCH, repository(target, Action::Check, &["check-runs", &id.to_string()]), body)
        }
    }
}

/// A check that is required does not let a merge through if it failed for whatever reason.
fn conclusion(state: State) -> Option<&'static str> {
    match state {
        State::Pending => None,
        State::Success => Some("success"),
        State::Failure | State::Error => Some("failure"),
    }
}

fn annotation(Annotation { path, line, level, message }: &Annotation) -> Value {
    let level = match level {
        Level::Notice => "notice",
        Level::Warning => "warning",
        Level::Failure => "failure",
    };
    json!({"path": path, "start_line": line, "end_line": line, "annotation_level": level, "message": cut(message, MESSAGE)})
}

/// A commit status in the form of GitHub and Gitea.
pub(super) fn status(target: &Target, report: &Report<'_>) -> Option<Call> {
    let state = report.state.word(target.provider)?;
    let mut body =
        json!({"state": state, "context": report.context, "description": cut(report.title, DESCRIPTION)});
    if let Some(url) = report.url {
        body["target_url"] = url.into();
    }
    Some(with(Method::POST, repository(target, Action::Status, &["statuses", report.commit]), body))
}

/// A text of at most so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

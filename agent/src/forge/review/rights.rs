//! Who gave a pull request a label, and whether that user may write to the repository. I/O: through the session.

use http::Method;
use serde_json::Value;

use super::super::dialect::call;
use super::super::web::Call;
use super::super::{Action, ForgeError, Target};
use super::client::Client;
use super::{User, repository, user};
use crate::api::Forge;

/// The access level of GitLab's role Developer, the first one that may push.
const DEVELOPER: i64 = 30;

impl Client {
    /// True if the label was given last by somebody who may write to the repository. Gitea lets nobody else label a pull
    /// request; GitHub and GitLab have roles that may label and not write.
    pub async fn is_trusted(&self, target: &Target, number: i64, label: &str) -> Result<bool, ForgeError> {
        let list = |page: usize| Call {
            query: vec![("per_page", "100".to_owned()), ("page", page.to_string())],
            ..events(target, number)
        };
        if target.provider == Forge::Gitea {
            return Ok(true);
        }
        let events = self.pages(target, list).await?;
        let Some(user) = events.iter().rev().find_map(|event| labelled(event, label)) else {
            return Ok(false);
        };
        let call = access(target, &user);
        match self.session.read(target, &call, None).await? {
            Ok(answer) => Ok(may_write(&answer.body)),
            Err(refusal) if refusal.status == 404 => Ok(false),
            Err(refusal) => Err(refusal.into_error(target, call.what)),
        }
    }
}

fn events(target: &Target, number: i64) -> Call {
    let number = number.to_string();
    match target.provider {
        Forge::GitLab => project(target, &["merge_requests", &number, "resource_label_events"]),
        Forge::GitHub | Forge::Gitea => {
            repository(target, Action::ReadRights, &["issues", &number, "events"])
        }
    }
}

/// Who gave the label, if the event is that.
fn labelled(event: &Value, label: &str) -> Option<User> {
    let is_given = event["event"] == "labeled" || event["action"] == "add";
    let is_it = event["label"]["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(label));
    let by = if event["actor"].is_object() { &event["actor"] } else { &event["user"] };
    (is_given && is_it && by.is_object()).then(|| user(by))
}

fn access(target: &Target, user: &User) -> Call {
    match target.provider {
        Forge::GitLab => project(target, &["members", "all", &user.id.to_string()]),
        Forge::GitHub | Forge::Gitea => {
            repository(target, Action::ReadRights, &["collaborators", &user.login, "permission"])
        }
    }
}

fn may_write(answer: &Value) -> bool {
    let level = answer["access_level"].as_i64().is_some_and(|level| level >= DEVELOPER);
    level || matches!(answer["permission"].as_str(), Some("admin" | "write"))
}

fn project(target: &Target, rest: &[&str]) -> Call {
    call(Action::ReadRights, Method::GET, &[&["projects", target.repository.as_str()], rest].concat())
}

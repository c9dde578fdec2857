//! Deployments: GitHub's and GitLab's; Gitea has none. I/O: through the session.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::dialect::call;
use super::super::web::Call;
use super::super::{Action, ForgeError, Target};
use super::client::{Client, odd};
use super::report::cut;
use super::{repository, with};
use crate::api::Forge;

/// Characters of a description that GitHub takes.
const DESCRIPTION: usize = 140;

/// How far a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployed {
    InProgress,
    Success,
    Failure,
    /// A newer one is there before this one has ended.
    Superseded,
    /// It is not followed any more, and how it ends is not known.
    Unknown,
}

/// A commit that is applied somewhere.
#[derive(Clone, Copy, Debug)]
pub struct Deployment<'a> {
    pub commit: &'a str,
    /// The branch or tag that it was found at. GitLab needs it.
    pub reference: &'a str,
    pub environment: &'a str,
    /// Where what is deployed can be seen.
    pub url: Option<&'a str>,
    /// One line.
    pub description: &'a str,
}

impl Client {
    /// Writes a deployment, and how far it is. Its id is to be given as `known` when it is written again; `None` if the forge has
    /// no deployments.
    pub async fn deploy(
        &self,
        target: &Target,
        deployment: &Deployment<'_>,
        state: Deployed,
        known: Option<i64>,
    ) -> Result<Option<i64>, ForgeError> {
        match target.provider {
            Forge::GitHub => self.deploy_to_github(target, deployment, state, known).await.map(Some),
            Forge::GitLab => self.deploy_to_gitlab(target, deployment, state, known).await.map(Some),
            Forge::Gitea => Ok(None),
        }
    }

    /// <https://docs.github.com/en/rest/deployments>
    async fn deploy_to_github(
        &self,
        target: &Target,
        deployment: &Deployment<'_>,
        state: Deployed,
        known: Option<i64>,
    ) -> Result<i64, ForgeError> {
        let Deployment { commit, reference: _, environment, url, description } = *deployment;
        let description = cut(description, DESCRIPTION);
        let id = if let Some(id) = known {
            id
        } else {
            // By default GitHub merges the default branch into it, and waits for all statuses.
            let body = json!({"ref": commit, "environment": environment, "description": description,
                "auto_merge": false, "required_contexts": []});
            let call = with(Method::POST, repository(target, Action::Deploy, &["deployments"]), body);
            id(target, &self.send(target, &call).await?.body)?
        };
        let mut body = json!({"state": state.of_github(), "description": description, "auto_inactive": true});
        if let Some(url) = url {
            body["environment_url"] = url.into();
        }
        let call = repository(target, Action::Deploy, &["deployments", &id.to_string(), "statuses"]);
        self.send(target, &with(Method::POST, call, body)).await?;
        Ok(id)
    }

    /// <https://docs.gitlab.com/api/deployments/>
    async fn deploy_to_gitlab(
        &self,
        target: &Target,
        deployment: &Deployment<'_>,
        state: Deployed,
        known: Option<i64>,
    ) -> Result<i64, ForgeError> {
        let Deployment { commit, reference, environment, url, description: _ } = *deployment;
        let status = state.of_gitlab();
        let call = match known {
            None => {
                let body = json!({"environment": environment, "sha": commit, "ref": reference, "tag": false, "status": status});
                with(Method::POST, project(target, &["deployments"]), body)
            }
            Some(id) => with(
                Method::PUT,
                project(target, &["deployments", &id.to_string()]),
                json!({"status": status}),
            ),
        };
        let answer = match (self.session.write(target, &call).await?, known) {
            (Ok(answer), _) => answer.body,
            // It has this state already.
            (Err(refusal), Some(known))
                if refusal.status == StatusCode::BAD_REQUEST && refusal.said.contains("transition") =>
            {
                return Ok(known);
            }
            (Err(refusal), _) => return Err(refusal.into_error(target, call.what)),
        };
        let of = &answer["environment"];
        if let (Some(url), Some(environment)) = (url, of["id"].as_i64())
            && of["external_url"] != url
        {
            let call = project(target, &["environments", &environment.to_string()]);
            self.send(target, &with(Method::PUT, call, json!({"external_url": url}))).await?;
        }
        id(target, &answer)
    }
}

impl Deployed {
    fn of_github(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Superseded => "inactive",
            Self::Unknown => "error",
        }
    }

    fn of_gitlab(self) -> &'static str {
        match self {
            Self::InProgress => "running",
            Self::Success => "success",
            Self::Failure => "failed",
            Self::Superseded | Self::Unknown => "canceled",
        }
    }
}

fn project(target: &Target, rest: &[&str]) -> Call {
    call(Action::Deploy, Method::GET, &[&["projects", target.repository.as_str()], rest].concat())
}

fn id(target: &Target, answer: &Value) -> Result<i64, ForgeError> {
    answer["id"].as_i64().ok_or_else(|| odd(target, "its deployment has no id"))
}

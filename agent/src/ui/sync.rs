//! The value of the page of one Sync. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::live;
use super::needs::{self, State};
use super::objects::Objects;
use super::rights::May;
use crate::api::{Approval, PlanState, PlanStatus, Sync};

/// What the page of a Sync shows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    pub state: State,
    /// As `holdfast status NAME -o json` prints it.
    pub sync: Arc<Sync>,
    /// The newest Approvals, if the visitor may read them.
    pub approvals: Vec<Arc<Approval>>,
    /// The objects, if there is a live view: `holdfast ui` has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<Objects>,
    /// What the visitor may do.
    #[serde(skip)]
    pub may: May,
}

impl Page {
    pub fn new(
        sync: Arc<Sync>,
        approvals: Vec<Arc<Approval>>,
        objects: Option<Objects>,
        may: May,
        now: Timestamp,
    ) -> Self {
        Self { state: needs::state(&sync, now), sync, approvals, objects, may }
    }

    /// The plan that waits for a decision.
    pub fn waiting(&self) -> Option<&PlanStatus> {
        self.sync.status.as_ref()?.plan.as_ref().filter(|plan| is_waiting(plan))
    }

    /// The address of the page.
    pub fn address(&self) -> String {
        address(&self.sync)
    }
}

/// True if a plan waits for a decision, or was rejected.
pub fn is_waiting(plan: &PlanStatus) -> bool {
    matches!(plan.state, PlanState::AwaitingApproval | PlanState::Rejected)
}

/// The address of the page of a Sync. Both names are DNS names, which need no escapes.
pub fn address(sync: &Sync) -> String {
    let name = live::name(sync);
    format!("/syncs/{}/{}", name.namespace(), name.name())
}

/// The page of a commit at a forge, if the URL of the repository is one of the web. GitHub, GitLab, Gitea and Forgejo have it
/// at the same place.
pub fn commit_url(repository: &str, revision: &str) -> Option<String> {
    let (_, commit) = revision.rsplit_once(':')?;
    let is_commit = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let url = url::Url::parse(repository).ok()?;
    let is_web = matches!(url.scheme(), "https" | "http") && url.host().is_some();
    if !is_commit || !is_web || url.password().is_some() || !url.username().is_empty() {
        return None;
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    Some(format!("{}{path}/commit/{commit}", url.origin().ascii_serialization()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_linked_at_forges_of_the_web_only() {
        let sha = "1234567890123456789012345678901234567890";
        let revision = format!("main@sha1:{sha}");
        let check = |url: &str, expected: Option<&str>| {
            let expected = expected.map(|start| format!("{start}/commit/{sha}"));
            assert_eq!(commit_url(url, &revision), expected, "{url}");
        };
        check("https://git.example.com/org/config.git", Some("https://git.example.com/org/config"));
        check("http://git.example.com:3000/org/config/", Some("http://git.example.com:3000/org/config"));
        for url in [
            "ssh://git@git.example.com/org/config",
            "git@git.example.com:org/config",
            "file:///srv/config",
            "javascript:alert(1)",
            "javascript://example.com/%0aalert(1)",
            "data:text/html,x",
            "https://user:secret@git.example.com/org/config",
            "",
        ] {
            check(url, None);
        }
        assert_eq!(commit_url("https://git.example.com/a", "main@sha1:\"><script>"), None);
        assert_eq!(commit_url("https://git.example.com/a", ""), None);
    }
}

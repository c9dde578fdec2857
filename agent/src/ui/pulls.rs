//! The value of the page of pull requests: each open one with its verdict, the plans that it would cause, and the whole preview.
//! Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt as _;
use serde::Serialize;

use super::live::{Pull, Pulls};
use super::rights::May;
use crate::api::{PreviewedPlan, PullRequestState, Repository, ReviewedPullRequest, Sync};

/// Pull requests that are listed; the others are counted.
const LISTED: usize = 200;

/// What the page of pull requests shows.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequests {
    /// Those that wait for an approval first. At most 200.
    pub listed: Vec<PullLine>,
    pub more: usize,
    /// Repositories that do not work, and why.
    pub troubles: Vec<Trouble>,
    /// False if the visitor may read no Repository.
    pub has_repositories: bool,
}

/// One pull request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PullLine {
    pub namespace: String,
    pub repository: String,
    pub number: i64,
    pub title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    pub author: String,
    pub is_draft: bool,
    pub base: String,
    pub state: PullRequestState,
    pub verdict: String,
    pub plans: Vec<PreviewedPlan>,
    /// The preview, as the comment at the forge has it. Empty after a restart, until it is made again.
    pub preview: String,
    #[serde(skip)]
    pub may: May,
}

/// A Repository that does not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    pub namespace: String,
    pub name: String,
    pub message: String,
}

/// The pull requests of these Repositories, for a visitor who may read the Syncs of these namespaces.
pub fn pull_requests(
    repositories: &[Arc<Repository>],
    pulls: &Pulls,
    readable: &BTreeSet<String>,
    may: impl Fn(&str) -> May,
) -> PullRequests {
    let mut found = PullRequests { has_repositories: !repositories.is_empty(), ..PullRequests::default() };
    for repository in repositories {
        let (namespace, name) = (repository.namespace().unwrap_or_default(), repository.name_any());
        let status = repository.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        if let Some(ready) = ready.filter(|ready| ready.status == "False") {
            let (namespace, name) = (namespace.clone(), name.clone());
            found.troubles.push(Trouble { namespace, name, message: ready.message.clone() });
        }
        let known = pulls.of(&(namespace.clone(), name.clone()));
        let may_read = readable.contains(&namespace);
        for record in status.pull_requests {
            let pull = known.iter().find(|pull| pull.number == record.number).cloned().unwrap_or_default();
            let mut line = line(&namespace, &name, record, pull);
            if !may_read {
                (line.plans, line.preview) = (Vec::new(), String::new());
            }
            line.may = may(&namespace);
            found.listed.push(line);
        }
    }
    let urgency = |line: &PullLine| line.state != PullRequestState::Waiting;
    found.listed.sort_by_key(|line| (urgency(line), std::cmp::Reverse(line.number)));
    found.more = found.listed.len().saturating_sub(LISTED);
    found.listed.truncate(LISTED);
    found
}

fn line(namespace: &str, repository: &str, record: ReviewedPullRequest, pull: Pull) -> PullLine {
    let ReviewedPullRequest { number, base, state, verdict, plans, .. } = record;
    PullLine {
        namespace: namespace.to_owned(),
        repository: repository.to_owned(),
        number,
        title: pull.title,
        url: pull.url,
        author: pull.author,
        is_draft: pull.is_draft,
        base,
        state,
        verdict,
        plans,
        preview: pull.text,
        may: May::default(),
    }
}

/// True if a pull request of a Repository in the namespace of the Sync waits for the approval of this plan.
pub fn is_previewed(repositories: &[Arc<Repository>], sync: &Sync, plan: &str) -> bool {
    let (namespace, name) = (sync.namespace(), sync.name_any());
    let records = repositories.iter().filter(|repository| repository.namespace() == namespace);
    let records = records.filter_map(|repository| repository.status.as_ref());
    let mut plans = records.flat_map(|status| &status.pull_requests).flat_map(|record| &record.plans);
    plans.any(|previewed| previewed.waits && previewed.sync == name && previewed.id == plan)
}

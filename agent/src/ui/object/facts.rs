//! Where an object comes from: file and line, commit, pull request, plan and approval; and how healthy it is. Pure.

use std::sync::Arc;

use holdfast_diff::health::{Health, Status};
use holdfast_diff::mask::Masks;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::api::{Approval, ApprovalDecision, CommitNote, Forge, HistoryEntry, Sync};
use crate::review::origin;

/// Conditions that are shown.
const CONDITIONS: usize = 30;

/// Where an object comes from.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// `shop/web.yaml:12`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The revision that is applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitNote>,
    /// The pull request by which the commit came to its branch, as the Approval or the commit says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<i64>,
    /// The run that applied the revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<HistoryEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Arc<Approval>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleting: Option<Timestamp>,
    /// The kind of the forge, if a Repository is about the source.
    #[serde(skip)]
    pub forge: Option<Forge>,
    /// True if it is an object of the Sync, and not one that such an object owns.
    pub is_member: bool,
}

/// The health of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthLine {
    pub status: String,
    pub message: String,
    #[serde(skip)]
    pub is_current: bool,
}

/// A condition in the status of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Facts {
    /// `sync` is the one whose member the object is.
    pub fn of(
        sync: Option<&Sync>,
        approvals: &[Arc<Approval>],
        origin: Option<String>,
        live: Option<&Value>,
    ) -> Self {
        let status = sync.and_then(|sync| sync.status.as_ref());
        let found = status.and_then(|status| status.revision.as_ref());
        let revision = found.and_then(|found| found.applied.clone());
        let entry = |entry: &&HistoryEntry| Some(&entry.revision) == revision.as_ref();
        let applied = status.and_then(|status| status.history.iter().find(entry)).cloned();
        let plan = applied.as_ref().and_then(|applied| applied.plan.as_deref());
        let let_through = |approval: &&Arc<Approval>| {
            let used = approval.status.as_ref().is_some_and(|status| status.used_at.is_some());
            used && approval.spec.decision == ApprovalDecision::Approve
                && Some(&*approval.spec.plan_id) == plan
        };
        let approval = approvals.iter().find(let_through).cloned();
        // The note is about the newest commit, which need not be the applied one.
        let is_newest = found.is_some_and(|found| found.seen == found.applied);
        let commit = found.and_then(|found| found.commit.clone()).filter(|_| is_newest);
        let subject = commit.as_ref().map(|commit| commit.subject.as_str()).unwrap_or_default();
        let given = approval.as_ref().and_then(|approval| approval.spec.origin.as_ref());
        let pull_request = given.map(|given| given.pull_request).or_else(|| origin::number(subject));
        let time = |path: &str| live?.pointer(path)?.as_str()?.parse().ok();
        Self {
            origin,
            revision,
            commit,
            pull_request,
            applied,
            approval,
            created: time("/metadata/creationTimestamp"),
            deleting: time("/metadata/deletionTimestamp"),
            forge: None,
            is_member: sync.is_some(),
        }
    }
}

impl HealthLine {
    pub fn of(health: &Health) -> Self {
        Self {
            status: health.status.to_string(),
            message: health.message.clone(),
            is_current: health.status == Status::Current,
        }
    }

    /// The same without secret texts.
    #[must_use]
    pub fn without(self, masks: &Masks) -> Self {
        Self { message: masks.hide(&self.message).into_owned(), ..self }
    }
}

/// The conditions in the status of an object.
pub fn conditions(live: Option<&Value>, masks: &Masks) -> Vec<Condition> {
    let all = live.and_then(|live| live.pointer("/status/conditions")?.as_array());
    let condition = |value: &Value| {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        Condition {
            kind: text("type").to_owned(),
            status: text("status").to_owned(),
            reason: text("reason").to_owned(),
            message: masks.hide(text("message")).into_owned(),
            since: text("lastTransitionTime").parse().ok(),
        }
    };
    all.into_iter().flatten().take(CONDITIONS).map(condition).collect()
}

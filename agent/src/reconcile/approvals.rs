//! The Approvals of a Sync. An Approval is used up by the plan that it approves.
//!
//! Before the first change, the status of the Approval records that it is used and which changes remain; after the last change,
//! which remain then. If the agent stops in between, the approval is neither lost nor used again: the plan continues with the
//! remaining changes alone. A run without Approvals makes no request. I/O: API writes.

use std::collections::HashSet;
use std::sync::Arc;

use holdfast_diff::plan::Change;
use kube::runtime::reflector::Store;
use tracing::debug;

use super::gate::Error;
use super::sync_at::SyncAt;
use crate::api::{Approval, ApprovalDecision, ApprovalSpec, ApprovalState, ApprovalStatus, PlanState, Sync};
use crate::cluster::Cluster;
use crate::cluster::refusal::chain;
use crate::gate::{self, Decision, Given, Used};
use crate::policy::Policy;
use crate::report::{Findings, approvals};

/// The Approvals of one Sync.
#[derive(Clone, Copy)]
pub struct Approvals<'a> {
    pub store: &'a Store<Approval>,
    pub cluster: &'a Cluster,
    pub policy: &'a Policy,
    pub at: SyncAt<'a>,
}

/// Maximum number of Approvals whose end one run records. The next run continues.
const NOTED: usize = 20;

/// An Approval whose plan is being applied, and its resourceVersion after that was recorded.
pub struct Begun {
    used: Used,
    version: Option<String>,
}

/// A decision, after the use of its Approval was recorded.
pub struct Noted {
    pub decision: Decision,
    pub begun: Option<Begun>,
    /// Why the use of the Approval could not be recorded: the changes that it approves wait.
    pub failure: Option<Error>,
}

impl Begun {
    /// The name of the Approval.
    pub fn name(&self) -> &str {
        &self.used.approval.name
    }
}

impl Approvals<'_> {
    /// Returns the approvals and rejections that name the Sync, the oldest first. Approvals by an identity of a Sync do not
    /// count: otherwise anyone with write access to the source could approve their own changes, with a Job for example.
    pub fn given(&self) -> Vec<Given> {
        let owner = self.at.owner;
        let found: Vec<_> = self
            .store
            .state()
            .into_iter()
            .filter(|approval| {
                approval.metadata.namespace.as_deref() == Some(owner.namespace())
                    && approval.spec.sync == owner.name()
            })
            .collect();
        if found.is_empty() {
            return Vec::new();
        }
        let identities = self.identities();
        let counts = |spec: &ApprovalSpec| {
            spec.decision == ApprovalDecision::Reject || !identities.contains(&spec.approver)
        };
        let mut found: Vec<Given> = found.iter().map(|approval| given(approval)).collect();
        found.retain(|given| counts(&given.spec));
        found.sort_by(|one, other| (one.created, &one.name).cmp(&(other.created, &other.name)));
        found
    }

    /// The user names of the identities of all Syncs.
    fn identities(&self) -> HashSet<String> {
        let syncs = self.cluster.syncs.state();
        let identity = |sync: &Arc<Sync>| {
            let account = sync.spec.service_account_name.as_ref();
            let account = account.or(self.policy.default_service_account.as_ref())?;
            Some(format!("system:serviceaccount:{}:{account}", sync.metadata.namespace.as_ref()?))
        };
        syncs.iter().filter_map(identity).collect()
    }

    /// Records the use of an Approval. If that fails, the changes that need it wait and the others are applied.
    pub async fn note(&self, decision: Decision, set: gate::Set, revision: &str) -> Noted {
        let Some(used) = decision.used.clone() else { return Noted { decision, begun: None, failure: None } };
        match self.begin(&used, revision).await {
            Ok(version) => Noted { decision, begun: Some(Begun { used, version }), failure: None },
            Err(error) => {
                let (name, error) = (used.approval.name, chain(&error));
                let failure = Error::ApprovalNotNoted { name, is_begun: false, error };
                let rejections: Vec<Given> = self
                    .given()
                    .into_iter()
                    .filter(|given| given.spec.decision == ApprovalDecision::Reject)
                    .collect();
                let (cluster, policy) = (&self.cluster.uid, self.at.sync.spec.approval);
                let plan = decision.approved.into_plan();
                let decision = gate::decide(cluster, plan, policy, set, &rejections, self.at.now);
                Noted { decision, begun: None, failure: Some(failure) }
            }
        }
    }

    /// Ends the other Approvals of the same plan and those of earlier plans that were begun, then records the use.
    async fn begin(&self, used: &Used, revision: &str) -> Result<Option<String>, kube::Error> {
        let (Used { approval, changes }, now) = (used, self.at.now);
        for other in self.given().iter().filter(|other| other.name != approval.name) {
            let status = if other.is_begun() {
                ApprovalStatus { remaining: Vec::new(), ..other.status.clone() }
            } else if other.is_open(now) && other.spec.plan_id == approval.spec.plan_id {
                ApprovalStatus { state: ApprovalState::Superseded, ..other.status.clone() }
            } else {
                continue;
            };
            self.write(other, &status).await?;
        }
        let begun = approval.is_begun();
        let status = ApprovalStatus {
            state: ApprovalState::Used,
            used_at: approval.status.used_at.filter(|_| begun).or(Some(now)),
            revision: approval
                .status
                .revision
                .clone()
                .filter(|_| begun)
                .or_else(|| Some(revision.to_owned())),
            remaining: changes.clone(),
        };
        self.write(approval, &status).await
    }

    /// Records what remains of an approved plan after these changes were applied.
    pub async fn settle(&self, begun: Option<Begun>, done: &[Change]) -> Result<(), Error> {
        let Some(Begun { used: Used { approval, changes }, version }) = begun else { return Ok(()) };
        let done = gate::digests(&self.cluster.uid, done);
        let remaining: Vec<String> =
            changes.iter().filter(|change| !done.contains(change)).cloned().collect();
        if remaining.len() == changes.len() {
            return Ok(());
        }
        let used_at = approval.status.used_at.filter(|_| approval.is_begun()).or(Some(self.at.now));
        let status =
            ApprovalStatus { state: ApprovalState::Used, used_at, remaining, ..approval.status.clone() };
        let noted = Given { version, ..approval };
        self.write(&noted, &status).await.map(drop).map_err(|error| Error::ApprovalNotNoted {
            name: noted.name,
            is_begun: true,
            error: chain(&error),
        })
    }

    /// Records which Approvals have ended: those that expired, whose plan no longer waits, or whose plan has no remaining
    /// changes. What cannot be recorded now is recorded by a later run.
    pub async fn sweep(&self, findings: &Findings) {
        if findings.ended.failure.is_some() || findings.ended.suspended.is_some() {
            return;
        }
        let given = self.given();
        let ended = given.iter().filter_map(|one| Some((one, self.end(findings, one, &given)?)));
        for (one, status) in ended.take(NOTED) {
            if let Err(error) = self.write(one, &status).await {
                let (sync, approval) = (self.at.owner, &one.name);
                debug!(%sync, approval, error = %chain(&error), "Cannot note the end of an Approval");
            }
        }
    }

    /// Returns the new status of an Approval that has ended; `None` if it has not, or if its status is up to date.
    fn end(&self, findings: &Findings, one: &Given, given: &[Given]) -> Option<ApprovalStatus> {
        let now = self.at.now;
        let Given { name, spec, status, .. } = one;
        if findings.gated.approval.as_ref() == Some(name) {
            // The store is older than what this run has just written.
            return None;
        }
        let waiting = findings.gated.waiting.as_ref();
        let is_waiting = waiting.is_some_and(|waiting| waiting.plan.id.as_str() == spec.plan_id);
        let ended = |state| Some(ApprovalStatus { state, ..status.clone() });
        match (spec.decision, status.state) {
            (ApprovalDecision::Reject, ApprovalState::Pending) if is_waiting => {
                let revision = findings.seen.as_ref().map(|seen| seen.revision.clone());
                let (state, used_at) = (ApprovalState::Used, Some(now));
                Some(ApprovalStatus { state, used_at, revision, remaining: Vec::new() })
            }
            (ApprovalDecision::Approve, ApprovalState::Pending) if one.is_expired(now) => {
                ended(ApprovalState::Expired)
            }
            (ApprovalDecision::Approve, ApprovalState::Pending) if !is_waiting => {
                let waited = self.at.status.plan.as_ref().is_some_and(|plan| {
                    plan.id == spec.plan_id
                        && matches!(plan.state, PlanState::AwaitingApproval | PlanState::Rejected)
                });
                // Another approval of the same plan came first.
                let late = spec.origin.is_none()
                    && given.iter().any(|other| {
                        other.spec.plan_id == spec.plan_id && other.status.state == ApprovalState::Used
                    });
                if waited || late { ended(ApprovalState::Superseded) } else { None }
            }
            (ApprovalDecision::Approve, ApprovalState::Used) if one.is_begun() => {
                let changes = waiting.map(|waiting| waiting.plan.changes.as_slice()).unwrap_or_default();
                let waits = gate::digests(&self.cluster.uid, changes);
                let remaining: Vec<String> =
                    status.remaining.iter().filter(|change| waits.contains(change)).cloned().collect();
                (remaining.len() < status.remaining.len())
                    .then(|| ApprovalStatus { remaining, ..status.clone() })
            }
            _ => None,
        }
    }

    async fn write(&self, approval: &Given, status: &ApprovalStatus) -> Result<Option<String>, kube::Error> {
        let (client, namespace) = (self.cluster.clients.own(), self.at.owner.namespace());
        approvals::write(&client, namespace, &approval.name, approval.version.as_deref(), status).await
    }
}

/// An Approval as the gate reads it.
fn given(approval: &Approval) -> Given {
    let Approval { metadata, spec, status } = approval;
    Given {
        name: metadata.name.clone().unwrap_or_default(),
        version: metadata.resource_version.clone(),
        created: metadata.creation_timestamp.as_ref().map(|time| time.0),
        spec: spec.clone(),
        status: status.clone().unwrap_or_default(),
    }
}

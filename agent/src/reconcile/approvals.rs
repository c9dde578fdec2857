//! An approval is used up by the plan that it lets through.
//!
//! Before the first of its changes is carried out, the Approval says that it is used, and which changes remain; after them it
//! says what remains then. A kill in between neither loses the approval nor lets it be used again: the plan goes on with what
//! remains, and with nothing else. A run without Approvals makes no request. I/O: API writes.

use holdfast_diff::plan::Change;
use tracing::debug;

use super::Run;
use crate::api::{ApprovalDecision, ApprovalState, ApprovalStatus, PlanState};
use crate::cluster::refusal::chain;
use crate::gate::{self, Decision, Given, Used};
use crate::report::{Failure, Findings, approvals};

/// Approvals of which a run notes that they have ended; the next run goes on.
const NOTED: usize = 20;

/// An approval whose plan is under way, and the version that its note brought about.
pub struct Begun {
    used: Used,
    version: Option<String>,
}

/// A decision of which an approval, if it needs one, is noted.
pub struct Noted {
    pub decision: Decision,
    pub begun: Option<Begun>,
    /// Why an approval could not be noted: what it would have let through waits.
    pub failure: Option<Failure>,
}

impl Begun {
    /// The name of the Approval.
    pub fn name(&self) -> &str {
        &self.used.approval.name
    }
}

/// Notes the use of an approval. If that fails, what needs the approval waits and the rest goes ahead.
pub async fn note(run: &Run<'_>, decision: Decision, set: gate::Set, revision: &str) -> Noted {
    let Some(used) = decision.used.clone() else { return Noted { decision, begun: None, failure: None } };
    match begin(run, &used, revision).await {
        Ok(version) => Noted { decision, begun: Some(Begun { used, version }), failure: None },
        Err(error) => {
            let name = &used.approval.name;
            let message = format!(
                "Approval {name} cannot be noted as used, so its plan waits: {}; the agent needs the verb patch on \
                 approvals/status",
                chain(&error)
            );
            let failure = Failure::transient("gate", "ApprovalNotNoted", message);
            let rejections = run.context.approvals(run.owner);
            let rejections: Vec<Given> = rejections
                .into_iter()
                .filter(|given| given.spec.decision == ApprovalDecision::Reject)
                .collect();
            let (cluster, policy) = (&run.context.cluster.uid, run.sync.spec.approval);
            let plan = decision.approved.into_plan();
            let decision = gate::decide(cluster, plan, policy, set, &rejections, run.now);
            Noted { decision, begun: None, failure: Some(failure) }
        }
    }
}

/// Ends what else there is for the same plan, and what was begun before; then notes the use.
async fn begin(run: &Run<'_>, used: &Used, revision: &str) -> Result<Option<String>, kube::Error> {
    let Used { approval, changes } = used;
    for other in run.context.approvals(run.owner).iter().filter(|other| other.name != approval.name) {
        let status = if other.is_begun() {
            ApprovalStatus { remaining: Vec::new(), ..other.status.clone() }
        } else if other.is_open(run.now) && other.spec.plan_id == approval.spec.plan_id {
            ApprovalStatus { state: ApprovalState::Superseded, ..other.status.clone() }
        } else {
            continue;
        };
        write(run, other, &status).await?;
    }
    let begun = approval.is_begun();
    let status = ApprovalStatus {
        state: ApprovalState::Used,
        used_at: approval.status.used_at.filter(|_| begun).or(Some(run.now)),
        revision: approval.status.revision.clone().filter(|_| begun).or_else(|| Some(revision.to_owned())),
        remaining: changes.clone(),
    };
    write(run, approval, &status).await
}

/// Notes what remains of an approved plan after these changes were carried out.
pub async fn settle(run: &Run<'_>, begun: Option<Begun>, done: &[Change]) -> Result<(), Failure> {
    let Some(Begun { used: Used { approval, changes }, version }) = begun else { return Ok(()) };
    let done = gate::digests(&run.context.cluster.uid, done);
    let remaining: Vec<String> = changes.iter().filter(|change| !done.contains(change)).cloned().collect();
    if remaining.len() == changes.len() {
        return Ok(());
    }
    let used_at = approval.status.used_at.filter(|_| approval.is_begun()).or(Some(run.now));
    let status = ApprovalStatus { state: ApprovalState::Used, used_at, remaining, ..approval.status.clone() };
    let noted = Given { version, ..approval };
    write(run, &noted, &status).await.map(drop).map_err(|error| {
        let message = format!("Approval {} cannot be noted as used up: {}", noted.name, chain(&error));
        Failure::transient("gate", "ApprovalNotNoted", message)
    })
}

/// Notes which Approvals have ended: those that expired, whose plan is not the one that waits any more, or of whose plan
/// nothing remains. What cannot be noted now is noted by a later run.
pub async fn sweep(run: &Run<'_>, findings: &Findings) {
    if findings.failure.is_some() || findings.suspended.is_some() {
        return;
    }
    let given = run.context.approvals(run.owner);
    let ended = given.iter().filter_map(|one| Some((one, end(run, findings, one, &given)?)));
    for (one, status) in ended.take(NOTED) {
        if let Err(error) = write(run, one, &status).await {
            debug!(sync = %run.owner, approval = one.name, error = %chain(&error), "Cannot note what became of an Approval");
        }
    }
}

/// The status of an Approval that has ended; `None` if it has not, or says so already.
fn end(run: &Run<'_>, findings: &Findings, one: &Given, given: &[Given]) -> Option<ApprovalStatus> {
    let Given { name, spec, status, .. } = one;
    if findings.approval.as_ref() == Some(name) {
        // What is known of it here is older than what was just written.
        return None;
    }
    let waiting = findings.waiting.as_ref();
    let is_waiting = waiting.is_some_and(|waiting| waiting.plan.id.as_str() == spec.plan_id);
    let ended = |state| Some(ApprovalStatus { state, ..status.clone() });
    match (spec.decision, status.state) {
        (ApprovalDecision::Reject, ApprovalState::Pending) if is_waiting => {
            let revision = findings.seen.as_ref().map(|seen| seen.revision.clone());
            let (state, used_at) = (ApprovalState::Used, Some(run.now));
            Some(ApprovalStatus { state, used_at, revision, remaining: Vec::new() })
        }
        (ApprovalDecision::Approve, ApprovalState::Pending) if one.is_expired(run.now) => {
            ended(ApprovalState::Expired)
        }
        (ApprovalDecision::Approve, ApprovalState::Pending) if !is_waiting => {
            let waited = run.status.plan.as_ref().is_some_and(|plan| {
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
            let waits = gate::digests(&run.context.cluster.uid, changes);
            let remaining: Vec<String> =
                status.remaining.iter().filter(|change| waits.contains(change)).cloned().collect();
            (remaining.len() < status.remaining.len()).then(|| ApprovalStatus { remaining, ..status.clone() })
        }
        _ => None,
    }
}

async fn write(
    run: &Run<'_>,
    approval: &Given,
    status: &ApprovalStatus,
) -> Result<Option<String>, kube::Error> {
    let (client, namespace) = (&run.context.client, run.owner.namespace());
    approvals::write(client, namespace, &approval.name, approval.version.as_deref(), status).await
}

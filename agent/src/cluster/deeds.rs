//! What a person does with a Sync: decides on its plan, requests a reconciliation, suspends it, snoozes drift.
//!
//! Leaves it to the API server whether the person may. I/O: API reads and writes.

use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::people::{Act, Hand};
use super::requests::is_conflict;
use crate::api::{Approval, ApprovalDecision, ApprovalSpec, DriftObject, ImageUpdate, Snooze, Sync, names};
use crate::sync_ref::SyncRef;

/// How often a Sync is read again after another client changed it: the agent writes its status.
const PATIENCE: usize = 10;
/// The field manager of what is done in the web UI.
const MANAGER: &str = "holdfast-ui";

/// What a person does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Approves or rejects a plan.
    Decide {
        plan: String,
        decision: ApprovalDecision,
        approver: String,
        reason: String,
    },
    Reconcile,
    Suspend {
        reason: String,
        until: Option<Timestamp>,
    },
    Resume,
    /// Leaves the drift of an object uncorrected for a time.
    Snooze(Snooze),
    /// Corrects the drift of an object again.
    Unsnooze {
        kind: String,
        group: String,
        namespace: String,
        name: String,
    },
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum DeedError {
    #[error("{}", super::refusal::chain(.0))]
    Refused(#[from] kube::Error),
    #[error("the Sync does not exist")]
    Gone,
    #[error("the Sync changed {PATIENCE} times while it was to be changed; try again")]
    Contended,
}

impl Deed {
    /// What the person must be allowed to do in the namespace of the Sync.
    pub fn needs<'a>(&self, namespace: &'a str) -> Act<'a> {
        let (verb, resource) = match self {
            Self::Decide { .. } => ("create", "approvals"),
            _ => ("patch", "syncs"),
        };
        Act::Resource { verb, group: names::GROUP, resource, namespace }
    }

    /// The deed in the past tense, for an audit record.
    pub fn past(&self) -> String {
        match self {
            Self::Decide { plan, decision: ApprovalDecision::Approve, .. } => format!("approved plan {plan}"),
            Self::Decide { plan, decision: ApprovalDecision::Reject, .. } => format!("rejected plan {plan}"),
            Self::Reconcile => "requested a reconciliation".to_owned(),
            Self::Suspend { reason, until: None } => format!("suspended the Sync: {reason}"),
            Self::Suspend { reason, until: Some(until) } => {
                format!("suspended the Sync until {until:.0}: {reason}")
            }
            Self::Resume => "resumed the Sync".to_owned(),
            Self::Snooze(Snooze { kind, name, until, reason, .. }) => {
                format!("snoozed the drift of {kind} {name} until {until:.0}: {reason}")
            }
            Self::Unsnooze { kind, name, .. } => format!("stopped snoozing the drift of {kind} {name}"),
        }
    }

    /// Does it.
    pub async fn perform(&self, hand: &Hand, sync: &SyncRef, now: Timestamp) -> Result<(), DeedError> {
        let Hand(client) = hand;
        match self {
            Self::Decide { plan, decision, approver, reason } => {
                let approval = approval(sync, plan, *decision, approver, reason);
                let api = Api::<Approval>::namespaced(client.clone(), sync.namespace());
                api.create(&PostParams::default(), &approval).await?;
                Ok(())
            }
            Self::Reconcile => {
                let mark = json!({names::RECONCILE_AT: now.to_string()});
                patch(client, sync, json!({"metadata": {"annotations": mark}})).await
            }
            Self::Suspend { reason, until } => {
                patch(client, sync, json!({"spec": {"suspend": {"reason": reason, "until": until}}})).await
            }
            Self::Resume => patch(client, sync, json!({"spec": {"suspend": null}})).await,
            Self::Snooze(added) => {
                rewrite(client, sync, |old| with(old, std::slice::from_ref(added), now)).await
            }
            Self::Unsnooze { kind, group, namespace, name } => {
                let target = snooze_of(kind, group, namespace, name, now, String::new());
                let left = |old: &[Snooze]| {
                    old.iter().filter(|old| old.until > now && !meet(old, &target)).cloned().collect()
                };
                rewrite(client, sync, left).await
            }
        }
    }
}

/// Lets versions of an image be written again that were reverted or refused; of all images if `image` is empty.
pub async fn unban(
    hand: &Hand,
    namespace: &str,
    name: &str,
    image: &str,
    now: Timestamp,
) -> Result<(), DeedError> {
    let image = if image.is_empty() { "*" } else { image };
    let patch = json!({"metadata": {"annotations": {names::UNBAN: format!("{image}@{now}")}}});
    let api = Api::<ImageUpdate>::namespaced(hand.0.clone(), namespace);
    api.patch(name, &params(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// A snooze of one object.
pub fn snooze_of(
    kind: &str,
    group: &str,
    namespace: &str,
    name: &str,
    until: Timestamp,
    reason: String,
) -> Snooze {
    Snooze {
        kind: kind.to_owned(),
        group: Some(group.to_owned()),
        namespace: Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty()),
        name: name.to_owned(),
        until,
        reason,
    }
}

/// The group of an object that drifted.
pub fn group(reported: &DriftObject) -> &str {
    reported.api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

fn approval(
    sync: &SyncRef,
    plan: &str,
    decision: ApprovalDecision,
    approver: &str,
    reason: &str,
) -> Approval {
    let spec = ApprovalSpec {
        sync: sync.name().to_owned(),
        plan_id: plan.to_owned(),
        decision,
        approver: approver.to_owned(),
        reason: reason.to_owned(),
        expires_at: None,
        origin: None,
    };
    let mut approval = Approval::new("", spec);
    approval.metadata.name = None;
    approval.metadata.generate_name = Some(format!("{}-", sync.name()));
    approval
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

async fn patch(client: &Client, sync: &SyncRef, patch: Value) -> Result<(), DeedError> {
    let api = Api::<Sync>::namespaced(client.clone(), sync.namespace());
    api.patch(sync.name(), &params(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// Changes the snoozes of a Sync as it is now.
async fn rewrite(
    client: &Client,
    sync: &SyncRef,
    change: impl Fn(&[Snooze]) -> Vec<Snooze>,
) -> Result<(), DeedError> {
    let api = Api::<Sync>::namespaced(client.clone(), sync.namespace());
    for _ in 0..PATIENCE {
        let found = api.get_opt(sync.name()).await?.ok_or(DeedError::Gone)?;
        let snooze = Some(change(&found.spec.drift.snooze)).filter(|snooze| !snooze.is_empty());
        let patch = json!({
            "metadata": {"resourceVersion": found.metadata.resource_version},
            "spec": {"drift": {"snooze": snooze}},
        });
        match api.patch(sync.name(), &params(), &Patch::Merge(patch)).await {
            Ok(_) => return Ok(()),
            Err(error) if is_conflict(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(DeedError::Contended)
}

/// The entries that have not ended, with these in place of others for the same objects.
pub fn with(old: &[Snooze], added: &[Snooze], now: Timestamp) -> Vec<Snooze> {
    let kept = old.iter().filter(|old| old.until > now && !added.iter().any(|added| meet(old, added)));
    kept.chain(added).cloned().collect()
}

/// True if both can be of one object. What one of them leaves open fits everything.
fn meet(one: &Snooze, other: &Snooze) -> bool {
    let fit = |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
    (&one.kind, &one.name) == (&other.kind, &other.name)
        && fit(&one.group, &other.group)
        && fit(&one.namespace, &other.namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-01T12:00:00Z";

    fn time(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    fn snooze(group: Option<&str>, namespace: Option<&str>, until: &str) -> Snooze {
        Snooze {
            group: group.map(ToOwned::to_owned),
            namespace: namespace.map(ToOwned::to_owned),
            ..snooze_of("Deployment", "", "", "web", time(until), "tests".to_owned())
        }
    }

    #[test]
    fn an_entry_takes_the_place_of_those_that_ended_or_are_of_the_same_object() {
        let later = "2026-01-01T13:00:00Z";
        let new = snooze(Some("apps"), Some("shop"), "2026-01-01T14:00:00Z");
        let check = |old: Snooze, stays: bool| {
            let after = with(std::slice::from_ref(&old), std::slice::from_ref(&new), time(NOW));
            let expected = if stays { vec![old, new.clone()] } else { vec![new.clone()] };
            assert_eq!(after, expected);
        };
        check(snooze(Some("apps"), Some("shop"), later), false);
        check(snooze(None, None, later), false);
        check(snooze(Some("apps"), Some("other"), later), true);
        check(snooze(Some("other"), Some("shop"), later), true);
        check(Snooze { name: "db".to_owned(), ..snooze(None, None, later) }, true);
        check(Snooze { name: "db".to_owned(), ..snooze(None, None, NOW) }, false);
    }

    #[test]
    fn a_decision_needs_the_right_to_create_approvals_and_all_else_the_right_to_patch_syncs() {
        let decide = Deed::Decide {
            plan: "p".to_owned(),
            decision: ApprovalDecision::Reject,
            approver: "alice".to_owned(),
            reason: "r".to_owned(),
        };
        let act = |verb, resource| Act::Resource { verb, group: names::GROUP, resource, namespace: "a" };
        assert_eq!(decide.needs("a"), act("create", "approvals"));
        assert_eq!(Deed::Reconcile.needs("a"), act("patch", "syncs"));
        assert_eq!(Deed::Resume.needs("a"), act("patch", "syncs"));
    }
}

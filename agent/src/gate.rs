//! Decides which changes of a plan may be applied now, and which wait for an Approval.
//!
//! [`ApprovedPlan`] is created only here, and `apply` takes nothing else: applying a plan without approval does not compile.
//! Automatic sync is only a policy that approves. Pure.

mod verdict;

use holdfast_diff::plan::{Change, Operation, Plan, PlanId};
use jiff::Timestamp;

pub use self::verdict::Given;
use self::verdict::{Verdict, verdict};
use crate::api::{ApprovalPolicy, names};

/// A plan that may be applied.
#[derive(Debug)]
pub struct ApprovedPlan {
    plan: Plan,
}

impl ApprovedPlan {
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn into_plan(self) -> Plan {
        self.plan
    }
}

/// The changes that wait for an Approval.
#[derive(Debug)]
pub struct Waiting {
    pub plan: Plan,
    /// The reason of each change, in the order of the plan.
    pub reasons: Vec<String>,
    /// Number of changes that need no approval and come after these.
    pub later: usize,
    /// The user who rejected the plan, and the reason.
    pub rejected: Option<(String, String)>,
}

/// The decision about a plan. Changes that need no approval are applied while the rest waits, if the order permits it.
#[derive(Debug)]
pub struct Decision {
    pub approved: ApprovedPlan,
    pub waiting: Option<Waiting>,
    /// The approval without which changes would wait.
    pub used: Option<Used>,
}

/// An approval that is used. Its use must be recorded before any of its changes is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Used {
    pub approval: Given,
    /// The digests of the approved changes.
    pub changes: Vec<String>,
}

/// The digests of changes, in the form of the status of an Approval.
pub fn digests<'a>(cluster: &str, changes: impl IntoIterator<Item = &'a Change>) -> Vec<String> {
    changes.into_iter().map(|change| change.digest(cluster).to_string()).collect()
}

/// The state of the set that the gate needs in addition to the plan.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    /// Number of objects that the Sync owns now.
    pub owned: usize,
    /// True if the render has no objects.
    pub empty: bool,
    /// True if the Sync is being deleted, and its objects with it.
    pub ending: bool,
}

/// Decides which changes of a plan may be applied. `approvals` are those of the Sync in the order of their creation: the newest one
/// for a plan counts.
pub fn decide(
    cluster: &str,
    plan: Plan,
    policy: ApprovalPolicy,
    set: Set,
    approvals: &[Given],
    now: Timestamp,
) -> Decision {
    let deletions = plan.changes.iter().filter(|change| change.operation == Operation::Delete).count();
    let many = !set.ending && set.owned > 3 && deletions * 2 > set.owned;
    let (free, held) = plan.split(cluster, |change| needs_approval(change, policy, set, many).is_none());
    if held.is_empty() {
        return Decision { approved: ApprovedPlan { plan: free }, waiting: None, used: None };
    }
    let changes = digests(cluster, &held.changes);
    match verdict(approvals, held.id.as_str(), &changes, now) {
        Verdict::Approved(approval) => {
            let used = Some(Used { approval: approval.clone(), changes });
            let whole = Plan::new(cluster, free.changes.into_iter().chain(held.changes).collect());
            Decision { approved: ApprovedPlan { plan: whole }, waiting: None, used }
        }
        verdict => {
            let reasons =
                held.changes.iter().filter_map(|change| needs_approval(change, policy, set, many)).collect();
            let rejected = match verdict {
                Verdict::Rejected(Given { spec, .. }) => Some((spec.approver.clone(), spec.reason.clone())),
                Verdict::Approved(_) | Verdict::Open => None,
            };
            let order = Order::after(&held);
            let (free, later) = free.split(cluster, |change| order.allows(change));
            Decision {
                approved: ApprovedPlan { plan: free },
                waiting: Some(Waiting { plan: held, reasons, later: later.changes.len(), rejected }),
                used: None,
            }
        }
    }
}

/// Which changes may be applied while others wait: none of a later wave, and no removal before a write.
struct Order {
    write: Option<i32>,
    removal: Option<i32>,
}

impl Order {
    fn after(held: &Plan) -> Self {
        let waves = |removes: bool| {
            let held = held.changes.iter().filter(move |change| change.operation.removes() == removes);
            held.map(|change| change.stage.wave)
        };
        Self { write: waves(false).min(), removal: waves(true).max() }
    }

    fn allows(&self, change: &Change) -> bool {
        let wave = change.stage.wave;
        if change.operation.removes() {
            self.write.is_none() && self.removal.is_none_or(|held| wave >= held)
        } else {
            self.write.is_none_or(|held| wave <= held)
        }
    }
}

/// Returns why a change needs an approval under a policy; `None` if it does not.
fn needs_approval(change: &Change, policy: ApprovalPolicy, set: Set, many: bool) -> Option<String> {
    // An empty render is more often a mistake than intended, whatever the policy is.
    if set.empty && !set.ending && change.operation == Operation::Delete {
        return Some("Git has no objects, so this would remove everything".to_owned());
    }
    // Deleting a Sync whose objects stay needs no approval.
    if set.ending && change.operation == Operation::Orphan {
        return None;
    }
    let deletes = change.operation.deletes();
    match policy {
        ApprovalPolicy::Irreversible => {
            let risk = change.risk.clone().filter(|_| deletes);
            let why = risk.or_else(|| irreversible(change, many).map(str::to_owned));
            let hint = why.as_ref().and_then(|_| keeps_pods(change)).map(str::to_owned);
            let doubt = change.doubt.as_ref().map(|doubt| {
                format!("it is unknown whether the API server accepts the replacement: {doubt}")
            });
            let all: Vec<String> = [why, hint, doubt].into_iter().flatten().collect();
            (!all.is_empty()).then(|| all.join("; "))
        }
        ApprovalPolicy::Deletions if deletes => {
            Some(with_risk("the policy requires approval of every deletion", change))
        }
        // The policy `Never` only covers objects in Git, not data that does not belong to the Sync.
        ApprovalPolicy::Never if deletes && change.foreign => change.risk.clone(),
        ApprovalPolicy::Never | ApprovalPolicy::Deletions => None,
        ApprovalPolicy::Always => Some(with_risk("the policy requires approval of every change", change)),
    }
}

/// Adds what a deletion also removes, since an approver must know it.
fn with_risk(why: &str, change: &Change) -> String {
    match change.risk.as_ref().filter(|_| change.operation.deletes()) {
        Some(risk) => format!("{why}; {risk}"),
        None => why.to_owned(),
    }
}

fn irreversible(change: &Change, many: bool) -> Option<&'static str> {
    let kind = (change.object.kind.group.as_str(), change.object.kind.kind.as_str());
    match change.operation {
        Operation::Delete => match kind {
            ("", "Namespace") => Some("deleting a Namespace deletes everything in it"),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                Some("deleting a CustomResourceDefinition deletes every object of its kind")
            }
            ("", "PersistentVolume" | "PersistentVolumeClaim") => {
                Some("deleting a volume or its claim can delete data")
            }
            _ if many => Some("more than half of the set would be deleted"),
            _ => None,
        },
        Operation::Recreate => match kind {
            ("", "PersistentVolume" | "PersistentVolumeClaim") => {
                Some("recreating a volume or its claim can delete data")
            }
            ("", "Namespace") => Some("recreating a Namespace deletes everything in it"),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                Some("recreating a CustomResourceDefinition deletes every object of its kind")
            }
            _ if recreate_allowed(change) => None,
            (_, "StatefulSet" | "Deployment" | "DaemonSet" | "ReplicaSet" | "ReplicationController") => {
                Some("recreating it ends all its pods")
            }
            _ => Some("an immutable field can only be changed by deleting the object and creating it again"),
        },
        Operation::Create | Operation::Adopt | Operation::Move | Operation::Update | Operation::Orphan => {
            None
        }
    }
}

fn recreate_allowed(change: &Change) -> bool {
    let annotation = change.manifest.as_ref().and_then(|manifest| manifest.annotation(names::RECREATE));
    matches!(annotation, Some(names::ALLOWED | names::ORPHAN))
}

/// Returns a hint how to keep the pods of a recreated workload, if the replacement can adopt them: its selector is the same.
fn keeps_pods(change: &Change) -> Option<&'static str> {
    let workload = matches!(
        &*change.object.kind.kind,
        "StatefulSet" | "Deployment" | "DaemonSet" | "ReplicaSet" | "ReplicationController"
    );
    let helps = workload && !change.fields.iter().any(|field| field.path.starts_with("/spec/selector"));
    (change.operation == Operation::Recreate && helps).then_some(
        "with the annotation holdfast.dev/recreate: Orphan the pods stay, and the replacement adopts them",
    )
}

impl Waiting {
    /// Describes the changes that wait, one line for each, with the reason.
    pub fn held(&self) -> Vec<String> {
        let changes = self.plan.changes.iter().zip(&self.reasons);
        changes.map(|(change, why)| format!("{} {}: {why}", change.operation.word(), change.object)).collect()
    }

    /// The id that an Approval of the plan names.
    pub fn id(&self) -> &PlanId {
        &self.plan.id
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use holdfast_diff::object::{GroupKind, ObjectId};
    use holdfast_diff::order::Stage;
    use holdfast_diff::plan::removed;

    use super::*;
    use crate::api::{ApprovalDecision, ApprovalSpec, ApprovalStatus};

    const SET: Set = Set { owned: 10, empty: false, ending: false };
    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn deletion(group: &str, kind: &str, name: &str) -> Change {
        let object = ObjectId::new(Arc::new(GroupKind::new(group, kind)), "shop", name);
        removed(object, "v1".to_owned(), format!("uid-{name}"), Stage::default(), None)
    }

    fn plan(changes: Vec<Change>) -> Plan {
        Plan::new("cluster", changes)
    }

    fn approval(plan: &PlanId, decision: ApprovalDecision) -> Given {
        let spec = ApprovalSpec {
            sync: "shop".to_owned(),
            plan_id: plan.to_string(),
            decision,
            approver: "alice".to_owned(),
            reason: "agreed".to_owned(),
            expires_at: None,
            origin: None,
        };
        let status = ApprovalStatus::default();
        Given { name: "a".to_owned(), version: None, created: Some(NOW), spec, status }
    }

    fn check(policy: ApprovalPolicy, set: Set, changes: Vec<Change>, free: usize, held: usize) {
        let decision = decide("cluster", plan(changes), policy, set, &[], NOW);
        let waiting = decision.waiting.map_or(0, |waiting| waiting.plan.changes.len());
        assert_eq!((decision.approved.plan().changes.len(), waiting), (free, held), "{policy:?} {set:?}");
    }

    #[test]
    fn what_cannot_be_undone_waits_and_the_rest_goes_ahead() {
        let changes = || vec![deletion("", "Namespace", "a"), deletion("", "ConfigMap", "b")];
        check(ApprovalPolicy::Irreversible, SET, changes(), 1, 1);
        check(ApprovalPolicy::Never, SET, changes(), 2, 0);
        check(ApprovalPolicy::Deletions, SET, changes(), 0, 2);
        check(ApprovalPolicy::Always, SET, changes(), 0, 2);
    }

    #[test]
    fn more_than_half_of_a_set_waits_unless_the_sync_itself_goes() {
        let changes = || ["a", "b", "c"].map(|name| deletion("", "ConfigMap", name)).to_vec();
        check(ApprovalPolicy::Irreversible, Set { owned: 5, ..SET }, changes(), 0, 3);
        check(ApprovalPolicy::Irreversible, Set { owned: 6, ..SET }, changes(), 3, 0);
        check(ApprovalPolicy::Irreversible, Set { owned: 3, ..SET }, changes(), 3, 0);
        check(ApprovalPolicy::Irreversible, Set { owned: 5, ending: true, ..SET }, changes(), 3, 0);
    }

    #[test]
    fn what_would_take_data_along_waits_with_its_reason() {
        let risky =
            deletion("apps", "StatefulSet", "db").with_risk(Some("a claim goes too".to_owned()), false);
        let decision = decide("cluster", plan(vec![risky]), ApprovalPolicy::Irreversible, SET, &[], NOW);
        assert_eq!(
            decision.waiting.map(|waiting| waiting.reasons),
            Some(vec!["a claim goes too".to_owned()])
        );
    }

    #[test]
    fn data_of_others_waits_under_every_policy() {
        let holds = |foreign| {
            let risk = Some("here also Secret shop/theirs".to_owned());
            deletion("", "Namespace", "a").with_risk(risk, foreign)
        };
        check(ApprovalPolicy::Never, SET, vec![holds(true)], 0, 1);
        check(ApprovalPolicy::Never, SET, vec![holds(false)], 1, 0);
        check(ApprovalPolicy::Irreversible, SET, vec![holds(true)], 0, 1);
        check(ApprovalPolicy::Never, Set { ending: true, ..SET }, vec![holds(true)], 0, 1);
    }

    #[test]
    fn nothing_goes_ahead_of_what_waits_in_an_earlier_wave() {
        let at = |change: Change, wave| {
            let mut change = change;
            change.stage.wave = wave;
            change
        };
        let map = |name| deletion("", "ConfigMap", name);
        let held = at(deletion("", "Namespace", "a"), 1);
        // Removal goes from the last wave to the first.
        let all = vec![at(map("first"), 0), at(map("same"), 1), at(map("last"), 2), held];
        let decision = decide("cluster", plan(all), ApprovalPolicy::Irreversible, SET, &[], NOW);
        assert_eq!(decision.approved.plan().changes.len(), 2);
        assert_eq!(decision.waiting.map(|waiting| (waiting.plan.changes.len(), waiting.later)), Some((1, 1)));
    }

    #[test]
    fn an_empty_render_waits_under_every_policy() {
        let empty = Set { owned: 1, empty: true, ending: false };
        check(ApprovalPolicy::Never, empty, vec![deletion("", "ConfigMap", "a")], 0, 1);
    }

    #[test]
    fn an_approval_is_for_one_meaning_and_ends() {
        let held = || plan(vec![deletion("", "Namespace", "a")]);
        let id = held().id;
        let open = |approvals: &[Given]| {
            decide("cluster", held(), ApprovalPolicy::Irreversible, SET, approvals, NOW).waiting.is_none()
        };
        assert!(open(&[approval(&id, ApprovalDecision::Approve)]));
        assert!(!open(&[approval(
            &plan(vec![deletion("", "Namespace", "b")]).id,
            ApprovalDecision::Approve
        )]));
        let used = decide(
            "cluster",
            held(),
            ApprovalPolicy::Irreversible,
            SET,
            &[approval(&id, ApprovalDecision::Approve)],
            NOW,
        )
        .used;
        assert_eq!(used.map(|used| used.changes), Some(digests("cluster", &held().changes)));
        assert!(!open(&[approval(&id, ApprovalDecision::Approve), approval(&id, ApprovalDecision::Reject)]));
        assert!(open(&[approval(&id, ApprovalDecision::Reject), approval(&id, ApprovalDecision::Approve)]));
    }
}

//! The stage `plan`, and the gate after it, from built values.

use std::collections::HashSet;
use std::sync::Arc;

use holdfast_diff::ignore::Ignored;
use holdfast_diff::object::GroupKind;
use holdfast_diff::order::Stage;
use holdfast_diff::plan::{Operation, Prediction, removed};
use holdfast_diff::standing::Standing;
use holdfast_diff::yaml;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::*;
use crate::api::{ApprovalPolicy, DriftState, Sync, SyncStatus};
use crate::cluster::marks::Marks;
use crate::cluster::requests::ResourceType;
use crate::gate::Set;
use crate::reconcile::gate::{self, Rules, gate};
use crate::sync_ref::SyncRef;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A Sync `shop/app` with these fields in its spec.
struct Fixture {
    sync: Sync,
    owner: SyncRef,
    status: SyncStatus,
}

impl Fixture {
    fn new(spec: &Value) -> Self {
        let mut all = json!({"source": {"git": {"url": "https://git.example.com/config"}}});
        for (name, value) in spec.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        let sync = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync",
            "metadata": {"name": "app", "namespace": "shop"}, "spec": all});
        let sync = serde_json::from_value(sync).expect("a Sync");
        Self { sync, owner: SyncRef::new("shop", "app"), status: SyncStatus::default() }
    }

    fn at(&self) -> SyncAt<'_> {
        SyncAt { sync: &self.sync, owner: &self.owner, status: &self.status, now: NOW }
    }

    fn plan(&self, observed: Observed, past: &Past) -> Planned {
        let seen = Seen { revision: "main@sha1:1".to_owned(), tree: "new".to_owned(), ..Seen::default() };
        plan(self.at(), "cluster", &seen, observed, past)
    }
}

fn desired(name: &str) -> Desired {
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{a: b}}\n"
    );
    let manifest = yaml::manifests("a.yaml", text.as_bytes()).0.remove(0);
    let kind = Arc::new(GroupKind::new("", "ConfigMap"));
    let kind =
        ResourceType { kind, version: "v1".to_owned(), plural: "configmaps".to_owned(), namespaced: true };
    Desired {
        nulls: None,
        has_status: false,
        lives_as: None,
        before: None,
        was_applied: false,
        returned: Vec::new(),
        object: ObjectId::new(kind.kind.clone(), "shop", name),
        kind: Arc::new(kind),
        served: true,
        digest: Digest::of(&manifest.value),
        manifest: Arc::new(manifest),
        ignored: Ignored::default(),
    }
}

/// An object that does not exist and did not before.
fn absent(name: &str) -> Object {
    Object { desired: desired(name), live: Live::Absent, viewed: Viewed::default() }
}

/// An object that satisfied its manifest and was deleted.
fn deleted(name: &str) -> Object {
    let desired = desired(name);
    let viewed = Viewed { exists: false, verified: Some(desired.digest) };
    Object { desired, live: Live::Absent, viewed }
}

/// An object that satisfied its manifest and that another writer changed.
fn edited(name: &str) -> Object {
    let desired = desired(name);
    let mut live = desired.manifest.value.clone();
    live["metadata"]["resourceVersion"] = json!("7");
    let becomes = live.clone();
    live["data"]["a"] = json!("hand");
    let viewed = Viewed { exists: true, verified: Some(desired.digest) };
    let live = Live::Exists {
        live,
        prediction: Prediction::Becomes(becomes),
        settled: Box::default(),
        standing: Standing::Ours,
    };
    Object { desired, live, viewed }
}

/// An object of the set, as the live view has it.
fn member(owner: &SyncRef) -> Entry {
    let Desired { object, kind, .. } = desired("gone");
    let marks = Marks::own("cluster", &Zeroizing::new([1; 32])).expect("any 32 bytes are a seed");
    let view = View::new(marks, mpsc::unbounded_channel().0);
    let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "gone", "namespace": "shop",
        "uid": "one", "resourceVersion": "5", "labels": {"applyset.kubernetes.io/part-of": owner.applyset()},
        "annotations": {"holdfast.dev/sync": owner.to_string()}}});
    let live = view.marks.stamp(owner, &object, &live);
    view.sight(&kind, &object, &live).member().expect("it has the marks")
}

fn of(objects: Vec<Object>) -> Observed {
    Observed { objects, ..Observed::default() }
}

fn operations(planned: &Planned) -> Vec<(Operation, &str)> {
    planned.plan.changes.iter().map(|change| (change.operation, &*change.object.name)).collect()
}

fn decided(planned: Planned, ready: Result<(), gate::Error>) -> gate::Decided {
    let set = Set { owned: 1, empty: false, ending: false };
    let policy = ApprovalPolicy::Irreversible;
    gate(planned, Rules { cluster: "cluster", policy, set, approvals: &[], ready, now: NOW })
}

#[test]
fn an_object_that_never_existed_is_created_and_is_no_drift() {
    let planned = Fixture::new(&json!({})).plan(of(vec![absent("a")]), &Past::default());
    assert_eq!(operations(&planned), [(Operation::Create, "a")]);
    assert!(planned.basis.drift.drifted.is_empty());
}

#[test]
fn an_object_that_satisfied_the_same_manifest_is_drift_when_it_is_edited_or_deleted() {
    let planned = Fixture::new(&json!({})).plan(of(vec![edited("a"), deleted("b")]), &Past::default());
    assert_eq!(operations(&planned), [(Operation::Update, "a"), (Operation::Create, "b")]);
    assert_eq!(planned.basis.drift.drifted.len(), 2);
    let whole = planned.basis.notes.iter().filter(|(_, note)| matches!(note, Note::Left { version: 7, .. }));
    assert_eq!(whole.count(), 1, "every field of an edited object counts from now on");
}

#[test]
fn snoozed_and_reported_drift_is_not_in_the_plan_and_stays_as_it_is() {
    let snooze =
        json!([{"kind": "ConfigMap", "name": "a", "until": "2030-01-01T00:00:00Z", "reason": "a test"}]);
    let fixture = Fixture::new(&json!({"drift": {"snooze": snooze}}));
    let planned = fixture.plan(of(vec![edited("a"), edited("b")]), &Past::default());
    assert_eq!(operations(&planned), [(Operation::Update, "b")]);
    let left: Vec<_> =
        planned.basis.drift.left.values().map(|left| (left.reported.state, left.until)).collect();
    assert_eq!(left, ["2030-01-01T00:00:00Z".parse().ok()].map(|until| (DriftState::Snoozed, until)));

    let fixture = Fixture::new(&json!({"drift": {"mode": "Report"}}));
    let planned = fixture.plan(of(vec![edited("a"), absent("b")]), &Past::default());
    assert_eq!(operations(&planned), [(Operation::Create, "b")], "what is new is applied all the same");
    assert_eq!(planned.basis.drift.left.len(), 1);
}

#[test]
fn a_field_that_is_changed_again_and_again_is_left_after_three_corrections() {
    let (fixture, mut past) = (Fixture::new(&json!({})), Past::default());
    for correction in 0..4 {
        let planned = fixture.plan(of(vec![edited("a")]), &past);
        let is_held = correction == 3;
        assert_eq!(planned.plan.changes.is_empty(), is_held, "correction {correction}");
        past.drift.record(&planned.basis.drift, None, NOW);
        planned.plan.changes.iter().for_each(|change| past.drift.fights.corrected(change, NOW));
    }
    let left: Vec<_> = past.drift.left.values().map(|left| left.reported.state).collect();
    assert_eq!(left, [DriftState::Fighting]);
    assert!(past.drift.fights.next().is_some_and(|next| next > NOW));
}

#[test]
fn nothing_is_removed_while_an_object_is_unknown_or_may_have_moved() {
    let fixture = Fixture::new(&json!({}));
    let surplus = || vec![(desired("gone").object, member(&fixture.owner))];
    let with = |set: SetState| Observed { surplus: surplus(), set, ..Observed::default() };
    let planned = fixture.plan(with(SetState::default()), &Past::default());
    assert_eq!(operations(&planned), [(Operation::Delete, "gone")]);

    let error = ObjectError::transient(&"ConfigMap shop/a", None, "Unreachable", "no answer".to_owned());
    let failing = SetState { errors: vec![error], warnings: Some(Vec::new()), ..SetState::default() };
    let planned = fixture.plan(with(failing), &Past::default());
    assert!(planned.plan.is_empty());
    assert_eq!(
        planned.basis.set.warnings.unwrap_or_default(),
        ["objects that left Git are not removed before the errors are corrected: ConfigMap shop/gone"]
    );

    let left = Duration::from_secs(40);
    let behind = |held: &str| {
        Some(Behind { sync: SyncRef::new("shop", "other"), held: HashSet::from([held.to_owned()]), left })
    };
    let held = behind("ConfigMap shop/gone");
    let planned = fixture.plan(with(SetState { behind: held, ..SetState::default() }), &Past::default());
    assert!(planned.plan.is_empty());
    assert!(planned.basis.waits.is_some_and(|waits| waits.contains("shop/other")));
    assert_eq!(planned.basis.next, Some(left));

    // Another object may have moved; the time of this one is over.
    let other = behind("ConfigMap shop/moved");
    let planned = fixture.plan(with(SetState { behind: other, ..SetState::default() }), &Past::default());
    assert_eq!(operations(&planned), [(Operation::Delete, "gone")]);
    assert_eq!((planned.basis.waits, planned.basis.next), (None, None));
}

#[test]
fn only_drift_passes_the_gate_while_a_dependency_is_not_ready() {
    let fixture = Fixture::new(&json!({}));
    let planned = || fixture.plan(of(vec![edited("a"), absent("b")]), &Past::default());
    let not_ready = gate::Error::DependencyNotReady { sync: SyncRef::new("shop", "base"), revision: None };
    let held = decided(planned(), Err(not_ready));
    let passed = |decided: &gate::Decided| decided.decision.approved.plan().changes.len();
    assert_eq!((passed(&held), held.not_ready.is_some()), (1, true));
    assert_eq!(passed(&decided(planned(), Ok(()))), 2);
}

#[test]
fn what_needs_an_approval_waits_with_the_id_of_its_own_plan() {
    let fixture = Fixture::new(&json!({}));
    let mut planned = fixture.plan(of(vec![absent("b")]), &Past::default());
    let namespace = ObjectId::new(Arc::new(GroupKind::new("", "Namespace")), "", "shop");
    let deletion = removed(namespace, "v1".to_owned(), "uid".to_owned(), Stage::default(), None);
    let alone = Plan::new("cluster", vec![deletion.clone()]);
    planned.plan = Plan::new("cluster", planned.plan.changes.into_iter().chain([deletion]).collect());
    let decided = decided(planned, Ok(()));
    assert_eq!(decided.decision.waiting.map(|waiting| waiting.plan.id), Some(alone.id));
}

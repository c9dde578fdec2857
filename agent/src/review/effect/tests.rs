//! Effects of merges on objects that drifted, are missing, are secret, or have not been applied yet.

use std::sync::Arc;

use holdfast_diff::mask::Masks;
use holdfast_diff::object::{GroupKind, Manifest, Origin};
use holdfast_diff::order::Stage;
use holdfast_diff::plan::{Prediction, Seen, desired, removed};
use holdfast_diff::standing::Standing;
use holdfast_diff::takeover::Settled;
use serde_json::json;

use super::*;

const CLUSTER: &str = "cluster";

fn manifest(kind: &str, mut value: Value) -> Arc<Manifest> {
    value["apiVersion"] = json!("v1");
    value["kind"] = json!(kind);
    value["metadata"] = json!({"name": "a", "namespace": "shop"});
    Arc::new(Manifest {
        api_version: "v1".to_owned(),
        kind: Arc::new(GroupKind::new("", kind)),
        namespace: "shop".to_owned(),
        name: "a".to_owned(),
        origin: Origin { file: "a.yaml".into(), line: 1 },
        value,
    })
}

/// The plan that changes a live object to match a manifest. `editor` owns the fields of the live object, if there is one.
fn plan(kind: &str, live: Option<&Value>, editor: bool, git: Option<&Value>) -> Plan {
    let live = live.map(|live| {
        let mut live = manifest(kind, live.clone()).value.clone();
        let paths = |live: &Value| {
            let data = live["data"].as_object().cloned().unwrap_or_default();
            let fields = data.keys().map(|key| (format!("f:{key}"), json!({}))).collect::<serde_json::Map<_, _>>();
            json!({"f:data": fields})
        };
        let (manager, operation) = if editor { ("kubectl-edit", "Update") } else { ("holdfast", "Apply") };
        live["metadata"]["managedFields"] = json!([{"manager": manager, "operation": operation, "apiVersion": "v1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": paths(&live)}]);
        live["metadata"]["uid"] = json!("1");
        live
    });
    let object = manifest(kind, json!({})).id();
    let change = match (live, git) {
        (None, None) => None,
        (Some(_), None) => Some(removed(object, "v1".to_owned(), "1".to_owned(), Stage::default(), None)),
        (live, Some(git)) => {
            let manifest = manifest(kind, git.clone());
            let seen = live.map_or(Seen::Absent, |live| {
                let mut becomes = live.clone();
                becomes["data"] = git["data"].clone();
                let settled = Box::new(Settled { takeover: None, handed: Vec::new(), kept: Vec::new() });
                let prediction = Prediction::Becomes(becomes);
                Seen::Exists { live, prediction, settled, standing: Standing::Ours }
            });
            desired(&manifest, &object, "set", &Masks::default(), seen)
        }
    };
    Plan::new(CLUSTER, change.into_iter().collect())
}

fn effect(
    kind: &str,
    live: Option<&Value>,
    editor: bool,
    base: Option<&Value>,
    merge: Option<&Value>,
) -> Effect {
    Effect::of(CLUSTER, &plan(kind, live, editor, base), &plan(kind, live, editor, merge), &Masks::default())
}

fn paths(fields: &[FieldChange]) -> Vec<&str> {
    fields.iter().map(|field| field.path.as_str()).collect()
}

fn data(value: &Value) -> Value {
    json!({"data": value})
}

#[test]
fn what_the_base_has_applied_is_no_part_of_the_effect() {
    let base = data(&json!({"a": "1", "b": "1"}));
    let merge = data(&json!({"a": "2", "b": "1"}));
    let found = effect("ConfigMap", Some(&base), false, Some(&base), Some(&merge));
    assert_eq!(paths(&found.changes[0].change.fields), ["/data/a"]);
    assert!(found.pending.is_empty() && found.accepted.is_empty() && found.changes[0].overwrites.is_empty());
    assert!(effect("ConfigMap", Some(&base), false, Some(&base), Some(&base)).is_empty());
}

#[test]
fn drift_that_the_merge_does_not_touch_stands_apart() {
    let (live, base) = (data(&json!({"a": "1", "b": "drift"})), data(&json!({"a": "1", "b": "1"})));
    let merge = data(&json!({"a": "2", "b": "1"}));
    let found = effect("ConfigMap", Some(&live), true, Some(&base), Some(&merge));
    assert_eq!(paths(&found.changes[0].change.fields), ["/data/a"]);
    assert_eq!(paths(&found.pending[0].fields), ["/data/b"]);
    assert_eq!(found.pending[0].fields[0].owners[0].manager, "kubectl-edit");
    assert!(found.changes[0].overwrites.is_empty());
}

#[test]
fn drift_that_the_merge_overwrites_names_who_drifted() {
    let (live, base, merge) =
        (data(&json!({"a": "drift"})), data(&json!({"a": "1"})), data(&json!({"a": "2"})));
    let found = effect("ConfigMap", Some(&live), true, Some(&base), Some(&merge));
    let affected = &found.changes[0];
    assert_eq!(affected.change.fields[0].before, Some(json!("drift")));
    assert_eq!(affected.change.fields[0].after, Some(json!("2")));
    assert_eq!(affected.overwrites[0].after, Some(json!("1")));
    assert_eq!(affected.overwrites[0].owners[0].manager, "kubectl-edit");
}

#[test]
fn what_is_not_applied_yet_is_pending_and_no_drift() {
    let (live, base) = (data(&json!({"a": "1", "b": "1"})), data(&json!({"a": "2", "b": "1"})));
    let merge = data(&json!({"a": "2", "b": "2"}));
    let found = effect("ConfigMap", Some(&live), false, Some(&base), Some(&merge));
    assert_eq!(paths(&found.changes[0].change.fields), ["/data/b"]);
    assert!(!is_drift(&found.pending[0].fields[0]));
}

#[test]
fn a_merge_that_says_what_the_cluster_has_accepts_it() {
    let (live, base) = (data(&json!({"a": "drift"})), data(&json!({"a": "1"})));
    let found = effect("ConfigMap", Some(&live), true, Some(&base), Some(&live));
    assert!(found.is_empty());
    assert_eq!(paths(&found.accepted[0].fields), ["/data/a"]);
}

#[test]
fn secrets_with_equal_masks_differ_if_git_differs() {
    let (live, base) = (data(&json!({"p": "b25l", "q": "b25l"})), data(&json!({"p": "dHdv", "q": "dHdv"})));
    let merge = data(&json!({"p": "dGhyZWU=", "q": "dHdv"}));
    let found = effect("Secret", Some(&live), true, Some(&base), Some(&merge));
    assert_eq!(paths(&found.changes[0].change.fields), ["/data/p"]);
    assert_eq!(found.changes[0].change.fields[0].after, Some(json!("*** (after)")));
    assert_eq!(paths(&found.pending[0].fields), ["/data/q"]);
}

#[test]
fn objects_that_come_and_go_are_changed_as_a_whole() {
    let (one, two) = (data(&json!({"a": "1"})), data(&json!({"a": "2"})));
    let operation = |found: &Effect| found.changes.first().map(|affected| affected.change.operation);
    // The object is created, is removed from Git, and is created again after it was deleted by hand.
    assert_eq!(operation(&effect("ConfigMap", None, false, None, Some(&one))), Some(Operation::Create));
    assert_eq!(operation(&effect("ConfigMap", Some(&one), false, Some(&one), None)), Some(Operation::Delete));
    let found = effect("ConfigMap", None, false, Some(&one), Some(&two));
    assert_eq!(operation(&found), Some(Operation::Create));
    let found = effect("ConfigMap", None, false, Some(&one), Some(&one));
    assert!(found.is_empty() && found.pending.len() == 1);
    // The base deletes it, and the merge keeps it.
    let found = effect("ConfigMap", Some(&one), false, None, Some(&one));
    assert!(found.is_empty() && found.accepted.len() == 1);
}

#[test]
fn a_list_as_a_whole_overlaps_its_items() {
    assert!(overlap("/spec/ports", "/spec/ports/0/port") && overlap("/a", "/a"));
    assert!(!overlap("/spec/port", "/spec/ports") && !overlap("/a/b", "/a/c"));
}

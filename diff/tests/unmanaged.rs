//! What others added to live objects of ours.
//!
//! Each document in `tests/unmanaged/*.yaml` is a live object with two keys beside its own: `ignore`, the rules of its
//! Sync, and `expect`, a line for each unmanaged field: its path, its value as JSON, and who wrote it.

use std::sync::Arc;

use holdfast_diff::ignore::Rules;
use holdfast_diff::object::{GroupKind, ObjectId};
use holdfast_diff::unmanaged::{Unmanaged, fingerprint, unmanaged};
use holdfast_diff::yaml::read;
use serde_json::{Value, json};

/// The unmanaged fields of an object, under the rules that it has with it.
fn found(object: &mut Value) -> Vec<Unmanaged> {
    let rules = object.as_object_mut().and_then(|fields| fields.remove("ignore")).unwrap_or(json!([]));
    let (rules, errors) = Rules::compile(serde_json::from_value(rules).expect("rules"));
    assert_eq!(errors, Vec::<String>::new());
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let kind = Arc::new(GroupKind::new(group, object["kind"].as_str().unwrap_or_default()));
    let ignored = rules.of(api_version, &ObjectId::new(kind.clone(), "shop", "web"), None);
    unmanaged(&kind, object, &ignored)
}

fn check(file: &str, text: &str) {
    let (documents, errors) = read(file, text.as_bytes());
    assert_eq!(errors, []);
    for document in documents {
        let mut object = document.value;
        let expected = object.as_object_mut().and_then(|fields| fields.remove("expect"));
        let found: Vec<String> = found(&mut object)
            .iter()
            .map(|unmanaged| {
                let subresource = unmanaged.owner.subresource.as_ref().map(|name| format!(" of {name}"));
                format!(
                    "{} {} {}{}",
                    unmanaged.path,
                    unmanaged.value,
                    unmanaged.owner.manager,
                    subresource.unwrap_or_default()
                )
            })
            .collect();
        assert_eq!(Some(json!(found)), expected, "{file}:{}", document.line);
    }
}

#[test]
fn what_people_and_tools_add_is_found() {
    check("added.yaml", include_str!("unmanaged/added.yaml"));
}

#[test]
fn what_is_ours_or_the_clusters_own_is_not_unmanaged() {
    check("none.yaml", include_str!("unmanaged/none.yaml"));
}

/// A Secret to which another manager added these data, at a time.
fn secret(data: &Value, time: &str) -> Value {
    let keys: serde_json::Map<String, Value> =
        data.as_object().into_iter().flatten().map(|(key, _)| (format!("f:{key}"), json!({}))).collect();
    json!({"apiVersion": "v1", "kind": "Secret", "data": data, "metadata": {"managedFields": [
        {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "time": time, "fieldsV1": {"f:data": keys}}]}})
}

#[test]
fn the_fingerprint_is_of_paths_and_values_as_they_are() {
    let print = |data: Value, time: &str| fingerprint(&found(&mut secret(&data, time)));
    let first = print(json!({"a": "eA=="}), "2026-01-01T00:00:00Z");
    assert!(first.is_some());
    assert_eq!(
        print(json!({"a": "eA=="}), "2026-02-02T00:00:00Z"),
        first,
        "a write of the same is no change"
    );
    assert_ne!(print(json!({"a": "eQ=="}), "2026-01-01T00:00:00Z"), first, "a masked value counts");
    assert_ne!(print(json!({"b": "eA=="}), "2026-01-01T00:00:00Z"), first, "the path counts");
    assert_eq!(fingerprint(&[]), None);
}

#[test]
fn an_unmanaged_field_leaves_without_the_digest_of_a_secret() {
    let unmanaged = found(&mut secret(&json!({"a": "eA=="}), "2026-01-01T00:00:00Z"));
    assert_eq!(
        serde_json::to_value(&unmanaged).expect("it is JSON"),
        json!([{"path": "/data/a", "value": "***",
            "owner": {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-01T00:00:00Z"}}])
    );
}

#[test]
fn an_object_without_managed_fields_has_no_unmanaged_fields() {
    assert_eq!(found(&mut json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}})), []);
    assert_eq!(
        found(&mut json!({"metadata": {"managedFields": [1, {}, {"manager": "a", "operation": "Update"}]}})),
        []
    );
}

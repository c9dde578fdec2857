//! Taking an object over from a tool that described it before, so that what only that tool said goes as if it had
//! said so itself: its fields become Holdfast's before the first apply, and those that git does not have are removed.
//!
//! Only tools that describe whole objects are taken over from. What a person set by hand, and what controllers wrote,
//! stays. Follows the "upgrading from client-side apply" of the Kubernetes documentation on server-side apply. Pure.

use serde_json::{Map, Value, json};

use crate::fields::{self, MANAGER};

/// Field managers of tools that describe whole objects.
const TOOLS: [&str; 11] = [
    "argocd-application-controller",
    "argocd-controller",
    "helm",
    "helm-controller",
    "kapp-server",
    "kluctl",
    "kubectl",
    "kubectl-applyset",
    "kubectl-client-side-apply",
    "kubectl-edit",
    "kustomize-controller",
];

/// What makes the fields of other tools ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Takeover {
    /// The field managers that lose their fields.
    pub managers: Vec<String>,
    /// The version of the object that was looked at.
    pub resource_version: String,
    /// `metadata.managedFields` as it must be before the apply.
    pub managed_fields: Value,
}

/// What has to be taken over of a live object. `None` if Holdfast has applied it before, or if no tool left anything.
/// Field sets in another API version than this are left alone: they cannot be merged.
pub fn takeover(live: &Value, api_version: &str) -> Option<Takeover> {
    if fields::applied(live).is_some() {
        return None;
    }
    let resource_version = live.pointer("/metadata/resourceVersion")?.as_str()?.to_owned();
    let entries = live.pointer("/metadata/managedFields")?.as_array()?;
    let (taken, mut kept): (Vec<Value>, Vec<Value>) = entries
        .iter()
        .cloned()
        .partition(|entry| is_taken(entry) && text(entry, "apiVersion") == api_version);
    if taken.is_empty() {
        return None;
    }
    let mut union = Map::new();
    for fields in taken.iter().filter_map(|entry| entry.get("fieldsV1")?.as_object()) {
        merge(&mut union, fields);
    }
    let mut managers: Vec<String> = taken.iter().map(|entry| text(entry, "manager").to_owned()).collect();
    managers.sort_unstable();
    managers.dedup();
    let time = taken.iter().map(|entry| text(entry, "time")).max().unwrap_or_default();
    kept.push(json!({"manager": MANAGER, "operation": "Apply", "apiVersion": api_version, "time": time,
        "fieldsType": "FieldsV1", "fieldsV1": union}));
    Some(Takeover { managers, resource_version, managed_fields: kept.into() })
}

/// What an apply makes of an object, less what only those have said who are taken over from. `None` if that is nothing.
pub fn without_leftovers(predicted: &Value) -> Option<Value> {
    let entries = predicted.pointer("/metadata/managedFields")?.as_array()?;
    let (taken, kept): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(|entry| is_taken(entry));
    let kept: Vec<&Value> = kept.into_iter().filter_map(|entry| entry.get("fieldsV1")).collect();
    let mut value = predicted.clone();
    for fields in taken.into_iter().filter_map(|entry| entry.get("fieldsV1")) {
        remove(&mut value, fields, &kept);
    }
    (value != *predicted).then_some(value)
}

fn is_taken(entry: &Value) -> bool {
    TOOLS.contains(&text(entry, "manager")) && text(entry, "subresource").is_empty()
}

fn text<'a>(entry: &'a Value, name: &str) -> &'a str {
    entry.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(one)), Value::Object(other)) => merge(one, other),
            (Some(_), _) => {}
            (None, value) => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Removes from a value what a field set names and none of `kept` does.
fn remove(value: &mut Value, fields: &Value, kept: &[&Value]) {
    let Some(fields) = fields.as_object() else { return };
    // Positions move when items go, so the last ones go first.
    let mut gone = Vec::new();
    for (key, inner) in fields.iter().filter(|(key, _)| *key != ".") {
        let kept: Vec<&Value> = kept.iter().filter_map(|set| set.get(key)).collect();
        let leaf = inner.as_object().is_none_or(|inner| inner.is_empty() || inner.contains_key("."));
        match value {
            Value::Object(object) => {
                let Some(name) = key.strip_prefix("f:") else { continue };
                if kept.is_empty() && leaf {
                    object.remove(name);
                } else if let Some(field) = object.get_mut(name) {
                    remove(field, inner, &kept);
                }
            }
            Value::Array(items) => {
                let Some(at) = fields::position(items, key) else { continue };
                if kept.is_empty() {
                    gone.push(at);
                } else {
                    remove(&mut items[at], inner, &kept);
                }
            }
            _ => {}
        }
    }
    if let Value::Array(items) = value {
        gone.sort_unstable();
        gone.dedup();
        gone.into_iter().rev().for_each(|at| drop(items.remove(at)));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn what_only_a_tool_said_goes_and_what_others_said_stays() {
        let predicted = json!({
            "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "by-hand": "1"}, "managedFields": [
                entry("holdfast", "Apply", &json!({"f:data": {"f:a": {}}})),
                entry("kubectl-client-side-apply", "Update", &json!({
                    "f:metadata": {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}}},
                    "f:data": {".": {}, "f:b": {}, "f:c": {}},
                    "f:list": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}}, "k:{\"name\":\"y\"}": {".": {}, "f:name": {}}}})),
                entry("kubectl-annotate", "Update", &json!({"f:metadata": {"f:annotations": {"f:by-hand": {}}}})),
                entry("controller", "Update", &json!({"f:data": {"f:c": {}}, "f:list": {"k:{\"name\":\"y\"}": {"f:z": {}}}})),
            ]},
            "data": {"a": "1", "b": "2", "c": "3"},
            "list": [{"name": "x"}, {"name": "y", "z": 1}],
        });
        let left = without_leftovers(&predicted).unwrap();
        assert_eq!(left["data"], json!({"a": "1", "c": "3"}));
        assert_eq!(left["list"], json!([{"z": 1}]));
        assert_eq!(left["metadata"]["annotations"], json!({"by-hand": "1"}));
    }

    #[test]
    fn fields_of_tools_become_ours_in_one_entry() {
        let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
            entry("kubectl-client-side-apply", "Update", &json!({"f:data": {"f:a": {}}})),
            entry("kubectl-edit", "Update", &json!({"f:data": {"f:b": {}}})),
            entry("kube-controller-manager", "Update", &json!({"f:data": {"f:c": {}}})),
        ]}});
        let Takeover { managers, resource_version, managed_fields } = takeover(&live, "v1").unwrap();
        assert_eq!(
            (managers.join(" "), &*resource_version),
            ("kubectl-client-side-apply kubectl-edit".to_owned(), "7")
        );
        let entries: Vec<(&str, &Value)> = managed_fields
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (text(entry, "manager"), &entry["fieldsV1"]))
            .collect();
        assert_eq!(
            entries,
            [
                ("kube-controller-manager", &json!({"f:data": {"f:c": {}}})),
                ("holdfast", &json!({"f:data": {"f:a": {}, "f:b": {}}})),
            ]
        );
    }

    #[test]
    fn what_is_ours_already_or_nobodys_is_not_taken_over() {
        let of = |entries: Value| json!({"metadata": {"resourceVersion": "7", "managedFields": entries}});
        let kubectl = entry("kubectl-edit", "Update", &json!({"f:data": {}}));
        let ours = entry("holdfast", "Apply", &json!({"f:data": {}}));
        assert_eq!(takeover(&of(json!([kubectl, ours])), "v1"), None);
        assert_eq!(takeover(&of(json!([])), "v1"), None);
        assert_eq!(takeover(&of(json!([kubectl])), "v2"), None);
    }
}

//! Who owns each field of a live object. Values are not shown, so no Secret is. Pure.

use holdfast_diff::plan::fields::{Owner, owners};
use holdfast_diff::pointer;
use serde::Serialize;
use serde_json::Value;

/// What identifies an object, or is written by the API server alone.
const SERVER: &[&str] = &[
    "/apiVersion",
    "/kind",
    "/metadata/name",
    "/metadata/generateName",
    "/metadata/namespace",
    "/metadata/uid",
    "/metadata/resourceVersion",
    "/metadata/generation",
    "/metadata/creationTimestamp",
    "/metadata/deletionTimestamp",
    "/metadata/deletionGracePeriodSeconds",
    "/metadata/managedFields",
    "/metadata/selfLink",
    "/status",
];

/// A field, and its owners: none if it is a default of the API server.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    pub path: String,
    pub owners: Vec<Owner>,
}

/// All fields of an object that a client can set, in the order of the object.
pub fn fields(live: &Value) -> Vec<Field> {
    let mut paths = Vec::new();
    leaves(live, String::new(), &mut paths);
    paths.into_iter().map(|path| Field { owners: owners(live, &path), path }).collect()
}

fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    if SERVER.contains(&path.as_str()) {
        return;
    }
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                leaves(value, format!("{path}/{}", pointer::escape(key)), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, value) in items.iter().enumerate() {
                leaves(value, format!("{path}/{at}"), found);
            }
        }
        _ => found.push(path),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_has_its_owners_and_defaults_have_none() {
        let entry = |manager: &str, operation: &str, fields: Value| json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields});
        let live = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "uid": "1", "labels": {"a/b": "c"}, "managedFields": [
                entry("holdfast", "Apply", json!({"f:metadata": {"f:labels": {"f:a/b": {}}}, "f:spec": {"f:paused": {}}})),
                entry("kubectl", "Update", json!({"f:spec": {"f:replicas": {}}}))]},
            "spec": {"replicas": 3, "paused": false, "revisionHistoryLimit": 10},
            "status": {"replicas": 3},
        });
        let shown: Vec<String> = fields(&live)
            .iter()
            .map(|Field { path, owners }| {
                let owners: Vec<&str> = owners.iter().map(|owner| owner.manager.as_str()).collect();
                format!("{path} {}", owners.join(","))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "/metadata/labels/a~1b holdfast",
                "/spec/paused holdfast",
                "/spec/replicas kubectl",
                "/spec/revisionHistoryLimit "
            ]
        );
    }
}

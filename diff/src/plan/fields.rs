//! Field ownership from `metadata.managedFields`: which values a manager owns, and who owns a path.
//!
//! The format is fieldsV1 of structured-merge-diff (Kubernetes documentation, "Server-Side Apply"). Pure.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::compare;
use crate::digest::Digest;
use crate::pointer::segments;

/// The field manager of everything that Holdfast applies.
pub const MANAGER: &str = "holdfast";

/// The last writer of a field. A manager is a program, not a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresource: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// `kubectl-edit (Update, 2026-01-01T00:00:00Z)`
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.manager, self.operation)?;
        if let Some(subresource) = &self.subresource {
            write!(f, " of {subresource}")?;
        }
        if let Some(time) = &self.time {
            write!(f, ", {time}")?;
        }
        f.write_str(")")
    }
}

impl Owner {
    /// True if this is an apply of Holdfast.
    pub fn is_holdfast(&self) -> bool {
        self.manager == MANAGER && self.operation == "Apply"
    }
}

/// Returns the fields that Holdfast owns by apply in a live object, with the API version in which their paths are
/// written.
pub fn applied(object: &Value) -> Option<(&str, &Value)> {
    entries(object)
        .find(|entry| {
            text(entry, "manager") == Some(MANAGER)
                && text(entry, "operation") == Some("Apply")
                && text(entry, "subresource").is_none_or(str::is_empty)
        })
        .and_then(|entry| Some((text(entry, "apiVersion")?, entry.get("fieldsV1")?)))
}

/// Returns the fingerprint of a live object that was read in `api_version`: a digest of the values of the fields that
/// Holdfast owns, without the mark.
///
/// `None` if Holdfast owns no field, or if its fields are written in another API version.
pub fn fingerprint(object: &Value, api_version: &str) -> Option<Digest> {
    let (version, fields) = applied(object)?;
    (version == api_version).then(|| {
        let mut owned = extract(object, fields);
        if let Some(metadata) = owned.get_mut("metadata").and_then(Value::as_object_mut) {
            compare::unmark(metadata);
        }
        Digest::of(&owned)
    })
}

/// Returns the fingerprint that an object would have if the server stored a manifest unchanged.
/// It differs if the server normalises (quantities, defaults of list keys, `stringData`).
pub fn expected_fingerprint(manifest: &Value) -> Digest {
    let mut value = manifest.clone();
    if let Some(object) = value.as_object_mut() {
        object.remove("apiVersion");
        object.remove("kind");
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("name");
            metadata.remove("namespace");
        }
    }
    Digest::of(&value)
}

/// Returns all owners of the value at a path (RFC 6901) of a live object, the newest first.
pub fn owners(object: &Value, pointer: &str) -> Vec<Owner> {
    let mut found: Vec<Owner> = entries(object)
        .filter(|entry| entry.get("fieldsV1").is_some_and(|fields| owns(object, fields, pointer)))
        .filter_map(owner)
        .collect();
    found.sort_by(|one, other| other.time.cmp(&one.time));
    found
}

/// Returns the owner of an entry of `metadata.managedFields`.
pub(crate) fn owner(entry: &Value) -> Option<Owner> {
    Some(Owner {
        manager: text(entry, "manager")?.to_owned(),
        operation: text(entry, "operation")?.to_owned(),
        subresource: text(entry, "subresource").filter(|name| !name.is_empty()).map(str::to_owned),
        time: text(entry, "time").map(str::to_owned),
    })
}

/// Returns the entries of `metadata.managedFields`.
pub(crate) fn entries(object: &Value) -> impl Iterator<Item = &Value> {
    object.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten()
}

pub(crate) fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}

/// Returns the part of a value that is in a field set.
pub fn extract(value: &Value, fields: &Value) -> Value {
    let Some(fields) = fields.as_object() else { return value.clone() };
    if fields.is_empty() {
        return value.clone();
    }
    match value {
        Value::Object(object) => {
            let mut part = Map::new();
            for (name, inner) in
                fields.iter().filter_map(|(key, inner)| Some((key.strip_prefix("f:")?, inner)))
            {
                if let Some(field) = object.get(name) {
                    part.insert(name.to_owned(), extract(field, inner));
                }
            }
            Value::Object(part)
        }
        Value::Array(items) => {
            let mut found: Vec<(usize, Value)> = fields
                .iter()
                .flat_map(|(key, inner)| positions(items, key).into_iter().map(move |at| (at, inner)))
                .map(|(at, inner)| (at, extract(&items[at], inner)))
                .collect();
            found.sort_by_key(|(at, _)| *at);
            Value::Array(found.into_iter().map(|(_, item)| item).collect())
        }
        scalar => scalar.clone(),
    }
}

/// Returns the position of the list item that a path element names: `k:{...}` by key, `v:...` by value, `i:n` by
/// index.
pub(crate) fn position(items: &[Value], element: &str) -> Option<usize> {
    let (kind, rest) = element.split_once(':')?;
    match kind {
        "k" => {
            let key: Map<String, Value> = serde_json::from_str(rest).ok()?;
            items.iter().position(|item| has_key(item, &key))
        }
        "v" => {
            let value: Value = serde_json::from_str(rest).ok()?;
            items.iter().position(|item| *item == value)
        }
        "i" => rest.parse().ok().filter(|at| *at < items.len()),
        _ => None,
    }
}

/// Returns the positions of all items that a path element names: a live list may contain a key twice, and then the
/// last one counts.
fn positions(items: &[Value], element: &str) -> Vec<usize> {
    let Some(first) = position(items, element) else { return Vec::new() };
    let Some(key) = element.strip_prefix("k:") else { return vec![first] };
    let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
    (first..items.len()).filter(|at| has_key(&items[*at], &key)).collect()
}

fn has_key(item: &Value, key: &Map<String, Value>) -> bool {
    key.iter().all(|(name, value)| item.get(name) == Some(value))
}

/// The position of a path relative to a field set.
pub(crate) enum Standing<'a> {
    Nothing,
    /// The set ends above the path: in an atomic value that contains the path, or in a map that was empty.
    Above,
    /// The set contains the path, or a path below it: the part of the set from there on.
    At(&'a Value),
}

/// True if a field set contains the path, or a leaf above it, or anything below it.
fn owns(value: &Value, fields: &Value, pointer: &str) -> bool {
    !matches!(standing(value, fields, segments(pointer)), Standing::Nothing)
}

/// Follows a path, in segments, through an object and a field set of it.
pub(crate) fn standing<'a>(
    value: &Value,
    fields: &'a Value,
    path: impl IntoIterator<Item = impl AsRef<str>>,
) -> Standing<'a> {
    let (mut value, mut fields) = (Some(value), fields);
    for segment in path {
        let segment = segment.as_ref();
        let Some(set) = fields.as_object().filter(|set| !set.is_empty()) else { return Standing::Above };
        let next = if let Some(Value::Array(items)) = value {
            let at = segment.parse::<usize>().ok();
            set.iter()
                .find(|(element, _)| at.is_some() && position(items, element) == at)
                .map(|(_, inner)| inner)
        } else {
            set.get(&format!("f:{segment}"))
        };
        let Some(inner) = next else { return Standing::Nothing };
        fields = inner;
        value = value.and_then(|value| match value {
            Value::Array(items) => segment.parse::<usize>().ok().and_then(|at| items.get(at)),
            other => other.get(segment),
        });
    }
    Standing::At(fields)
}

/// Returns the value that an element of a field set names, with its segment of the path.
pub fn step<'a>(value: &'a Value, element: &str) -> Option<(String, &'a Value)> {
    if let Value::Array(items) = value {
        let at = position(items, element)?;
        return Some((at.to_string(), &items[at]));
    }
    let name = element.strip_prefix("f:")?;
    Some((name.to_owned(), value.get(name)?))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "1", "b": "2"}, "managedFields": [
                {"manager": "holdfast", "operation": "Apply", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z",
                 "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {
                    "f:selector": {},
                    "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {},
                        "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}}},
                {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-01-02T00:00:00Z",
                 "fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
            "spec": {"replicas": 5, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers": [
                {"name": "proxy", "image": "proxy:1"},
                {"name": "web", "image": "web:1", "imagePullPolicy": "Always", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}}}
        })
    }

    #[test]
    fn extract_keeps_what_is_owned_and_no_defaults_and_no_sidecars() {
        let object = deployment();
        let (_, fields) = applied(&object).unwrap();
        assert_eq!(
            extract(&object, fields),
            json!({"metadata": {"labels": {"a": "1"}}, "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]}]}}}})
        );
    }

    #[test]
    fn an_item_that_is_there_twice_is_extracted_twice() {
        let fields = json!({"f:env": {"k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}}});
        let env = |values: &[&str]| {
            let items: Vec<Value> = values.iter().map(|value| json!({"name": "A", "value": value})).collect();
            json!({"env": items})
        };
        assert_eq!(extract(&env(&["1", "2"]), &fields), env(&["1", "2"]));
    }

    #[test]
    fn the_fingerprint_of_a_stored_manifest_is_the_expected_one() {
        let manifest = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "1"}},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers": [
                {"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]}]}}}});
        assert_eq!(fingerprint(&deployment(), "apps/v1"), Some(expected_fingerprint(&manifest)));
    }

    #[test]
    fn another_api_version_has_no_fingerprint() {
        assert_eq!(fingerprint(&deployment(), "apps/v2"), None);
    }

    #[test]
    fn owners_are_found_by_path_through_keyed_lists_and_atomic_fields() {
        let object = deployment();
        let names = |path| owners(&object, path).into_iter().map(|owner| owner.manager).collect::<Vec<_>>();
        assert_eq!(names("/spec/replicas"), ["kubectl-edit"]);
        assert_eq!(names("/spec/template/spec/containers/1/image"), ["holdfast"]);
        assert_eq!(names("/spec/template/spec/containers/0/image"), Vec::<String>::new());
        assert_eq!(names("/spec/selector/matchLabels/app"), ["holdfast"]);
        assert_eq!(names("/spec"), ["kubectl-edit", "holdfast"]);
    }
}

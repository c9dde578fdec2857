//! Fields that left Git, found by comparing manifests and not by field ownership: another manager may have taken a field before it
//! left Git, or all owners may have been removed. Pure.

use serde_json::{Map, Value};

use super::Owners;
use super::merge::{below, find, is_mergeable, place};
use super::sets::{self, Set, holds_itself, members};
use crate::fields;
use crate::fields::step;

/// Returns the part of a manifest that a newer one does not have; `None` if there is none. Lists that differ are returned whole,
/// since their items can only be matched with the field sets of the live object.
pub fn left_out(before: &Value, now: &Value) -> Option<Value> {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            let part: Map<String, Value> = before
                .iter()
                .filter(|(_, value)| !value.is_null())
                .filter_map(|(name, value)| {
                    let left = match now.get(name).filter(|now| !now.is_null()) {
                        Some(now) => left_out(value, now)?,
                        None => value.clone(),
                    };
                    Some((name.clone(), left))
                })
                .collect();
            (!part.is_empty()).then_some(part.into())
        }
        (Value::Array(before), Value::Array(now)) => {
            (!before.is_empty() && before != now).then(|| before.clone().into())
        }
        _ => None,
    }
}

/// Adds to a part of a manifest what another part has.
pub fn joined(one: &mut Value, other: &Value) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            for (name, value) in other {
                match one.get_mut(name) {
                    Some(own) => joined(own, value),
                    None => drop(one.insert(name.clone(), value.clone())),
                }
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            let more: Vec<Value> = other.iter().filter(|item| !one.contains(item)).cloned().collect();
            one.extend(more);
        }
        _ => {}
    }
}

impl Owners {
    /// Returns the fields of an earlier manifest that an object still has and the current manifest does not. `object` is the result
    /// of an apply of the current manifest.
    pub fn leftovers(&self, before: &Value, manifest: &Value, object: &Value) -> Set {
        let after = fields::applied(object).and_then(|(_, fields)| fields.as_object());
        let held: Vec<&Set> = self.sets().into_iter().chain(after).collect();
        let mut left = left_in(object, before, manifest, &held);
        for name in ["f:apiVersion", "f:kind", "f:status"] {
            left.remove(name);
        }
        if let Some(metadata) = left.get_mut("f:metadata").and_then(Value::as_object_mut) {
            metadata.remove("f:name");
            metadata.remove("f:namespace");
        }
        left
    }
}

fn left_in(object: &Value, before: &Value, manifest: &Value, held: &[&Set]) -> Set {
    let mut left = Set::new();
    let mut add = |element: String, value: &Value, before: &Value, now: Option<&Value>| {
        let held = below(held, &element);
        let part = match now {
            Some(now) => Some(left_in(value, before, now, &held)).filter(|left| !left.is_empty()),
            None => whole(value, before, &held, sets::is_item(&element)),
        };
        left.extend(part.map(|part| (element, part.into())));
    };
    match (object, before, manifest) {
        (Value::Object(object), Value::Object(before), Value::Object(manifest)) => {
            for (name, before) in before.iter().filter(|(_, before)| !before.is_null()) {
                if let Some(value) = object.get(name) {
                    add(format!("f:{name}"), value, before, manifest.get(name).filter(|now| !now.is_null()));
                }
            }
        }
        (Value::Array(items), Value::Array(before), Value::Array(manifest)) if is_mergeable(held) => {
            for before in before {
                if let Some((at, element)) = place(items, before, held) {
                    let now = find(manifest, &element).map(|now| &manifest[now]);
                    add(element, &items[at], before, now);
                }
            }
        }
        _ => {}
    }
    left
}

/// Returns the fields of a value that an earlier manifest had (`before`); `None` if there are none.
fn whole(value: &Value, before: &Value, held: &[&Set], is_item: bool) -> Option<Set> {
    let is_atomic = held.iter().any(|set| set.is_empty());
    let mut below_it = Set::new();
    match (value, before) {
        (Value::Object(fields), Value::Object(before)) if !before.is_empty() && !is_atomic => {
            for (name, before) in before.iter().filter(|(_, before)| !before.is_null()) {
                let element = format!("f:{name}");
                let held = below(held, &element);
                let part = fields.get(name).and_then(|value| whole(value, before, &held, false));
                below_it.extend(part.map(|part| (element, part.into())));
            }
            if is_item {
                below_it.insert(".".to_owned(), Set::new().into());
            }
            (!below_it.is_empty()).then_some(below_it)
        }
        (Value::Array(items), Value::Array(before)) if is_mergeable(held) => {
            for before in before {
                if let Some((at, element)) = place(items, before, held) {
                    let held = below(held, &element);
                    let part = whole(&items[at], before, &held, true);
                    below_it.extend(part.map(|part| (element, part.into())));
                }
            }
            (!below_it.is_empty()).then_some(below_it)
        }
        _ => Some(Set::new()),
    }
}

/// The part of a field set that an object has and a manifest does not.
pub fn still_in(set: &Set, object: &Value, manifest: &Value) -> Set {
    let unsaid = super::merge::unsaid(set, manifest);
    sets::filter(&unsaid, object, &mut Vec::new(), &|_| true)
}

/// The part of a field set that an object does not have.
pub fn not_in(set: &Set, object: &Value) -> Set {
    sets::without(set, &sets::filter(set, object, &mut Vec::new(), &|_| true))
}

/// True if an object has any value that a field set holds.
pub fn has_any(object: &Value, set: &Set) -> bool {
    members(set).any(|(element, inner)| {
        step(object, element).is_some_and(|(_, value)| holds_itself(inner) || has_any(value, inner))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_newer_manifest_does_not_have_is_left_out() {
        let before = json!({"data": {"a": "1", "b": "2"}, "list": [{"name": "x"}], "same": [1], "kind": "A"});
        let now = json!({"data": {"a": "3", "b": null}, "list": [{"name": "y"}], "same": [1], "kind": "A"});
        assert_eq!(left_out(&before, &now), Some(json!({"data": {"b": "2"}, "list": [{"name": "x"}]})));
        assert_eq!(left_out(&before, &before), None);
        let mut one = json!({"data": {"b": "2"}, "list": [{"name": "x"}]});
        joined(&mut one, &json!({"data": {"c": "1"}, "list": [{"name": "x"}, {"name": "z"}]}));
        assert_eq!(one, json!({"data": {"b": "2", "c": "1"}, "list": [{"name": "x"}, {"name": "z"}]}));
    }

    fn object(entries: Value, value: Value) -> Value {
        let mut value = value;
        value["metadata"]["managedFields"] = entries;
        value
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn what_git_had_is_found_whoever_owns_it() {
        let item = |name: &str| format!("k:{{\"name\":\"{name}\"}}");
        let before = json!({"metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"a": "1", "b": "2", "gone": "3"},
            "list": [{"name": "x", "v": 1, "w": 2}, {"name": "y", "v": 1}], "selector": {"k": "v"}});
        let manifest =
            json!({"metadata": {"name": "a"}, "data": {"a": "1"}, "list": [{"name": "x", "v": 1}]});
        let live = json!({"metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"a": "1", "b": "9"},
            "list": [{"name": "x", "v": 1, "w": 2}, {"name": "y", "v": 1}], "selector": {"k": "v"}});
        let others = json!({"f:selector": {}, "f:list": {item("y"): {".": {}, "f:name": {}, "f:v": {}}}});
        let ours = json!({"f:data": {"f:a": {}}, "f:list": {item("x"): {".": {}, "f:name": {}, "f:v": {}}}});
        let predicted = object(
            json!([entry("kubectl", "Update", &others), entry("holdfast", "Apply", &ours)]),
            live.clone(),
        );
        let left = Owners::of(&predicted, "v1").leftovers(&before, &manifest, &predicted);
        let expected = json!({"f:metadata": {"f:labels": {"f:x": {}}}, "f:data": {"f:b": {}}, "f:selector": {},
            "f:list": {item("x"): {"f:w": {}}, item("y"): {".": {}, "f:name": {}, "f:v": {}}}});
        assert_eq!(Value::from(left.clone()), expected);
        assert!(has_any(&live, &left));
        assert_eq!(not_in(&left, &live).len(), 0);
        assert_eq!(Value::from(not_in(&left, &json!({"data": {"b": "1"}}))).get("f:data"), None);
        assert!(!has_any(&json!({"data": {"a": "1"}, "list": [{"name": "x", "v": 1}]}), &left));
        let again = json!({"data": {"b": "2"}, "selector": {"k": "w"}});
        let still = Value::from(still_in(&left, &live, &again));
        assert!(still["f:data"].is_null() && still["f:selector"].is_null(), "{still}");
        assert_eq!(still["f:list"], expected["f:list"]);
    }

    #[test]
    fn what_is_the_same_in_both_manifests_is_never_left() {
        let manifest = json!({"spec": {"selector": {"app": "web"}, "args": ["a", "b"]}});
        let predicted = object(
            json!([entry("holdfast", "Apply", &json!({"f:spec": {"f:selector": {}, "f:args": {}}}))]),
            json!({"metadata": {}, "spec": {"selector": {"app": "web"}, "args": ["a", "b"]}}),
        );
        let before = json!({"spec": {"selector": {"app": "web", "old": "1"}, "args": ["a", "c"]}});
        let left = Owners::of(&predicted, "v1").leftovers(&before, &manifest, &predicted);
        assert_eq!(left.len(), 0, "{left:?}");
    }
}

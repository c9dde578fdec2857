//! Computes the result of an apply to a live object without the API server, for applies that the API server refuses. The keys of
//! lists are taken from the field sets. Pure.

use serde_json::{Map, Value};

use super::sets::{Set, holds_itself, members};
use super::{Leaving, Owners};
use crate::fields::position;

/// Returns the result of an apply of a manifest to a live object, without the fields that leave Git.
pub fn applied_to(owners: &Owners, live: &Value, manifest: &Value, leaving: &Leaving) -> Value {
    let mut value = owners.without_leaving(live, live, leaving, &Set::new()).unwrap_or_else(|| live.clone());
    overlay(&mut value, manifest, &owners.sets());
    super::emptied::with_empty(&value, manifest)
}

/// The part of a field set that a manifest does not have.
pub(super) fn unsaid(set: &Set, manifest: &Value) -> Set {
    let mut rest = Set::new();
    for (key, inner) in members(set) {
        let said = match manifest {
            Value::Object(fields) => key.strip_prefix("f:").and_then(|name| fields.get(name)),
            Value::Array(items) => find(items, key).map(|at| &items[at]),
            _ => continue,
        };
        match said.filter(|said| !said.is_null()) {
            None => drop(rest.insert(key.clone(), inner.clone().into())),
            Some(said) => {
                let below = unsaid(inner, said);
                if !below.is_empty() {
                    rest.insert(key.clone(), below.into());
                }
            }
        }
    }
    rest
}

/// Finds the position of the item that an element of a field set names in a list of a manifest. A key that the manifest leaves out
/// has its default, or any value if the default is not known.
pub(super) fn find(items: &[Value], element: &str) -> Option<usize> {
    position(items, element).or_else(|| {
        let key: Map<String, Value> = serde_json::from_str(element.strip_prefix("k:")?).ok()?;
        let fits = |item: &Value| {
            key.iter().any(|(name, _)| item.get(name).is_some())
                && key.iter().all(|(name, value)| match item.get(name) {
                    Some(own) => own == value,
                    // The only key of Kubernetes that has a default.
                    None => name != "protocol" || value == "TCP",
                })
        };
        items.iter().position(fits)
    })
}

/// Lays a manifest over a live value. `sets` are the field sets of all managers there.
fn overlay(live: &mut Value, manifest: &Value, sets: &[&Set]) {
    match (live, manifest) {
        (Value::Object(live), Value::Object(manifest)) => {
            for (name, field) in manifest {
                if field.is_null() {
                    live.remove(name);
                    continue;
                }
                let below = below(sets, &format!("f:{name}"));
                match live.get_mut(name) {
                    Some(value) => overlay(value, field, &below),
                    None => drop(live.insert(name.clone(), field.clone())),
                }
            }
        }
        (Value::Array(live), Value::Array(manifest)) if is_mergeable(sets) => {
            for item in manifest {
                match place(live, item, sets) {
                    Some((at, element)) => overlay(&mut live[at], item, &below(sets, &element)),
                    None => live.push(item.clone()),
                }
            }
        }
        (live, manifest) => *live = manifest.clone(),
    }
}

/// The field sets below an element.
pub(super) fn below<'a>(sets: &[&'a Set], element: &str) -> Vec<&'a Set> {
    sets.iter().filter_map(|set| set.get(element)?.as_object()).collect()
}

/// True if a list is merged item by item: some manager owns single items of it.
pub(super) fn is_mergeable(sets: &[&Set]) -> bool {
    sets.iter().any(|set| members(set).any(|(key, _)| super::sets::is_item(key)))
}

/// Finds the position of the live item that an item of a manifest is merged into, and the element that names it.
pub(super) fn place(live: &[Value], item: &Value, sets: &[&Set]) -> Option<(usize, String)> {
    let elements = sets.iter().flat_map(|set| members(set)).map(|(key, _)| key);
    elements
        .filter(|element| find(std::slice::from_ref(item), element).is_some())
        .find_map(|element| Some((position(live, element)?, element.clone())))
}

/// Copies the fields of a set from a live value into another value.
pub(super) fn overlay_part(value: &mut Value, live: &Value, set: &Set) {
    for (key, inner) in members(set) {
        match (&mut *value, live) {
            (Value::Object(fields), Value::Object(live)) => {
                let Some((name, part)) =
                    key.strip_prefix("f:").and_then(|name| Some((name, live.get(name)?)))
                else {
                    continue;
                };
                match fields.get_mut(name) {
                    Some(field) if !holds_itself(inner) => overlay_part(field, part, inner),
                    Some(_) => {}
                    None => drop(fields.insert(
                        name.to_owned(),
                        crate::fields::extract(part, &Value::Object(inner.clone())),
                    )),
                }
            }
            (Value::Array(items), Value::Array(live)) => {
                let Some(at) = position(live, key) else { continue };
                match find(items, key) {
                    Some(own) => overlay_part(&mut items[own], &live[at], inner),
                    None => items.push(crate::fields::extract(&live[at], &Value::Object(inner.clone()))),
                }
            }
            _ => {}
        }
    }
}

/// Removes the fields of a set from a value, except those in `kept`.
pub(super) fn remove(value: &mut Value, fields: &Value, kept: &[&Value]) {
    let Some(fields) = fields.as_object() else { return };
    // Positions move when items go, so the last ones go first.
    let mut gone = Vec::new();
    for (key, inner) in members(fields) {
        let kept: Vec<&Value> = kept.iter().filter_map(|set| set.get(key)).collect();
        match value {
            Value::Object(object) => {
                let Some(name) = key.strip_prefix("f:") else { continue };
                if kept.is_empty() && holds_itself(inner) {
                    object.remove(name);
                } else if let Some(field) = object.get_mut(name) {
                    remove(field, &inner.clone().into(), &kept);
                }
            }
            Value::Array(items) => {
                let Some(at) = position(items, key) else { continue };
                if kept.is_empty() && holds_itself(inner) {
                    gone.push(at);
                } else {
                    remove(&mut items[at], &inner.clone().into(), &kept);
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

/// Puts a value at a path (RFC 6901) whose parents exist.
pub(super) fn put(value: &mut Value, path: &str, new: Value) {
    let Some((parent, _)) = path.rsplit_once('/') else { return };
    let Some(name) = crate::pointer::segments(path).last() else { return };
    if let Some(Value::Object(fields)) = value.pointer_mut(parent) {
        fields.insert(name, new);
    }
}

/// The JSON merge patch (RFC 7386) that makes one value of another.
pub fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let gone = from.keys().filter(|name| !to.contains_key(*name)).map(|name| (name.clone(), Value::Null));
    let changed = to.iter().filter(|(name, value)| from.get(*name) != Some(value)).map(|(name, value)| {
        let patch = match from.get(name) {
            Some(before @ Value::Object(_)) => merge_patch(before, value),
            _ => value.clone(),
        };
        (name.clone(), patch)
    });
    gone.chain(changed).collect::<Map<String, Value>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(item: &Value, element: &str, expected: bool) {
        assert_eq!(find(std::slice::from_ref(item), element).is_some(), expected, "{item} {element}");
    }

    #[test]
    fn a_key_that_a_manifest_leaves_out_has_its_default() {
        let port = json!({"name": "http", "port": 80});
        check(&port, "k:{\"port\":80,\"protocol\":\"TCP\"}", true);
        check(&port, "k:{\"port\":80,\"protocol\":\"UDP\"}", false);
        check(&port, "k:{\"port\":81,\"protocol\":\"TCP\"}", false);
        let udp = json!({"port": 80, "protocol": "UDP"});
        check(&udp, "k:{\"port\":80,\"protocol\":\"UDP\"}", true);
        check(&udp, "k:{\"port\":80,\"protocol\":\"TCP\"}", false);
        check(&json!({"zone": "a"}), "k:{\"region\":\"b\",\"zone\":\"a\"}", true);
    }
}

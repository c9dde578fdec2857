//! Maps that Git empties: `{}` in a manifest, where the live object has entries.
//!
//! An apply that removes all entries of a map makes the map `null`, a known limit of the merge of the API server: custom
//! resources are refused for it, or lose the map. The entries have to be removed before the apply. Pure.

use serde_json::Value;

use super::super::items::counterpart;
use super::pointer;

/// Returns the paths (RFC 6901) of the maps that a manifest empties and that an apply loses: its result has no map there.
pub fn lost(manifest: &Value, live: &Value, applied: &Value) -> Vec<String> {
    emptied(manifest, live, applied, |made| !made.is_some_and(Value::is_object))
}

/// Returns the paths (RFC 6901) of the maps that a manifest empties and that are empty in the result of an apply (`made`).
pub fn empty(manifest: &Value, live: &Value, made: &Value) -> Vec<String> {
    emptied(manifest, live, made, |made| {
        made.and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
    })
}

/// Empties the maps that a manifest empties and that only contain empty maps: field sets do not name these.
pub(super) fn with_empty(value: &Value, manifest: &Value) -> Value {
    with_emptied(value, &emptied(manifest, value, value, |made| made.is_some_and(is_hollow)))
}

/// True for a map of nothing but empty maps.
fn is_hollow(value: &Value) -> bool {
    value.as_object().is_some_and(|entries| entries.values().all(is_hollow))
}

/// Returns a live object in which the maps at these paths are empty.
pub(super) fn with_emptied(live: &Value, maps: &[String]) -> Value {
    let mut value = live.clone();
    for map in maps {
        if let Some(entries) = value.pointer_mut(map).and_then(Value::as_object_mut) {
            entries.clear();
        }
    }
    value
}

fn emptied(
    manifest: &Value,
    live: &Value,
    made: &Value,
    is_wanted: impl Fn(Option<&Value>) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    let (Value::Object(fields), Value::Object(values)) = (manifest, live) else { return found };
    // Each object has metadata of its own.
    for (name, field) in fields.iter().filter(|(name, _)| *name != "metadata") {
        let Some(value) = values.get(name) else { continue };
        walk(field, value, made.get(name), &mut vec![name.clone()], &mut |path, made| {
            if is_wanted(made) {
                found.push(pointer(path));
            }
        });
    }
    found
}

fn walk(
    manifest: &Value,
    live: &Value,
    made: Option<&Value>,
    path: &mut Vec<String>,
    found: &mut impl FnMut(&[String], Option<&Value>),
) {
    match (manifest, live) {
        (Value::Object(fields), Value::Object(values)) if fields.is_empty() && !values.is_empty() => {
            found(path, made);
        }
        (Value::Object(fields), Value::Object(values)) => {
            for (name, field) in fields {
                let Some(value) = values.get(name) else { continue };
                path.push(name.clone());
                walk(field, value, made.and_then(|made| made.get(name)), path, found);
                path.pop();
            }
        }
        (Value::Array(items), Value::Array(values)) => {
            for (at, item) in items.iter().enumerate() {
                let Some(live_at) = counterpart(items, at, values).position() else { continue };
                let made = made.and_then(Value::as_array);
                let made = made.and_then(|made| made.get(counterpart(items, at, made).position()?));
                path.push(live_at.to_string());
                walk(item, &values[live_at], made, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_that_git_empties_are_found_at_any_depth_and_in_lists() {
        let manifest = json!({"metadata": {"labels": {}}, "spec": {"free": {}, "same": {}, "more": {"a": 1},
            "list": [{"name": "y", "env": {}}, {"name": "x", "env": {}}], "plain": [{}]}});
        let live = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"free": {"a": {"b": 1}}, "same": {},
            "more": {"a": 1}, "list": [{"name": "x", "env": {"a": 1}}, {"name": "y", "env": {}}], "plain": [{"a": 1}]}});
        let null = json!({"spec": {"free": null, "list": [{"name": "x"}, {"name": "y"}], "plain": [{}]}});
        assert_eq!(lost(&manifest, &live, &null), ["/spec/free", "/spec/list/0/env"]);
        let made = json!({"spec": {"free": {}, "list": [{"name": "x", "env": {"a": 1}}], "plain": [{}]}});
        assert_eq!(empty(&manifest, &live, &made), ["/spec/free", "/spec/plain/0"]);
        let emptied = with_emptied(&live, &empty(&manifest, &live, &made));
        assert_eq!(emptied["spec"]["free"], json!({}));
        assert_eq!(emptied["spec"]["plain"], json!([{}]));
        assert_eq!(emptied["spec"]["list"], live["spec"]["list"]);
        let hollow = json!({"spec": {"free": {"a": {"b": {}}}, "same": {"c": 1}}});
        assert_eq!(with_empty(&hollow, &manifest)["spec"], json!({"free": {}, "same": {"c": 1}}));
    }
}

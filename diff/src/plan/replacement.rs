//! The replacement of an object that cannot be changed to its manifest: which values it loses, and which part of a
//! refusal is about the existing object. Pure.

use serde_json::Value;

use crate::compare::{self, Difference};
use crate::fields::{self, MANAGER};
use crate::pointer;

/// Parses the path of a field in a response of the API server into segments: `spec.ports[0].nodePort`, `data[a.b]`.
fn segments(field: &str) -> Vec<String> {
    let (mut segments, mut segment, mut depth) = (Vec::new(), String::new(), 0);
    let mut end = |segment: &mut String| {
        if !segment.is_empty() {
            segments.push(std::mem::take(segment));
        }
    };
    for character in field.chars() {
        match character {
            '.' if depth == 0 => end(&mut segment),
            '[' => {
                if depth == 0 {
                    end(&mut segment);
                }
                depth += 1;
            }
            ']' => {
                depth -= 1;
                if depth == 0 {
                    end(&mut segment);
                }
            }
            '"' => {}
            other => segment.push(other),
        }
    }
    end(&mut segment);
    segments
}

/// True if an object has a value at a field, or at a parent of it, that a manifest changes.
pub fn is_changed(live: &Value, manifest: &Value, field: &str) -> bool {
    let (mut live, mut wanted) = (live, manifest);
    for segment in segments(field) {
        match (child(live, &segment), child(wanted, &segment)) {
            (Some(one), Some(other)) => (live, wanted) = (one, other),
            (Some(_), None) => return true,
            (None, _) => break,
        }
    }
    !std::ptr::eq(wanted, manifest) && !compare::values(live, wanted).is_empty()
}

/// Returns a manifest without the value of a field that the existing object has too: another object cannot have the
/// value as long as it exists. `None` if it does not have the value.
pub fn without_held(live: &Value, manifest: &Value, field: &str) -> Option<Value> {
    let path = segments(field);
    let mut left = manifest.clone();
    if let Some(value) = at(manifest, &path) {
        if !held(live, &path).contains(&value) || path.is_empty() {
            return None;
        }
        return remove(&mut left, &path).then_some(left);
    }
    // The server may name another form of the field: `spec.clusterIPs[0]` for `spec.clusterIP`.
    let values = held(live, &path);
    let parent =
        path.iter().take_while(|segment| segment.parse::<usize>().is_err()).count().checked_sub(1)?;
    let fields = at(manifest, &path[..parent])?.as_object()?;
    let (name, _) = fields.iter().find(|(_, value)| !value.is_object() && values.contains(value))?;
    let path: Vec<String> = path[..parent].iter().chain([name]).cloned().collect();
    remove(&mut left, &path).then_some(left)
}

/// Returns the values of an object at a path, in any item of its lists.
fn held<'a>(object: &'a Value, path: &[String]) -> Vec<&'a Value> {
    let Some((segment, rest)) = path.split_first() else { return vec![object] };
    match object {
        Value::Array(items) if segment.parse::<usize>().is_ok() => {
            items.iter().flat_map(|item| held(item, rest)).collect()
        }
        _ => child(object, segment).map(|child| held(child, rest)).unwrap_or_default(),
    }
}

fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |object, segment| child(object, segment))
}

fn child<'a>(object: &'a Value, segment: &str) -> Option<&'a Value> {
    match object {
        Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
        object => object.get(segment),
    }
}

fn remove(object: &mut Value, path: &[String]) -> bool {
    let Some((last, above)) = path.split_last() else { return false };
    let parent = above.iter().try_fold(object, |object, segment| match object {
        Value::Array(items) => items.get_mut(segment.parse::<usize>().ok()?),
        object => object.get_mut(segment),
    });
    match parent {
        Some(Value::Object(fields)) => fields.remove(last).is_some(),
        Some(Value::Array(items)) => match last.parse::<usize>() {
            Ok(at) if at < items.len() => {
                items.remove(at);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// Returns the differences of the replacement from the object. `answer` is the replacement in the form of the server,
/// if it is known.
///
/// Fields without an owner, such as defaults, addresses and generated names, are not differences, since every
/// replacement gets new ones.
pub fn differences(live: &Value, manifest: &Value, answer: Option<&Value>) -> Vec<Difference> {
    let estimate = answer.is_none().then(|| laid_over(live, manifest));
    let mut found = compare::objects(live, answer.or(estimate.as_ref()).unwrap_or(manifest));
    found.retain(|Difference { path, before, .. }| {
        says(manifest, live, path) || (before.is_some() && is_written(live, path))
    });
    if answer.is_none() {
        found.extend(dropped(live, manifest));
    }
    found
}

/// Returns a value with the values of a manifest over it.
pub fn laid_over(value: &Value, manifest: &Value) -> Value {
    match (value, manifest) {
        (Value::Object(value), Value::Object(manifest)) => {
            let mut whole = value.clone();
            for (name, wanted) in manifest {
                match whole.get_mut(name) {
                    Some(field) => *field = laid_over(field, wanted),
                    // Values that the server does not store are not expected.
                    None if wanted.is_null() => {}
                    None => drop(whole.insert(name.clone(), wanted.clone())),
                }
            }
            Value::Object(whole)
        }
        (Value::Array(items), Value::Array(wanted)) => {
            let named = compare::by_name(items);
            let of = |at: usize, wanted: &Value| {
                let name = wanted.get("name").and_then(Value::as_str);
                match (&named, name) {
                    (Some(named), Some(name)) => named.get(name).map(|(_, item)| *item),
                    _ if items.len() == wanted.as_array().map_or(items.len(), Vec::len) => items.get(at),
                    _ => None,
                }
            };
            let laid = |(at, wanted): (usize, &Value)| {
                of(at, wanted).map_or_else(|| wanted.clone(), |item| laid_over(item, wanted))
            };
            wanted.iter().enumerate().map(laid).collect()
        }
        _ => manifest.clone(),
    }
}

/// True if a manifest sets a path of the live object, or of itself.
fn says(manifest: &Value, live: &Value, path: &str) -> bool {
    let (mut wanted, mut live) = (Some(manifest), Some(live));
    for segment in pointer::segments(path) {
        let item = live.and_then(|live| child(live, &segment));
        wanted = wanted.and_then(|wanted| match wanted {
            Value::Array(items) => {
                let name = item.and_then(|item| item.get("name"));
                let named = name.and_then(|name| items.iter().find(|item| item.get("name") == Some(name)));
                named
                    .or_else(|| if name.is_some() { None } else { items.get(segment.parse::<usize>().ok()?) })
            }
            wanted => wanted.get(&segment),
        });
        if wanted.is_none() {
            return false;
        }
        live = item;
    }
    true
}

/// True if a manager has written a value; values that admission set during an apply of Holdfast do not count.
fn is_written(live: &Value, path: &str) -> bool {
    let owners = fields::owners(live, path);
    owners.iter().any(|owner| owner.manager != MANAGER || owner.operation == "Apply")
}

/// Returns values that Holdfast applied and the manifest no longer has.
fn dropped(live: &Value, manifest: &Value) -> Vec<Difference> {
    let Some((_, set)) = fields::applied(live) else { return Vec::new() };
    let ours = compare::essence(&fields::extract(live, set));
    let mut gone = compare::values(&ours, &compare::essence(manifest));
    gone.retain(|difference| {
        difference.after.is_none() && live.pointer(&difference.path) == difference.before.as_ref()
    });
    gone
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_read_as_the_server_writes_them() {
        let check = |field: &str, expected: &[&str]| assert_eq!(segments(field), expected, "{field}");
        check("spec.ports[0].nodePort", &["spec", "ports", "0", "nodePort"]);
        check("metadata.annotations[example.com/a.b]", &["metadata", "annotations", "example.com/a.b"]);
        check("data[\"a\"]", &["data", "a"]);
        check("", &[]);
    }

    #[test]
    fn a_change_of_what_exists_is_told_from_something_new() {
        let live = json!({"spec": {"size": 1, "list": [{"a": 1}]}, "roleRef": {"name": "view"}});
        let check = |manifest: Value, field: &str, expected: bool| {
            assert_eq!(is_changed(&live, &manifest, field), expected, "{field}");
        };
        check(json!({"spec": {"size": 2}}), "spec.size", true);
        check(json!({"spec": {"size": 1}}), "spec.size", false);
        check(json!({"roleRef": {"name": "edit"}}), "roleRef", true);
        check(json!({"spec": {"class": "x"}}), "spec.class", true);
        check(json!({"spec": {"size": 2}}), "", false);
        check(json!({"spec": {"size": 2}}), "other", false);
    }

    #[test]
    fn a_value_that_the_object_holds_cannot_be_had_by_another_one() {
        let live = json!({"spec": {"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "ports": [
            {"name": "b", "nodePort": 30001}, {"name": "a", "nodePort": 30000}]}});
        let manifest = json!({"spec": {"clusterIP": "10.0.0.7", "ports": [{"name": "a", "nodePort": 30000}, {"nodePort": 30009}]}});
        let without = |field: &str| without_held(&live, &manifest, field);
        assert_eq!(
            without("spec.ports[0].nodePort"),
            Some(json!({"spec": {"clusterIP": "10.0.0.7", "ports": [{"name": "a"}, {"nodePort": 30009}]}}))
        );
        assert_eq!(without("spec.ports[1].nodePort"), None);
        assert_eq!(
            without("spec.clusterIPs[0]"),
            Some(json!({"spec": {"ports": [{"name": "a", "nodePort": 30000}, {"nodePort": 30009}]}}))
        );
        assert_eq!(without(""), None);
        assert_eq!(without("spec.replicas"), None);
    }

    fn check(manifest: &Value, answer: Option<&Value>, expected: &[&str]) {
        let entry = |manager: &str, operation: &str, fields: Value| json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields});
        let live = json!({"metadata": {"name": "a", "managedFields": [
                entry("holdfast", "Apply", json!({"f:spec": {"f:image": {}, "f:old": {}}})),
                entry("holdfast", "Update", json!({"f:spec": {"f:token": {}}})),
                entry("kubectl-edit", "Update", json!({"f:spec": {"f:scale": {}}}))]},
            "spec": {"image": "a:1", "old": 1, "token": "x7", "scale": 5, "address": "10.0.0.7", "policy": "Always"}});
        let found: Vec<String> = differences(&live, manifest, answer)
            .into_iter()
            .map(|Difference { path, before, after }| {
                format!("{path}: {} -> {}", before.unwrap_or_default(), after.unwrap_or_default())
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_replacement_changes_what_is_said_and_loses_what_others_wrote() {
        let manifest = json!({"metadata": {"name": "a"}, "spec": {"image": "a:2"}});
        let answer = json!({"metadata": {"name": "a"}, "spec": {"image": "a:2", "token": "q9", "scale": 1, "address": "10.0.0.1",
            "policy": "Always", "other": "z"}});
        check(
            &manifest,
            Some(&answer),
            &["/spec/image: \"a:1\" -> \"a:2\"", "/spec/old: 1 -> null", "/spec/scale: 5 -> 1"],
        );
    }

    #[test]
    fn without_an_answer_what_is_said_and_what_we_said_is_compared() {
        let manifest = json!({"metadata": {"name": "a"}, "spec": {"image": "a:2"}});
        check(&manifest, None, &["/spec/image: \"a:1\" -> \"a:2\"", "/spec/old: 1 -> null"]);
    }
}

//! The differences between two values, as paths with before and after.
//!
//! Lists whose items have unique names are compared item by item by name. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::applyset::MARK;
use crate::pointer::escape;

/// One path at which two values differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// RFC 6901. An index counts in the value before; for a new item, in the value after.
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Metadata that the server writes. It is never compared; in Git it is left over from an export.
pub const BOOKKEEPING: [&str; 7] = [
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Compares two forms of one object, without the metadata of the server, `status` and the mark.
pub fn objects(before: &Value, after: &Value) -> Vec<Difference> {
    values(&essence(before), &essence(after))
}

/// Returns an object without `status`, the metadata of the server and the marks of ownership, for which
/// `plan::Standing` is responsible.
pub fn essence(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|name, _| !BOOKKEEPING.contains(&name.as_str()));
            unmark(metadata);
        }
    }
    object
}

/// Removes the mark from metadata. Only the agent can create one, so a plan of a user must not depend on it.
pub(crate) fn unmark(metadata: &mut Map<String, Value>) {
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        let marked = annotations.remove(MARK).is_some();
        if marked && annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

/// Compares two values, in the order of paths.
pub fn values(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(&mut String::new(), Some(before), Some(after), &mut found);
    found
}

fn walk(path: &mut String, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    match (before, after) {
        (Some(one), Some(other)) if same(one, other) => {}
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                step(path, &escape(name), one.get(name), other.get(name), found);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => match pair(one, other) {
            Some(pairs) => {
                for (at, before, after) in pairs {
                    step(path, &at.to_string(), before, after, found);
                }
            }
            None => push(path, before, after, found),
        },
        _ => push(path, before, after, found),
    }
}

fn step(
    path: &mut String,
    segment: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    let length = path.len();
    path.push('/');
    path.push_str(segment);
    walk(path, before, after, found);
    path.truncate(length);
}

fn push(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    found.push(Difference { path: path.to_owned(), before: before.cloned(), after: after.cloned() });
}

type Pair<'a> = (usize, Option<&'a Value>, Option<&'a Value>);

/// Matches the items of two lists by `name`, or by index if both have the same length.
fn pair<'a>(before: &'a [Value], after: &'a [Value]) -> Option<Vec<Pair<'a>>> {
    if let (Some(mut one), Some(other)) = (by_name(before), by_name(after)) {
        if before.is_empty() || after.is_empty() {
            return None;
        }
        let mut pairs: Vec<Pair<'a>> = other
            .into_iter()
            .map(|(name, (new_at, item))| match one.remove(name) {
                Some((at, old)) => (at, Some(old), Some(item)),
                None => (new_at, None, Some(item)),
            })
            .collect();
        pairs.extend(one.into_values().map(|(at, old)| (at, Some(old), None)));
        pairs.sort_by_key(|(at, old, _)| (*at, old.is_none()));
        // Equal items in another order are a difference of the whole list.
        let moved =
            pairs.iter().all(|(_, old, new)| matches!((old, new), (Some(old), Some(new)) if same(old, new)));
        return (!moved).then_some(pairs);
    }
    (before.len() == after.len()).then(|| {
        before.iter().zip(after).enumerate().map(|(at, (old, new))| (at, Some(old), Some(new))).collect()
    })
}

/// Returns the items of a list by their names, if all have a unique one.
pub(crate) fn by_name(items: &[Value]) -> Option<BTreeMap<&str, (usize, &Value)>> {
    let mut named = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        let name = item.as_object()?.get("name")?.as_str()?;
        if named.insert(name, (at, item)).is_some() {
            return None;
        }
    }
    Some(named)
}

/// True if two values have the same meaning: `1` equals `1.0`.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || ((one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{objects, values};

    fn check(before: &Value, after: &Value, expected: &[(&str, Value, Value)]) {
        let found: Vec<_> = values(before, after)
            .into_iter()
            .map(|difference| {
                (difference.path, difference.before.unwrap_or_default(), difference.after.unwrap_or_default())
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(path, before, after)| ((*path).to_owned(), before.clone(), after.clone()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn scalars_are_named_by_path() {
        check(
            &json!({"spec": {"replicas": 5}}),
            &json!({"spec": {"replicas": 3}}),
            &[("/spec/replicas", json!(5), json!(3))],
        );
    }

    #[test]
    fn names_with_slashes_are_escaped() {
        check(&json!({"a/b~c": 1}), &json!({}), &[("/a~1b~0c", json!(1), Value::Null)]);
    }

    #[test]
    fn list_items_are_paired_by_name() {
        check(
            &json!([{"name": "a", "v": 1}, {"name": "b", "v": 2}]),
            &json!([{"name": "b", "v": 3}]),
            &[("/0", json!({"name": "a", "v": 1}), Value::Null), ("/1/v", json!(2), json!(3))],
        );
    }

    #[test]
    fn lists_of_scalars_of_another_length_are_one_difference() {
        check(
            &json!({"args": ["a"]}),
            &json!({"args": ["a", "b"]}),
            &[("/args", json!(["a"]), json!(["a", "b"]))],
        );
    }

    #[test]
    fn a_new_order_of_named_items_is_a_difference() {
        let (one, other) = (json!({"name": "a"}), json!({"name": "b"}));
        check(&json!([one, other]), &json!([other, one]), &[("", json!([one, other]), json!([other, one]))]);
    }

    #[test]
    fn an_integral_float_is_its_integer() {
        check(&json!({"a": 1}), &json!({"a": 1.0}), &[]);
    }

    #[test]
    fn status_and_bookkeeping_are_not_compared() {
        let before = json!({"metadata": {"name": "a", "resourceVersion": "1", "managedFields": []}, "status": {"x": 1}});
        assert_eq!(objects(&before, &json!({"metadata": {"name": "a", "generation": 2}})), []);
    }
}

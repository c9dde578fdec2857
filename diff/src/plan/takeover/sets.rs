//! Set algebra on field sets: fieldsV1 of structured-merge-diff, as `metadata.managedFields` holds them. Pure.
//!
//! A node that is empty, or has the member `.`, holds its own path; its other members hold what is below. The root holds no
//! path of its own.

use serde_json::{Map, Value};

use crate::fields::step;

/// A node of a field set.
pub type Set = Map<String, Value>;

/// The union of two sets.
pub fn unite(one: &Set, other: &Set) -> Set {
    let mut all = one.clone();
    all.remove(".");
    for (key, inner) in members(other) {
        let both = match all.get(key).and_then(Value::as_object) {
            Some(known) => {
                let itself = holds_itself(known) || holds_itself(inner);
                node(itself, unite(known, inner)).unwrap_or_default()
            }
            None => inner.clone(),
        };
        all.insert(key.clone(), both.into());
    }
    all
}

/// The fields of the first set that are not in the second.
pub fn without(one: &Set, other: &Set) -> Set {
    let mut rest = Set::new();
    for (key, inner) in members(one) {
        let left = match other.get(key).and_then(Value::as_object) {
            Some(taken) => node(holds_itself(inner) && !holds_itself(taken), without(inner, taken)),
            None => Some(inner.clone()),
        };
        rest.extend(left.map(|left| (key.clone(), left.into())));
    }
    rest
}

/// The intersection of two sets.
pub fn common(one: &Set, other: &Set) -> Set {
    let mut both = Set::new();
    for (key, inner) in members(one) {
        let Some(known) = other.get(key).and_then(Value::as_object) else { continue };
        let shared = node(holds_itself(inner) && holds_itself(known), common(inner, known));
        both.extend(shared.map(|shared| (key.clone(), shared.into())));
    }
    both
}

/// The part of a set whose paths, with the positions of list items in a value, are wanted.
pub fn filter(set: &Set, value: &Value, path: &mut Vec<String>, wanted: &dyn Fn(&[String]) -> bool) -> Set {
    let mut rest = Set::new();
    for (key, inner) in members(set) {
        let Some((segment, child)) = step(value, key) else { continue };
        path.push(segment);
        let itself = holds_itself(inner) && wanted(path);
        let left = node(itself, filter(inner, child, path, wanted));
        path.pop();
        rest.extend(left.map(|left| (key.clone(), left.into())));
    }
    rest
}

/// The set that holds one path, given by its elements, with this node at its end.
pub fn at<S: AsRef<str>>(elements: &[S], node: Set) -> Set {
    elements.iter().rev().fold(node, |inner, element| {
        let mut outer = Set::new();
        outer.insert(element.as_ref().to_owned(), inner.into());
        outer
    })
}

/// A node that holds a value and every field below it.
pub fn of(value: &Value) -> Set {
    let Value::Object(fields) = value else { return Set::new() };
    let children = fields.iter().map(|(name, field)| (format!("f:{name}"), of(field).into())).collect();
    node(true, children).unwrap_or_default()
}

/// The outermost paths (RFC 6901) of a value that are in a set.
pub fn pointers(set: &Set, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(set, value, &mut Vec::new(), &mut found);
    found
}

fn collect(set: &Set, value: &Value, path: &mut Vec<String>, found: &mut Vec<String>) {
    for (key, inner) in members(set) {
        let Some((segment, child)) = step(value, key) else { continue };
        path.push(segment);
        if holds_itself(inner) {
            found.push(crate::ignore::pointer(path));
        } else {
            collect(inner, child, path, found);
        }
        path.pop();
    }
}

/// Splits the fields of another manager into those that it loses, because they are `leaving`, and the rest. A list item that leaves
/// includes everything that was added to it. With `items_only`, only such items are lost, without those that the manager owns
/// itself.
pub fn split(theirs: &Set, leaving: &Set, items_only: bool) -> (Set, Set) {
    let (mut lost, mut rest) = (Set::new(), Set::new());
    for (key, inner) in members(theirs) {
        let Some(goes) = leaving.get(key).and_then(Value::as_object) else {
            rest.insert(key.clone(), inner.clone().into());
            continue;
        };
        if is_item(key) && holds_itself(goes) && !(items_only && holds_itself(inner)) {
            lost.insert(key.clone(), inner.clone().into());
            continue;
        }
        let (below, stays) = split(inner, goes, items_only);
        let loses = holds_itself(inner) && holds_itself(goes) && !items_only && stays.is_empty();
        lost.extend(node(loses, below).map(|below| (key.clone(), below.into())));
        rest.extend(node(holds_itself(inner) && !loses, stays).map(|stays| (key.clone(), stays.into())));
    }
    (lost, rest)
}

/// True if the set holds the path of its node.
pub fn holds_itself(node: &Set) -> bool {
    node.is_empty() || node.contains_key(".")
}

/// True if an element of a field set names a list item.
pub fn is_item(element: &str) -> bool {
    element.starts_with("k:") || element.starts_with("v:")
}

/// The members of a node, without the one for its own path.
pub fn members(set: &Set) -> impl Iterator<Item = (&String, &Set)> {
    set.iter().filter(|(key, _)| *key != ".").filter_map(|(key, inner)| Some((key, inner.as_object()?)))
}

fn node(itself: bool, mut children: Set) -> Option<Set> {
    if children.is_empty() {
        return itself.then_some(children);
    }
    if itself {
        children.insert(".".to_owned(), Set::new().into());
    }
    Some(children)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(value: &Value) -> Set {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn sets_are_united_subtracted_and_intersected_path_by_path() {
        let one = set(&json!({"f:a": {}, "f:b": {".": {}, "f:c": {}, "f:d": {}}}));
        let other = set(&json!({"f:b": {"f:c": {}}, "f:e": {}}));
        let all = json!({"f:a": {}, "f:b": {".": {}, "f:c": {}, "f:d": {}}, "f:e": {}});
        assert_eq!(unite(&one, &other), set(&all));
        assert_eq!(unite(&other, &one), set(&all));
        assert_eq!(without(&one, &other), set(&json!({"f:a": {}, "f:b": {".": {}, "f:d": {}}})));
        assert_eq!(common(&one, &other), set(&json!({"f:b": {"f:c": {}}})));
    }

    #[test]
    fn an_item_that_leaves_takes_along_what_was_added_to_it() {
        let leaving =
            set(&json!({"f:list": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}}}, "f:data": {"f:a": {}}}));
        let theirs = set(
            &json!({"f:list": {"k:{\"name\":\"x\"}": {"f:env": {}}}, "f:data": {".": {}, "f:a": {}, "f:b": {}}}),
        );
        let (lost, rest) = split(&theirs, &leaving, false);
        assert_eq!(
            lost,
            set(&json!({"f:list": {"k:{\"name\":\"x\"}": {"f:env": {}}}, "f:data": {"f:a": {}}}))
        );
        assert_eq!(rest, set(&json!({"f:data": {".": {}, "f:b": {}}})));
        let (lost, rest) = split(&theirs, &leaving, true);
        assert_eq!(lost, set(&json!({"f:list": {"k:{\"name\":\"x\"}": {"f:env": {}}}})));
        assert_eq!(rest, set(&json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}})));
    }

    #[test]
    fn pointers_name_the_outermost_paths_with_the_positions_of_items() {
        let value = json!({"list": [{"name": "y"}, {"name": "x", "a": 1}], "data": {"a/b": "1"}});
        let held = set(&json!({"f:list": {"k:{\"name\":\"x\"}": {"f:a": {}}}, "f:data": {"f:a/b": {}}}));
        assert_eq!(pointers(&held, &value), ["/data/a~1b", "/list/1/a"]);
    }
}

//! Parts of objects, and paths in them that name items of keyed lists by their keys, as the API server merges them. Pure.

use serde_json::{Map, Value};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    Field(String),
    /// The item of a list with this key.
    Item(String),
}

pub type Path = Vec<Step>;

/// Lists that the API server replaces as a whole, though their items are objects.
const ATOMIC: &[&str] = &[
    "egress",
    "from",
    "ingress",
    "matchExpressions",
    "metrics",
    "paths",
    "policies",
    "rules",
    "steps",
    "subjects",
    "tls",
    "to",
    "tolerations",
];

/// Objects and lists that the API server replaces as a whole: what others add to them goes with git's next apply.
pub const WHOLE: &[&str] = &["selector", "podSelector", "nodeSelector", "versions"];

/// A path as text: `/spec/ports[80/TCP]/name`.
pub fn show(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(name) => text.extend(["/", &name.replace('~', "~0").replace('/', "~1")]),
            Step::Item(key) => text.extend(["[", key, "]"]),
        }
    }
    text
}

/// The path of `spec/ports[80/TCP]/name`, in which a `~1` stands for a slash in a name.
pub fn path(text: &str) -> Path {
    let mut found = Path::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((key, behind)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            found.push(Step::Item(key.to_owned()));
            rest = behind;
        } else {
            rest = rest.trim_start_matches('/');
            let end = rest.find(['/', '[']).unwrap_or(rest.len());
            found.push(Step::Field(rest[..end].replace("~1", "/")));
            rest = &rest[end..];
        }
    }
    found
}

/// The key of an item of a list of this name, if the list has keys.
pub fn key(list: &str, item: &Value) -> Option<String> {
    let item = item.as_object().filter(|_| !ATOMIC.contains(&list))?;
    let text = |field: &str| {
        item.get(field).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    match list {
        "ports" => {
            let port = text("port").or_else(|| text("containerPort"))?;
            Some(format!("{port}/{}", text("protocol").unwrap_or_else(|| "TCP".to_owned())))
        }
        "volumeMounts" => text("mountPath"),
        "hostAliases" => text("ip"),
        "topologySpreadConstraints" => text("topologyKey"),
        _ => text("name"),
    }
}

/// Lays a part over another one: objects and keyed lists are merged, all else is replaced.
pub fn merge(into: &mut Value, from: &Value) {
    merge_in("", into, from);
}

fn merge_in(list: &str, into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge_in(name, into.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(from)) if is_keyed(list, from) => {
            for item in from {
                let wanted = key(list, item);
                match into.iter_mut().find(|known| key(list, known) == wanted) {
                    Some(known) => merge_in("", known, item),
                    None => into.push(item.clone()),
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn is_keyed(list: &str, items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(|item| key(list, item).is_some())
}

/// Every value that is no object and no keyed list, and every empty one, with its path.
pub fn leaves(value: &Value) -> Vec<(Path, Value)> {
    let mut found = Vec::new();
    collect("", value, &mut Path::new(), &mut found);
    found
}

fn collect(list: &str, value: &Value, at: &mut Path, found: &mut Vec<(Path, Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                at.push(Step::Field(name.clone()));
                collect(name, value, at, found);
                at.pop();
            }
        }
        Value::Array(items) if is_keyed(list, items) => {
            for item in items {
                at.push(Step::Item(key(list, item).unwrap_or_default()));
                collect("", item, at, found);
                at.pop();
            }
        }
        _ => found.push((at.clone(), value.clone())),
    }
}

/// The value at a path.
pub fn get<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    let mut at = value;
    let mut list = "";
    for step in path {
        at = match step {
            Step::Field(name) => {
                list = name;
                at.get(name)?
            }
            Step::Item(wanted) => {
                at.as_array()?.iter().find(|item| key(list, item).as_ref() == Some(wanted))?
            }
        };
    }
    Some(at)
}

/// Takes away what is at a path, and the objects around it that are empty then.
pub fn remove(value: &mut Value, path: &[Step]) {
    let Some((first, rest)) = path.split_first() else { return };
    let Step::Field(name) = first else { return };
    let Some(fields) = value.as_object_mut() else { return };
    remove_field(fields, name, rest);
}

fn remove_field(fields: &mut Map<String, Value>, name: &str, rest: &[Step]) {
    let Some(inner) = fields.get_mut(name) else { return };
    match rest {
        [] => *inner = Value::Null,
        [Step::Item(wanted), behind @ ..] => {
            let Some(items) = inner.as_array_mut() else { return };
            match behind {
                [] => items.retain(|item| key(name, item).as_ref() != Some(wanted)),
                _ => items
                    .iter_mut()
                    .filter(|item| key(name, item).as_ref() == Some(wanted))
                    .for_each(|item| remove(item, behind)),
            }
        }
        _ => remove(inner, rest),
    }
    let empty = match inner {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if empty {
        fields.remove(name);
    }
}

/// True if one of the paths is the beginning of the other.
pub fn related(one: &[Step], other: &[Step]) -> bool {
    one.iter().zip(other).all(|(one, other)| one == other)
}

/// True if what is at a path decides all that is there: an empty object says nothing of what is in it.
pub fn says_all(value: &Value, path: &[Step]) -> bool {
    let is_empty = value.as_object().is_some_and(Map::is_empty);
    !is_empty || matches!(path.last(), Some(Step::Field(name)) if WHOLE.contains(&&**name))
}

/// True if all fields of the first value are in the second one.
pub fn within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|whole| within(value, whole)))
        }
        _ => part == whole,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{get, leaves, merge, path, remove, says_all, show, within};

    #[test]
    fn an_empty_object_leaves_its_fields_to_others() {
        assert!(!says_all(&json!({}), &path("spec/free")));
        assert!(says_all(&json!({}), &path("spec/podSelector")));
        assert!(says_all(&json!({"a": 1}), &path("spec/free")));
        assert!(within(&json!({"a": {"b": 1}}), &json!({"a": {"b": 1, "c": 2}, "d": 3})));
        assert!(!within(&json!({"a": 1}), &json!({})));
    }

    #[test]
    fn paths_name_items_by_their_keys() {
        let service = json!({"spec": {"ports": [{"port": 80, "name": "http"}], "rules": [{"name": "a"}]}});
        let shown: Vec<String> = leaves(&service).iter().map(|(path, _)| show(path)).collect();
        assert_eq!(shown, ["/spec/ports[80/TCP]/name", "/spec/ports[80/TCP]/port", "/spec/rules"]);
        assert_eq!(get(&service, &path("spec/ports[80/TCP]/name")), Some(&json!("http")));
    }

    #[test]
    fn parts_are_merged_by_key_and_taken_out_again() {
        let mut pod = json!({"containers": [{"name": "a", "image": "one"}]});
        merge(&mut pod, &json!({"containers": [{"name": "a", "env": [{"name": "A", "value": "1"}]}]}));
        assert_eq!(get(&pod, &path("containers[a]/env[A]/value")), Some(&json!("1")));
        remove(&mut pod, &path("containers[a]/env[A]"));
        assert_eq!(pod, json!({"containers": [{"name": "a", "image": "one"}]}));
    }
}

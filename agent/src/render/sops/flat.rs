//! Metadata in formats without nesting: `age__list_0__map_recipient` stands for `recipient` in the first item of `age`.
//!
//! Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// More items than any metadata has.
const MOST_ITEMS: usize = 1000;

/// Nests flat keys again. None where they do not fit together.
pub(super) fn nested(entries: impl Iterator<Item = (String, String)>) -> Option<Value> {
    let mut root = Map::new();
    for (key, text) in entries {
        let mut steps = key.split("__map_").flat_map(|keys| {
            let mut parts = keys.split("__list_");
            let first = parts.next().map(|key| Step::Key(key.to_owned()));
            first.into_iter().chain(parts.map(|index| Step::Item(index.parse().unwrap_or(MOST_ITEMS))))
        });
        let Some(Step::Key(first)) = steps.next() else { return None };
        let mut place = root.entry(first).or_insert(Value::Null);
        for step in steps {
            place = match step {
                Step::Key(key) => object(place)?.entry(key).or_insert(Value::Null),
                Step::Item(index) => item(place, index)?,
            };
        }
        if !place.is_null() {
            return None;
        }
        *place = Value::String(text);
    }
    Some(Value::Object(root))
}

enum Step {
    Key(String),
    Item(usize),
}

fn object(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

fn item(value: &mut Value, index: usize) -> Option<&mut Value> {
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    let items = value.as_array_mut()?;
    if index >= MOST_ITEMS {
        return None;
    }
    if items.len() <= index {
        items.resize(index + 1, Value::Null);
    }
    items.get_mut(index)
}

/// Metadata out of flat entries, in which a line break is written as `\n`.
pub(super) fn metadata(entries: &BTreeMap<String, String>) -> Option<Value> {
    nested(entries.iter().map(|(key, text)| (key.clone(), text.replace("\\n", "\n"))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flat_keys_are_nested_again() {
        let check = |keys: &[&str], expected: Option<Value>| {
            let entries = keys.iter().map(|key| ((*key).to_owned(), "x".to_owned()));
            assert_eq!(nested(entries), expected, "{keys:?}");
        };
        check(&["mac", "version"], Some(json!({"mac": "x", "version": "x"})));
        check(
            &["age__list_0__map_enc", "age__list_0__map_recipient", "age__list_1__map_enc"],
            Some(json!({"age": [{"enc": "x", "recipient": "x"}, {"enc": "x"}]})),
        );
        check(
            &["key_groups__list_0__map_age__list_0__map_enc"],
            Some(json!({"key_groups": [{"age": [{"enc": "x"}]}]})),
        );
        check(&["age", "age__list_0__map_enc"], None);
        check(&["age__list_99999999"], None);
    }
}

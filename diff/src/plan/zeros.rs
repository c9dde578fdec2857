//! Values in Git that the API server does not store: `false`, 0, `""`, `[]` and `{}` of fields that it leaves out when they have
//! that value.
//!
//! Such a field has no owner, so a change of it by others is noticed only if all fields of the object are watched. Pure.

use serde_json::Value;

use super::items::counterpart;

/// True if a manifest sets a field to a zero value that a live object does not have.
pub fn has_unstored(manifest: &Value, live: &Value) -> bool {
    match (manifest, live) {
        (Value::Object(fields), Value::Object(values)) => fields.iter().any(|(name, field)| {
            values.get(name).map_or_else(|| is_zero(field), |value| has_unstored(field, value))
        }),
        (Value::Array(items), Value::Array(values)) => {
            items.iter().enumerate().any(|(at, item)| match counterpart(items, at, values).position() {
                Some(found) => has_unstored(item, &values[found]),
                None => has_zero(item),
            })
        }
        _ => false,
    }
}

/// True if a value contains a zero value.
fn has_zero(value: &Value) -> bool {
    match value {
        Value::Array(items) if !items.is_empty() => items.iter().any(has_zero),
        Value::Object(fields) if !fields.is_empty() => fields.values().any(has_zero),
        _ => is_zero(value),
    }
}

/// True for a zero value, and for a value that contains nothing else.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(items) => items.iter().all(is_zero),
        Value::Object(fields) => fields.values().all(is_zero),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn zero_values_that_the_server_left_out_are_found_at_any_depth() {
        let live = json!({"spec": {"replicas": 0, "list": [{"name": "b"}, {"name": "a", "value": "x"}], "map": {"a": "b"},
            "twice": [{"name": "v", "path": "/a", "only": true}, {"name": "v", "path": "/b"}]}});
        for (manifest, expected) in [
            (json!({"spec": {"replicas": 0}}), false),
            (json!({"spec": {"ingress": []}}), true),
            (json!({"spec": {"paused": false}}), true),
            (json!({"spec": {"paused": true}}), false),
            (json!({"spec": {"selector": {}}}), true),
            (json!({"spec": {"context": {"a": {"b": ""}}}}), true),
            (json!({"spec": {"list": [{"name": "a", "value": "x"}, {"name": "b", "value": ""}]}}), true),
            (json!({"spec": {"list": [{"name": "a", "value": ""}]}}), false),
            (json!({"spec": {"map": {}}}), false),
            (
                json!({"spec": {"twice": [{"name": "v", "path": "/a", "only": true}, {"name": "v", "path": "/b", "only": false}]}}),
                true,
            ),
            (json!({"spec": {"list": [{"path": "/b", "only": false}]}}), true),
            (json!({"spec": {"list": [{"path": "/b", "only": true}]}}), false),
        ] {
            assert_eq!(has_unstored(&manifest, &live), expected, "{manifest}");
        }
    }
}

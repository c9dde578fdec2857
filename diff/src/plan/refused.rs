//! The differences of a live object from a manifest that the API server refuses to apply.
//!
//! Without a prediction of the server, field ownership decides: a value that Holdfast owns is unchanged, in whatever
//! form the server stores it, and one that Holdfast no longer owns was written by another manager. Pure.

use std::sync::Arc;

use serde_json::Value;

use super::change::Change;
use super::effect::{describe, effect, uid};
use super::operation::Operation;
use crate::compare::{self, Difference};
use crate::fields::{self, MANAGER};
use crate::mask::Masks;
use crate::object::{Manifest, ObjectId};
use crate::order::Stage;
use crate::pointer;

/// Returns the differences of a live object from its manifest, without planning a change. `None` if there are none.
pub fn refused(manifest: &Arc<Manifest>, object: &ObjectId, masks: &Masks, live: &Value) -> Option<Change> {
    let differences = differences(live, &manifest.value);
    if differences.is_empty() {
        return None;
    }
    Some(Change {
        reason: "differs from Git".to_owned(),
        effect: effect(&differences),
        fields: describe(object, live, masks, differences),
        origin: Some(manifest.origin.clone()),
        uid: uid(live),
        ..Change::of(Operation::Update, object.clone(), manifest.api_version.clone(), Stage::of(manifest))
    })
}

/// Returns the fields of a manifest that are missing or have another value, and that another manager owns.
fn differences(live: &Value, manifest: &Value) -> Vec<Difference> {
    let mut search = Search { live, path: String::new(), found: Vec::new() };
    search.walk(Some(live), &compare::essence(manifest));
    search.found
}

struct Search<'a> {
    live: &'a Value,
    path: String,
    found: Vec<Difference>,
}

impl Search<'_> {
    fn walk(&mut self, live: Option<&Value>, wanted: &Value) {
        match (live, wanted) {
            (_, Value::Null) => {}
            (None, wanted) if is_blank(wanted) => {}
            (Some(Value::Object(live)), Value::Object(wanted)) => {
                for (name, wanted) in wanted {
                    self.step(&pointer::escape(name), live.get(name), wanted);
                }
            }
            (Some(Value::Array(items)), Value::Array(wanted)) => self.list(items, wanted),
            (Some(live), wanted) if compare::values(live, wanted).is_empty() => {}
            (live, wanted) => self.push(live, wanted),
        }
    }

    fn step(&mut self, segment: &str, live: Option<&Value>, wanted: &Value) {
        let length = self.path.len();
        self.path.push('/');
        self.path.push_str(segment);
        self.walk(live, wanted);
        self.path.truncate(length);
    }

    /// Items with unique names are compared by name, others by their position. Added items are not differences.
    fn list(&mut self, items: &[Value], wanted: &[Value]) {
        if let (Some(items), Some(wanted)) = (compare::by_name(items), compare::by_name(wanted)) {
            for (name, (new_at, wanted)) in wanted {
                let at = items.get(name).map_or(new_at, |(at, _)| *at);
                self.step(&at.to_string(), items.get(name).map(|(_, item)| *item), wanted);
            }
        } else if items.len() == wanted.len() {
            for (at, (item, wanted)) in items.iter().zip(wanted).enumerate() {
                self.step(&at.to_string(), Some(item), wanted);
            }
        } else if !wanted.iter().all(|wanted| items.iter().any(|item| covers(item, wanted))) {
            self.found.push(Difference {
                path: self.path.clone(),
                before: Some(items.into()),
                after: Some(wanted.into()),
            });
        }
    }

    fn push(&mut self, live: Option<&Value>, wanted: &Value) {
        let is_ours = || {
            let owners = fields::owners(self.live, &self.path);
            owners.iter().any(|owner| owner.manager == MANAGER && owner.operation == "Apply")
        };
        if live.is_none() || !is_ours() {
            self.found.push(Difference {
                path: self.path.clone(),
                before: live.cloned(),
                after: Some(wanted.clone()),
            });
        }
    }
}

/// True for values that the server does not store: null, and the zero value of a type.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_blank),
    }
}

/// True if a value contains everything that another one has.
fn covers(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => part
            .iter()
            .all(|(name, part)| is_blank(part) || value.get(name).is_some_and(|value| covers(value, part))),
        (Value::Array(value), Value::Array(part)) => {
            value.len() == part.len() && value.iter().zip(part).all(|(value, part)| covers(value, part))
        }
        _ => compare::values(value, part).is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(live: &Value, manifest: &Value, expected: &[&str]) {
        let found: Vec<String> = differences(live, manifest)
            .into_iter()
            .map(|Difference { path, before, after }| {
                format!("{path}: {} -> {}", before.unwrap_or_default(), after.unwrap_or_default())
            })
            .collect();
        assert_eq!(found, expected);
    }

    fn owned(fields: &Value) -> Value {
        json!([{"manager": "holdfast", "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}])
    }

    #[test]
    fn what_we_own_is_as_it_was_applied_however_the_server_writes_it() {
        let live = json!({"metadata": {"managedFields": owned(&json!({"f:spec": {"f:cpu": {}}}))}, "spec": {"cpu": "1", "size": 2}});
        check(&live, &json!({"spec": {"cpu": "1000m", "size": 3}}), &["/spec/size: 2 -> 3"]);
    }

    #[test]
    fn what_is_missing_differs_unless_it_is_a_zero_value() {
        let live = json!({"spec": {}});
        let manifest =
            json!({"spec": {"a": {"b": 1}, "c": false, "d": {"e": ""}, "f": null}, "status": {"g": 1}});
        check(&live, &manifest, &["/spec/a: null -> {\"b\":1}"]);
    }

    #[test]
    fn a_zero_value_differs_from_another_one() {
        check(
            &json!({"spec": {"paused": true}}),
            &json!({"spec": {"paused": false}}),
            &["/spec/paused: true -> false"],
        );
    }

    #[test]
    fn what_others_added_is_no_difference() {
        let live = json!({"spec": {"more": 1, "list": [{"name": "x"}, {"name": "a", "v": 2, "w": 1}], "args": [{"p": 1, "q": 2}, {"p": 3}]}});
        let manifest = json!({"spec": {"list": [{"name": "a", "v": 3}], "args": [{"p": 1}]}});
        check(&live, &manifest, &["/spec/list/1/v: 2 -> 3"]);
        let manifest = json!({"spec": {"args": [{"p": 4}]}});
        check(&live, &manifest, &["/spec/args: [{\"p\":1,\"q\":2},{\"p\":3}] -> [{\"p\":4}]"]);
    }
}

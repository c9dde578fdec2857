//! The owner references of live objects. The garbage collector deletes an object with its owners. Pure.

use holdfast_diff::fields;
use serde_json::Value;

/// The owner references of an object.
pub fn all(live: &Value) -> impl Iterator<Item = &Value> {
    live.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten()
}

/// The owner references that Git did not set.
pub fn of_others(live: &Value) -> impl Iterator<Item = &Value> {
    let ours = fields::applied(live).and_then(|(_, fields)| fields.pointer("/f:metadata/f:ownerReferences"));
    all(live).filter(move |reference| {
        let element = format!("k:{{\"uid\":{}}}", reference["uid"]);
        ours.is_none_or(|ours| ours.get(&element).is_none())
    })
}

/// The UIDs in owner references.
pub fn uids<'a>(references: impl Iterator<Item = &'a Value>) -> Vec<Box<str>> {
    references.filter_map(|reference| reference.get("uid")?.as_str()).map(Into::into).collect()
}

//! The effect of a change: which differences count, what they mean for the id of the plan, and how they are shown.
//! Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::applyset::MARK;
use super::change::FieldChange;
use super::compare::Difference;
use super::fields::{self, MANAGER};
use super::mask::{Masks, mask};
use crate::digest::{Digest, Hasher};
use crate::object::ObjectId;
use crate::pointer;

/// True if a path was not applied but set by admission during an apply: the API server records it as an
/// update by the manager that applied.
pub fn is_side_effect(live: &Value, predicted: &Value, path: &str) -> bool {
    let owns = |object: &Value, operation: &str| {
        fields::owners(object, path)
            .iter()
            .any(|owner| owner.manager == MANAGER && owner.operation == operation)
    };
    let either = |operation| owns(live, operation) || owns(predicted, operation);
    either("Update") && !either("Apply")
}

/// Returns the fields whose owner an apply changes without changing the value; each is a difference
/// with the same value before and after.
pub fn taken_over(live: &Value, predicted: &Value, manifest: &Value) -> Vec<Difference> {
    let own = |object: &Value| fields::applied(object).map(|(_, fields)| leaves(object, fields));
    let (before, after) = (own(live).unwrap_or_default(), own(predicted).unwrap_or_default());
    let mark = format!("/metadata/annotations/{}", pointer::escape(MARK));
    before
        .symmetric_difference(&after)
        .filter(|path| **path != mark)
        // A map that is `{}` in Git does not own the entries of others.
        .filter(|path| before.contains(*path) || manifest.pointer(path).is_some())
        .map(|path| Difference {
            path: path.clone(),
            before: live.pointer(path).cloned(),
            after: predicted.pointer(path).cloned(),
        })
        .collect()
}

/// Returns the paths of the scalars in a field set.
fn leaves(object: &Value, set: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&mut String::new(), &fields::extract(object, set), &mut found);
    found
}

fn collect(path: &mut String, value: &Value, found: &mut BTreeSet<String>) {
    let length = path.len();
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                pointer::push(path, name);
                collect(path, field, found);
                path.truncate(length);
            }
        }
        // Positions in a part of a list are not positions in the list, so the whole list is used.
        _ => {
            found.insert(path.clone());
        }
    }
}

pub fn effect(differences: &[Difference]) -> Digest {
    let mut hasher = Hasher::default();
    for Difference { path, before, after } in differences {
        hasher.text(path);
        for side in [before, after] {
            match side {
                Some(value) => hasher.value(value),
                None => hasher.bytes(b"-"),
            }
        }
    }
    hasher.finish()
}

pub fn describe(
    object: &ObjectId,
    live: &Value,
    masks: &Masks,
    differences: Vec<Difference>,
) -> Vec<FieldChange> {
    differences
        .into_iter()
        .map(|difference| {
            let owners = match difference.before {
                Some(_) => fields::owners(live, &difference.path),
                None => Vec::new(),
            };
            let Difference { path, before, after } = mask(&object.kind, masks, difference);
            FieldChange { path, before, after, owners }
        })
        .collect()
}

pub fn uid(live: &Value) -> Option<String> {
    live.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned)
}

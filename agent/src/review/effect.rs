//! The effect of a merge on a cluster: the plan for the merge, without the changes that the base makes anyway.
//!
//! `now` is the plan from the live cluster to the base, `then` the plan from the live cluster to the merge. A change in both is
//! drift, or is not applied yet: the merge does not cause it. Pure.

use std::collections::HashMap;

use holdfast_diff::compare::{Difference, essence};
use holdfast_diff::mask::{HIDDEN, Masks, mask};
use holdfast_diff::object::{GroupKind, ObjectId};
use holdfast_diff::plan::{Change, FieldChange, Operation, Plan};
use serde::Serialize;
use serde_json::Value;

/// The effect of a merge on the objects of one Sync.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// The changes that the merge causes, in the order of apply.
    pub changes: Vec<Affected>,
    /// The changes that the base makes without the merge: drift, and commits that are not applied yet.
    pub pending: Vec<Change>,
    /// Differences between the live objects and the base that the merge resolves: the live values are those of the merge.
    pub accepted: Vec<Change>,
}

/// One object that the merge changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Affected {
    /// The change, with only the fields that the merge changes.
    pub change: Change,
    /// Drift of these fields, which the merge overwrites: the live value, the value of the base, and the owner of the live one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overwrites: Vec<FieldChange>,
    /// The whole object if it is created, with masked secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Value>,
}

impl Affected {
    fn new(change: Change, overwrites: Vec<FieldChange>, masks: &Masks) -> Self {
        let manifest = change.manifest.as_ref().filter(|_| change.operation == Operation::Create);
        let created =
            manifest.and_then(|manifest| masked(&change.object.kind, masks, essence(&manifest.value)));
        Self { change, overwrites, created }
    }
}

/// Masks the secrets of a whole object: in a Secret by the path of a value, elsewhere by its text.
fn masked(kind: &GroupKind, masks: &Masks, value: Value) -> Option<Value> {
    if !kind.is("", "Secret") {
        return Some(hidden(masks, value));
    }
    mask(kind, masks, Difference { path: String::new(), before: None, after: Some(value) }).after
}

fn hidden(masks: &Masks, value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, field)| (masks.hide(&name).into_owned(), hidden(masks, field)))
            .collect(),
        Value::Array(items) => items.into_iter().map(|item| hidden(masks, item)).collect(),
        scalar if masks.touches(&scalar) => HIDDEN.into(),
        scalar => scalar,
    }
}

impl Effect {
    /// Computes the effect of a merge on the cluster with this id. The values of `masks` are hidden.
    pub fn of(cluster: &str, now: &Plan, then: &Plan, masks: &Masks) -> Self {
        let before: HashMap<&ObjectId, &Change> =
            now.changes.iter().map(|change| (&change.object, change)).collect();
        let mut effect = Self::default();
        for change in &then.changes {
            match before.get(&change.object) {
                None => effect.changes.push(Affected::new(change.clone(), Vec::new(), masks)),
                Some(known) if known.digest(cluster) == change.digest(cluster) => {
                    effect.pending.push(change.clone());
                }
                Some(known) => effect.take(known, change, masks),
            }
        }
        let after: HashMap<&ObjectId, &Change> =
            then.changes.iter().map(|change| (&change.object, change)).collect();
        let gone = now.changes.iter().filter(|change| !after.contains_key(&change.object));
        effect.accepted.extend(gone.cloned());
        effect
    }

    /// True if the merge changes nothing in the cluster.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Adds a change of an object that the base changes too.
    fn take(&mut self, known: &Change, change: &Change, masks: &Masks) {
        let drift = known.fields.iter().filter(|field| is_drift(field));
        if known.operation != change.operation || change.operation == Operation::Create {
            let overwrites = drift.cloned().collect();
            self.changes.push(Affected::new(change.clone(), overwrites, masks));
            return;
        }
        let (own, shared): (Vec<FieldChange>, Vec<FieldChange>) =
            change.fields.iter().cloned().partition(|field| !is_shared(known, change, field));
        let is_touched = |field: &&FieldChange| own.iter().any(|own| overlap(&own.path, &field.path));
        let overwrites = drift.filter(is_touched).cloned().collect();
        let resolved =
            |field: &&FieldChange| !change.fields.iter().any(|other| overlap(&other.path, &field.path));
        let resolved: Vec<FieldChange> = known.fields.iter().filter(resolved).cloned().collect();
        if !own.is_empty() {
            self.changes.push(Affected::new(with(change, own), overwrites, masks));
        }
        if !shared.is_empty() {
            self.pending.push(with(change, shared));
        }
        if !resolved.is_empty() {
            self.accepted.push(with(known, resolved));
        }
    }
}

/// True if another field manager wrote the live value.
pub fn is_drift(field: &FieldChange) -> bool {
    field.owners.first().is_some_and(|owner| !owner.is_holdfast())
}

fn with(change: &Change, fields: Vec<FieldChange>) -> Change {
    let mut change = change.clone();
    change.fields = fields;
    change
}

/// True if the base changes a field to the same value.
fn is_shared(known: &Change, change: &Change, field: &FieldChange) -> bool {
    let same = |other: &&FieldChange| {
        let (FieldChange { path, before, after, .. }, other) = (field, *other);
        (path, before, after) == (&other.path, &other.before, &other.after)
    };
    let is_known = known.fields.iter().any(|other| same(&other));
    is_known && !(is_hidden(field.after.as_ref()) && differs_in_git(known, change, &field.path))
}

/// True if a value is masked: two masked values can be equal although the values differ.
fn is_hidden(value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(text)) => text.starts_with(HIDDEN),
        Some(Value::Array(items)) => items.iter().any(|item| is_hidden(Some(item))),
        Some(Value::Object(fields)) => fields.values().any(|field| is_hidden(Some(field))),
        _ => false,
    }
}

/// True if the values at a path differ between two manifests. If neither manifest has the path, the whole manifests are compared.
fn differs_in_git(known: &Change, change: &Change, path: &str) -> bool {
    let (Some(one), Some(other)) = (&known.manifest, &change.manifest) else { return true };
    let (one, other) = (&one.value, &other.value);
    // The API server keeps the strings of a Secret as data.
    let strings = path.strip_prefix("/data/").map(|key| format!("/stringData/{key}"));
    let all = |value: &Value| -> Vec<Value> {
        let paths = [Some(path), strings.as_deref()];
        paths.into_iter().flatten().filter_map(|path| value.pointer(path).cloned()).collect()
    };
    let (before, after) = (all(one), all(other));
    if before.is_empty() && after.is_empty() { one != other } else { before != after }
}

/// True if two paths are equal, or one is a parent of the other.
fn overlap(one: &str, other: &str) -> bool {
    let inside = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    inside(one, other) || inside(other, one)
}

#[cfg(test)]
mod tests;

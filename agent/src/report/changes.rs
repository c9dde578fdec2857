//! The changes of a plan in a status and in messages, truncated to limits. Pure.

use holdfast_diff::plan::{Change, FieldChange, Operation};
use holdfast_diff::visible;
use serde_json::Value;

use crate::api::{ChangeStatus, FieldStatus, ObjectStatus, PlanSummary};

/// Maximum size of the changes of a plan in a status, in bytes of JSON; `holdfast plan` shows all.
const LISTED_BYTES: usize = 9 * 1024;
/// Maximum number of fields that a status lists for one change.
const LISTED_FIELDS: usize = 10;
/// Maximum characters of a value in a status.
const LISTED_VALUE: usize = 120;
/// Maximum characters of a path in a status.
const LISTED_PATH: usize = 1024;

pub fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Counts changes by operation.
pub fn summary<'a>(changes: impl IntoIterator<Item = &'a Change>) -> PlanSummary {
    let operations: Vec<Operation> = changes.into_iter().map(|change| change.operation).collect();
    let count = |operation| number(operations.iter().filter(|each| **each == operation).count());
    PlanSummary {
        create: count(Operation::Create),
        update: count(Operation::Update),
        delete: count(Operation::Delete),
        recreate: count(Operation::Recreate),
        adopt: count(Operation::Adopt),
        r#move: count(Operation::Move),
        orphan: count(Operation::Orphan),
    }
}

/// Returns as many changes as fit into a status.
pub fn listed(changes: &[Change]) -> Vec<ChangeStatus> {
    let mut room = LISTED_BYTES;
    let mut fits = |change: &ChangeStatus| {
        let size = serde_json::to_vec(change).map_or(LISTED_BYTES, |json| json.len());
        room = room.saturating_sub(size);
        room > 0
    };
    changes.iter().map(change).take_while(|change| fits(change)).collect()
}

pub fn omitted(all: usize, listed: usize) -> Option<i64> {
    Some(number(all - listed)).filter(|omitted| *omitted > 0)
}

fn change(change: &Change) -> ChangeStatus {
    ChangeStatus {
        operation: change.operation.word().to_owned(),
        object: ObjectStatus {
            api_version: change.api_version.clone(),
            kind: change.object.kind.kind.clone(),
            namespace: change.object.namespace.to_string(),
            name: change.object.name.to_string(),
        },
        reason: cut(&change.reason, LISTED_VALUE * 4),
        origin: change.origin.as_ref().map(|origin| cut(&origin.to_string(), LISTED_PATH)),
        fields: change.fields.iter().take(LISTED_FIELDS).map(field).collect(),
        omitted: omitted(change.fields.len(), change.fields.len().min(LISTED_FIELDS)),
    }
}

fn field(field: &FieldChange) -> FieldStatus {
    let text = |value: &Value| cut(&json(value), LISTED_VALUE);
    FieldStatus {
        path: cut(&field.path, LISTED_PATH),
        before: field.before.as_ref().map(text),
        after: field.after.as_ref().map(text),
        manager: field.owners.first().map(|owner| cut(&owner.to_string(), LISTED_VALUE)),
    }
}

/// Returns a value as JSON on one line, in which hidden characters are escaped.
pub fn json(value: &Value) -> String {
    visible::json(&value.to_string()).into_owned()
}

/// Returns a text on one line in which hidden characters are visible, truncated with a note.
pub fn cut(text: &str, limit: usize) -> String {
    beginning(&visible::line(text), limit)
}

/// Returns a text truncated with a note. Its characters are not changed, for data.
pub fn beginning(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}… ({} more)", &text[..at], text.len() - at),
        None => text.to_owned(),
    }
}

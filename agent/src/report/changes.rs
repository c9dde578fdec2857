//! How the changes of a plan stand in a status and in messages: cut to what there is room for. Pure.

use holdfast_diff::plan::{Change, FieldChange, Operation};
use serde_json::Value;

use crate::api::{ChangeStatus, FieldStatus, ObjectStatus, PlanSummary};

/// Bytes of JSON that the changes of a plan may have in a status; `holdfast plan` shows all.
const LISTED_BYTES: usize = 9 * 1024;
/// Fields that a status lists for one change.
const LISTED_FIELDS: usize = 10;
/// Characters of a value in a status.
const LISTED_VALUE: usize = 120;

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

/// As many changes as a status has room for.
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
        origin: change.origin.as_ref().map(ToString::to_string),
        fields: change.fields.iter().take(LISTED_FIELDS).map(field).collect(),
        omitted: omitted(change.fields.len(), change.fields.len().min(LISTED_FIELDS)),
    }
}

fn field(field: &FieldChange) -> FieldStatus {
    let text = |value: &Value| cut(&value.to_string(), LISTED_VALUE);
    FieldStatus {
        path: field.path.clone(),
        before: field.before.as_ref().map(text),
        after: field.after.as_ref().map(text),
        manager: field.owners.first().map(ToString::to_string),
    }
}

/// Cuts a text at a character and says so.
pub fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}… ({} more)", &text[..at], text.len() - at),
        None => text.to_owned(),
    }
}

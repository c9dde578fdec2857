//! Drift as a status and an alert have it: which object, which fields, from what to what, by which manager. Pure.

use holdfast_diff::plan::{Change, FieldChange, Operation};
use jiff::Timestamp;

use crate::api::{DriftChange, DriftObject, DriftState};

/// Drift of one object, as its change says it.
pub fn object(change: &Change, state: DriftState, now: Timestamp) -> DriftObject {
    DriftObject {
        api_version: change.api_version.clone(),
        kind: change.object.kind.kind.clone(),
        namespace: change.object.namespace.to_string(),
        name: change.object.name.to_string(),
        state,
        since: now,
        deleted: change.operation == Operation::Create,
        changes: change.fields.iter().map(field).collect(),
        omitted: None,
        note: None,
        ignore: None,
        origin: change.origin.as_ref().map(ToString::to_string),
        manifest: None,
    }
}

fn field(field: &FieldChange) -> DriftChange {
    let owner = field.owners.first();
    DriftChange {
        path: field.path.clone(),
        desired: field.after.clone(),
        live: field.before.clone(),
        manager: owner.map(|owner| owner.manager.clone()),
        operation: owner.map(|owner| owner.operation.clone()),
        subresource: owner.and_then(|owner| owner.subresource.clone()),
        time: owner.and_then(|owner| owner.time.clone()),
        user: None,
        ghost: false,
    }
}

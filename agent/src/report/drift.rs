//! Drift as a status and an alert report it: which object, which fields, the values, and the manager that wrote them. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_diff::fields::Owner;
use holdfast_diff::ignore;
use holdfast_diff::object::{GroupKind, ObjectId};
use holdfast_diff::plan::{Change, FieldChange, Operation};
use jiff::Timestamp;
use serde_json::Value;

use super::changes::{beginning, cut, json, number};
use crate::api::{DriftChange, DriftObject, DriftState, DriftStatus};

/// Maximum number of objects of an episode.
const EPISODE: usize = 1000;
/// Maximum size of the objects in a status, in bytes of JSON.
const LISTED_BYTES: usize = 6 * 1024;
/// Maximum number of reported fields of one object.
const LISTED_FIELDS: usize = 20;
/// Maximum size of a value that is reported completely, in bytes.
const LISTED_VALUE: usize = 1024;

/// The note if an autoscaler and Git set the same field.
const SCALED: &str = "an autoscaler sets spec.replicas: remove it from Git";

/// The drift that a run found.
#[derive(Debug, Default)]
pub struct Drift {
    /// Objects that still differ.
    pub left: Vec<DriftObject>,
    /// Objects that were corrected.
    pub corrected: Vec<DriftObject>,
    /// True if nothing was corrected for so long that the episode may end.
    pub settled: bool,
    /// True if objects that are not listed here may still differ.
    pub partial: bool,
    /// True if not every object could be compared with Git.
    pub unverified: bool,
}

/// Returns the drift of one object, from the change that would correct it.
pub fn object(change: &Change, state: DriftState, now: Timestamp) -> DriftObject {
    let paths: Vec<&str> = change.fields.iter().map(|field| field.path.as_str()).collect();
    DriftObject {
        api_version: change.api_version.clone(),
        kind: change.object.kind.kind.clone(),
        namespace: change.object.namespace.to_string(),
        name: change.object.name.to_string(),
        state,
        since: now,
        deleted: change.operation == Operation::Create,
        user: None,
        changes: change.fields.iter().take(LISTED_FIELDS).map(field).collect(),
        omitted: change.fields.len().checked_sub(LISTED_FIELDS).filter(|more| *more > 0).map(number),
        note: scaled(change).then(|| SCALED.to_owned()),
        ignore: (!paths.is_empty()).then(|| ignore::suggest(&change.object, &paths)),
        origin: change.origin.as_ref().map(ToString::to_string),
        manifest: None,
        refusal: None,
    }
}

/// Returns the report of fields that left Git and stay, since a controller owns them too.
pub fn kept(change: &Change, now: Timestamp) -> DriftObject {
    DriftObject { note: Some(why_kept(change)), ..object(change, DriftState::Drifted, now) }
}

/// True if this reports fields that left Git and stay.
pub fn is_kept(reported: &DriftObject) -> bool {
    let stays = |change: &DriftChange| !change.unmanaged && change.desired.is_none();
    let is_open = reported.state == DriftState::Drifted && !reported.deleted && reported.refusal.is_none();
    is_open && reported.manifest.is_none() && reported.note.is_some() && reported.changes.iter().all(stays)
}

/// Says why fields that left Git stay, and what to do about it.
pub fn why_kept(change: &Change) -> String {
    let owners = change.fields.iter().flat_map(|field| &field.owners).filter(|owner| !owner.is_holdfast());
    let mut managers: Vec<&str> = owners.map(|owner| owner.manager.as_str()).collect();
    managers.sort_unstable();
    managers.dedup();
    let paths: Vec<&str> = change.fields.iter().map(|field| field.path.as_str()).collect();
    let (managers, rule) = (managers.join(", "), ignore::suggest(&change.object, &paths));
    format!(
        "{} left Git and stays, because {managers} owns it too and may write it again; to remove it, stop {managers} from writing it, or to leave it to {managers}, add this to spec.drift.ignore: {rule}",
        paths.join(", ")
    )
}

/// True if an autoscaler wrote the replicas.
fn scaled(change: &Change) -> bool {
    let by_autoscaler = |owner: &Owner| {
        owner.manager == "kube-controller-manager" && owner.subresource.as_deref() == Some("scale")
    };
    change
        .fields
        .iter()
        .any(|field| field.path == "/spec/replicas" && field.owners.first().is_some_and(by_autoscaler))
}

/// Returns the id of the reported object.
pub fn id(reported: &DriftObject) -> ObjectId {
    let group = reported.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    ObjectId::new(Arc::new(GroupKind::new(group, &reported.kind)), &reported.namespace, &reported.name)
}

/// True if this is drift of that object.
pub fn is_of(reported: &DriftObject, object: &ObjectId) -> bool {
    let group = reported.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    object.kind.is(group, &reported.kind)
        && *object.namespace == *reported.namespace
        && *object.name == *reported.name
}

fn field(field: &FieldChange) -> DriftChange {
    let owner = field.owners.first();
    DriftChange {
        path: field.path.clone(),
        desired: field.after.as_ref().map(value),
        live: field.before.as_ref().map(value),
        manager: owner.map(|owner| owner.manager.clone()),
        operation: owner.map(|owner| owner.operation.clone()),
        subresource: owner.and_then(|owner| owner.subresource.clone()),
        time: owner.and_then(|owner| owner.time.clone()),
        user: None,
        unmanaged: false,
    }
}

/// Returns a value, or its beginning as text if it is long.
pub fn value(value: &Value) -> Value {
    match value {
        Value::String(text) => beginning(text, LISTED_VALUE).into(),
        Value::Array(_) | Value::Object(_) => {
            let text = value.to_string();
            if text.len() > LISTED_VALUE { beginning(&text, LISTED_VALUE).into() } else { value.clone() }
        }
        scalar => scalar.clone(),
    }
}

/// Returns the complete episode after a run, from the previous one and the drift of the run; `None` if none is open.
pub fn episode(
    before: Option<&DriftStatus>,
    Drift { left, corrected, settled, partial, unverified: _ }: &Drift,
    corrects: bool,
    now: Timestamp,
) -> Option<DriftStatus> {
    let mut objects: Vec<DriftObject> = left.iter().chain(corrected).cloned().collect();
    let places: HashMap<_, usize> =
        left.iter().chain(corrected).enumerate().map(|(at, object)| (identity(object), at)).collect();
    for reported in before.into_iter().flat_map(|before| &before.objects) {
        if let Some(at) = places.get(&identity(reported)) {
            let object = &mut objects[*at];
            if object.state == reported.state && agree(&object.changes, &reported.changes) {
                object.since = reported.since;
                object.user.clone_from(&reported.user);
                object.changes.clone_from(&reported.changes);
            }
        } else if *partial && reported.state != DriftState::Corrected {
            objects.push(reported.clone());
        } else if corrects && !settled && reported.state != DriftState::Snoozed {
            // Drift that was reported and is gone was corrected, perhaps just before a restart.
            let since = if reported.state == DriftState::Corrected { reported.since } else { now };
            let state = DriftState::Corrected;
            objects.push(DriftObject { state, since, manifest: None, refusal: None, ..reported.clone() });
        }
    }
    if objects.is_empty() {
        return None;
    }
    let before_omitted = before.and_then(|before| before.omitted).filter(|_| !settled).unwrap_or_default();
    let omitted = before_omitted + number(objects.len().saturating_sub(EPISODE));
    objects.truncate(EPISODE);
    let since = before.map_or(now, |before| before.since);
    Some(DriftStatus { since, objects, omitted: Some(omitted).filter(|omitted| *omitted > 0) })
}

/// Returns as much of an episode as a status has room for.
pub fn listed(DriftStatus { since, objects, omitted }: &DriftStatus) -> DriftStatus {
    let mut room = LISTED_BYTES;
    let mut fits = |object: &DriftObject| {
        let size = serde_json::to_vec(object).map_or(LISTED_BYTES, |json| json.len());
        room = room.saturating_sub(size);
        room > 0
    };
    let listed: Vec<DriftObject> = objects.iter().take_while(|object| fits(object)).cloned().collect();
    let omitted = omitted.unwrap_or_default() + number(objects.len() - listed.len());
    DriftStatus { since: *since, objects: listed, omitted: Some(omitted).filter(|omitted| *omitted > 0) }
}

/// True if the changes are the same, apart from the names of users.
fn agree(one: &[DriftChange], other: &[DriftChange]) -> bool {
    let anonymous = |change: &DriftChange| DriftChange { user: None, ..change.clone() };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| anonymous(one) == anonymous(other))
}

/// The key of an entry of an episode. Added fields of an object have an entry apart from its drift.
fn identity(reported: &DriftObject) -> (&str, &str, &str, &str, bool) {
    (&reported.api_version, &reported.kind, &reported.namespace, &reported.name, is_unmanaged(reported))
}

/// True if both entries are of the same object and sort.
pub fn is_same(one: &DriftObject, other: &DriftObject) -> bool {
    identity(one) == identity(other)
}

/// True if no reported field of the object is in Git.
pub fn is_unmanaged(reported: &DriftObject) -> bool {
    !reported.changes.is_empty() && reported.changes.iter().all(|change| change.unmanaged)
}

/// Describes drift for people, in one sentence for each object.
pub fn describe(objects: &[DriftObject]) -> String {
    let mut parts: Vec<String> = objects.iter().take(5).map(sentence).collect();
    if objects.len() > 5 {
        parts.push(format!("and {} more", objects.len() - 5));
    }
    parts.join("; ")
}

fn sentence(reported: &DriftObject) -> String {
    let DriftObject { kind, namespace, name, changes, deleted, note, refusal, .. } = reported;
    let place = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
    let mut what: Vec<String> = changes.iter().take(5).map(words).collect();
    if *deleted {
        what.push(deletion(reported));
    }
    if changes.len() > 5 {
        what.push(format!("and {} more fields", changes.len() - 5));
    }
    let note = note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    let refusal = refusal.as_deref().map(refused).unwrap_or_default();
    format!("{kind} {place}: {}{note}{refusal}", what.join(", "))
}

/// Says that an object cannot be corrected, and why.
fn refused(why: &str) -> String {
    format!("; it cannot be corrected: {why}")
}

/// Says who deleted an object.
pub fn deletion(reported: &DriftObject) -> String {
    match &reported.user {
        Some(user) => format!("was deleted by user {user}"),
        None => "was deleted (the API server does not record the user)".to_owned(),
    }
}

/// Says which rule would ignore the reported fields.
pub fn rule(reported: &DriftObject) -> String {
    let rule =
        reported.ignore.as_ref().map(|rule| format!("; to ignore it, add to spec.drift.ignore: {rule}"));
    rule.unwrap_or_default()
}

/// Describes one field for people: path, values, and the manager that wrote the live one.
pub fn words(change: &DriftChange) -> String {
    let DriftChange { path, desired, live, unmanaged, .. } = change;
    let text =
        |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), |value| cut(&json(value), 120));
    let by = writer(change).map(|writer| format!(", written by the manager {writer}")).unwrap_or_default();
    if *unmanaged {
        return format!("{path} is {}, which is not in Git{by}", text(live));
    }
    if live.is_some() && live == desired {
        return format!(
            "{path} is in sync and owned by {}",
            writer(change).unwrap_or_else(|| "no manager".to_owned())
        );
    }
    format!("{path} is {}, Git has {}{by}", text(live), text(desired))
}

/// `kubectl-edit (Update, 2026-01-01T00:00:00Z)`, with the user if one is recorded.
pub fn writer(change: &DriftChange) -> Option<String> {
    let DriftChange { manager, operation, subresource, time, user, .. } = change;
    let manager = manager.as_ref()?;
    let of = subresource.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
    let time = time.as_ref().map(|time| format!(", {time}")).unwrap_or_default();
    let user = user.as_ref().map(|user| format!(" for user {user}")).unwrap_or_default();
    Some(format!("{manager} ({}{of}{time}){user}", operation.as_deref().unwrap_or("unknown")))
}

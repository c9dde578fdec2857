//! Drift as a status and an alert have it: which object, which fields, from what to what, by which manager. Pure.

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

/// Objects of an episode that are told.
const EPISODE: usize = 1000;
/// Bytes of JSON that they may have in a status.
const LISTED_BYTES: usize = 6 * 1024;
/// Fields that are told of one object.
const LISTED_FIELDS: usize = 20;
/// Bytes of a value that is told whole.
const LISTED_VALUE: usize = 1024;

/// What is to be known where an autoscaler and git set the same field.
const SCALED: &str = "an autoscaler sets spec.replicas: take it out of git";

/// What a run found of drift.
#[derive(Debug, Default)]
pub struct Drift {
    /// What differs still.
    pub left: Vec<DriftObject>,
    /// What was put back.
    pub corrected: Vec<DriftObject>,
    /// Nothing was put back for so long that the episode may end.
    pub settled: bool,
    /// What is not told here may differ still.
    pub partial: bool,
    /// Not everything could be compared with git.
    pub unverified: bool,
}

/// Drift of one object, as its change says it.
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

/// What left git and stays, since a controller owns it too.
pub fn kept(change: &Change, now: Timestamp) -> DriftObject {
    DriftObject { note: Some(why_kept(change)), ..object(change, DriftState::Drifted, now) }
}

/// True if this tells of what left git and stays.
pub fn is_kept(told: &DriftObject) -> bool {
    let stays = |change: &DriftChange| !change.unmanaged && change.desired.is_none();
    let is_open = told.state == DriftState::Drifted && !told.deleted && told.refusal.is_none();
    is_open && told.manifest.is_none() && told.note.is_some() && told.changes.iter().all(stays)
}

/// Why fields stay that left git, and what can be done about it.
pub fn why_kept(change: &Change) -> String {
    let owners = change.fields.iter().flat_map(|field| &field.owners).filter(|owner| !owner.is_holdfast());
    let mut managers: Vec<&str> = owners.map(|owner| owner.manager.as_str()).collect();
    managers.sort_unstable();
    managers.dedup();
    let paths: Vec<&str> = change.fields.iter().map(|field| field.path.as_str()).collect();
    let (managers, rule) = (managers.join(", "), ignore::suggest(&change.object, &paths));
    format!(
        "{} left git and stays, because {managers} owns it too and may write it again; to remove it, stop {managers} from writing it, or to leave it to {managers}, add this to spec.drift.ignore: {rule}",
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

/// The object that is told.
pub fn id(told: &DriftObject) -> ObjectId {
    let group = told.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    ObjectId::new(Arc::new(GroupKind::new(group, &told.kind)), &told.namespace, &told.name)
}

/// True if this is drift of that object.
pub fn is_of(told: &DriftObject, object: &ObjectId) -> bool {
    let group = told.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    object.kind.is(group, &told.kind) && *object.namespace == *told.namespace && *object.name == *told.name
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

/// A value, or its beginning as text if it is long.
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

/// The episode that goes on after a run, out of the one before: whole, as an alert tells it.
pub fn episode(
    before: Option<&DriftStatus>,
    Drift { left, corrected, settled, partial, unverified: _ }: &Drift,
    corrects: bool,
    now: Timestamp,
) -> Option<DriftStatus> {
    let mut objects: Vec<DriftObject> = left.iter().chain(corrected).cloned().collect();
    let places: HashMap<_, usize> =
        left.iter().chain(corrected).enumerate().map(|(at, object)| (identity(object), at)).collect();
    for told in before.into_iter().flat_map(|before| &before.objects) {
        if let Some(at) = places.get(&identity(told)) {
            let object = &mut objects[*at];
            if object.state == told.state && agree(&object.changes, &told.changes) {
                object.since = told.since;
                object.user.clone_from(&told.user);
                object.changes.clone_from(&told.changes);
            }
        } else if *partial && told.state != DriftState::Corrected {
            objects.push(told.clone());
        } else if corrects && !settled && told.state != DriftState::Snoozed {
            // What was told as drift and is none any more was put back, maybe just before a restart.
            let since = if told.state == DriftState::Corrected { told.since } else { now };
            let state = DriftState::Corrected;
            objects.push(DriftObject { state, since, manifest: None, refusal: None, ..told.clone() });
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

/// As much of an episode as a status has room for.
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

/// True if both say the same, whether or not the users are known.
fn agree(one: &[DriftChange], other: &[DriftChange]) -> bool {
    let anonymous = |change: &DriftChange| DriftChange { user: None, ..change.clone() };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| anonymous(one) == anonymous(other))
}

/// What makes an entry of an episode. What others added to an object is told apart from what differs of it.
fn identity(told: &DriftObject) -> (&str, &str, &str, &str, bool) {
    (&told.api_version, &told.kind, &told.namespace, &told.name, is_unmanaged(told))
}

/// True if both are of one object.
pub fn is_same(one: &DriftObject, other: &DriftObject) -> bool {
    identity(one) == identity(other)
}

/// True if no reported field of the object is in Git.
pub fn is_unmanaged(told: &DriftObject) -> bool {
    !told.changes.is_empty() && told.changes.iter().all(|change| change.unmanaged)
}

/// Drift in one sentence an object, for people.
pub fn describe(objects: &[DriftObject]) -> String {
    let mut parts: Vec<String> = objects.iter().take(5).map(sentence).collect();
    if objects.len() > 5 {
        parts.push(format!("and {} more", objects.len() - 5));
    }
    parts.join("; ")
}

fn sentence(told: &DriftObject) -> String {
    let DriftObject { kind, namespace, name, changes, deleted, note, refusal, .. } = told;
    let place = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
    let mut what: Vec<String> = changes.iter().take(5).map(words).collect();
    if *deleted {
        what.push(deletion(told));
    }
    if changes.len() > 5 {
        what.push(format!("and {} more fields", changes.len() - 5));
    }
    let note = note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    let refusal = refusal.as_deref().map(refused).unwrap_or_default();
    format!("{kind} {place}: {}{note}{refusal}", what.join(", "))
}

/// That an object cannot be put back, and why.
fn refused(why: &str) -> String {
    format!("; it cannot be put back: {why}")
}

/// How an object went.
pub fn deletion(told: &DriftObject) -> String {
    match &told.user {
        Some(user) => format!("was deleted by user {user}"),
        None => "was deleted (the API server does not record the user)".to_owned(),
    }
}

/// The rule that would silence what is told, as a sentence.
pub fn rule(told: &DriftObject) -> String {
    let rule =
        told.ignore.as_ref().map(|rule| format!("; to leave it to others, add to spec.drift.ignore: {rule}"));
    rule.unwrap_or_default()
}

/// One field for people: path, values, and which manager wrote the live one.
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
            writer(change).unwrap_or_else(|| "nobody".to_owned())
        );
    }
    format!("{path} is {}, Git has {}{by}", text(live), text(desired))
}

/// `kubectl-edit (Update, 2026-01-01T00:00:00Z)`, and the user if that is known.
pub fn writer(change: &DriftChange) -> Option<String> {
    let DriftChange { manager, operation, subresource, time, user, .. } = change;
    let manager = manager.as_ref()?;
    let of = subresource.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
    let time = time.as_ref().map(|time| format!(", {time}")).unwrap_or_default();
    let user = user.as_ref().map(|user| format!(" for user {user}")).unwrap_or_default();
    Some(format!("{manager} ({}{of}{time}){user}", operation.as_deref().unwrap_or("unknown")))
}

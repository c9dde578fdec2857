//! Removes members that left Git: in the reverse order of apply, by UID.
//!
//! I/O: API writes.

use futures::StreamExt as _;
use holdfast_diff::applyset::{MARK, PART_OF};
use holdfast_diff::plan::{Change, Operation};
use serde_json::json;
use tracing::debug;

use super::observe::Lingering;
use super::outcome::{Kinds, Outcome};
use super::owners;
use super::refusal::ObjectError;
use super::requests::{Dependants, Requests, ResourceType, is_conflict, is_not_found};
use super::view::View;
use crate::api::names;
use crate::progress::Progress;

const SIDE_BY_SIDE: usize = 16;
/// Maximum number of tries to release an object that other clients change.
const TRIES: u32 = 5;

/// Removes objects, which are in the order of removal. Returns if an object of an earlier stage, also of an earlier plan, is not
/// gone yet: its watch event starts the next run. `ended` returns why no other removal may begin.
pub async fn prune(
    view: &View,
    requests: &Requests,
    (removals, lingering): (Vec<Change>, &[Lingering]),
    kinds: &Kinds,
    outcome: &mut Outcome,
    (ended, progress): (impl Fn() -> Option<String>, &Progress),
) {
    // Objects that are orphaned need no order.
    let ordered = removals.iter().any(|change| change.operation != Operation::Orphan);
    let mut removals = removals.into_iter().peekable();
    while let Some(first) = removals.next() {
        let stage = first.stage;
        let held = lingering.iter().filter(|_| ordered).find(|one| one.stage > stage);
        if let Some(Lingering { object, ending, .. }) = held {
            outcome.waits =
                Some(format!("waits for the removal of {object}, which is being deleted {ending}"));
            return;
        }
        let mut group = vec![first];
        while let Some(next) = removals.next_if(|next| next.stage == stage) {
            group.push(next);
        }
        let mut not_begun = None;
        let begun = group.into_iter().map_while(|change| {
            not_begun = ended();
            not_begun.is_none().then(|| remove(view, requests, kinds, change))
        });
        let mut removing = futures::stream::iter(begun).buffer_unordered(SIDE_BY_SIDE);
        let mut lingers = None;
        while let Some(removed) = removing.next().await {
            progress.object();
            match removed {
                Ok(Removed::Gone(change)) => outcome.done.push(change),
                Ok(Removed::Lingers(change)) => {
                    lingers = Some(format!("waits for the removal of {}", change.object));
                    outcome.done.push(change);
                }
                Err(error) => outcome.errors.push(error),
            }
        }
        drop(removing);
        if not_begun.is_some() {
            outcome.waits = not_begun;
            outcome.again = true;
            return;
        }
        if ordered && removals.peek().is_some() && (lingers.is_some() || !outcome.errors.is_empty()) {
            outcome.waits = lingers.or_else(|| {
                Some("the remaining objects are removed after the errors are resolved".to_owned())
            });
            return;
        }
    }
}

enum Removed {
    Gone(Change),
    /// The deletion is accepted, and finalizers or a grace period hold the object.
    Lingers(Change),
}

async fn remove(
    view: &View,
    requests: &Requests,
    kinds: &Kinds,
    change: Change,
) -> Result<Removed, ObjectError> {
    let Some(kind) = kinds.get(&change.object) else { return Ok(Removed::Gone(change)) };
    let uid = change.uid.as_deref().unwrap_or_default();
    let removed = match change.operation {
        Operation::Orphan => {
            let is_owned = view.get(&change.object).is_some_and(|entry| entry.has_owners);
            release(requests, kind, &change, (uid, is_owned)).await
        }
        _ => requests.delete(kind, &change.object, uid, Dependants::Go).await,
    };
    match removed {
        Ok(lingers) => {
            debug!(object = %change.object, operation = change.operation.word(), "Removed object");
            if lingers {
                return Ok(Removed::Lingers(change));
            }
            view.forget(&change.object);
            Ok(Removed::Gone(change))
        }
        // Another object has the name now, which must not be deleted.
        Err(error) if is_conflict(&error) => {
            view.forget(&change.object);
            Ok(Removed::Gone(change))
        }
        Err(error) => Err(ObjectError::from_server(&change.object, None, &error)),
    }
}

/// Removes our marks from an object and leaves it. References to owners that Git had set are removed too: the garbage collector
/// would delete the object with its owner.
async fn release(
    requests: &Requests,
    kind: &ResourceType,
    change: &Change,
    (uid, is_owned): (&str, bool),
) -> Result<bool, kube::Error> {
    let marks = json!({"metadata": {"uid": uid, "labels": {PART_OF: null},
        "annotations": {names::SYNC: null, MARK: null}}});
    for left in (0..TRIES).rev() {
        let mut patch = marks.clone();
        if is_owned && let Some(live) = requests.get(kind, &change.object).await? {
            patch["metadata"]["ownerReferences"] = owners::of_others(&live).cloned().collect();
            patch["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
        }
        match requests.merge(kind, &change.object, None, &patch).await {
            Ok(_) => return Ok(false),
            Err(error) if is_not_found(&error) => return Ok(false),
            // Another client has changed it since it was read.
            Err(error) if is_owned && left > 0 && is_conflict(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;

//! Fields that other managers added to the objects of a Sync, reported if `spec.drift.unmanagedFields` requests it. An object is
//! read once for each state of its added fields.
//!
//! I/O: API reads.

use holdfast_diff::ignore::{self, Ignored};
use holdfast_diff::mask::{HIDDEN, Masks};
use holdfast_diff::object::ObjectId;
use holdfast_diff::unmanaged::{self, Unmanaged};
use jiff::Timestamp;
use tracing::warn;

use crate::api::{DriftChange, DriftObject, DriftState, UnmanagedFields};
use crate::cluster::entry::Entry;
use crate::cluster::judges;
use crate::cluster::refusal::chain;
use crate::reconcile::acting::Acting;
use crate::reconcile::past::{Past, PastDrift};

/// Reads the objects whose added fields have changed since the last run, and forgets those without added fields.
pub async fn find(acting: Acting<'_>, past: &mut Past) {
    let Past { drift: PastDrift { unmanaged: added, .. }, masks, .. } = past;
    let (view, owner) = (&acting.cluster.view, acting.at.owner);
    if acting.at.sync.spec.drift.unmanaged_fields == UnmanagedFields::Ignore {
        added.clear();
        return;
    }
    let carriers =
        view.members_that(owner, |_, entry| entry.rare().unmanaged.is_some() && entry.ending.is_none());
    added.retain(|object, (seen, _)| {
        carriers.iter().any(|(other, entry)| other == object && entry.rare().unmanaged == Some(*seen))
    });
    for (object, entry) in carriers {
        let Some(seen) = entry.rare().unmanaged.filter(|_| !added.contains_key(&object)) else { continue };
        match read(acting, masks, &object, &entry).await {
            Ok(Some(reported)) => drop(added.insert(object, (seen, reported))),
            Ok(None) => {}
            Err(error) => {
                warn!(sync = %owner, %object, error, "Cannot read the fields that others added; retrying");
            }
        }
    }
}

async fn read(
    acting: Acting<'_>,
    masks: &Masks,
    object: &ObjectId,
    entry: &Entry,
) -> Result<Option<DriftObject>, String> {
    let requests = acting.requests().await.map_err(|error| error.to_string())?;
    let live = requests.get(&entry.kind, object).await.map_err(|error| chain(&error))?;
    let Some(live) = live else { return Ok(None) };
    let rules = acting.cluster.view.judges.rules(acting.at.owner);
    let ignored =
        rules.map_or_else(Ignored::default, |(rules, _)| judges::ignored(&rules, &entry.kind, &live));
    let found = unmanaged::unmanaged(&object.kind, &live, &ignored);
    Ok((!found.is_empty()).then(|| drift_object(acting.at.now, masks, object, entry, &found)))
}

fn drift_object(
    now: Timestamp,
    masks: &Masks,
    object: &ObjectId,
    entry: &Entry,
    found: &[Unmanaged],
) -> DriftObject {
    let paths: Vec<&str> = found.iter().map(|unmanaged| unmanaged.path.as_str()).collect();
    DriftObject {
        api_version: entry.kind.api_version(),
        kind: object.kind.kind.clone(),
        namespace: object.namespace.to_string(),
        name: object.name.to_string(),
        state: DriftState::Drifted,
        since: now,
        deleted: false,
        user: None,
        changes: found.iter().map(|unmanaged| change(masks, unmanaged)).collect(),
        omitted: None,
        note: Some(
            "the fields are not in Git, so they are not changed; add them to Git, or remove them".to_owned(),
        ),
        ignore: Some(ignore::suggest(object, &paths)),
        origin: None,
        manifest: None,
        refusal: None,
    }
}

fn change(masks: &Masks, Unmanaged { path, value, owner, .. }: &Unmanaged) -> DriftChange {
    let live = if masks.touches(value) { HIDDEN.into() } else { crate::report::drift::value(value) };
    DriftChange {
        path: masks.hide(path).into_owned(),
        desired: None,
        live: Some(live),
        manager: Some(owner.manager.clone()),
        operation: Some(owner.operation.clone()),
        subresource: owner.subresource.clone(),
        time: owner.time.clone(),
        user: None,
        unmanaged: true,
    }
}

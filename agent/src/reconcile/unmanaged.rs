//! What others added to the objects of a Sync, where its policy wants that to be told. Each object is read once for each form
//! of what was added to it.
//!
//! I/O: API reads.

use holdfast_diff::ignore::{self, Ignored};
use holdfast_diff::mask::{HIDDEN, Masks};
use holdfast_diff::object::ObjectId;
use holdfast_diff::unmanaged::{self, Unmanaged};
use tracing::warn;

use super::{Run, acting};
use crate::api::{DriftChange, DriftObject, DriftState, UnmanagedFields};
use crate::cluster::entry::Entry;
use crate::cluster::judges;
use crate::cluster::refusal::chain;
use crate::memory::{Drift, Memory};

/// Looks at what was added since the last run, and forgets what is gone.
pub async fn look(run: &Run<'_>, memory: &mut Memory) {
    let Memory { drift: Drift { unmanaged: known, .. }, masks, .. } = memory;
    if run.sync.spec.drift.unmanaged_fields == UnmanagedFields::Ignore {
        known.clear();
        return;
    }
    let view = &run.context.cluster.view;
    let carriers =
        view.members_that(run.owner, |_, entry| entry.rare().unmanaged.is_some() && entry.ending.is_none());
    known.retain(|object, (seen, _)| {
        carriers.iter().any(|(other, entry)| other == object && entry.rare().unmanaged == Some(*seen))
    });
    for (object, entry) in carriers {
        let Some(seen) = entry.rare().unmanaged.filter(|_| !known.contains_key(&object)) else { continue };
        match read(run, masks, &object, &entry).await {
            Ok(Some(told)) => drop(known.insert(object, (seen, told))),
            Ok(None) => {}
            Err(error) => {
                warn!(sync = %run.owner, object = %object, error, "Cannot look at what others added and tries again");
            }
        }
    }
}

async fn read(
    run: &Run<'_>,
    masks: &Masks,
    object: &ObjectId,
    entry: &Entry,
) -> Result<Option<DriftObject>, String> {
    let cluster = &run.context.cluster;
    let requests = acting::requests(run).await.map_err(|failure| failure.message)?;
    let live = requests.get(&entry.kind, object).await.map_err(|error| chain(&error))?;
    let Some(live) = live else { return Ok(None) };
    let rules = cluster.view.judges.rules(run.owner);
    let ignored =
        rules.map_or_else(Ignored::default, |(rules, _)| judges::ignored(&rules, &entry.kind, &live));
    let found = unmanaged::unmanaged(&object.kind, &live, &ignored);
    Ok((!found.is_empty()).then(|| told(run, masks, object, entry, &found)))
}

fn told(run: &Run<'_>, masks: &Masks, object: &ObjectId, entry: &Entry, found: &[Unmanaged]) -> DriftObject {
    let paths: Vec<&str> = found.iter().map(|unmanaged| unmanaged.path.as_str()).collect();
    DriftObject {
        api_version: entry.kind.api_version(),
        kind: object.kind.kind.clone(),
        namespace: object.namespace.to_string(),
        name: object.name.to_string(),
        state: DriftState::Drifted,
        since: run.now,
        deleted: false,
        user: None,
        changes: found.iter().map(|unmanaged| change(masks, unmanaged)).collect(),
        omitted: None,
        note: Some(
            "git says nothing of it, so it is left as it is; put it into git, or remove it".to_owned(),
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

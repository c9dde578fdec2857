//! Replaces an object that left Git by a new one that needs a value of it, such as a node port or the role of the only default.
//!
//! The old object is deleted first, if its removal is approved and the API server would accept the new one without it. Leaves
//! finding it to `holders`. I/O: API reads, dry runs and writes, if an object was refused.

use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{Change, Operation};

use super::Cluster;
use super::holders::{UNFIT, holder};
use super::outcome::{Kinds, Outcome};
use super::prune;
use super::refusal::ObjectError;
use super::requests::{Apply, Requests, refusal};
use super::write::{Written, write};
use crate::progress::Progress;
use crate::sync_ref::SyncRef;

/// What the replacement of an object needs.
pub(super) struct Replacing<'a> {
    pub cluster: &'a Cluster,
    pub requests: &'a Requests,
    pub owner: &'a SyncRef,
    pub kinds: &'a Kinds,
    /// The approved removals.
    pub removals: &'a mut Vec<Change>,
    pub progress: &'a Progress,
}

impl Replacing<'_> {
    /// Removes the object that has the value which a new one was refused for, and creates the new one.
    pub async fn holder_of(self, change: Change, outcome: &mut Outcome, ended: &impl Fn() -> Option<String>) {
        let Self { cluster, requests, owner, kinds, removals, progress } = self;
        let is_of = |error: &ObjectError| error.id.as_ref() == Some(&change.object);
        let Some(error) = outcome.errors.iter_mut().find(|error| is_of(error)) else { return };
        let deleted = removals.iter().filter(|removal| removal.operation == Operation::Delete);
        let deleted: Vec<_> =
            deleted.filter_map(|removal| Some((&removal.object, kinds.get(&removal.object)?))).collect();
        let Some(holder) = holder(requests, &deleted, error).await.cloned() else { return };
        if ended().is_some() {
            return;
        }
        match fits(cluster, requests, owner, kinds, &change, &holder).await {
            Fit::Accepted => {}
            Fit::Refused(said) => {
                error.message = format!(
                    "{}; {holder}, which is no longer in Git, uses it, {UNFIT}: {said}",
                    error.message
                );
                return;
            }
            Fit::Unknown => return,
        }
        let Some(at) = removals.iter().position(|removal| removal.object == holder) else { return };
        let removal = vec![removals.remove(at)];
        let before = outcome.errors.len();
        prune::prune(&cluster.view, requests, (removal, &[]), kinds, outcome, (ended, progress)).await;
        if outcome.errors.len() > before {
            return;
        }
        outcome.errors.retain(|error| !is_of(error));
        if cluster.view.get(&holder).is_some() {
            let object = &change.object;
            outcome.waits.get_or_insert_with(|| format!("{object} is created when {holder} is gone"));
            return;
        }
        match write(cluster, requests, owner, kinds, &change).await {
            Ok(Written::Done) => {
                let mut done = change;
                (done.manifest, done.takeover) = (None, None);
                outcome.done.push(done);
                // Changes that wait for it are tried again.
                outcome.again |= outcome.waits.is_some();
            }
            Ok(Written::Ending | Written::NotBegun(_) | Written::Changed) => {}
            Err(error) => outcome.errors.push(error),
        }
    }
}

/// The answer to the creation of an object without the other one.
enum Fit {
    /// Only the other object prevents the creation.
    Accepted,
    Refused(String),
    Unknown,
}

async fn fits(
    cluster: &Cluster,
    requests: &Requests,
    owner: &SyncRef,
    kinds: &Kinds,
    Change { object, manifest, .. }: &Change,
    holder: &ObjectId,
) -> Fit {
    let (Some(kind), Some(manifest)) = (kinds.get(object), manifest) else { return Fit::Unknown };
    if holder.kind != object.kind {
        return Fit::Unknown;
    }
    let mut value = cluster.view.marks.stamp(owner, holder, &manifest.value);
    value["metadata"]["name"] = (*holder.name).into();
    if !holder.namespace.is_empty() {
        value["metadata"]["namespace"] = (*holder.namespace).into();
    }
    match requests.apply(kind, holder, &value, Apply { force: true, dry_run: true }).await {
        Ok(_) => Fit::Accepted,
        Err(error) => refusal(&error).map_or(Fit::Unknown, |status| Fit::Refused(status.message.clone())),
    }
}

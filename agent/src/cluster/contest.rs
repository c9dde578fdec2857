//! Which of several Syncs may have an object that more than one of them names. A claim counts only if the identity of its
//! Sync may write the object; a claim that does not count is nothing: it neither refuses the object to another Sync, nor keeps
//! that from pruning it. I/O: API reads, only where a claim is contested.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;

use super::Cluster;
use super::entry::Entry;
use super::refusal::{ObjectError, chain};
use super::requests::{Requests, ResourceType};
use super::resolve::Desired;
use crate::sync_ref::SyncRef;

/// The requests of a Sync, in the name that it acts in; `None` if there is no such Sync, or if no identity is allowed for it.
pub type ActsAs<'a> = &'a (dyn Fn(&SyncRef) -> Option<Requests> + Sync);

/// Claims that do not count.
pub type Barred = HashSet<(ObjectId, SyncRef)>;

/// True if a Sync may write an object.
async fn may_write(
    cluster: &Cluster,
    acts_as: ActsAs<'_>,
    sync: &SyncRef,
    kind: &Arc<ResourceType>,
    object: &ObjectId,
) -> Result<bool, kube::Error> {
    match acts_as(sync) {
        Some(requests) => cluster.permissions.may_write(&requests, kind, object).await,
        None => Ok(false),
    }
}

/// The claims on objects of one Sync that do not count, be they its own or those of others.
pub async fn barred(
    cluster: &Cluster,
    acts_as: Option<ActsAs<'_>>,
    owner: &SyncRef,
    objects: &[(ObjectId, Digest)],
    desired: &[Desired],
) -> Result<Barred, kube::Error> {
    let mut barred = Barred::new();
    let Some(acts_as) = acts_as else { return Ok(barred) };
    let contested = cluster.view.rivals(owner, objects);
    if contested.is_empty() {
        return Ok(barred);
    }
    // A kind that is not served yet cannot be written.
    let served = desired.iter().filter(|desired| desired.served);
    let kinds: HashMap<&ObjectId, &Arc<ResourceType>> =
        served.map(|desired| (&desired.object, &desired.kind)).collect();
    for (object, rivals) in contested {
        let Some(kind) = kinds.get(&object) else { continue };
        let mut stands = false;
        for rival in rivals {
            if may_write(cluster, acts_as, &rival, kind, &object).await? {
                stands = true;
            } else {
                barred.insert((object.clone(), rival));
            }
        }
        if stands && !may_write(cluster, acts_as, owner, kind, &object).await? {
            barred.insert((object, owner.clone()));
        }
    }
    Ok(barred)
}

/// The Sync that an object which one Sync gives up moves to: it wants the object, and may write it.
pub async fn heir(
    cluster: &Cluster,
    acts_as: Option<ActsAs<'_>>,
    owner: &SyncRef,
    object: &ObjectId,
    entry: &Entry,
) -> Result<Option<SyncRef>, kube::Error> {
    let Some(other) = cluster.view.claimed_by_another(owner, object) else { return Ok(None) };
    let counts = match acts_as {
        Some(acts_as) => may_write(cluster, acts_as, &other, &entry.kind, object).await?,
        None => true,
    };
    if !counts {
        cluster.view.bar(object, &other);
    }
    Ok(counts.then_some(other))
}

/// The error if it is unknown which claims count.
pub fn unknown(error: &kube::Error) -> ObjectError {
    let what = "the rights of other Syncs on the same objects";
    ObjectError::transient(&what, None, "Unreachable", chain(error))
}

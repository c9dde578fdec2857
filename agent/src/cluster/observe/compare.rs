//! Compares one desired object with the live one. I/O: API reads and dry runs.

use std::collections::HashSet;
use std::sync::Arc;

use holdfast_diff::fields;
use holdfast_diff::handling::{self, Applied};
use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{Prediction, Seen};
use holdfast_diff::standing::Standing;
use serde_json::Value;

use super::super::Cluster;
use super::super::entry::Ending;
use super::super::marks::Whose;
use super::super::refusal::ObjectError;
use super::super::requests::Requests;
use super::super::resolve::Desired;
use super::OWNED_BY_ANOTHER;
use super::predict::{self, predict};
use super::subject::Predicted;
use crate::sync_ref::SyncRef;

/// How a desired object compares with the live one.
pub(super) enum Comparison {
    Seen(Seen),
    /// The object is being deleted.
    Ending(Arc<Ending>),
    /// Git excludes the existing object from apply.
    LeftAlone,
    /// The object exists, and the API server refuses its manifest.
    Refused {
        live: Value,
        error: ObjectError,
    },
}

/// Compares a desired object with the live one. Makes no request if the live view has verified it.
pub(super) async fn compare(
    cluster: &Cluster,
    requests: &Requests,
    owner: &SyncRef,
    desired: &mut Desired,
    absent: &HashSet<ObjectId>,
) -> Result<Comparison, ObjectError> {
    let applied = handling::applied(&desired.manifest.value);
    if applied == Applied::Never {
        return Ok(Comparison::LeftAlone);
    }
    if !desired.served {
        return unserved(cluster, requests, owner, desired).await;
    }
    if let Some(entry) = cluster.view.get(&desired.object).filter(|entry| entry.owner == *owner) {
        if let Some(how) = entry.ending {
            return Ok(Comparison::Ending(how));
        }
        if applied == Applied::IfNotPresent {
            return Ok(Comparison::LeftAlone);
        }
        if entry.judged != cluster.view.judges.version(owner, &desired.object.kind) {
            judge(cluster, requests, desired).await?;
        }
        if entry.satisfies(desired.digest) {
            return Ok(Comparison::Seen(Seen::Unchanged));
        }
        // After a restart nothing is verified. An object that is stored exactly as its manifest needs no dry run.
        if let Some(live) = entry.live
            && desired.nulls.is_none()
            && desired.before.is_none()
            && !cluster.view.is_back(&desired.object)
            && live == fields::expected_fingerprint(&desired.manifest.value)
        {
            cluster.view.note_satisfied(&desired.object, desired.digest, live);
            return Ok(Comparison::Seen(Seen::Unchanged));
        }
    }
    if absent.contains(&desired.object) {
        return Ok(Comparison::Seen(Seen::Absent));
    }
    let refused = |error: &kube::Error| {
        ObjectError::from_server(&desired.object, Some(&desired.manifest.origin), error)
    };
    let Some(live) = requests.get(&desired.kind, &desired.object).await.map_err(|error| refused(&error))?
    else {
        return Ok(Comparison::Seen(Seen::Absent));
    };
    let may_name = |other: &SyncRef| may_name(requests, owner, other);
    if let Whose::Of(other) = cluster.view.marks.whose(&desired.object, &live)
        && other != *owner
        && cluster.exists(&other)
        && cluster.claims(&other, &desired.object)
    {
        return Err(claimed(desired, Some(&other).filter(|other| may_name(other))));
    }
    if let Some(how) = Ending::of(&live) {
        return Ok(Comparison::Ending(how));
    }
    if applied == Applied::IfNotPresent {
        return Ok(Comparison::LeftAlone);
    }
    let predicted = match predict(cluster, requests, owner, desired, &live).await {
        Ok(predicted) => predicted,
        Err(error) => return Ok(Comparison::Refused { live, error }),
    };
    let standing = match cluster.view.marks.standing(owner, &desired.object, &live, may_name) {
        // Another client created it again with the mark of its predecessor.
        Standing::Ours if !cluster.view.knows(&desired.object, &live) => Standing::Copied,
        standing => standing,
    };
    let Predicted { prediction, settled } = predicted;
    Ok(Comparison::Seen(Seen::Exists { live, prediction, settled: Box::new(settled), standing }))
}

/// Observes an object whose version is not served before its definition is applied: it may exist in another version.
async fn unserved(
    cluster: &Cluster,
    requests: &Requests,
    owner: &SyncRef,
    desired: &Desired,
) -> Result<Comparison, ObjectError> {
    let Some(kind) = &desired.lives_as else { return Ok(Comparison::Seen(Seen::Absent)) };
    let live = requests
        .get(kind, &desired.object)
        .await
        .map_err(|error| ObjectError::from_server(&desired.object, Some(&desired.manifest.origin), &error))?;
    let Some(live) = live else { return Ok(Comparison::Seen(Seen::Absent)) };
    if let Some(how) = Ending::of(&live) {
        return Ok(Comparison::Ending(how));
    }
    let may_name = |other: &SyncRef| may_name(requests, owner, other);
    let standing = cluster.view.marks.standing(owner, &desired.object, &live, may_name);
    let prediction =
        Prediction::Becomes(predict::unserved(&desired.manifest.value, &live, &kind.api_version()));
    Ok(Comparison::Seen(Seen::Exists { live, prediction, settled: Box::default(), standing }))
}

/// True if messages of a Sync may name another one: it is in the same namespace, or the Sync acts as the agent itself.
pub(super) fn may_name(requests: &Requests, owner: &SyncRef, other: &SyncRef) -> bool {
    requests.identity().is_agent() || owner.namespace() == other.namespace()
}

/// Reads an object again whose health was evaluated by outdated checks.
async fn judge(cluster: &Cluster, requests: &Requests, desired: &Desired) -> Result<(), ObjectError> {
    let read = requests.get(&desired.kind, &desired.object).await;
    let read = read
        .map_err(|error| ObjectError::from_server(&desired.object, Some(&desired.manifest.origin), &error))?;
    if let Some(live) = read {
        cluster.view.put(&desired.kind, desired.object.clone(), &live);
    }
    Ok(())
}

/// The error of an object that another Sync owns.
pub(super) fn claimed(desired: &Desired, other: Option<&SyncRef>) -> ObjectError {
    let other = other.map_or_else(|| "another Sync".to_owned(), |other| format!("Sync {other}"));
    let message = format!(
        "owned by {other}, so it was not changed; remove it from one of the two, and it moves without being deleted"
    );
    ObjectError::user(&desired.object, Some(&desired.manifest.origin), OWNED_BY_ANOTHER, message)
}

//! Makes one change of an approved plan, unless the object has changed since the plan was made.
//!
//! Leaves order, waiting and removal to `apply` and `prune`. I/O: API writes.

use holdfast_diff::digest::Digest;
use holdfast_diff::fields;
use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{Change, Operation, has_unstored};
use holdfast_diff::takeover::Takeover;
use serde_json::json;
use tracing::debug;

use super::Cluster;
use super::early;
use super::outcome::Kinds;
use super::refusal::ObjectError;
use super::requests::{Apply, Dependants, Requests, ResourceType, is_conflict};
use super::view::Verified;
use crate::sync_ref::SyncRef;

/// The outcome of a change.
pub(super) enum Written {
    Done,
    /// The object is created when the one that it replaces is gone.
    Ending,
    /// The object has changed since the change was planned, so it is not overwritten.
    Changed,
    /// No write may begin any more, with the reason.
    NotBegun(String),
}

/// Makes one change.
pub(super) async fn write(
    cluster: &Cluster,
    requests: &Requests,
    owner: &SyncRef,
    kinds: &Kinds,
    change: &Change,
) -> Result<Written, ObjectError> {
    let (kind, object) = (&kinds[&change.object], &change.object);
    let Some(manifest) = change.manifest.clone() else { return Ok(Written::Done) };
    // The second step of a write would find its own first step.
    let seen = change.seen.filter(|_| change.takeover.is_none() && change.operation == Operation::Update);
    let Some(_writing) = cluster.view.begin_write(object, seen) else { return Ok(Written::Changed) };
    let refused = |error: &kube::Error| ObjectError::from_server(object, change.origin.as_ref(), error);
    if let Some(takeover) = &change.takeover {
        match take_over(requests, kind, object, takeover).await {
            Err(error) if is_conflict(&error) => return Ok(Written::Changed),
            taken => taken.map_err(|error| refused(&error))?,
        }
    }
    if change.operation == Operation::Recreate {
        let uid = change.uid.as_deref().unwrap_or_default();
        let dependants = Dependants::of(&manifest);
        if requests.delete(kind, object, uid, dependants).await.map_err(|error| refused(&error))? {
            // Finalizers hold the object. The watch event of its deletion starts the run that creates the new one.
            return Ok(Written::Ending);
        }
    }
    // An object that was created after the plan was made is not overwritten: that would be another plan.
    let force = change.operation != Operation::Create;
    let marked = cluster.view.marks.stamp(owner, object, &manifest.value);
    let apply = || requests.apply(kind, object, &marked, Apply { force, dry_run: false });
    let live = match early::repeat(&cluster.view, object, apply).await {
        Ok(live) => live,
        Err(error) if !force && (is_conflict(&error) || exists(requests, kind, object).await) => {
            cluster.lookups.forget(kind);
            let message = "another client created it since the plan was made; it is planned again";
            return Err(
                ObjectError::transient(object, change.origin.as_ref(), "Appeared", message).of(object)
            );
        }
        Err(error) => return Err(refused(&error)),
    };
    if cluster.view.marks.is_lost(owner, object, &live) {
        return Err(ObjectError::mark_lost(object, change.origin.as_ref()));
    }
    if !force && is_of_others(&live) {
        // The server has merged what was to be created into an object that exists: the next plan compares all of it.
        cluster.lookups.forget(kind);
        return Ok(Written::Changed);
    }
    if object.kind.is("apiextensions.k8s.io", "CustomResourceDefinition") {
        cluster.discovery.forget(defined_group(&manifest.value));
    }
    let satisfies = change.satisfies.unwrap_or_else(|| Digest::of(&manifest.value));
    let all = change.has_nulls || has_unstored(&manifest.value, &live);
    cluster.view.verify(kind, object, &live, Verified { manifest: satisfies, all });
    if let Some(Takeover { gone, .. }) = change.takeover.as_ref().filter(|takeover| !takeover.gone.is_empty())
    {
        cluster.view.expect_gone(object, gone, &live);
    }
    debug!(%object, operation = change.operation.word(), "Applied object");
    Ok(Written::Done)
}

/// Takes over the fields of other managers and empties maps, if the object has not changed since that was planned.
async fn take_over(
    requests: &Requests,
    kind: &ResourceType,
    object: &ObjectId,
    Takeover { managers: _, resource_version, managed_fields, gone: _, removes }: &Takeover,
) -> Result<(), kube::Error> {
    let mut patch = removes.clone().unwrap_or_else(|| json!({}));
    patch["metadata"]["resourceVersion"] = resource_version.as_str().into();
    patch["metadata"]["managedFields"] = managed_fields.clone();
    requests.merge(kind, object, None, &patch).await.map(drop)
}

/// True if the API server has an object, so that the refusal of its creation is none.
async fn exists(requests: &Requests, kind: &ResourceType, object: &ObjectId) -> bool {
    requests.get(kind, object).await.is_ok_and(|live| live.is_some())
}

/// True if another manager than ours has fields of an object.
fn is_of_others(live: &serde_json::Value) -> bool {
    let entries = live.pointer("/metadata/managedFields").and_then(serde_json::Value::as_array);
    entries.into_iter().flatten().any(|entry| entry["manager"] != fields::MANAGER)
}

fn defined_group(definition: &serde_json::Value) -> &str {
    definition.pointer("/spec/group").and_then(serde_json::Value::as_str).unwrap_or_default()
}

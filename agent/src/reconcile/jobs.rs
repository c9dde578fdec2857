//! Jobs that go when they have done their work, by themselves (`ttlSecondsAfterFinished`) or by us
//! (`holdfast.dev/completed: Delete`): the status remembers them, so that they are not run again. I/O: API writes.

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;
use tracing::info;

use super::{Run, acting};
use crate::api::{CompletedJob, SyncStatus};
use crate::cluster::entry::{Entry, Goes};
use crate::cluster::refusal::chain;
use crate::cluster::requests::Dependants;
use crate::memory::Memory;
use crate::report::{Failure, Findings};

/// True if a status says that this very Job has done its work.
pub fn is_completed(status: &SyncStatus, object: &ObjectId, manifest: Digest) -> bool {
    is_job(object)
        && status.completed.iter().any(|job| {
            *job.namespace == *object.namespace
                && *job.name == *object.name
                && job.manifest == manifest.to_string()
        })
}

fn is_job(object: &ObjectId) -> bool {
    object.kind.is("batch", "Job")
}

/// The Jobs that have done their work, of those that are desired.
pub fn completed(run: &Run<'_>, memory: &Memory) -> Vec<CompletedJob> {
    let desired = memory.rendered.iter().flat_map(|rendered| &*rendered.objects);
    let view = &run.context.cluster.view;
    desired
        .filter(|(object, digest)| {
            is_job(object)
                && match view.get(object) {
                    Some(entry) => entry.completed.is_some() && entry.satisfies(*digest),
                    None => is_completed(run.status, object, *digest),
                }
        })
        .map(|(object, digest)| CompletedJob {
            namespace: object.namespace.to_string(),
            name: object.name.to_string(),
            manifest: digest.to_string(),
        })
        .collect()
}

/// Deletes the Jobs that are to go by us, of which the status says already that they have done their work. Returns whether
/// others wait for the status to say so.
pub async fn remove(run: &Run<'_>, memory: &Memory, findings: &Findings) -> Result<bool, Failure> {
    let mut waits = false;
    if findings.suspended.is_some() {
        return Ok(waits);
    }
    for (object, digest, entry) in leaving(run, memory) {
        if !is_completed(run.status, &object, digest) {
            waits = true;
            continue;
        }
        let requests = acting::requests(run).await?;
        requests.delete(&entry.kind, &object, &entry.uid, Dependants::Go).await.map_err(|error| {
            let message = format!("cannot delete {object}, which has done its work: {}", chain(&error));
            Failure::transient("apply", "JobNotDeleted", message)
        })?;
        run.context.cluster.view.forget(&object);
        info!(sync = %run.owner, %object, "Deleted Job that has succeeded");
    }
    Ok(waits)
}

/// The Jobs that have done their work and that are to be deleted by us.
fn leaving(run: &Run<'_>, memory: &Memory) -> Vec<(ObjectId, Digest, Entry)> {
    let desired = memory.rendered.iter().flat_map(|rendered| &*rendered.objects);
    let jobs = desired.filter(|(object, _)| is_job(object));
    let seen = jobs.filter_map(|(object, digest)| {
        let entry = run.context.cluster.view.get(object)?;
        let leaves =
            entry.completed == Some(Goes::ByUs) && entry.ending.is_none() && entry.satisfies(*digest);
        leaves.then(|| (object.clone(), *digest, entry))
    });
    seen.collect()
}

//! Jobs that remove themselves when they have done their work (`ttlSecondsAfterFinished`): the status remembers them, so that
//! they are not run again. No I/O.

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;

use super::Run;
use crate::api::{CompletedJob, SyncStatus};
use crate::memory::Memory;

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
                    Some(entry) => entry.completed && entry.satisfies(*digest),
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

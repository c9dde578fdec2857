//! Jobs that are deleted after they have succeeded, by the cluster (`ttlSecondsAfterFinished`) or by the agent
//! (`holdfast.dev/completed: Delete`). The status lists them, so that they are not run again. I/O: API writes.

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;
use tracing::info;

use super::acting::{self, Acting};
use super::past::DesiredSet;
use super::sync_at::SyncAt;
use crate::api::{CompletedJob, SyncStatus};
use crate::cluster::entry::{Entry, Goes};
use crate::cluster::refusal::chain;
use crate::cluster::requests::Dependants;
use crate::cluster::view::View;
use crate::error::{Class, StageError};
use crate::report::Failure;

/// True if a status lists this Job, with this manifest, as succeeded.
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

/// Returns the Jobs of a set that have succeeded.
pub fn completed(at: SyncAt<'_>, view: &View, set: &DesiredSet) -> Vec<CompletedJob> {
    let is_completed = |(object, digest): &&(ObjectId, Digest)| {
        is_job(object)
            && match view.get(object) {
                Some(entry) => entry.completed.is_some() && entry.satisfies(*digest),
                None => is_completed(at.status, object, *digest),
            }
    };
    let completed = set.objects.iter().filter(is_completed);
    completed
        .map(|(object, digest)| CompletedJob {
            namespace: object.namespace.to_string(),
            name: object.name.to_string(),
            manifest: digest.to_string(),
        })
        .collect()
}

/// Why a Job could not be deleted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Acting(#[from] acting::Error),
    #[error("cannot delete {object}, which has succeeded: {error}")]
    NotDeleted { object: ObjectId, error: String },
}

/// Deletes the Jobs with the annotation `holdfast.dev/completed: Delete` that the status lists as completed. Returns true if
/// others wait until the status lists them.
pub async fn remove(acting: Acting<'_>, set: &DesiredSet) -> Result<bool, Error> {
    let (at, view) = (acting.at, &acting.cluster.view);
    let mut waits = false;
    for (object, digest, entry) in leaving(view, set) {
        if !is_completed(at.status, &object, digest) {
            waits = true;
            continue;
        }
        let requests = acting.requests().await?;
        let deleted = requests.delete(&entry.kind, &object, &entry.uid, Dependants::Go).await;
        if let Err(error) = deleted {
            return Err(Error::NotDeleted { object, error: chain(&error) });
        }
        view.forget(&object);
        info!(sync = %at.owner, %object, "Deleted Job that has succeeded");
    }
    Ok(waits)
}

/// Returns the Jobs that have succeeded and that the agent deletes.
fn leaving(view: &View, set: &DesiredSet) -> Vec<(ObjectId, Digest, Entry)> {
    let jobs = set.objects.iter().filter(|(object, _)| is_job(object));
    let seen = jobs.filter_map(|(object, digest)| {
        let entry = view.get(object)?;
        let leaves =
            entry.completed == Some(Goes::ByUs) && entry.ending.is_none() && entry.satisfies(*digest);
        leaves.then(|| (object.clone(), *digest, entry))
    });
    seen.collect()
}

impl StageError for Error {
    fn class(&self) -> Class {
        match self {
            Self::Acting(error) => error.class(),
            Self::NotDeleted { .. } => Class::Transient,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Acting(error) => error.name(),
            Self::NotDeleted { .. } => "JobNotDeleted",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Acting(error) => error.hint(),
            Self::NotDeleted { .. } => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Acting(error) => error.into(),
            Error::NotDeleted { .. } => Self::of("apply", &error),
        }
    }
}

//! What a merge does to the live cluster: which Syncs it affects, and the two plans of each.
//!
//! The agent and the command line use it alike. I/O: through the stages.

use std::sync::Arc;

use jiff::Timestamp;

use super::plan::{Commit, Sides, claim, render};
use super::preview::{At, SyncPreview, SyncResult};
use crate::api::{Sync, SyncStatus};
use crate::local;
use crate::progress::Progress;
use crate::reconcile::Run;
use crate::reconcile::limits::Limits;
use crate::reconcile::services::Services;
use crate::reconcile::sync_at::SyncAt;
use crate::render::reads::Reads;
use crate::source::SourceError;
use crate::sync_ref::SyncRef;

/// One Sync of a preview, with its status.
pub struct Subject {
    pub owner: SyncRef,
    pub sync: Sync,
    status: SyncStatus,
    /// What its last render read, if that is known.
    reads: Option<Arc<Reads>>,
}

impl Subject {
    pub fn new(owner: SyncRef, sync: Sync, reads: Option<Arc<Reads>>) -> Self {
        let status = sync.status.clone().unwrap_or_default();
        Self { owner, sync, status, reads }
    }

    fn run<'a>(&'a self, services: &'a Services) -> Run<'a> {
        let Self { owner, sync, status, reads: _ } = self;
        let at = SyncAt { sync, owner, status, now: Timestamp::now() };
        Run { services, at, limits: Limits::default(), progress: Progress::default() }
    }
}

/// The Syncs that read a file which a merge changes.
#[derive(Default)]
pub struct Affected<'a> {
    syncs: Vec<(&'a Subject, Sides)>,
    /// Those that have never been rendered, and cannot be before or after the merge, for the same reasons.
    pub broken: Vec<(&'a SyncRef, Vec<String>)>,
}

/// Renders both sides of each Sync, and returns the Syncs that read a file which the merge changes.
pub async fn affected<'a>(
    services: &Services,
    all: &'a [Subject],
    base: &Commit<'_>,
    merge: &Commit<'_>,
) -> Result<Affected<'a>, SourceError> {
    let mut found = Affected::default();
    if base.id == merge.id {
        return Ok(found);
    }
    let files = merge.files()?;
    // Reads folders of the commit, for many Syncs.
    let unaffected = |one: &&Subject| {
        let reads = one.reads.as_deref().filter(|reads| !reads.is_empty());
        reads.is_some_and(|reads| reads.matches(&files).is_some())
    };
    let left: Vec<&Subject> = local::work(|| all.iter().filter(|one| !unaffected(one)).collect());
    for one in left {
        let run = one.run(services);
        let before = render(&run, base).await;
        if local::work(|| before.is_same_at(&files)) {
            continue;
        }
        let sides = Sides::of((before, base), (render(&run, merge).await, merge));
        match sides.failure() {
            // Whether the merge concerns a Sync that has never been rendered is not known.
            Some(SyncResult::Failed { at: At::Base, errors }) if one.reads.is_none() => {
                found.broken.push((&one.owner, errors));
            }
            _ => found.syncs.push((one, sides)),
        }
    }
    Ok(found)
}

impl Affected<'_> {
    pub fn owners(&self) -> impl Iterator<Item = &SyncRef> {
        self.syncs.iter().map(|(one, _)| &one.owner)
    }

    /// Plans both sides of each Sync.
    pub async fn plans(
        &self,
        services: &Services,
        base: &Commit<'_>,
        merge: &Commit<'_>,
    ) -> Vec<SyncPreview> {
        let mut bases = Vec::new();
        for (one, sides) in &self.syncs {
            bases.push(sides.base(&one.run(services), base).await);
        }
        if self.syncs.len() > 1 {
            // Twice: an object that moves can only be claimed after its previous Sync no longer claims it.
            for (one, sides) in self.syncs.iter().chain(&self.syncs) {
                claim(&one.run(services), merge, sides).await;
            }
        }
        let mut previews = Vec::new();
        for ((one, sides), base) in self.syncs.iter().zip(bases) {
            let result = sides.planned(&one.run(services), merge, base).await;
            previews.push(SyncPreview { sync: one.owner.clone(), result });
        }
        previews
    }
}

//! Carries out an approved plan: wave by wave, inside a wave kind by kind, inside a kind in parallel.
//!
//! Holds nothing while it waits: where a later step needs an earlier one to become healthy, it returns, and the watch
//! brings the Sync back. Leaves removal to `prune`. I/O: API writes.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use holdfast_diff::health::Status;
use holdfast_diff::needs::needs;
use holdfast_diff::object::ObjectId;
use holdfast_diff::order::Stage;
use holdfast_diff::plan::{Change, Operation};

use super::Cluster;
use super::entry::Entry;
use super::holders;
use super::observe::Lingering;
pub use super::outcome::{Kinds, Outcome};
use super::prune;
use super::replacing::Replacing;
use super::requests::Requests;
use super::write::{Written, write};
use crate::gate::ApprovedPlan;
use crate::progress::Progress;
use crate::sync_ref::SyncRef;

/// Objects of one Sync that are written at the same time.
const SIDE_BY_SIDE: usize = 16;

/// What blocks changes before anything is applied.
#[derive(Debug)]
pub struct Failed {
    pub objects: Vec<ObjectId>,
    /// The first wave with an error.
    pub wave: Option<i32>,
    /// Objects that are still being removed, and must be gone before the stages below them are removed.
    pub lingering: Vec<Lingering>,
    /// Objects whose removal waits for an Approval.
    pub waiting: Vec<ObjectId>,
}

/// What may end an apply early, and where it reports its progress.
pub struct Until<'p, S, E> {
    /// Called between two waves. True if a newer run is due.
    pub superseded: S,
    /// Called before each write. Returns why no other write may begin; `None` if it may.
    pub ended: E,
    pub progress: &'p Progress,
}

/// Applies the changes that the gate approved. A change that needs an object which failed waits, and so does what needs that
/// change.
pub async fn apply<'a>(
    cluster: &Cluster,
    requests: &Requests,
    owner: &SyncRef,
    approved: ApprovedPlan,
    kinds: &Kinds,
    failed: Failed,
    until: Until<'_, impl Fn() -> BoxFuture<'a, bool>, impl Fn() -> Option<String>>,
) -> Outcome {
    let (mut removals, writes): (Vec<Change>, Vec<Change>) =
        approved.into_plan().changes.into_iter().partition(|change| change.operation.removes());
    let lingering = failed.lingering.clone();
    let waiting = failed.waiting.clone();
    let (mut outcome, refused) = write_all(cluster, requests, owner, writes, kinds, failed, &until).await;
    for change in refused {
        let replacing =
            Replacing { cluster, requests, owner, kinds, removals: &mut removals, progress: until.progress };
        replacing.holder_of(change, &mut outcome, &until.ended).await;
    }
    if !outcome.errors.is_empty() {
        let deleted = removals.iter().filter(|change| change.operation == Operation::Delete);
        let objects = deleted.map(|change| &change.object).chain(&waiting);
        let deleted: Vec<_> = objects.filter_map(|object| Some((object, kinds.get(object)?))).collect();
        holders::name(requests, &deleted, &mut outcome.errors).await;
    }
    if !removals.is_empty() && (!outcome.errors.is_empty() || outcome.waits.is_some()) {
        outcome
            .waits
            .get_or_insert_with(|| "nothing is removed before everything else is applied".to_owned());
    } else if outcome.waits.is_none() {
        until.progress.begin_objects("apply", "removing", removals.len());
        let Until { ended, progress, .. } = &until;
        prune::prune(&cluster.view, requests, (removals, &lingering), kinds, &mut outcome, (ended, progress))
            .await;
    }
    outcome
}

/// Makes the changes that do not remove objects.
async fn write_all<'a>(
    cluster: &Cluster,
    requests: &Requests,
    owner: &SyncRef,
    writes: Vec<Change>,
    kinds: &Kinds,
    Failed { objects: mut failed, wave: failed_wave, lingering: _, waiting: _ }: Failed,
    until: &Until<'_, impl Fn() -> BoxFuture<'a, bool>, impl Fn() -> Option<String>>,
) -> (Outcome, Vec<Change>) {
    let Until { superseded, ended, progress } = until;
    let (mut outcome, mut refused) = (Outcome::default(), Vec::new());
    let mut wave = None;
    let waves: BTreeSet<i32> = writes.iter().map(|change| change.stage.wave).collect();
    progress.begin_objects("apply", "applying", writes.len());
    for (stage, changes) in stages(writes) {
        if failed_wave.is_some_and(|failed| failed < stage.wave) {
            outcome.waits = Some(format!("wave {} is blocked by errors in earlier waves", stage.wave));
            return (outcome, refused);
        }
        if wave.is_some_and(|wave| wave < stage.wave) {
            if !outcome.errors.is_empty() {
                outcome.waits = Some(format!("wave {} is blocked by errors in earlier waves", stage.wave));
            }
            if outcome.waits.is_some() {
                return (outcome, refused);
            }
            if superseded().await {
                outcome.waits = Some("a newer revision is available".to_owned());
                outcome.again = true;
                return (outcome, refused);
            }
        }
        wave = Some(stage.wave);
        progress.wave(waves.range(..=stage.wave).count(), waves.len());
        if let Some(reason) = blocked(cluster, owner, stage) {
            outcome.waits = Some(reason);
            return (outcome, refused);
        }
        let mut free = Vec::new();
        for change in changes {
            match hindrance(&change, kinds, &failed) {
                Some(reason) => {
                    outcome.again |= !kinds.contains_key(&change.object);
                    outcome.waits.get_or_insert(reason);
                    failed.push(change.object);
                }
                None => free.push(change),
            }
        }
        let writes = free.into_iter().map(|change| {
            let ended = ended();
            async move {
                let written = match ended {
                    Some(why) => Ok(Written::NotBegun(why)),
                    None => write(cluster, requests, owner, kinds, &change).await,
                };
                (change, written)
            }
        });
        let mut writes = futures::stream::iter(writes).buffer_unordered(SIDE_BY_SIDE);
        while let Some((mut change, written)) = writes.next().await {
            progress.object();
            match written {
                // Finished changes are dropped while the rest waits for its answers.
                Ok(Written::Done) => {
                    (change.manifest, change.takeover) = (None, None);
                    outcome.done.push(change);
                }
                Ok(Written::Ending) => {
                    let reason =
                        format!("{} is being deleted; it is created again afterwards", change.object);
                    outcome.waits.get_or_insert(reason);
                    failed.push(change.object.clone());
                    (change.manifest, change.takeover) = (None, None);
                    outcome.done.push(change);
                }
                Ok(Written::NotBegun(why)) => {
                    outcome.waits.get_or_insert(why);
                    outcome.again = true;
                    failed.push(change.object);
                }
                Ok(Written::Changed) => {
                    let object = change.object;
                    let reason = format!("{object} has changed since the plan was made; it is planned again");
                    outcome.waits.get_or_insert(reason);
                    outcome.again = true;
                    failed.push(object);
                }
                Err(error) => {
                    failed.extend(error.id.clone());
                    outcome.errors.push(error);
                    refused.extend((change.operation == Operation::Create).then_some(change));
                }
            }
        }
    }
    (outcome, refused)
}

/// Returns why a change cannot be tried: its kind is not served yet, or an object that it needs has failed.
fn hindrance(change: &Change, kinds: &Kinds, failed: &[ObjectId]) -> Option<String> {
    let Some(kind) = kinds.get(&change.object) else {
        return Some(format!("{} waits until its kind is served", change.object));
    };
    let manifest = change.manifest.as_ref()?;
    let needed = failed.iter().find(|other| needs(&change.object, &kind.plural, manifest, other))?;
    Some(format!("{} waits for {needed}, which failed or waits itself", change.object))
}

/// Groups changes, which are in the order of apply, by their stage. If the next stage only has objects that run nothing, the last
/// objects of a large stage do not delay it: both are one group, and start in their order.
fn stages(changes: Vec<Change>) -> Vec<(Stage, Vec<Change>)> {
    let mut stages: Vec<(Stage, Vec<Change>)> = Vec::new();
    for change in changes {
        match stages.last_mut() {
            Some((stage, group))
                if *stage == change.stage
                    || (group.len() > SIDE_BY_SIDE
                        && stage.wave == change.stage.wave
                        && stage.is_passive()
                        && change.stage.is_passive()) =>
            {
                group.push(change);
            }
            _ => stages.push((change.stage, vec![change])),
        }
    }
    stages
}

/// Returns why a stage must wait: an object of an earlier wave, or a definition of an earlier stage, is not healthy yet.
fn blocked(cluster: &Cluster, owner: &SyncRef, next: Stage) -> Option<String> {
    let waits = |object: &ObjectId, entry: &Entry| {
        let earlier = entry.stage.wave < next.wave && entry.health.blocks_wave();
        let definition =
            entry.stage < next && object.kind.is("apiextensions.k8s.io", "CustomResourceDefinition");
        (earlier || definition) && entry.health.status != Status::Current && entry.ending.is_none()
    };
    let (object, entry) = cluster.view.members_that(owner, waits).into_iter().next()?;
    Some(format!("wave {} waits for {object}: {}", next.wave, entry.health.message))
}

//! What the web UI reads of the agent: its watches, and what it remembers of the last render of each Sync. A page never waits for a run. No I/O.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast_diff::object::ObjectId;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use super::agent::Agent;
use super::memory::Memory;
use crate::cluster::view::View;
use crate::reconcile::past::DesiredSet;
use crate::reconcile::services::Services;
use crate::sync_ref::SyncRef;
use crate::ui::{Changed, Desired, Live, Renders};

/// How long a page waits for the end of a run. Most runs are shorter.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the web UI reads.
pub fn live(agent: &Arc<Agent>) -> Live {
    let Services { cluster, approvals, events, .. } = &agent.services;
    let clients = cluster.clients.clone();
    Live {
        syncs: cluster.syncs.clone(),
        approvals: approvals.clone(),
        updates: agent.updates.clone(),
        repositories: agent.repositories.clone(),
        pulls: agent.pulls.clone(),
        discovery: cluster.discovery.clone(),
        renders: Some(Arc::new(Remembered(agent.clone()))),
        view: Some(cluster.view.clone()),
        silence: Arc::new(move || clients.contact().last().elapsed()),
        events: Some(events.clone()),
    }
}

/// The memories of an agent.
struct Remembered(Arc<Agent>);

impl Remembered {
    /// The memory of a Sync, unless a run has it.
    async fn memory(&self, sync: &SyncRef) -> Option<OwnedMutexGuard<Memory>> {
        timeout(PATIENCE, self.0.memories.of(sync).lock_owned()).await.ok()
    }

    fn desired(&self, memory: &Memory, object: &ObjectId) -> Desired {
        let masks = memory.past.masks.clone();
        let set = memory.past.state.before();
        let found = set.and_then(|set| {
            let at = set.objects.iter().position(|(known, _)| known == object)?;
            Some((set.kept.get(&[at]).ok()?.pop()?, set.objects.get(at)?.1))
        });
        let Some((manifest, digest)) = found else {
            return Desired::Known { manifest: None, is_satisfied: false, masks };
        };
        let entry = self.0.services.cluster.view.get(object);
        let is_satisfied = entry.is_some_and(|entry| entry.satisfies(digest));
        Desired::Known { manifest: Some(Box::new(manifest)), is_satisfied, masks }
    }

    fn changed(&self, sync: &SyncRef, memory: &Memory, skip: usize, take: usize) -> Changed {
        let (view, masks) = (&self.0.services.cluster.view, memory.past.masks.clone());
        let Some(set) = memory.past.state.before() else {
            return Changed { masks, ..Changed::default() };
        };
        let differing = view.differing(sync, &set.objects, |_, _| false);
        let differing: Vec<usize> = differing.manifests.iter().map(|(at, _)| *at).collect();
        let gone = surplus(view, sync, set);
        let total = differing.len() + gone.len();
        let window: Vec<usize> = differing.iter().copied().skip(skip).take(take).collect();
        let manifests = set.kept.get(&window).unwrap_or_default();
        let objects = window.iter().zip(manifests);
        let mut objects: Vec<_> =
            objects.map(|(at, manifest)| (set.objects[*at].0.clone(), Some(manifest))).collect();
        let left = take.saturating_sub(objects.len());
        let gone = gone.into_iter().skip(skip.saturating_sub(differing.len())).take(left);
        objects.extend(gone.map(|object| (object, None)));
        Changed { total, objects, masks }
    }
}

/// The members of a Sync that are not in its source.
fn surplus(view: &View, sync: &SyncRef, set: &DesiredSet) -> Vec<ObjectId> {
    let wanted: HashSet<&ObjectId> = set.objects.iter().map(|(object, _)| object).collect();
    let members = view.members_that(sync, |object, _| !wanted.contains(object));
    members.into_iter().map(|(object, _)| object).collect()
}

impl Renders for Remembered {
    fn desired(&self, sync: SyncRef, object: ObjectId) -> BoxFuture<'_, Desired> {
        Box::pin(async move {
            match self.memory(&sync).await {
                Some(memory) => self.desired(&memory, &object),
                None => Desired::Busy,
            }
        })
    }

    fn changed(&self, sync: SyncRef, skip: usize, take: usize) -> BoxFuture<'_, Option<Changed>> {
        Box::pin(async move {
            let memory = self.memory(&sync).await?;
            Some(self.changed(&sync, &memory, skip, take))
        })
    }
}

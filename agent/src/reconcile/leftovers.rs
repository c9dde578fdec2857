//! What git had of objects and does not have any more, until it has left the cluster too. The owners of fields do not tell that
//! where another manager took a field, or where all owners were removed, before the field left git.
//!
//! It is known by the render before. After a restart, that of the revision that is applied is made again, if git has moved
//! meanwhile. I/O: through the stages.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::handling::{self, Applied};
use holdfast_diff::object::{Manifest, ObjectId};
use holdfast_diff::takeover::{joined, left_out};
use serde_json::Value;
use tracing::{instrument, warn};

use super::Run;
use super::source::earlier;
use super::{inputs, rendering, stages};
use crate::api::RevisionStatus;
use crate::cluster::entry::Ending;
use crate::cluster::marks::Whose;
use crate::cluster::requests::Requests;
use crate::cluster::resolve::{self, Desired};
use crate::memory::{Memory, Rendered};
use crate::render::kept::Kept;
use crate::report::{Failure, Seen, drift};

/// Manifests that are read at a time.
const BATCH: usize = 256;
/// Objects that are looked for because they left git and are no members.
const LOOKED: usize = 20;

/// The parts of former manifests that the manifests of now do not have.
pub type Leftovers = HashMap<ObjectId, Arc<Value>>;

/// What is known of the past of a Sync.
#[derive(Clone, Copy, Default)]
pub struct Past<'a> {
    earlier: Option<&'a Rendered>,
    left: Option<&'a Leftovers>,
}

impl<'a> Past<'a> {
    pub fn of(memory: &'a Memory) -> Self {
        let earlier = memory.rendered.as_ref().or(memory.earlier.as_ref());
        Self { earlier, left: Some(&memory.leftovers) }
    }

    /// Adds to desired objects what git had of them before, and what came back after it was removed. What of it is in
    /// manifests of now is compared where they are `whole`.
    pub fn add(self, run: &Run<'_>, desired: &mut [Desired], whole: bool) -> Leftovers {
        let mut found: Leftovers = self.left.cloned().unwrap_or_default();
        if let Some(earlier) = self.earlier.filter(|_| whole)
            && let Err(error) = compare(earlier, desired, &mut found)
        {
            warn!(sync = %run.owner, %error, "Cannot compare with the render before");
        }
        let told = run.status.drift.iter().flat_map(|drift| &drift.objects);
        let told: Vec<_> = told.filter(|told| drift::is_kept(told)).collect();
        for desired in desired {
            desired.before = found.get(&desired.object).cloned();
            let of = told.iter().filter(|told| drift::is_of(told, &desired.object));
            desired.returned = of.flat_map(|told| &told.changes).map(|change| change.path.clone()).collect();
        }
        found
    }

    /// Tells of objects that git had, and that stay since nothing says any more whose they are: their marks were removed.
    pub async fn unmarked(
        self,
        run: &Run<'_>,
        requests: &Requests,
        desired: &[(ObjectId, Digest)],
    ) -> Vec<String> {
        let Some(earlier) = self.earlier.filter(|_| run.sync.spec.prune) else { return Vec::new() };
        let (cluster, now) =
            (&run.context.cluster, desired.iter().map(|(object, _)| object).collect::<HashSet<_>>());
        let is_lost = |object: &ObjectId| !now.contains(object) && cluster.view.get(object).is_none();
        let lost = earlier.objects.iter().enumerate().filter(|(_, (object, _))| is_lost(object));
        let mut found = Vec::new();
        for (at, (object, _)) in lost.take(LOOKED) {
            let manifest = earlier.kept.get(&[at]).ok().and_then(|found| found.into_iter().next());
            if manifest.is_none_or(|manifest| is_left_alone(&manifest.value)) {
                continue;
            }
            let Ok(Some(kind)) = cluster.discovery.former(&object.kind).await else { continue };
            let Ok(Some(live)) = requests.get(&kind, object).await else { continue };
            let is_of_another =
                matches!(cluster.view.marks.whose(object, &live), Whose::Of(owner) if owner != *run.owner);
            if !is_of_another && !is_left_alone(&live) && Ending::of(&live).is_none() {
                found.push(unmarked(object));
            }
        }
        found
    }
}

fn is_left_alone(object: &Value) -> bool {
    handling::keeps(object).is_some() || handling::applied(object) != Applied::Always
}

fn unmarked(object: &ObjectId) -> String {
    let kind = object.kind.to_string().to_lowercase();
    let place = if object.namespace.is_empty() { String::new() } else { format!(" -n {}", object.namespace) };
    format!(
        "{object} was removed from git and not deleted, because its label or annotations of ownership were removed; to delete it: kubectl{place} delete {kind} {}",
        object.name
    )
}

/// Finds what an earlier render has and the objects that are desired now do not.
fn compare(
    earlier: &Rendered,
    desired: &[Desired],
    found: &mut Leftovers,
) -> Result<(), crate::render::kept::KeptError> {
    let now: HashMap<&ObjectId, &Desired> =
        desired.iter().map(|desired| (&desired.object, desired)).collect();
    let differs = |(at, (object, digest)): (usize, &(ObjectId, Digest))| {
        let desired = now.get(object).filter(|desired| desired.digest != *digest)?;
        Some((at, *desired))
    };
    let differing: Vec<(usize, &Desired)> = earlier.objects.iter().enumerate().filter_map(differs).collect();
    for batch in differing.chunks(BATCH) {
        let positions: Vec<usize> = batch.iter().map(|(at, _)| *at).collect();
        for (Manifest { value, .. }, (_, desired)) in earlier.kept.get(&positions)?.iter().zip(batch) {
            let Some(left) = left_out(value, &desired.manifest.value) else { continue };
            let all = found.entry(desired.object.clone()).or_default();
            if all.is_null() {
                *all = Arc::new(left);
            } else {
                joined(Arc::make_mut(all), &left);
            }
        }
    }
    Ok(())
}

/// Keeps what has not left the cluster yet.
pub fn keep(run: &Run<'_>, memory: &mut Memory, found: Leftovers, desired: &[(ObjectId, Digest)]) {
    memory.leftovers = found;
    if memory.leftovers.is_empty() {
        return;
    }
    let desired: HashMap<&ObjectId, Digest> =
        desired.iter().map(|(object, digest)| (object, *digest)).collect();
    let (view, kept) = (&run.context.cluster.view, &memory.drift.kept);
    memory.leftovers.retain(|object, _| {
        desired.get(object).is_some_and(|digest| {
            kept.contains_key(object) || !view.get(object).is_some_and(|entry| entry.satisfies(*digest))
        })
    });
}

/// After a restart, renders the revision that is applied, if what is `seen` differs from it; a working tree always may. Returns
/// a warning if that cannot be done.
#[instrument(name = "render", skip_all, fields(sync = %run.owner))]
pub async fn recall(run: &Run<'_>, memory: &mut Memory, seen: Option<&Seen>) -> Option<String> {
    if memory.recalled || memory.rendered.is_some() || memory.earlier.is_some() {
        return None;
    }
    memory.recalled = true;
    let RevisionStatus { applied, tree, .. } = run.status.revision.as_ref()?;
    let (applied, tree) = (applied.as_deref()?, tree.as_deref()?);
    if seen.is_some_and(|seen| tree == seen.tree || applied == seen.revision) {
        return None;
    }
    match render(run, applied, tree).await {
        Ok(rendered) => {
            memory.earlier = Some(rendered);
            None
        }
        Err(Failure { message, .. }) => Some(format!(
            "fields that were removed from git since {applied} may still be live if another manager owns them, because {applied} cannot be rendered: {message}"
        )),
    }
}

async fn render(run: &Run<'_>, applied: &str, tree: &str) -> Result<Rendered, Failure> {
    let checkout = earlier(run, applied).await?;
    let path = run.sync.spec.path.as_deref().unwrap_or_default();
    let folder = checkout.folder(path).map_err(|error| Failure::of("source", &error))?;
    let is_chart = inputs::is_chart(run.sync, &checkout.files(), &folder);
    let inputs = inputs::inputs(run, is_chart).await?;
    let fruit = Box::pin(rendering::once(run, &checkout, folder, inputs)).await?;
    let cluster = &run.context.cluster;
    let rules = cluster.view.judges.rules(run.owner);
    let namespace = stages::namespace(run);
    let (found, _) = resolve::resolve(&cluster.discovery, run.owner, namespace, rules, fruit.manifests).await;
    let kept = Kept::of(found.iter().map(|desired| &*desired.manifest));
    let kept = kept.map_err(|error| Failure::internal("render", error.to_string()))?;
    let objects = found.iter().map(|desired| (desired.object.clone(), desired.digest)).collect();
    Ok(Rendered::of(tree, run.sync, Arc::new(objects), kept))
}

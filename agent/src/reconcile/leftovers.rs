//! Fields that left the source, until they have left the cluster too. Field ownership does not show them if another manager took
//! a field, or if all owners were removed, before the field left the source.
//!
//! They are found by comparing with the previous set, which `recall` renders again after a restart. I/O: API reads of objects
//! that left the source and have no marks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::handling::{self, Applied};
use holdfast_diff::object::{Manifest, ObjectId};
use holdfast_diff::takeover::{joined, left_out};
use serde_json::Value;
use tracing::warn;

use super::past::{DesiredSet, Leftovers, Past};
use super::sync_at::SyncAt;
use crate::cluster::Cluster;
use crate::cluster::entry::Ending;
use crate::cluster::marks::Whose;
use crate::cluster::requests::Requests;
use crate::cluster::resolve::Desired;
use crate::cluster::view::View;
use crate::report::drift;

/// Manifests that are unpacked at a time.
const BATCH: usize = 256;
/// Maximum number of objects without marks that are read after they left the source.
const LOST: usize = 20;

/// Adds to each desired object the parts that left the source, and the fields that came back after they were removed. If a whole
/// set is compared (`whole`), the parts are found by comparing with the previous set.
pub fn add(past: &Past, at: SyncAt<'_>, desired: &mut [Desired], whole: bool) -> Leftovers {
    let mut found = past.leftovers.clone();
    if let Some(earlier) = past.state.before().filter(|_| whole)
        && let Err(error) = compare(earlier, desired, &mut found)
    {
        warn!(sync = %at.owner, %error, "Cannot compare with the previous render");
    }
    let reported = at.status.drift.iter().flat_map(|drift| &drift.objects);
    let reported: Vec<_> = reported.filter(|object| drift::is_kept(object)).collect();
    for desired in desired {
        desired.before = found.get(&desired.object).cloned();
        let of = reported.iter().filter(|object| drift::is_of(object, &desired.object));
        desired.returned = of.flat_map(|object| &object.changes).map(|change| change.path.clone()).collect();
    }
    found
}

/// Describes objects that left the source and are not deleted, because without marks nothing proves that the Sync owns them.
pub async fn unmarked(
    cluster: &Cluster,
    requests: &Requests,
    at: SyncAt<'_>,
    past: &Past,
    desired: &[(ObjectId, Digest)],
) -> Vec<String> {
    let Some(earlier) = past.state.before().filter(|_| at.sync.spec.prune) else { return Vec::new() };
    let now: HashSet<&ObjectId> = desired.iter().map(|(object, _)| object).collect();
    let is_lost = |object: &ObjectId| !now.contains(object) && cluster.view.get(object).is_none();
    let lost = earlier.objects.iter().enumerate().filter(|(_, (object, _))| is_lost(object));
    let mut found = Vec::new();
    for (position, (object, _)) in lost.take(LOST) {
        let manifest = earlier.kept.get(&[position]).ok().and_then(|found| found.into_iter().next());
        if manifest.is_none_or(|manifest| is_left_alone(&manifest.value)) {
            continue;
        }
        let Ok(Some(kind)) = cluster.discovery.former(&object.kind).await else { continue };
        let Ok(Some(live)) = requests.get(&kind, object).await else { continue };
        let is_of_another =
            matches!(cluster.view.marks.whose(object, &live), Whose::Of(owner) if owner != *at.owner);
        if !is_of_another && !is_left_alone(&live) && Ending::of(&live).is_none() {
            found.push(without_marks(object));
        }
    }
    found
}

fn is_left_alone(object: &Value) -> bool {
    handling::keeps(object).is_some() || handling::applied(object) != Applied::Always
}

fn without_marks(object: &ObjectId) -> String {
    let kind = object.kind.to_string().to_lowercase();
    let place = if object.namespace.is_empty() { String::new() } else { format!(" -n {}", object.namespace) };
    format!(
        "{object} was removed from Git but not deleted, because its label or annotations of ownership were removed; to delete it: kubectl{place} delete {kind} {}",
        object.name
    )
}

/// Adds the parts that an earlier set has and the desired objects do not have.
fn compare(
    earlier: &DesiredSet,
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

/// Remembers the parts that have not left the cluster yet.
pub fn keep(view: &View, past: &mut Past, found: Leftovers, desired: &[(ObjectId, Digest)]) {
    past.leftovers = found;
    if past.leftovers.is_empty() {
        return;
    }
    let desired: HashMap<&ObjectId, Digest> =
        desired.iter().map(|(object, digest)| (object, *digest)).collect();
    let kept = &past.drift.kept;
    past.leftovers.retain(|object, _| {
        desired.get(object).is_some_and(|digest| {
            kept.contains_key(object) || !view.get(object).is_some_and(|entry| entry.satisfies(*digest))
        })
    });
}

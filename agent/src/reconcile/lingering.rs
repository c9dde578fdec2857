//! Objects that are being deleted and held by finalizers. They delay the removals that follow and the readiness of the Sync, for
//! no longer than `spec.timeout`: any user with write access to an object can add a finalizer, which must not stop the Sync for
//! ever. No I/O.

use std::time::Duration;

use holdfast_diff::health::Status as Health;

use super::observe::SetState;
use super::sync_at::SyncAt;
use crate::cluster::entry::Entry;
use crate::cluster::observe::Lingering;
use crate::cluster::view::View;
use crate::report::Objects;
use crate::sync_ref::SyncRef;

/// Maximum number of objects that one list names.
const NAMED: usize = 5;

/// Describes the objects whose deletion the Sync waits for.
pub fn ending(at: SyncAt<'_>, set: &SetState) -> Option<String> {
    let removed = awaited(at, set).into_iter().map(|one| (one.object, one.ending));
    let all: Vec<_> = set.ending.iter().cloned().chain(removed).collect();
    let (object, how) = all.first()?;
    let more = if all.len() > 1 { format!(", and {} more", all.len() - 1) } else { String::new() };
    Some(format!("{object} is being deleted {how}{more}"))
}

/// Objects that left the source, are being deleted, and for which the Sync still waits.
pub fn awaited(at: SyncAt<'_>, set: &SetState) -> Vec<Lingering> {
    set.lingering.iter().filter(|one| left(at, one).is_some()).cloned().collect()
}

/// Time until the first of these waits ends, if no watch event comes before.
pub fn next(at: SyncAt<'_>, set: &SetState) -> Option<Duration> {
    set.lingering.iter().filter_map(|one| left(at, one)).min()
}

/// Describes objects that left the source and still exist, and for which the Sync does not wait.
pub fn notes(at: SyncAt<'_>, is_agent: bool, set: &SetState) -> Vec<String> {
    let may_name = |other: &SyncRef| is_agent || other.namespace() == at.owner.namespace();
    let moving = set.moving.iter().take(NAMED).map(|(object, other)| {
        let other = if may_name(other) { format!("Sync {other}") } else { "another Sync".to_owned() };
        format!("{object} is no longer in Git for this Sync and is not deleted, because {other} has it in Git and takes it over")
    });
    let owned = set.owned.iter().take(NAMED).map(|(object, owner)| {
        format!("{object} is no longer in Git and is kept; it remains a member of this Sync, so that {owner}, which owns it, is kept too if it leaves Git: the garbage collector would delete both")
    });
    moving.chain(owned).chain(overdue(at, set)).collect()
}

/// Describes objects that finalizers hold for longer than `spec.timeout`.
pub fn overdue(at: SyncAt<'_>, set: &SetState) -> Vec<String> {
    let overdue = set.lingering.iter().filter(|one| left(at, one).is_none());
    let describe = |Lingering { object, ending, stage: _ }: &Lingering| {
        format!(
            "{object} is being deleted {ending}, for longer than spec.timeout, so it no longer blocks the Sync; remove its finalizers to complete the deletion"
        )
    };
    overdue.take(NAMED).map(describe).collect()
}

fn left(at: SyncAt<'_>, one: &Lingering) -> Option<Duration> {
    one.ending.left(at.sync.spec.timeout(), at.now)
}

/// Returns the health of the objects of a Sync, from the live view. Objects that left the source do not count, unless the Sync waits
/// for their deletion, for `spec.timeout` at most.
pub fn health(at: SyncAt<'_>, view: &View) -> Objects {
    let patience = at.sync.spec.timeout();
    let awaited =
        |entry: &Entry| entry.ending.as_ref().is_some_and(|ending| ending.left(patience, at.now).is_some());
    let left = view.unwanted(at.owner, |entry| !awaited(entry));
    let unhealthy = view
        .members_that(at.owner, |object, entry| {
            entry.health.status != Health::Current && !left.contains(object)
        })
        .into_iter()
        .map(|(object, entry)| (object, entry.health))
        .collect();
    Objects { total: view.count(at.owner).saturating_sub(left.len()), unhealthy }
}

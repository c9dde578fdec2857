//! Objects whose deletion was asked for and that are still there, held by finalizers: they hold up what is to be removed after
//! them, and the verdict about the Sync, for no longer than a run may take. Whoever may write an object can hold it for ever,
//! and that must be nobody else's trouble. No I/O.

use std::time::Duration;

use holdfast_diff::health::Status as Health;

use super::Run;
use super::stages::Observed;
use crate::cluster::entry::Entry;
use crate::cluster::observe::Lingering;
use crate::report::Objects;
use crate::sync_ref::SyncRef;

/// Objects of one sort that are named.
const NAMED: usize = 5;

/// What is being deleted and is waited for: until it can be applied again, or is gone.
pub fn ending(run: &Run<'_>, observed: &Observed) -> Option<String> {
    let removed = awaited(run, observed).into_iter().map(|one| (one.object, one.ending));
    let all: Vec<_> = observed.seen.ending.iter().cloned().chain(removed).collect();
    let (object, how) = all.first()?;
    let more = if all.len() > 1 { format!(", and {} more", all.len() - 1) } else { String::new() };
    Some(format!("{object} is being deleted {how}{more}"))
}

/// What left git, is being deleted and is still waited for.
pub fn awaited(run: &Run<'_>, observed: &Observed) -> Vec<Lingering> {
    observed.seen.lingering.iter().filter(|one| left(run, one).is_some()).cloned().collect()
}

/// When that ends, if no watch tells before.
pub fn next(run: &Run<'_>, observed: &Observed) -> Option<Duration> {
    observed.seen.lingering.iter().filter_map(|one| left(run, one)).min()
}

/// What is told of objects that left git and are still there, though nothing waits for that.
pub fn notes(run: &Run<'_>, observed: &Observed) -> Vec<String> {
    let may_name = |other: &SyncRef| run.acts_as_agent() || other.namespace() == run.owner.namespace();
    let moving = observed.seen.moving.iter().take(NAMED).map(|(object, other)| {
        let other = if may_name(other) { format!("Sync {other}") } else { "another Sync".to_owned() };
        format!("{object} left git here and is not deleted, because {other} has it in git and takes it over")
    });
    moving.chain(overdue(run, observed)).collect()
}

/// What is told of objects that are held for so long that nothing waits for them any more.
pub fn overdue(run: &Run<'_>, observed: &Observed) -> Vec<String> {
    let overdue = observed.seen.lingering.iter().filter(|one| left(run, one).is_none());
    let describe = |Lingering { object, ending, stage: _ }: &Lingering| {
        format!(
            "{object} is being deleted {ending}, for longer than spec.timeout, so nothing else waits for it; it is gone when its finalizers are removed"
        )
    };
    overdue.take(NAMED).map(describe).collect()
}

fn left(run: &Run<'_>, one: &Lingering) -> Option<Duration> {
    one.ending.left(run.sync.spec.timeout(), run.now)
}

/// How the objects of a Sync are, out of the live view. What lingers though it is to be removed counts for no longer than
/// others wait for it.
pub fn health(run: &Run<'_>) -> Objects {
    let view = &run.context.cluster.view;
    let patience = run.sync.spec.timeout();
    let overdue =
        |entry: &Entry| entry.ending.as_ref().is_some_and(|ending| ending.left(patience, run.now).is_none());
    let unhealthy =
        view.members_that(run.owner, |_, entry| entry.health.status != Health::Current || overdue(entry));
    let (left, unhealthy): (Vec<_>, Vec<_>) =
        unhealthy.into_iter().partition(|(object, entry)| overdue(entry) && !view.wants(run.owner, object));
    let unhealthy = unhealthy
        .into_iter()
        .filter(|(_, entry)| entry.health.status != Health::Current)
        .map(|(object, entry)| (object, entry.health))
        .collect();
    Objects { total: view.count(run.owner).saturating_sub(left.len()), unhealthy }
}

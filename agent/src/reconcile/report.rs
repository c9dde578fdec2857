//! The stage `report`: converts the results of the stages to findings, of which the controller makes a status, Events, metrics
//! and alerts, and remembers what the next run needs. Never fails a sync.
//!
//! I/O: [`compare_others`] reads objects that others changed; [`afterwards`] deletes Jobs that have succeeded and records the end
//! of Approvals.

use holdfast_diff::causes::{self, Mistake};

use super::acting::Acting;
use super::apply::Outcome;
use super::approvals::Approvals;
use super::drift::outcome::{self, Attempts};
use super::drift::{reported, unmanaged};
use super::past::{DesiredSet, Past, State};
use super::source;
use super::sync_at::SyncAt;
use super::{ignored, jobs, leftovers, lingering};
use crate::api::ChartStatus;
use crate::cluster::refusal::ObjectError;
use crate::cluster::view::View;
use crate::error::Class;
use crate::report::drift::Drift;
use crate::report::{Done, Failure, Findings, NewValue};

/// Reports a run that compared nothing, because nothing has changed.
pub fn unchanged(found: &mut Findings, trouble: Option<source::Error>) -> Result<(), Failure> {
    found.live.drift = Some(Drift::default());
    found.remarks.notes = Some(Vec::new());
    trouble.map_or(Ok(()), |trouble| Err(trouble.into()))
}

/// What the report of a run says about its source.
pub struct About<'a> {
    pub at: SyncAt<'a>,
    /// Digest of what was read of the source.
    pub tree: &'a str,
    /// The source has no objects.
    pub is_empty: bool,
    /// The chart, if the whole set was rendered.
    pub chart: NewValue<ChartStatus>,
    /// Why the source could not be contacted.
    pub trouble: Option<source::Error>,
}

/// Reports the outcome of a plan, and remembers the set that was compared. `is_agent` permits naming objects of every namespace.
pub fn report(
    About { at, tree, is_empty, chart, trouble }: About<'_>,
    view: &View,
    is_agent: bool,
    outcome: Outcome,
    past: &mut Past,
    found: &mut Findings,
) -> Result<(), Failure> {
    let Outcome {
        plan,
        done,
        errors,
        waits,
        again,
        waiting,
        approval,
        attempted,
        not_ready,
        not_noted,
        stopped,
        mut basis,
    } = outcome;
    found.rendered.chart = chart;
    found.remarks.warnings = basis.set.warnings.take();
    found.remarks.notes = Some(lingering::notes(at, is_agent, &basis.set));
    (found.gated.waiting, found.gated.approval, found.next.within) = (waiting, approval, basis.next);
    if let Some(error) = stopped {
        return Err(error.into());
    }
    let errors = [std::mem::take(&mut basis.set.errors), errors].concat();
    let drift = &basis.drift;
    let attempts = Attempts {
        drifted: &drift.drifted,
        attempted: [reported(at, &drift.drifted, &drift.refused), attempted].concat(),
        done: &done,
        waiting: found.gated.waiting.as_ref(),
        errors: &errors,
    };
    found.live.drift = Some(outcome::found(at, &mut past.drift, attempts));
    found.done = Some(Done { id: plan, changes: done }).filter(|done| !done.changes.is_empty());
    found.ended.waits =
        waits.or(basis.waits).or(basis.set.waits.take()).or_else(|| lingering::ending(at, &basis.set));
    found.next.again = again;
    // Scopes that could not be listed are listed again by the next run, unless a right is missing.
    let is_verified =
        errors.is_empty() && not_ready.is_none() && basis.set.unseen.iter().all(|unseen| unseen.forbidden);
    if basis.set.kept.is_some() {
        past.former = basis.set.former(at);
    }
    leftovers::keep(view, past, basis.set.leftovers, &basis.set.desired);
    let desired = basis.set.desired;
    let compared = basis.set.kept.map(|kept| DesiredSet::new(tree, at.sync, desired, kept));
    past.keep(compared, is_verified);
    if is_empty {
        return Err(no_manifests(view, at));
    }
    failure(&errors, trouble.map(Failure::from))?;
    not_noted.or(not_ready).map_or(Ok(()), |error| Err(error.into()))
}

/// Completes the findings of every run with drift that was not compared, the health of all objects, warnings and Jobs. Removes
/// Jobs that have succeeded and ends Approvals that are over.
pub async fn afterwards(acting: Acting<'_>, approvals: Approvals<'_>, past: &mut Past, found: &mut Findings) {
    let (at, view) = (acting.at, &acting.cluster.view);
    let failed = found.ended.failure.is_some();
    if let Some(drift) = &mut found.live.drift {
        outcome::complete(at, view, past, drift, failed);
    }
    found.live.objects = Some(lingering::health(at, view));
    let (mistakes, notes) = (found.remarks.warnings.take(), found.remarks.notes.take());
    found.remarks.warnings =
        ignored::warnings(at, acting.is_agent(), view, &mut past.notices, mistakes, notes);
    approvals.sweep(found).await;
    if let State::Verified(set) = &past.state {
        found.live.completed = Some(jobs::completed(at, view, set));
        if found.ended.suspended.is_none() {
            match jobs::remove(acting, set).await {
                Ok(waits) => found.next.again |= waits,
                Err(error) => {
                    found.ended.failure.get_or_insert_with(|| error.into());
                }
            }
        }
    }
    found.hide(&past.masks);
}

/// Compares changes of other writers that no plan covers: fields that an apply replaced, and fields that they added.
pub async fn compare_others(acting: Acting<'_>, past: &mut Past, found: &mut Findings) {
    let overwritten = outcome::overwritten(acting, &past.masks).await;
    if !overwritten.is_empty() {
        past.drift.corrected_at = Some(acting.at.now);
        found.live.drift.get_or_insert_default().corrected.extend(overwritten);
    }
    unmanaged::find(acting, past).await;
}

/// The failure of a folder without manifests, which is more often a mistake than intended.
fn no_manifests(view: &View, at: SyncAt<'_>) -> Failure {
    let owned = view.count(at.owner);
    let path = at.sync.spec.path.as_deref().unwrap_or("./");
    let message = format!(
        "no manifests below {path}; nothing was pruned ({owned} objects stay); correct spec.path, or approve the plan that removes them"
    );
    Failure::user("render", "NoManifests", message)
}

/// Returns all errors of objects as one failure, or the trouble with the source if there are none.
pub fn failure(errors: &[ObjectError], trouble: Option<Failure>) -> Result<(), Failure> {
    let Some(first) = errors.first() else { return trouble.map_or(Ok(()), Err) };
    let class = if errors.iter().all(|error| error.class == Class::Transient) {
        Class::Transient
    } else {
        Class::User
    };
    let mistakes: Vec<Mistake> = errors.iter().map(ObjectError::mistake).collect();
    let (message, is_whole) = causes::summary(&mistakes, 0);
    let first = errors.iter().find(|error| error.class == class).unwrap_or(first);
    let failure = Failure::new(first.stage, class, first.reason, message);
    Err(if is_whole { failure } else { failure.with(&mistakes) })
}

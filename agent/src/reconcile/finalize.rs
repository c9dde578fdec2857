//! Handles a Sync that is being deleted: prunes its objects in order, or removes its marks from them and leaves them.
//!
//! Objects that cannot be observed or removed delay it for a limited time, see `leaving`. I/O: through the stages.

mod leaving;

use holdfast_diff::causes;
use holdfast_diff::plan::Plan;

use self::leaving::Reach;
use super::Run;
use super::apply::Outcome;
use super::gate::Decided;
use super::limits::is_superseded;
use super::lingering;
use super::observe::{Observed, SetState};
use super::past::Past;
use super::plan::{Basis, Planned, removals};
use super::render::ManifestSet;
use super::report::failure;
use crate::cluster::parent;
use crate::cluster::refusal::{ObjectError, chain};
use crate::error::Class;
use crate::render::RenderOutput;
use crate::report::{Done, Failure, Findings};

/// The result of one run of a Sync that is being deleted.
pub enum Ended {
    /// The finalizer is removed.
    Gone,
    /// Objects still exist.
    Waits(Box<Findings>),
}

/// Prunes or orphans the objects of a Sync, then removes its finalizer.
pub async fn finalize(run: &Run<'_>, past: &mut Past) -> Ended {
    let mut findings = Findings::of(run.at.sync, run.at.owner, run.at.now);
    let ended = end(run, past, &mut findings).await;
    findings.hide(&past.masks);
    match ended {
        Ok(true) => Ended::Gone,
        Ok(false) => Ended::Waits(Box::new(findings)),
        Err(failure) => {
            let message = past.masks.hide(&failure.message).into_owned();
            findings.ended.failure = Some(Failure { message, ..failure });
            Ended::Waits(Box::new(findings))
        }
    }
}

/// Returns true if the finalizer is removed.
async fn end(run: &Run<'_>, past: &mut Past, findings: &mut Findings) -> Result<bool, Failure> {
    run.services.cluster.view.disclaim(run.at.owner);
    let keep = leaving::keep(run);
    if keep.is_none()
        && let Some(before) = leaving::dependent(run)
    {
        findings.ended.waits = Some(leaving::with_way_out(run, before));
        findings.next.again = true;
        return Ok(false);
    }
    match remove(run, past, keep, findings).await {
        Ok(true) => release(run).await.map(|()| true),
        Ok(false) => {
            findings.ended.waits = findings.ended.waits.take().map(|waits| leaving::with_way_out(run, waits));
            Ok(false)
        }
        Err(failure) if is_superseded(&failure) => Err(failure),
        Err(failure) => {
            let failure = run.acting().explain(failure).await;
            match leaving::reach(run, past, &failure, keep).await {
                Reach::GivenUp if findings.next.again => Err(failure),
                Reach::GivenUp => {
                    leaving::report(run, &failure.message);
                    release(run).await.map(|()| true)
                }
                Reach::Until(time) => {
                    findings.next.within = Some(leaving::left(run, time));
                    let message = format!("{}; {}", failure.message, leaving::until(run, time));
                    Err(Failure { message, ..failure })
                }
                Reach::Retried => {
                    let message = leaving::with_way_out(run, failure.message);
                    Err(Failure { message, ..failure })
                }
            }
        }
    }
}

/// Removes the objects of the Sync. Returns true if none is left that it waits for.
async fn remove(
    run: &Run<'_>,
    past: &mut Past,
    keep: Option<&str>,
    found: &mut Findings,
) -> Result<bool, Failure> {
    let (at, limits) = (run.at, &run.limits);
    let manifests = ManifestSet::whole(RenderOutput::default(), &past.masks);
    let requests = limits.wait("observe", run.requests(&manifests)).await?;
    let nothing = Past::default();
    let observing = Box::pin(run.observe(&requests, ("", ""), manifests, &nothing));
    let observed = limits.wait("observe", observing).await?;
    if keep.is_none() {
        failure(&observed.set.errors, None)?;
        leaving::seen(run, past, &observed.set)?;
    }
    let is_over = leaving::is_over(run, past);
    let planned = plan(run, past, observed, keep, is_over);
    let decided = decide(run, past, planned, found).await;
    let outcome = run.apply(&requests, None, decided, run.set(true, true), past).await;
    let Outcome { plan, done, errors, waits, again, waiting, not_noted, stopped, basis, .. } = outcome;
    found.gated.waiting = waiting;
    if let Some(error) = stopped {
        return Err(error.into());
    }
    found.done = Some(Done { id: plan, changes: done }).filter(|done| !done.changes.is_empty());
    found.next.again = again;
    if keep.is_some() {
        return left(run, &basis.set, &errors, waits, found);
    }
    // Objects that finalizers hold for too long keep the Sync too, and are named.
    let overdue = || lingering::overdue(at, &basis.set).into_iter().next();
    found.ended.waits = waits.or_else(|| lingering::ending(at, &basis.set)).or_else(overdue);
    found.next.within = lingering::next(at, &basis.set).or(found.next.within);
    let refused = errors.iter().filter(|error| error.reason == "Forbidden");
    past.ending.refused.extend(refused.filter_map(|error| error.id.clone()));
    // The next run orphans what this one could not remove, and continues with the rest.
    found.next.again |= is_over && !errors.is_empty();
    failure(&errors, None)?;
    if let Some(error) = not_noted {
        return Err(error.into());
    }
    if found.gated.waiting.is_some() || leaving::remains(run, past) {
        found.ended.waits.get_or_insert_with(|| "objects are being deleted".to_owned());
        return Ok(false);
    }
    let unseen = leaving::unseen(&basis.set);
    if !unseen.is_empty() || !past.ending.refused.is_empty() {
        leaving::report(run, &unseen);
    }
    Ok(true)
}

/// Plans the removal of all objects of the Sync, without those that it could not remove before once its time is over.
fn plan(run: &Run<'_>, past: &Past, observed: Observed, keep: Option<&str>, is_over: bool) -> Planned {
    let Observed { mut surplus, set, .. } = observed;
    if is_over {
        surplus.retain(|(object, _)| !past.ending.refused.contains(object));
    }
    let mut basis = Basis { set, ..Basis::default() };
    let changes = removals(&basis.set, surplus, keep, &mut basis.kinds);
    Planned { plan: Plan::new(&run.services.cluster.uid, changes), basis }
}

/// Decides what may be removed. If no Approval can be created because the namespace of the Sync is being deleted too, the objects
/// that wait for one are deleted with the namespace, or are left after `spec.timeout`.
async fn decide(run: &Run<'_>, past: &mut Past, planned: Planned, found: &mut Findings) -> Decided {
    let (set, plan) = (run.set(true, true), planned.plan.clone());
    let decided = run.gate(planned, set, Ok(()));
    let Some(waiting) = &decided.decision.waiting else { return decided };
    if !run.services.cluster.accounts.namespace_ends(run.at.owner.namespace()).await {
        return decided;
    }
    let until = leaving::deadline(run, past);
    found.gated.instead = Some(leaving::unapproved(run, until));
    found.next.within = Some(leaving::left(run, until));
    let plan = leaving::without(run, plan, &waiting.plan, until);
    run.gate(Planned { plan, basis: decided.basis }, set, Ok(()))
}

/// Reports the objects that are left. One whose marks cannot be removed keeps them: an Event names it, and it does not delay the
/// Sync.
fn left(
    run: &Run<'_>,
    set: &SetState,
    errors: &[ObjectError],
    waits: Option<String>,
    findings: &mut Findings,
) -> Result<bool, Failure> {
    if errors.iter().any(|error| error.class != Class::User) {
        failure(errors, None)?;
    }
    if findings.next.again {
        findings.ended.waits = waits;
        return Ok(false);
    }
    let refused = errors.iter().map(ToString::to_string);
    let unseen = Some(leaving::unseen(set)).filter(|said| !said.is_empty());
    let marked: Vec<String> = refused.chain(unseen).collect();
    if !marked.is_empty() {
        leaving::report(run, &causes::lines(&marked).join("; "));
    }
    Ok(true)
}

/// Removes the finalizer.
async fn release(run: &Run<'_>) -> Result<(), Failure> {
    let released = parent::release(&run.services.cluster.clients.own(), run.at.sync, run.at.owner).await;
    released.map_err(|error| Failure::transient("report", "Unreachable", chain(&error)))
}

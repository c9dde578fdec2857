//! The end of a Sync: what it owns is pruned in order, or left with its marks taken off.
//!
//! What is out of its reach holds it up for a time only, see `leaving`. I/O: through the stages.

mod leaving;

use holdfast_diff::causes;
use holdfast_diff::plan::Plan;

use self::leaving::Reach;
use super::approvals::Noted;
use super::leftovers::Past;
use super::limits::is_superseded;
use super::stages::{Observed, Rendering};
use super::{Run, acting, approvals, failures, lingering, stages};
use crate::cluster::apply::{self, Kinds};
use crate::cluster::parent;
use crate::cluster::refusal::{ObjectError, chain};
use crate::error::Class;
use crate::gate::{self, Decision};
use crate::memory::Memory;
use crate::render::Fruit;
use crate::report::{Done, Failure, Findings};

/// What became of a Sync that is being deleted.
pub enum Ended {
    /// The finalizer is off: nothing is left to do.
    Gone,
    /// Objects are still there.
    Waits(Box<Findings>),
}

/// Removes what a Sync owns, or leaves it; then its finalizer.
pub async fn finalize(run: &Run<'_>, memory: &mut Memory) -> Ended {
    let mut findings = Findings::of(run.sync, run.owner, run.now);
    let ended = end(run, memory, &mut findings).await;
    findings.hide(&memory.masks);
    match ended {
        Ok(true) => Ended::Gone,
        Ok(false) => Ended::Waits(Box::new(findings)),
        Err(failure) => {
            let message = memory.masks.hide(&failure.message).into_owned();
            findings.failure = Some(Failure { message, ..failure });
            Ended::Waits(Box::new(findings))
        }
    }
}

/// True if the Sync has ended.
async fn end(run: &Run<'_>, memory: &mut Memory, findings: &mut Findings) -> Result<bool, Failure> {
    run.context.cluster.view.disclaim(run.owner);
    let keep = leaving::keep(run);
    if keep.is_none()
        && let Some(before) = leaving::dependent(run)
    {
        findings.waits = Some(leaving::with_way_out(run, before));
        findings.again = true;
        return Ok(false);
    }
    match remove(run, memory, keep, findings).await {
        Ok(true) => release(run).await.map(|()| true),
        Ok(false) => {
            findings.waits = findings.waits.take().map(|waits| leaving::with_way_out(run, waits));
            Ok(false)
        }
        Err(failure) if is_superseded(&failure) => Err(failure),
        Err(failure) => {
            let failure = acting::explained(run, failure).await;
            match leaving::reach(run, memory, &failure, keep).await {
                Reach::GivenUp if findings.again => Err(failure),
                Reach::GivenUp => {
                    leaving::tell(run, &failure.message);
                    release(run).await.map(|()| true)
                }
                Reach::Until(time) => {
                    findings.next = Some(leaving::left(run, time));
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

/// Removes what the Sync owns; true if nothing is left that it waits for.
async fn remove(
    run: &Run<'_>,
    memory: &mut Memory,
    keep: Option<&str>,
    findings: &mut Findings,
) -> Result<bool, Failure> {
    let cluster = &run.context.cluster;
    let observing =
        stages::observe(run, Rendering::whole(Fruit::default(), &memory.masks), Past::default(), "");
    let mut observed = run.limits.wait("observe", observing).await?;
    if keep.is_none() {
        failures::failure(&observed.errors, None)?;
        leaving::seen(run, memory, &observed)?;
    }
    let mut kinds = Kinds::new();
    let mut surplus = observed.surplus();
    let is_over = leaving::is_over(run, memory);
    if is_over {
        surplus.retain(|(object, _)| !memory.ending.refused.contains(object));
    }
    let changes = stages::removals(&observed, surplus, keep, &mut kinds);
    let decision = decide(run, memory, Plan::new(&cluster.uid, changes), findings).await;
    let set = stages::set(run, true, true);
    let Noted { decision, begun, failure: unnoted } = approvals::note(run, decision, set, "").await;
    findings.waiting = decision.waiting;
    let id = decision.approved.plan().id.clone();
    let apply::Outcome { done, errors, waits, again } =
        stages::apply(run, None, &observed, decision.approved, None, &kinds).await;
    let settled = approvals::settle(run, begun, &done).await;
    findings.done = Some(Done { id, changes: done }).filter(|done| !done.changes.is_empty());
    findings.again = again;
    if keep.is_some() {
        return left(run, &observed, &errors, waits, findings);
    }
    // Those that nothing waits for any more keep the Sync too, and are named.
    let overdue = || lingering::overdue(run, &observed).into_iter().next();
    findings.waits = waits.or_else(|| lingering::ending(run, &observed)).or_else(overdue);
    findings.next = lingering::next(run, &observed).or(findings.next);
    let refused = errors.iter().filter(|error| error.reason == "Forbidden");
    memory.ending.refused.extend(refused.filter_map(|error| error.id.clone()));
    // The next run leaves what this one was refused, and goes on with the rest.
    findings.again |= is_over && !errors.is_empty();
    failures::failure(&errors, None)?;
    unnoted.map_or(Ok(()), Err).and(settled)?;
    if findings.waiting.is_some() || leaving::remains(run, memory) {
        findings.waits.get_or_insert_with(|| "objects are being deleted".to_owned());
        return Ok(false);
    }
    let unseen = leaving::unseen(&observed);
    if !unseen.is_empty() || !memory.ending.refused.is_empty() {
        leaving::tell(run, &unseen);
    }
    Ok(true)
}

/// Decides what may go. Where nothing can be approved, because the namespace of the Sync is being deleted too, what would wait
/// for an approval goes with the namespace, or stays after a while.
async fn decide(run: &Run<'_>, memory: &mut Memory, plan: Plan, findings: &mut Findings) -> Decision {
    let set: gate::Set = stages::set(run, true, true);
    let decision = stages::gate(run, plan.clone(), set);
    let Some(waiting) = &decision.waiting else { return decision };
    if !run.context.cluster.accounts.namespace_ends(run.owner.namespace()).await {
        return decision;
    }
    let until = leaving::deadline(run, memory);
    findings.instead = Some(leaving::unapproved(run, until));
    findings.next = Some(leaving::left(run, until));
    stages::gate(run, leaving::without(run, plan, &waiting.plan, until), set)
}

/// What became of objects that stay. One whose marks cannot be taken off keeps them: that is told, and holds up nothing.
fn left(
    run: &Run<'_>,
    observed: &Observed,
    errors: &[ObjectError],
    waits: Option<String>,
    findings: &mut Findings,
) -> Result<bool, Failure> {
    if errors.iter().any(|error| error.class != Class::User) {
        failures::failure(errors, None)?;
    }
    if findings.again {
        findings.waits = waits;
        return Ok(false);
    }
    let refused = errors.iter().map(ToString::to_string);
    let unseen = Some(leaving::unseen(observed)).filter(|said| !said.is_empty());
    let marked: Vec<String> = refused.chain(unseen).collect();
    if !marked.is_empty() {
        leaving::tell(run, &causes::lines(&marked).join("; "));
    }
    Ok(true)
}

/// Takes the finalizer off.
async fn release(run: &Run<'_>) -> Result<(), Failure> {
    let released = parent::release(&run.context.client, run.sync, run.owner).await;
    released.map_err(|error| Failure::transient("report", "Unreachable", chain(&error)))
}

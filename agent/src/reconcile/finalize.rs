//! The end of a Sync: what it owns is pruned in order, or left with its marks taken off.
//!
//! I/O: through the stages.

use holdfast_diff::mask::Masks;
use holdfast_diff::plan::Plan;
use tracing::warn;

use super::approvals::Noted;
use super::stages::Rendering;
use super::{Run, approvals, failures, lingering, stages};
use crate::cluster::apply::{self, Kinds};
use crate::cluster::parent;
use crate::cluster::refusal::chain;
use crate::render::Fruit;
use crate::report::{Done, Failure, Findings};

/// What became of a Sync that is being deleted.
pub enum Ended {
    /// The finalizer is off: nothing is left to do.
    Gone,
    /// Objects are still there.
    Waits(Box<Findings>),
}

/// Removes what a Sync owns, then its finalizer. Suspended, or with `prune: false`, it leaves everything.
pub async fn finalize(run: &Run<'_>, masks: &Masks) -> Ended {
    let mut findings = Findings::of(run.sync, run.owner, run.now);
    let removed = remove(run, masks, &mut findings).await;
    findings.hide(masks);
    match removed {
        Ok(true) => Ended::Gone,
        Ok(false) => Ended::Waits(Box::new(findings)),
        Err(failure) if is_abandoned(run, &failure).await => {
            warn!(sync = %run.owner, error = failure.message, "Sync ends with its namespace and leaves what it may not remove");
            match release(run).await {
                Ok(()) => Ended::Gone,
                Err(failure) => {
                    findings.failure = Some(failure);
                    Ended::Waits(Box::new(findings))
                }
            }
        }
        Err(failure) => {
            let message = masks.hide(&failure.message).into_owned();
            findings.failure = Some(Failure { message, ..failure });
            Ended::Waits(Box::new(findings))
        }
    }
}

/// True if the rights of a Sync went with its namespace: that must not wait for the Sync, and takes what is in it along.
async fn is_abandoned(run: &Run<'_>, failure: &Failure) -> bool {
    let without_rights = ["Forbidden", "ServiceAccountNotFound"].contains(&failure.reason);
    without_rights && run.context.cluster.accounts.namespace_ends(run.owner.namespace()).await
}

async fn remove(run: &Run<'_>, masks: &Masks, findings: &mut Findings) -> Result<bool, Failure> {
    let cluster = &run.context.cluster;
    cluster.view.disclaim(run.owner);
    let keep = match (run.sync.spec.prune, &run.sync.spec.suspend) {
        (false, _) => Some("prune is off"),
        (true, Some(_)) => Some("the Sync was suspended"),
        (true, None) => None,
    };
    let observing = stages::observe(run, Rendering::whole(Fruit::default(), masks), "");
    let mut observed = run.limits.wait("observe", observing).await?;
    failures::failure(&observed.errors, None)?;
    if let Some(said) = observed.unseen().filter(|_| keep.is_none()) {
        let message = format!(
            "objects of this Sync may still be there: {said}; or set spec.prune to false, and they are left"
        );
        return Err(Failure::user("observe", "Forbidden", message));
    }
    let mut kinds = Kinds::new();
    let surplus = observed.surplus();
    let changes = stages::removals(&observed, surplus, keep, &mut kinds);
    let plan = Plan::new(&cluster.uid, changes);
    let set = stages::set(run, true, true);
    let decision = stages::gate(run, plan, set);
    let Noted { decision, begun, failure: unnoted } = approvals::note(run, decision, set, "").await;
    findings.waiting = decision.waiting;
    let id = decision.approved.plan().id.clone();
    let apply::Outcome { done, errors, waits, again } =
        stages::apply(run, None, &observed, decision.approved, &kinds).await;
    let settled = approvals::settle(run, begun, &done).await;
    findings.done = Some(Done { id, changes: done }).filter(|done| !done.changes.is_empty());
    // Those that nothing waits for any more keep the Sync too, and are named.
    let overdue = || lingering::overdue(run, &observed).into_iter().next();
    findings.waits = waits.or_else(|| lingering::ending(run, &observed)).or_else(overdue);
    findings.next = lingering::next(run, &observed);
    findings.again = again;
    failures::failure(&errors, None)?;
    unnoted.map_or(Ok(()), Err).and(settled)?;
    if findings.waiting.is_some() || cluster.view.count(run.owner) > 0 {
        findings.waits.get_or_insert_with(|| "objects are being deleted".to_owned());
        return Ok(false);
    }
    release(run).await?;
    Ok(true)
}

/// Takes the finalizer off.
async fn release(run: &Run<'_>) -> Result<(), Failure> {
    let released = parent::release(&run.context.client, run.sync, run.owner).await;
    released.map_err(|error| Failure::transient("report", "Unreachable", chain(&error)))
}

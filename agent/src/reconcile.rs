//! The pipeline, one line a stage.
//!
//! Composes the stages, and nothing else does beside the image loop and the CLI. I/O: through the stages.

pub mod dependencies;
pub mod failures;
pub mod finalize;
pub mod jobs;
pub mod stages;

use jiff::Timestamp;

use self::failures::failure;
use self::stages::Planned;
use crate::api::{Sync, SyncStatus};
use crate::cluster::apply::Outcome;
use crate::context::{Context, Memory, Rendered};
use crate::report::{Done, Failure, Findings};
use crate::sync_ref::SyncRef;

/// One Sync in one run.
pub struct Run<'a> {
    pub context: &'a Context,
    pub sync: &'a Sync,
    pub owner: &'a SyncRef,
    pub status: &'a SyncStatus,
    pub now: Timestamp,
}

/// Runs the pipeline once and says what it found.
pub async fn reconcile(run: &Run<'_>, memory: &mut Memory) -> Findings {
    let mut findings = Findings::of(run.sync, run.owner, run.now);
    findings.failure = pipeline(run, memory, &mut findings).await.err();
    if let Some(seen) = &findings.seen {
        run.context
            .memories
            .looked_at(run.owner, &seen.revision)
            .into_iter()
            .for_each(|held| run.context.wake(held));
    }
    findings.objects = Some(stages::health(run));
    findings.completed = memory.rendered.is_some().then(|| jobs::completed(run, memory));
    findings
}

async fn pipeline(run: &Run<'_>, memory: &mut Memory, findings: &mut Findings) -> Result<(), Failure> {
    findings.suspended = stages::suspended(run);
    if findings.suspended.is_some() {
        return Ok(());
    }
    let checks = stages::checks(run);
    let source = stages::source(run, memory).await?;
    findings.seen = Some(source.seen.clone());
    if stages::unchanged(run, &source, memory) {
        return source.trouble.map_or(checks, Err);
    }
    let manifests = stages::render(run, &source).await?;
    let _room = stages::room(run, manifests.len()).await?;
    let empty = manifests.is_empty();
    let mut observed = stages::observe(run, manifests, &source.seen.revision).await?;
    let Planned { plan, kinds, drift, waits: unplanned } = stages::plan(run, &source.seen, &mut observed);
    let plan = stages::rights(run, &mut observed, plan, &kinds).await?;
    dependencies::ready(run, &source.seen)?;
    if drift && stages::only_reported(run) {
        findings.drift = Some(plan.changes);
        return failure(&observed.errors, source.trouble);
    }
    let decision = stages::gate(run, plan, empty, false);
    findings.waiting = decision.waiting;
    findings.corrected = drift;
    stages::mark(run, &observed).await?;
    let id = decision.approved.plan().id.clone();
    let Outcome { done, errors, waits, again } =
        stages::apply(run, Some(&source), &observed, decision.approved, &kinds).await;
    findings.done = Some(Done { id, changes: done }).filter(|done| !done.changes.is_empty());
    findings.waits = waits.or(unplanned).or(observed.waits.take()).or_else(|| stages::ending(&observed));
    findings.again = again;
    let errors = [observed.errors, errors].concat();
    memory.rendered = errors.is_empty().then(|| Rendered::of(&source.seen.tree, run.sync, observed.desired));
    if empty {
        return Err(failures::empty(run));
    }
    failure(&errors, source.trouble).and(checks)
}

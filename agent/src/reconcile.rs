//! The pipeline, one line a stage.
//!
//! Composes the stages, and nothing else does beside the image loop and the CLI. I/O: through the stages.

pub mod acting;
pub mod approvals;
pub mod bounds;
pub mod dependencies;
pub mod drift;
pub mod failures;
pub mod fights;
pub mod finalize;
pub mod ignored;
pub mod inputs;
pub mod jobs;
pub mod leftovers;
pub mod limits;
pub mod lingering;
pub mod mistakes;
pub mod remotes;
pub mod rendering;
pub mod source;
pub mod stages;
pub mod trees;
pub mod unmanaged;
pub mod users;

use jiff::Timestamp;

use self::approvals::Noted;
use self::failures::failure;
use self::leftovers::Past;
use self::limits::{Limits, is_superseded};
use self::stages::Planned;
use crate::api::{Sync, SyncStatus};
use crate::cluster::apply::Outcome;
use crate::context::Context;
use crate::gate::Decision;
use crate::local;
use crate::memory::Memory;
use crate::progress::Progress;
use crate::report::drift::Drift;
use crate::report::{Done, Failure, Findings};
use crate::sync_ref::SyncRef;

/// One Sync in one run.
pub struct Run<'a> {
    pub context: &'a Context,
    pub sync: &'a Sync,
    pub owner: &'a SyncRef,
    pub status: &'a SyncStatus,
    pub now: Timestamp,
    /// What ends it before it has done everything.
    pub limits: Limits,
    /// How far it is.
    pub progress: Progress,
}

impl Run<'_> {
    /// True if the Sync acts as the agent itself.
    pub fn acts_as_agent(&self) -> bool {
        self.context.acts_as_agent(self.owner, self.sync)
    }
}

/// Runs the pipeline once and says what it found.
pub async fn reconcile(run: &Run<'_>, memory: &mut Memory) -> Findings {
    let mut findings = Findings::of(run.sync, run.owner, run.now);
    findings.failure = match Box::pin(pipeline(run, memory, &mut findings)).await {
        Ok(()) => None,
        Err(failure) => Some(acting::explained(run, failure).await),
    };
    if findings.failure.as_ref().is_some_and(is_superseded) {
        return findings;
    }
    let revision = findings.seen.as_ref().map(|seen| seen.revision.as_str());
    let worked = findings.failure.is_none() && findings.suspended.is_none();
    let waiting = run.context.memories.ended(run.owner, revision, worked);
    waiting.into_iter().for_each(|held| run.context.wake(held));
    run.progress.begin("observe", "comparing fields of other managers with the cluster");
    let looking = async {
        drift::overwritten(run, memory, &mut findings).await;
        unmanaged::look(run, memory).await;
        Ok(())
    };
    // What is not looked at now is looked at by the next run.
    let _ = run.limits.wait("observe", looking).await;
    let failed = findings.failure.is_some();
    findings.drift.iter_mut().for_each(|found| drift::complete(run, memory, found, failed));
    findings.objects = Some(lingering::health(run));
    findings.warnings = ignored::warnings(run, memory, findings.warnings.take(), findings.notes.take());
    findings.completed = memory.rendered.is_some().then(|| jobs::completed(run, memory));
    approvals::sweep(run, &findings).await;
    match jobs::remove(run, memory, &findings).await {
        Ok(waits) => findings.again |= waits,
        Err(failure) => findings.failure = findings.failure.or(Some(failure)),
    }
    findings.hide(&memory.masks);
    findings
}

async fn pipeline(run: &Run<'_>, memory: &mut Memory, findings: &mut Findings) -> Result<(), Failure> {
    findings.suspended = stages::suspended(run);
    if findings.suspended.is_some() {
        return Ok(());
    }
    acting::identity(run)?;
    dependencies::allowed(run)?;
    let checks = stages::checks(run);
    let mut source = run.limits.wait("source", source::source(run, memory)).await?;
    findings.seen = Some(source.seen.clone());
    findings.remotes = source.remotes();
    stages::note_revision(run, &source.seen);
    if stages::unchanged(run, &source, memory) {
        findings.drift = Some(Drift::default());
        findings.notes = Some(Vec::new());
        stages::unmark(run, memory).await?;
        return source.trouble.map_or(checks, Err);
    }
    let unread = run
        .limits
        .wait("source", async { Ok(Box::pin(leftovers::recall(run, memory, Some(&source.seen))).await) })
        .await?;
    let rendering = stages::render(run, &mut source, memory)?;
    run.progress.begin(
        "observe",
        "waiting for room: other Syncs of this namespace are being compared with the cluster",
    );
    let _room = run.limits.wait("observe", stages::room(run, &rendering)).await?;
    findings.chart.clone_from(&rendering.chart);
    let empty = rendering.is_empty();
    let observing = stages::observe(run, rendering, Past::of(memory), &source.seen.revision);
    let mut observed = run.limits.wait("observe", observing).await?;
    findings.warnings =
        observed.warnings.take().map(|warnings| [warnings, unread.into_iter().collect()].concat());
    findings.notes = Some(lingering::notes(run, &observed));
    let planned = local::work(|| stages::plan(run, &source.seen, &mut observed));
    let Planned { plan, kinds, drifted, kept: _, refused, waits: unplanned, next } =
        drift::split(run, memory, &observed, planned);
    findings.next = next;
    let (plan, lacking) = run.limits.wait("plan", stages::rights(run, &mut observed, plan, &kinds)).await?;
    let refused = drift::told(run, &drifted, &[refused, lacking].concat());
    let (plan, held) = dependencies::hold(run, &source.seen, plan, &drifted);
    let set = stages::set(run, empty, false);
    let decision = stages::gate(run, plan, set);
    let Noted { decision, begun, failure: unnoted } =
        approvals::note(run, decision, set, &source.seen.revision).await;
    let Decision { approved, waiting, used: _ } = decision;
    findings.waiting = waiting;
    findings.approval = begun.as_ref().map(|begun| begun.name().to_owned());
    stages::mark(run, &observed).await?;
    let attempted = drift::announce(run, memory, &drifted, &approved.plan().changes).await;
    let id = approved.plan().id.clone();
    let Outcome { done, errors, waits, again } =
        stages::apply(run, Some(&source), &observed, approved, findings.waiting.as_ref(), &kinds).await;
    let settled = approvals::settle(run, begun, &done).await;
    let errors = [std::mem::take(&mut observed.errors), errors].concat();
    let tried = [refused, attempted].concat();
    findings.drift =
        Some(drift::found(run, memory, &drifted, tried, &done, findings.waiting.as_ref(), &errors));
    findings.done = Some(Done { id, changes: done }).filter(|done| !done.changes.is_empty());
    findings.waits =
        waits.or(unplanned).or(observed.waits.take()).or_else(|| lingering::ending(run, &observed));
    findings.again = again;
    stages::keep(run, memory, &source, observed, errors.is_empty() && held.is_ok());
    let unmarked = stages::unmark(run, memory).await;
    if empty {
        return Err(failures::empty(run));
    }
    let noted = unnoted.map_or(Ok(()), Err).and(settled).and(unmarked);
    failure(&errors, source.trouble).and(noted).and(held).and(checks)
}

//! One run of one Sync: what it starts from, what it may take, and what becomes of what it found.
//!
//! Leaves the pipeline to `reconcile`. I/O: status writes.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use kube::Resource as _;
use kube::runtime::controller::Action;
use tracing::{info, warn};

use super::pace::{gathered, next};
use super::{PAUSE, form, hooks, name, reporter};
use crate::api::{Sync, SyncStatus, conditions};
use crate::cluster::refusal::chain;
use crate::context::Context;
use crate::error::Class;
use crate::memory::{Memory, Shown};
use crate::progress::Progress;
use crate::reconcile::finalize::{Ended, finalize};
use crate::reconcile::limits::{Limits, is_superseded};
use crate::reconcile::{Run, drift, reconcile};
use crate::report::alert::Ran;
use crate::report::{Failure, Findings, progress, status, tell, write};
use crate::sync_ref::SyncRef;

/// What is told of a Sync whose run panicked.
const PANICKED: &str = "a defect in the agent ended the run, which is tried again; the agent's log has its place (\"a task panicked\")";

/// Runs one Sync. A defect that a Sync leads to is its own trouble alone.
pub(super) async fn run_one(sync: Arc<Sync>, context: Arc<Context>) -> Result<Action, Infallible> {
    let owner = name(&sync);
    let memory = context.memories.of(&owner);
    let mut memory = memory.lock().await;
    if memory.uid != sync.metadata.uid {
        *memory = Memory { uid: sync.metadata.uid.clone(), ..Memory::default() };
    }
    let shortened = context.policy.shortened(&sync.spec);
    let (sync, shortened) = match shortened {
        Some((spec, said)) => (Arc::new(Sync { spec, ..(*sync).clone() }), Some(said)),
        None => (sync, None),
    };
    let gone = Gone { context: &context, owner: &owner };
    let running = Box::pin(turn(&sync, shortened, &context, &owner, &mut memory));
    if let Ok(action) = AssertUnwindSafe(running).catch_unwind().await {
        return Ok(action);
    }
    // The place of the panic is in the log. What was remembered may be half of something.
    let (status, failures) = (memory.status.take(), memory.failures.saturating_add(1));
    *memory = Memory { uid: sync.metadata.uid.clone(), status, failures, ..Memory::default() };
    let before = memory.status.as_ref().or(sync.status.as_ref());
    memory.shown = before.map(|before| Shown::unknown(progress::doubtful(before)));
    let known = memory.status.clone().or_else(|| sync.status.clone()).unwrap_or_default();
    let run = start(&context, &sync, &owner, &known, Limits::default());
    let mut findings = Findings::of(&sync, &owner, run.now);
    findings.failure = Some(Failure::internal("reconcile", PANICKED));
    let action = report(&run, &mut memory, &findings).await;
    drop(gone);
    Ok(action)
}

/// Forgets a Sync that has gone while it ran, since its run noted things again.
struct Gone<'a> {
    context: &'a Context,
    owner: &'a SyncRef,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        if !self.context.cluster.exists(self.owner) {
            self.context.forget(self.owner);
        }
    }
}

fn start<'a>(
    context: &'a Context,
    sync: &'a Sync,
    owner: &'a SyncRef,
    status: &'a SyncStatus,
    limits: Limits,
) -> Run<'a> {
    Run { context, sync, owner, status, now: Timestamp::now(), limits, progress: Progress::default() }
}

/// Does what there is to do for one Sync, writes what was found, and says when it runs next.
async fn turn(
    sync: &Sync,
    shortened: Option<String>,
    context: &Context,
    owner: &SyncRef,
    memory: &mut Memory,
) -> Action {
    let _busy = context.events.busy(owner.namespace());
    let status = memory.status.clone().or_else(|| sync.status.clone()).unwrap_or_default();
    let running = context.memories.run(owner, form(sync), &context.stop);
    let limits = Limits::new(running.superseded.clone(), sync.spec.timeout(), shortened);
    let run = start(context, sync, owner, &status, limits);
    let (mut shown, mut told) = (memory.shown.take(), memory.progressed);
    let ended = reporter::accompany(&run, &mut shown, &mut told, Box::pin(work(&run, memory))).await;
    (memory.shown, memory.progressed) = (shown, told);
    let Some(findings) = ended else {
        context.forget(owner);
        info!(sync = %owner, "Sync ended");
        return Action::await_change();
    };
    if findings.failure.as_ref().is_some_and(is_superseded) {
        return Action::requeue(Duration::ZERO);
    }
    match gathered(memory, findings) {
        Ok(findings) => report(&run, memory, &findings).await,
        Err(pause) => Action::requeue(pause),
    }
}

/// Does the work of a run; `None` if the Sync has ended by it.
async fn work(run: &Run<'_>, memory: &mut Memory) -> Option<Findings> {
    if run.sync.metadata.deletion_timestamp.is_some() {
        return match finalize(run, memory).await {
            Ended::Gone => None,
            Ended::Waits(findings) => Some(*findings),
        };
    }
    let mut findings = Box::pin(reconcile(run, memory)).await;
    match run.limits.wait("source", hooks::of_sync(run)).await {
        Ok(path) => findings.webhook_path = Some(path),
        // What was done is reported all the same.
        Err(failure) if is_superseded(&failure) => {}
        Err(failure) => findings.failure = findings.failure.or(Some(failure)),
    }
    Some(findings)
}

/// Writes the status if it changed, tells what is new, and says when to run again.
async fn report(run: &Run<'_>, memory: &mut Memory, findings: &Findings) -> Action {
    let Run { context, sync, owner, .. } = run;
    let before = memory.status.take().unwrap_or_else(|| run.status.clone());
    let known = memory.drift.episode.clone().or_else(|| before.drift.clone());
    let episode = match &findings.drift {
        Some(found) => drift::tell(run, memory, &before, found).await,
        None => known.clone(),
    };
    let after = status::build(&before, findings, episode.as_ref());
    let result = findings.failure.as_ref().map_or("ok", |failure| failure.reason);
    context.metrics.reconcile(result);
    context.metrics.sync(owner, &after, findings, findings.drifts(known.as_ref()));
    tell::tell(&context.events, &sync.object_ref(&()), owner, &before, &after, findings);
    context.metrics.no_progress(owner);
    // What the server has may say what the run was doing.
    let on_server = memory.shown.take();
    let from = on_server.as_ref().map_or(&before, |shown| &shown.status);
    let written = write::write(&context.client, owner, from, &after).await;
    let trouble = context.cluster.watches.trouble(owner, &context.cluster.view.kinds(owner));
    let suspended = findings.suspended.is_some();
    let verified = written.is_ok() && findings.failure.is_none() && !suspended && trouble.is_none();
    // The view knows no more than what was heard last.
    let heard = verified.then(|| context.cluster.clients.contact().last());
    if let Some(heard) = heard {
        let time = findings.now.checked_sub(heard.elapsed()).unwrap_or(findings.now);
        context.metrics.verified(owner, time);
    }
    // Alerts go out also while the API server takes no status.
    let known = if written.is_ok() { &after } else { &before };
    let told = SyncStatus { drift: episode, ..known.clone() };
    let heard = context.cluster.clients.contact().last();
    let heard = Some(heard).filter(|_| written.is_ok() && trouble.is_none());
    let ran = Ran { status: &told, failure: findings.failure.as_ref(), suspended, verified, heard };
    context.alerts.tell(owner, &ran);
    if let Err(error) = written {
        warn!(sync = %owner, stage = "report", error = %chain(&error), "Cannot write the status and tries again");
        memory.status = Some(before);
        memory.shown = on_server;
        return Action::requeue(PAUSE);
    }
    let seen = findings.seen.as_ref().map(|seen| seen.revision.as_str()).unwrap_or_default();
    if context.memories.report(owner, seen, conditions::is_true(&after.conditions, conditions::READY)) {
        context.wake_dependents(owner);
    }
    memory.status = Some(after);
    memory.failures = match &findings.failure {
        Some(failure) if failure.class != Class::User => memory.failures.saturating_add(1),
        _ => 0,
    };
    Action::requeue(next(run, memory, findings))
}

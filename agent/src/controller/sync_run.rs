//! One run of one Sync: loads its memory, sets its limits, and reports what it found.
//!
//! Leaves the pipeline to `reconcile`. I/O: status writes.

use std::hash::{Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::{Resource as _, ResourceExt as _};
use tracing::{info, warn};

use super::agent::Agent;
use super::memory::{Memory, Shown};
use super::pace::{gathered, next};
use super::{PAUSE, hooks, reporter};
use crate::api::{Sync, SyncStatus, conditions, names};
use crate::cluster::refusal::chain;
use crate::error::Class;
use crate::progress::Progress;
use crate::reconcile::drift::announce::episode;
use crate::reconcile::drift::users::Users;
use crate::reconcile::finalize::{Ended, finalize};
use crate::reconcile::limits::{Limits, is_superseded};
use crate::reconcile::past::Past;
use crate::reconcile::sync_at::SyncAt;
use crate::reconcile::{Run, reconcile};
use crate::report::alert::RunResult;
use crate::report::{Failure, Findings, NewValue, progress, status, tell, write};
use crate::sync_ref::SyncRef;

/// The message of a run that panicked.
const PANICKED: &str =
    "a defect in the agent ended the run, which is retried; see \"a task panicked\" in the log of the agent";

/// Runs one Sync. A panic fails this Sync alone.
pub(super) async fn run(sync: Arc<Sync>, agent: &Agent) -> Action {
    let owner = name(&sync);
    let memory = agent.memories.of(&owner);
    let mut memory = memory.lock().await;
    if memory.uid != sync.metadata.uid {
        *memory = Memory { uid: sync.metadata.uid.clone(), ..Memory::default() };
    }
    let shortened = agent.services.policy.shortened(&sync.spec);
    let (sync, shortened) = match shortened {
        Some((spec, said)) => (Arc::new(Sync { spec, ..(*sync).clone() }), Some(said)),
        None => (sync, None),
    };
    let gone = Gone { agent, owner: &owner };
    let running = Box::pin(run_once(&sync, shortened, agent, &owner, &mut memory));
    if let Ok(action) = AssertUnwindSafe(running).catch_unwind().await {
        return action;
    }
    // The log has the location of the panic. The memory may be inconsistent, so only the status is kept.
    let status = memory.past.announced.take().or(memory.status.take());
    let failures = memory.failures.saturating_add(1);
    *memory = Memory { uid: sync.metadata.uid.clone(), status, failures, ..Memory::default() };
    let before = memory.status.as_ref().or(sync.status.as_ref());
    memory.shown = before.map(|before| Shown::unknown(progress::doubtful(before)));
    let last = memory.status.clone().or_else(|| sync.status.clone()).unwrap_or_default();
    let run = start(agent, &sync, &owner, &last, Limits::default());
    let mut findings = Findings::of(&sync, &owner, run.at.now);
    findings.ended.failure = Some(Failure::internal("reconcile", PANICKED));
    let action = report(agent, &run, &mut memory, &findings).await;
    drop(gone);
    action
}

/// Forgets a Sync that was deleted during its run, since the run has stored things about it again.
struct Gone<'a> {
    agent: &'a Agent,
    owner: &'a SyncRef,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        if !self.agent.services.cluster.exists(self.owner) {
            self.agent.forget(self.owner);
        }
    }
}

fn start<'a>(
    agent: &'a Agent,
    sync: &'a Sync,
    owner: &'a SyncRef,
    status: &'a SyncStatus,
    limits: Limits,
) -> Run<'a> {
    let at = SyncAt { sync, owner, status, now: Timestamp::now() };
    Run { services: &agent.services, at, limits, progress: Progress::default() }
}

/// Runs one Sync, writes its status, and returns when it runs next.
async fn run_once(
    sync: &Sync,
    shortened: Option<String>,
    agent: &Agent,
    owner: &SyncRef,
    memory: &mut Memory,
) -> Action {
    let _busy = agent.services.events.busy(owner.namespace());
    let status = memory.status.clone().or_else(|| sync.status.clone()).unwrap_or_default();
    let running = agent.runs.begin(owner, form(sync), &agent.stop);
    let limits = Limits::new(running.superseded.clone(), sync.spec.timeout(), shortened);
    let run = start(agent, sync, owner, &status, limits);
    let Memory { past, shown, progressed, .. } = memory;
    let ended =
        reporter::accompany((&run, &agent.runs), shown, progressed, Box::pin(work(agent, &run, past))).await;
    if let Some(announced) = memory.past.announced.take() {
        memory.status = Some(announced);
    }
    let Some(findings) = ended else {
        agent.forget(owner);
        info!(sync = %owner, "Sync ended");
        return Action::await_change();
    };
    if findings.ended.failure.as_ref().is_some_and(is_superseded) {
        return Action::requeue(Duration::ZERO);
    }
    match gathered(memory, findings, Timestamp::now()) {
        Ok(findings) => report(agent, &run, memory, &findings).await,
        Err(pause) => Action::requeue(pause),
    }
}

/// Reconciles or finalizes a Sync; `None` if its finalizer was removed.
async fn work(agent: &Agent, run: &Run<'_>, past: &mut Past) -> Option<Findings> {
    if run.at.sync.metadata.deletion_timestamp.is_some() {
        return match Box::pin(finalize(run, past)).await {
            Ended::Gone => None,
            Ended::Waits(findings) => Some(*findings),
        };
    }
    let mut findings = Box::pin(reconcile(run, past)).await;
    run.progress.begin("source", "reading the Secret of the webhook");
    match run.limits.wait("source", hooks::of_sync(agent, run.at)).await {
        Ok(path) => findings.webhook_path = NewValue::Set(path),
        // The outcome of the run is reported, although a newer run is due.
        Err(failure) if is_superseded(&failure) => {}
        Err(failure) => findings.ended.failure = findings.ended.failure.or(Some(failure)),
    }
    Some(findings)
}

/// Writes the status if it changed, reports what is new, and returns when the Sync runs next.
async fn report(agent: &Agent, run: &Run<'_>, memory: &mut Memory, findings: &Findings) -> Action {
    let Run { services, at, .. } = run;
    let SyncAt { sync, owner, .. } = *at;
    let before = memory.status.take().unwrap_or_else(|| at.status.clone());
    let last_episode = memory.past.drift.episode.clone().or_else(|| before.drift.clone());
    let episode = match &findings.live.drift {
        Some(found) => {
            let users = Users { cluster: &services.cluster, audit: services.audit.as_deref() };
            episode(users, *at, &mut memory.past.drift, &before, found).await
        }
        None => last_episode.clone(),
    };
    let after = status::build(&before, findings, episode.as_ref());
    let result = findings.ended.failure.as_ref().map_or("ok", |failure| failure.reason);
    services.metrics.reconcile(result);
    services.metrics.sync(owner, &after, findings, findings.live.drifts(last_episode.as_ref()));
    tell::tell(&services.events, &sync.object_ref(&()), owner, &before, &after, findings);
    services.metrics.no_progress(owner);
    // The status on the server may be one of the progress of this run.
    let on_server = memory.shown.take();
    let from = on_server.as_ref().map_or(&before, |shown| &shown.status);
    let written = write::write(&services.cluster.clients.own(), owner, from, &after).await;
    let trouble = services.cluster.watches.trouble(owner, &services.cluster.view.kinds(owner));
    let suspended = findings.ended.suspended.is_some();
    let verified = written.is_ok() && findings.ended.failure.is_none() && !suspended && trouble.is_none();
    // The live view is as recent as the last contact with the API server.
    let heard = verified.then(|| services.cluster.clients.contact().last());
    if let Some(heard) = heard {
        let time = findings.started.now.checked_sub(heard.elapsed()).unwrap_or(findings.started.now);
        services.metrics.verified(owner, time);
    }
    // Alerts are sent also if the status cannot be written.
    let current = if written.is_ok() { &after } else { &before };
    let whole = SyncStatus { drift: episode, ..current.clone() };
    let heard = services.cluster.clients.contact().last();
    let heard = Some(heard).filter(|_| written.is_ok() && trouble.is_none());
    let ran =
        RunResult { status: &whole, failure: findings.ended.failure.as_ref(), suspended, verified, heard };
    services.alerts.tell(owner, &ran);
    if let Err(error) = written {
        warn!(sync = %owner, stage = "report", error = %chain(&error), "Cannot write the status; retrying");
        memory.status = Some(before);
        memory.shown = on_server;
        return Action::requeue(PAUSE);
    }
    let seen = findings.seen.as_ref().map(|seen| seen.revision.as_str()).unwrap_or_default();
    if services.peers.report(owner, seen, conditions::is_true(&after.conditions, conditions::READY)) {
        agent.wake_dependents(owner);
    }
    memory.status = Some(after);
    memory.failures = match &findings.ended.failure {
        Some(failure) if failure.class != Class::User => memory.failures.saturating_add(1),
        _ => 0,
    };
    Action::requeue(next(&sync.spec, memory, findings, Timestamp::now()))
}

/// Digests the fields of a Sync whose change requests a run.
pub(super) fn form(sync: &Sync) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    sync.metadata.generation.hash(&mut hasher);
    sync.metadata.uid.hash(&mut hasher);
    sync.metadata.deletion_timestamp.as_ref().map(|time| time.0).hash(&mut hasher);
    sync.annotations().get(names::RECONCILE_AT).hash(&mut hasher);
    hasher.finish()
}

/// The name of a Sync.
pub(super) fn name(sync: &Sync) -> SyncRef {
    SyncRef::new(sync.namespace().unwrap_or_default(), sync.name_any())
}

//! The wiring: what starts the runs of Syncs, and what happens to what they found.
//!
//! What wakes a Sync beside its own changes is in `feeds`, when it is told of and runs again in `pace`. Leaves the pipeline to
//! `reconcile`. I/O: API watches, status writes.

mod feeds;
mod hooks;
mod images;
mod pace;

use std::convert::Infallible;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use kube::api::ListParams;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Controller, WatchStreamExt as _, controller, watcher};
use kube::{Client, Resource as _, ResourceExt as _};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::feeds::{api, feed_approvals, hear_audit, moved, scopes, serve_alerts};
use self::pace::{gathered, next};
use crate::api::{Sync, SyncStatus, conditions, names};
use crate::cluster::refusal::chain;
use crate::cluster::requests::refusal;
use crate::context::{ConnectError, Context, Feeds, Options};
use crate::error::Class;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::reconcile::drift;
use crate::reconcile::finalize::{Ended, finalize};
use crate::reconcile::{Run, reconcile};
use crate::report::{Failure, Findings, status, tell, write};
use crate::server::Health;
use crate::server::hooks::HookOwner;
use crate::sync_ref::SyncRef;

/// How many Syncs run side by side. More would not be faster, since the API server has enough to do with these. How many
/// objects they hold meanwhile has a bound of its own, [`crate::context::ROOM`].
const CONCURRENCY: u16 = 16;
/// The first pause after a failure that may pass.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the API server may take for its first answers.
const ANSWER: Duration = Duration::from_secs(10);

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(
        "the API server does not give the Syncs: {}; install the definitions with `holdfast crd | kubectl apply -f -`, and the rights with manifests/",
        chain(.0)
    )]
    NotInstalled(#[source] kube::Error),
    #[error("the API server does not answer")]
    Silent,
}

/// Runs until the token is cancelled. What runs then comes to an end by itself, between two waves at the latest.
pub async fn run(
    config: kube::Config,
    options: Options,
    metrics: Arc<Metrics>,
    health: Health,
    called: UnboundedReceiver<HookOwner>,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let (context, feeds) = loop {
        health.beat();
        match connect(&config, &options, &metrics, &stop).await {
            Ok(connected) => break connected,
            Err(error) if error.is_final() => return Err(error),
            Err(error) => warn!(%error, "Cannot start yet and tries again"),
        }
        tokio::time::sleep(PAUSE).await;
    };
    let context = Arc::new(context);
    let client = context.client.clone();
    let Feeds { syncs: sync_writer, approvals: approval_writer, updates: update_writer, woken } = feeds;
    let syncs = context.cluster.syncs.clone();
    let approvals_seen = feed_approvals(&context, &options.policy.namespaces, approval_writer);
    let triggers = stream::select_all(scopes(&options.policy.namespaces).map(|namespace| {
        watcher::watcher(api::<Sync>(&client, namespace), watcher::Config::default())
            .default_backoff()
            .boxed()
    }));
    let judges = context.clone();
    let triggers = triggers
        .reflect(sync_writer)
        .inspect_ok(move |event| {
            if let watcher::Event::Apply(sync) | watcher::Event::InitApply(sync) = event {
                judges.take_checks(sync);
            }
        })
        .applied_objects()
        .predicate_filter(asks, kube::runtime::PredicateConfig::default());
    let woken =
        stream::unfold(woken, |mut woken| async move { woken.recv().await.map(|sync| (sync, woken)) });
    let ready = {
        let (syncs, context, health) = (syncs.clone(), context.clone(), health.clone());
        async move {
            let _ = syncs.wait_until_ready().await;
            let _ = context.approvals.wait_until_ready().await;
            health.set_ready();
            info!("Watching Syncs");
        }
    };
    let alerts = serve_alerts(&context, &options);
    let updates = images::run(&context, &options.policy.namespaces, update_writer, called, stop.clone());
    let runs = Controller::for_stream(triggers, syncs)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(woken.map(|sync| ObjectRef::new(sync.name()).within(sync.namespace())))
        .reconcile_on(moved(&context))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(run_one, |_, _, _| Action::requeue(PAUSE), context.clone())
        .for_each(|_| {
            health.beat();
            std::future::ready(())
        });
    let beats = async {
        loop {
            health.beat();
            context.sweep();
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    };
    tokio::select! {
        () = async { tokio::join!(runs, updates); } => {}
        () = async { tokio::join!(ready, approvals_seen, alerts, hear_audit(&context), beats); } => {}
    }
    Ok(())
}

impl StartError {
    /// True if trying again would be in vain: the server has answered, and its answer is no.
    fn is_final(&self) -> bool {
        match self {
            Self::Connect(ConnectError::Client(_)) => true,
            Self::Connect(ConnectError::Cluster(error)) | Self::NotInstalled(error) => {
                refusal(error).is_some_and(|status| status.code < 429)
            }
            Self::Silent => false,
        }
    }
}

/// Connects, within a time in which any server that is there answers.
async fn connect(
    config: &kube::Config,
    options: &Options,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
) -> Result<(Context, Feeds), StartError> {
    let connecting = async {
        let (context, feeds) =
            Context::connect(config.clone(), options, metrics.clone(), stop.clone()).await?;
        check_installed(&context.client, &options.policy.namespaces)
            .await
            .map_err(StartError::NotInstalled)?;
        Ok((context, feeds))
    };
    tokio::time::timeout(ANSWER, connecting).await.unwrap_or(Err(StartError::Silent))
}

async fn check_installed(client: &Client, namespaces: &[String]) -> Result<(), kube::Error> {
    let one = ListParams::default().limit(1);
    for namespace in scopes(namespaces) {
        api::<Sync>(client, namespace).list_metadata(&one).await?;
    }
    Ok(())
}

/// What of a Sync asks for a run when it changes; our own writes do not.
#[expect(clippy::unnecessary_wraps, reason = "the form of a predicate")]
fn asks(sync: &Sync) -> Option<u64> {
    let mut hasher = std::hash::DefaultHasher::new();
    sync.metadata.generation.hash(&mut hasher);
    sync.metadata.uid.hash(&mut hasher);
    sync.metadata.deletion_timestamp.as_ref().map(|time| time.0).hash(&mut hasher);
    sync.annotations().get(names::RECONCILE_AT).hash(&mut hasher);
    Some(hasher.finish())
}

/// Runs one Sync, writes what was found, and says when it runs next.
async fn run_one(sync: Arc<Sync>, context: Arc<Context>) -> Result<Action, Infallible> {
    let owner = SyncRef::new(sync.namespace().unwrap_or_default(), sync.name_any());
    let memory = context.memories.of(&owner);
    let mut memory = memory.lock().await;
    let _busy = context.events.busy();
    if memory.uid != sync.metadata.uid {
        *memory = Memory { uid: sync.metadata.uid.clone(), ..Memory::default() };
    }
    let status = memory.status.clone().or_else(|| sync.status.clone()).unwrap_or_default();
    let run = Run { context: &context, sync: &sync, owner: &owner, status: &status, now: Timestamp::now() };
    let findings = if sync.metadata.deletion_timestamp.is_some() {
        match finalize(&run).await {
            Ended::Gone => {
                context.forget(&owner);
                info!(sync = %owner, "Sync ended");
                return Ok(Action::await_change());
            }
            Ended::Waits(findings) => *findings,
        }
    } else {
        let mut findings = limited(&run, &mut memory).await;
        match hooks::of_sync(&run).await {
            Ok(path) => findings.webhook_path = Some(path),
            Err(failure) => findings.failure = findings.failure.or(Some(failure)),
        }
        findings
    };
    Ok(match gathered(&mut memory, findings) {
        Ok(findings) => report(&run, &mut memory, &findings).await,
        Err(pause) => Action::requeue(pause),
    })
}

/// One run, within the time that its Sync gives it.
async fn limited(run: &Run<'_>, memory: &mut Memory) -> Findings {
    let limit = run.sync.spec.timeout();
    if let Ok(findings) = tokio::time::timeout(limit + PAUSE, reconcile(run, memory)).await {
        findings
    } else {
        let message =
            format!("the run took longer than spec.timeout ({} s); it goes on where it was", limit.as_secs());
        let mut findings = Findings::of(run.sync, run.owner, run.now);
        findings.failure = Some(Failure::transient("reconcile", "Timeout", message));
        findings
    }
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
    let written = write::write(&context.client, owner, &before, &after).await;
    let trouble = context.cluster.watches.trouble(&context.cluster.view.kinds(owner));
    let suspended = findings.suspended.is_some();
    let verified = written.is_ok() && findings.failure.is_none() && !suspended && trouble.is_none();
    if verified {
        context.metrics.verified(owner, findings.now);
    }
    // Alerts go out also while the API server takes no status.
    let known = if written.is_ok() { &after } else { &before };
    let told = SyncStatus { drift: episode, ..known.clone() };
    context.alerts.tell(owner, &told, findings.failure.as_ref(), suspended, verified);
    if let Err(error) = written {
        warn!(sync = %owner, stage = "report", error = %chain(&error), "Cannot write the status and tries again");
        memory.status = Some(before);
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

//! The wiring: what starts the runs of Syncs, and what happens to what they found.
//!
//! What wakes a Sync beside its own changes is in `feeds`, when it is told of and runs again in `pace`. Leaves the pipeline to
//! `reconcile`. I/O: API watches, status writes.

mod feeds;
mod hooks;
mod images;
mod pace;
mod reporter;
mod turn;

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::ListParams;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Controller, WatchStreamExt as _, controller, watcher};
use kube::{Client, ResourceExt as _};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::feeds::{api, feed_approvals, hear_audit, moved, scopes, serve_alerts, watch};
use crate::api::{Sync, names};
use crate::cluster::refusal::chain;
use crate::cluster::requests::refusal;
use crate::context::{ConnectError, Context, Feeds, Options};
use crate::metrics::Metrics;
use crate::server::Health;
use crate::server::hooks::HookOwner;
use crate::sync_ref::SyncRef;

/// Any number of Syncs may run, since most of them wait. What they use has bounds of its own for each namespace, in
/// [`crate::rooms`].
const CONCURRENCY: u16 = 0;
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
            Err(error) => warn!(error = chain(&error), "Cannot start yet and tries again"),
        }
        tokio::time::sleep(PAUSE).await;
    };
    let context = Arc::new(context);
    let client = context.client.clone();
    let Feeds { syncs: sync_writer, approvals: approval_writer, updates: update_writer, woken } = feeds;
    let syncs = context.cluster.syncs.clone();
    let approvals_seen = feed_approvals(&context, &options.policy.namespaces, approval_writer);
    let triggers = watch::<Sync>(&client, &options.policy.namespaces);
    let seen = context.clone();
    let triggers = triggers
        .reflect(sync_writer)
        .inspect_ok(move |event| match event {
            watcher::Event::Apply(sync) | watcher::Event::InitApply(sync) => {
                seen.take_checks(sync);
                seen.memories.supersede(&name(sync), asks(sync));
            }
            watcher::Event::Delete(sync) => seen.memories.supersede(&name(sync), None),
            watcher::Event::Init | watcher::Event::InitDone => {}
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
    tokio::spawn(context.sources.clone().keep(stop.clone()));
    let alerts = serve_alerts(&context, &options);
    let updates = images::run(&context, &options.policy.namespaces, update_writer, called, stop.clone());
    let runs = Controller::for_stream(triggers, syncs)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(woken.map(|sync| ObjectRef::new(sync.name()).within(sync.namespace())))
        .reconcile_on(moved(&context))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(turn::run_one, |_, _, _| Action::requeue(PAUSE), context.clone())
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
            Self::Connect(ConnectError::Key(error)) => error.is_final(),
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
    Some(form(sync))
}

fn form(sync: &Sync) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    sync.metadata.generation.hash(&mut hasher);
    sync.metadata.uid.hash(&mut hasher);
    sync.metadata.deletion_timestamp.as_ref().map(|time| time.0).hash(&mut hasher);
    sync.annotations().get(names::RECONCILE_AT).hash(&mut hasher);
    hasher.finish()
}

fn name(sync: &Sync) -> SyncRef {
    SyncRef::new(sync.namespace().unwrap_or_default(), sync.name_any())
}

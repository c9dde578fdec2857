//! Starts the runs of every kind, and reports what they found.
//!
//! One frame (`frame`) runs each kind: `syncs`, `images`, `repositories`. The modules: `connect` (connecting), `feeds` (what wakes objects), `memory`
//! (remembering), `pace` (when findings are reported and an object runs again), `reporter` (progress of long runs), `hooks` (webhooks).
//! Leaves the pipeline to `reconcile`. I/O: API watches, status writes.

pub mod agent;
pub mod connect;
pub mod feeds;
mod frame;
mod hooks;
mod image_run;
mod images;
pub mod memory;
mod pace;
mod remembered;
mod reporter;
mod repositories;
mod repository_run;
mod repository_state;
mod sync_run;
mod syncs;
mod updates;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::api::ListParams;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::agent::Agent;
use self::connect::{ConnectError, Feeds, Options};
use self::feeds::{api, feed_approvals, hear_audit, scopes, serve_alerts};
use crate::api::Sync;
use crate::cluster::refusal::chain;
use crate::cluster::requests::refusal;
use crate::metrics::Metrics;
use crate::server::Health;
use crate::subject::Subject;

/// The first pause after a transient failure.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the main loop reports that it is alive, and forgets objects that are gone.
const BEAT: Duration = Duration::from_secs(5);
/// Maximum time for the first answers of the API server.
const ANSWER: Duration = Duration::from_secs(10);

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(
        "cannot list Syncs: {}; install the CustomResourceDefinitions with `holdfast crd | kubectl apply -f -`, and the rights with manifests/",
        chain(.0)
    )]
    NotInstalled(#[source] kube::Error),
    #[error("the API server does not answer")]
    Silent,
}

/// Runs until the token is cancelled. Runs of objects then end by themselves, between two waves at the latest.
pub async fn run(
    config: kube::Config,
    options: Options,
    metrics: Arc<Metrics>,
    health: Health,
    called: UnboundedReceiver<Subject>,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let (agent, feeds) = loop {
        health.beat();
        match connect(&config, &options, &metrics, &stop).await {
            Ok(connected) => break connected,
            Err(error) if error.is_final() => return Err(error),
            Err(error) => warn!(error = chain(&error), "Cannot start; retrying"),
        }
        tokio::time::sleep(PAUSE).await;
    };
    let (agent, namespaces) = (Arc::new(agent), &options.policy.namespaces);
    let Feeds { syncs, approvals, updates, repositories, woken, reviews, reviewed } = feeds;
    let approvals = feed_approvals(&agent, namespaces, approvals);
    let ready = {
        let (agent, health, live) = (agent.clone(), health.clone(), options.live.clone());
        async move {
            let _ = agent.services.cluster.syncs.wait_until_ready().await;
            let _ = agent.services.approvals.wait_until_ready().await;
            live.send_replace(Some(Arc::new(remembered::live(&agent))));
            health.set_ready();
            info!("Watching Syncs");
        }
    };
    tokio::spawn(agent.services.sources.clone().keep(stop.clone()));
    let alerts = serve_alerts(&agent, &options);
    let syncs = syncs::run(&agent, namespaces, syncs, woken, health.clone());
    let updates = Box::pin(images::run(&agent, namespaces, updates, called, reviews));
    let repositories = Box::pin(repositories::run(&agent, namespaces, repositories, reviewed));
    let beats = async {
        loop {
            health.beat();
            agent.sweep();
            tokio::time::sleep(BEAT).await;
        }
    };
    tokio::select! {
        () = async { tokio::join!(syncs, updates, repositories); } => {}
        () = async { tokio::join!(ready, approvals, alerts, hear_audit(&agent), beats); } => {}
    }
    Ok(())
}

impl StartError {
    /// True if a retry cannot succeed: the API server has refused the request.
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

/// Connects, within [`ANSWER`].
async fn connect(
    config: &kube::Config,
    options: &Options,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
) -> Result<(Agent, Feeds), StartError> {
    let connecting = async {
        let (agent, feeds) = connect::connect(config.clone(), options, metrics.clone(), stop.clone()).await?;
        let client = agent.services.cluster.clients.own();
        check_installed(&client, &options.policy.namespaces).await.map_err(StartError::NotInstalled)?;
        Ok((agent, feeds))
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

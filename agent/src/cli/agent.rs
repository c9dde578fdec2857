//! `holdfast agent`: the service. I/O: everything.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use kube::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::listen::{ListenArgs, MetricsAuth, audit_endpoint, connections};
use super::policy::PolicyArgs;
use super::serve_ui::UiArgs;
use super::{Global, cluster};
use crate::VERSION;
use crate::cluster::marks::key::KeyIn;
use crate::cluster::scraper::may_scrape;
use crate::controller;
use crate::controller::connect::Options;
use crate::leader::{Candidate, Fence, Holder, Identity, Times, clock};
use crate::metrics::Metrics;
use crate::render::worker::Capacity;
use crate::report::audit::{Audit, ChangeSender};
use crate::server::hooks::Hooks;
use crate::server::{self, Health, Pages, Relay, Scrape, probes};
use crate::telemetry::{self, LogFormat};

/// How the agent runs
#[derive(Args, Debug)]
pub struct Agent {
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    ui: UiArgs,
    /// Keep mirrors of repositories, charts and renders in this folder, which may be lost at any time [default: holdfast in the folder for temporary files]
    #[arg(long)]
    cache_dir: Option<PathBuf>,
    /// Allow kustomizations to use bases in other Git repositories, and files of web servers
    #[arg(long)]
    allow_remote_bases: bool,
    /// Path of Helm 3.14 or newer, which renders charts
    #[arg(long, value_name = "PATH", default_value = "helm")]
    helm: PathBuf,
    /// Format of log lines
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// Allow Syncs to use file:// repositories
    #[arg(long)]
    allow_file_sources: bool,
    /// Run only while holding the Lease `holdfast` in the namespace of the agent (-n)
    #[arg(long)]
    leader_elect: bool,
}

/// Maximum time for running work to end after a signal. The process ends within five seconds in total.
const GRACE: Duration = Duration::from_secs(3);
/// Maximum number of batches of audit events that wait.
const BATCHES: usize = 64;
/// Interval of the heartbeat of a loop.
const BEAT: Duration = Duration::from_secs(5);
/// Maximum time for which all worker threads may be busy before the process counts as hung.
const SILENCE: Duration = Duration::from_mins(1);

impl Agent {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        telemetry::init(self.log_format)?;
        let (token, tls) = (self.listen.audit_token()?, self.listen.tls()?);
        let config = cluster::config(&global).await?;
        let client = cluster::client(&global).await?;
        let metrics = Arc::new(Metrics::new());
        let health = Health::default();
        let stop = CancellationToken::new();
        health.beat();
        tokio::spawn(beat(health.clone()));
        let audit = token.is_some().then(Arc::<Audit>::default);
        let audited = ChangeSender::new(BATCHES);
        let endpoint =
            token.zip(audit.clone()).map(|(token, audit)| audit_endpoint(token, audit, audited.clone()));
        let (calls, called) = mpsc::unbounded_channel();
        // The receiver ends with the process.
        let hooks = Hooks::new(Arc::new(move |owner| drop(calls.send(owner))));
        let (holder, seen) = watch::channel(Holder::Vacant);
        let held = self.leader_elect.then_some(seen);
        let pages = Pages {
            health: health.clone(),
            metrics: metrics.clone(),
            scrape: scrape(self.listen.metrics_auth, client.clone()),
            audit: endpoint,
            hooks: hooks.clone(),
            relay: Relay { holder: held.clone(), tls: tls.clone(), stop: stop.clone() },
        };
        tls.clone().map(|tls| tokio::spawn(tls.renew()));
        let (live, offered) = watch::channel(None);
        let ui_listen = self.ui.serve(&client, &config, offered, tls.clone(), held, &stop).await?;
        let listen = server::serve(self.listen.listen, pages, connections(), tls, stop.clone())?;
        if let Some(address) = self.listen.probe_listen {
            probes::serve(address, health.clone())?;
        }
        info!(version = VERSION, listen = %listen, "Started");
        let instance = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).ok();
        let ui = ui_listen.filter(|_| self.ui.is_forwarded()).and_then(reachable);
        let candidate = self.leader_elect.then(|| {
            let identity = Identity { name: identity(instance.as_deref()), address: reachable(listen), ui };
            Arc::new(Candidate::new(client, identity, Times::default(), clock(), holder))
        });
        let fence = candidate.as_ref().map(|candidate| candidate.fence());
        let policy = self.policy.policy();
        let listeners = [Some(listen), self.listen.probe_listen, ui_listen];
        let capacity = capacity(policy.render_memory);
        let options = Options {
            key: KeyIn::Agent(config.default_namespace.clone()),
            guard: cluster::guard(&config, policy.destinations.clone(), listeners.into_iter().flatten())
                .await,
            policy,
            capacity: Some(capacity),
            cache_dir: self.cache_dir.unwrap_or_else(|| std::env::temp_dir().join("holdfast")),
            allow_file: self.allow_file_sources,
            allow_remotes: self.allow_remote_bases,
            helm: self.helm,
            audit,
            audited,
            instance,
            hooks: hooks.clone(),
            live,
            may_write: Arc::new(move || fence.as_ref().is_none_or(Fence::is_open)),
        };
        let leads = CancellationToken::new();
        let work = async {
            if let Some(candidate) = &candidate {
                health.set_ready();
                beating(&health, candidate.acquire()).await;
                hooks.start();
                candidate.begin();
                leads.cancel();
            }
            controller::run(config, options, metrics, health.clone(), called, stop.clone()).await
        };
        let lost = lost(candidate.clone(), leads.clone());
        let ended = async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
            info!("Shutting down");
            stop.cancel();
            tokio::time::sleep(GRACE).await;
            anyhow::Ok(())
        };
        let code = tokio::select! {
            result = work => result.map(|()| ExitCode::SUCCESS)?,
            result = ended => {
                result.context("cannot listen for signals")?;
                warn!("Some work did not end in time; it resumes at the next start");
                ExitCode::SUCCESS
            }
            () = lost => {
                stop.cancel();
                bail!("the Lease was lost, and another agent may be at work")
            }
        };
        if let Some(candidate) = &candidate {
            candidate.release().await;
        }
        info!("Ended");
        Ok(code)
    }
}

/// Returns who may read the metrics.
fn scrape(auth: MetricsAuth, reviewer: Client) -> Scrape {
    match auth {
        MetricsAuth::Off => Scrape::Open,
        MetricsAuth::Token => Scrape::Token(Arc::new(move |token| may_scrape(&reviewer, token))),
    }
}

/// Returns the memory that renders may use, from the memory limit of the container.
fn capacity(render_memory: u64) -> Capacity {
    let capacity = Capacity::here(render_memory);
    let Capacity { workers, helm, helm_memory, fits } = capacity;
    info!(workers, render_memory, helm, helm_memory, "Renders share the memory of the container");
    if !fits {
        warn!(
            render_memory,
            helm_memory,
            "The memory limit of the container is too small for the agent, one render and one run of Helm; raise it, or lower \
             --render-memory"
        );
    }
    capacity
}

/// Waits until the Lease, once it is held, is lost. It is renewed by a separate task.
async fn lost(candidate: Option<Arc<Candidate>>, leads: CancellationToken) {
    // Without an election there is nothing to lose.
    let Some(candidate) = candidate else { return std::future::pending().await };
    let renewed = tokio::spawn(async move {
        leads.cancelled().await;
        candidate.lost().await;
        while candidate.regained().await {
            candidate.lost().await;
        }
    });
    // A task that panicked does not renew the Lease either.
    let _ = renewed.await;
}

/// Waits, and records beats of the main loop meanwhile.
async fn beating(health: &Health, waiting: impl Future<Output = ()>) {
    tokio::pin!(waiting);
    loop {
        health.beat();
        tokio::select! { () = &mut waiting => return, () = tokio::time::sleep(BEAT) => {} }
    }
}

/// Records beats that show that tasks run.
async fn beat(health: Health) {
    let pulse = health.expect("task", SILENCE);
    loop {
        pulse.beat();
        tokio::time::sleep(BEAT).await;
    }
}

/// Returns a name that differs for each process. The name of a pod is unique; elsewhere, two machines may have the
/// same name.
fn identity(instance: Option<&str>) -> String {
    let process = std::process::id();
    match instance.filter(|_| std::env::var_os("POD_NAME").is_some()) {
        Some(pod) => format!("{pod}_{process}"),
        None => {
            format!("{}_{process}_{:016x}", instance.unwrap_or("holdfast"), fastrand::u64(..))
        }
    }
}

/// Returns the address at which other agents reach the pages of this listener.
fn reachable(listen: SocketAddr) -> Option<SocketAddr> {
    let pod = std::env::var("POD_IP").ok().and_then(|address| address.parse::<IpAddr>().ok());
    if pod.is_some() && listen.ip().is_loopback() {
        return None;
    }
    let address = pod.or_else(|| (!listen.ip().is_unspecified()).then_some(listen.ip()))?;
    Some(SocketAddr::new(address, listen.port()))
}

//! `holdfast plan`: shows what the agent would do next, by the same stages, without applying it. I/O: Git, disk, API
//! reads, dry runs.

mod preview;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;
use kube::api::ListParams;
use kube::runtime::watcher::Event;
use kube::{Api, ResourceExt as _};
use notify::{RecursiveMode, Watcher as _};
use tokio_util::sync::CancellationToken;

use super::{Global, Output, cluster, files, print};
use crate::api::Sync;
use crate::cluster::marks::key::KeyIn;
use crate::cluster::rights;
use crate::controller::agent::Agent;
use crate::controller::connect::{self, Options};
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::progress::Progress;
use crate::reconcile::Run;
use crate::reconcile::limits::Limits;
use crate::reconcile::past::Past;
use crate::reconcile::services::Services;
use crate::reconcile::sync_at::SyncAt;
use crate::report::audit::ChangeSender;
use crate::server::hooks::Hooks;
use crate::sync_ref::SyncRef;

/// What to plan
#[derive(Args, Debug)]
pub struct Plan {
    /// Name of a Sync in the cluster
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    name: Option<String>,
    /// Plan the Sync in this file, which need not be in the cluster
    #[arg(short, long, value_name = "SYNC.yaml")]
    file: Option<PathBuf>,
    /// Plan this working tree instead of the Git source
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// Plan again at every save
    #[arg(long, requires = "tree")]
    watch: bool,
    /// Format of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Exit with 2 if there are changes
    #[arg(long)]
    exit_code: bool,
    /// Namespace of the agent, which publishes there the public key of the marks on objects
    #[arg(long, value_name = "NAMESPACE", default_value = AGENT_NAMESPACE)]
    agent_namespace: String,
}

/// The namespace in which manifests/ installs the agent.
pub(super) const AGENT_NAMESPACE: &str = "holdfast-system";

/// Time for which saves are collected before a plan is made.
const SETTLE: Duration = Duration::from_millis(50);

impl Plan {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let config = cluster::config(&global).await?;
        let namespace = config.default_namespace.clone();
        let mut sync = match (&self.name, &self.file) {
            (_, Some(file)) => files::sync(file)?,
            (Some(name), None) => cluster::sync(&cluster::client(&global).await?, name).await?,
            (None, None) => bail!("set the name of a Sync, or a file with -f"),
        };
        let namespace = sync.namespace().unwrap_or(namespace);
        sync.metadata.namespace = Some(namespace.clone());
        let owner = SyncRef::new(namespace, sync.name_any());
        let cache = tempfile::tempdir().context("cannot create a folder for the mirror")?;
        let services = connect(config, cache.path(), &self.agent_namespace).await?.services;
        warn_unverified(&services);
        act(&services, &mut sync, &owner).await?;
        // The watch starts first, so that a save during the first plan is not missed.
        let watching = self.tree.as_deref().filter(|_| self.watch).map(watch).transpose()?;
        let mut past = Past::default();
        let mut changed = self.once(&services, &sync, &owner, &mut past).await?;
        if let Some((_watcher, mut saved)) = watching {
            loop {
                let (back, settled) = tokio::task::spawn_blocking(move || {
                    let first = saved.recv();
                    while saved.recv_timeout(SETTLE).is_ok() {}
                    (saved, first)
                })
                .await?;
                saved = back;
                if settled.is_err() {
                    break;
                }
                match self.once(&services, &sync, &owner, &mut past).await {
                    Ok(any) => changed = any,
                    Err(error) => super::complain(&error),
                }
            }
        }
        Ok(if changed && self.exit_code { ExitCode::from(2) } else { ExitCode::SUCCESS })
    }

    /// Makes one plan. Returns true if there are changes.
    async fn once(
        &self,
        services: &Services,
        sync: &Sync,
        owner: &SyncRef,
        past: &mut Past,
    ) -> anyhow::Result<bool> {
        let status = sync.status.clone().unwrap_or_default();
        let at = SyncAt { sync, owner, status: &status, now: Timestamp::now() };
        let run = Run { services, at, limits: Limits::default(), progress: Progress::default() };
        // The rules of the Sync decide which fields are compared, as in the agent.
        let checks = run.admit()?;
        let preview = preview::preview(&run, self.tree.as_deref(), past).await?;
        match self.output {
            Output::Json => print::json(&preview.json())?,
            Output::Text => preview.print()?,
        }
        preview.complain()?;
        checks?;
        Ok(!preview.plan.is_empty())
    }
}

/// Warns if marks cannot be verified.
pub(super) fn warn_unverified(services: &Services) {
    if let Some(why) = services.cluster.view.marks.unverified() {
        print::say(format_args!(
            "warning: marks on objects are not verified, so this plan may include copied objects: {why}; set the namespace of the agent with --agent-namespace"
        ));
    }
}

/// Plans as the ServiceAccount of a Sync if the user may impersonate it, and else with the user's own rights.
pub(super) async fn act(services: &Services, sync: &mut Sync, owner: &SyncRef) -> anyhow::Result<()> {
    let identity = Identity::of(owner, &sync.spec, &services.policy)?;
    let Identity::ServiceAccount { namespace, name } = &identity else { return Ok(()) };
    let may = rights::may_impersonate(&services.cluster.clients.own(), namespace, name).await;
    if !may.with_context(|| format!("cannot check whether you may impersonate {identity}"))? {
        print::say(format_args!(
            "Planned with your own rights: you may not impersonate {identity}, the identity of the Sync"
        ));
        sync.spec.service_account_name = None;
    }
    Ok(())
}

/// Reports every change below a folder while the watcher exists.
fn watch(tree: &Path) -> anyhow::Result<(notify::RecommendedWatcher, mpsc::Receiver<()>)> {
    let (saves, saved) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // The receiver ends with the process.
            let _ = saves.send(());
        }
    })?;
    watcher
        .watch(tree, RecursiveMode::Recursive)
        .with_context(|| format!("cannot watch {}", tree.display()))?;
    Ok((watcher, saved))
}

/// Creates services without watches: the Syncs and Approvals are read once.
pub(super) async fn connect(
    config: kube::Config,
    cache: &Path,
    agent_namespace: &str,
) -> anyhow::Result<Agent> {
    let guard = cluster::guard(&config, Vec::new(), []).await;
    let options = Options {
        key: KeyIn::Published(agent_namespace.to_owned()),
        policy: Policy::default(),
        cache_dir: cache.to_path_buf(),
        allow_file: true,
        allow_remotes: true,
        helm: PathBuf::from("helm"),
        guard,
        capacity: None,
        audit: None,
        audited: ChangeSender::new(1),
        instance: None,
        hooks: Hooks::new(Arc::new(|_| {})),
        may_write: Arc::new(|| true),
        live: tokio::sync::watch::channel(None).0,
    };
    let metrics = Arc::new(Metrics::new());
    let (mut agent, mut feeds) =
        connect::connect(config, &options, metrics, CancellationToken::new()).await?;
    let client = agent.services.cluster.clients.own();
    let syncs = Api::<Sync>::all(client).list(&ListParams::default()).await;
    feeds.syncs.apply_watcher_event(&Event::Init);
    for sync in syncs.context("cannot list Syncs, which is necessary to know the owner of each object")?.items
    {
        feeds.syncs.apply_watcher_event(&Event::InitApply(sync));
    }
    feeds.syncs.apply_watcher_event(&Event::InitDone);
    agent.services.together = false;
    Ok(agent)
}

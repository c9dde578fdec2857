//! `holdfast plan`: what would be done, by the code that would do it, doing nothing. I/O: git, disk, API reads, dry runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::slice;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use holdfast_diff::causes;
use holdfast_diff::mask::Masks;
use holdfast_diff::text::{self, Colour};
use jiff::Timestamp;
use kube::api::ListParams;
use kube::runtime::watcher::Event;
use kube::{Api, ResourceExt as _};
use notify::{RecursiveMode, Watcher as _};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Global, Output, cluster, files, print};
use crate::api::{DriftObject, Snooze, Sync};
use crate::cluster::marks::key::KeyIn;
use crate::cluster::refusal::ObjectError;
use crate::cluster::rights;
use crate::context::{Context, Options};
use crate::identity::Identity;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::progress::Progress;
use crate::reconcile::leftovers::{self, Past};
use crate::reconcile::limits::Limits;
use crate::reconcile::stages::Rendering;
use crate::reconcile::trees::MirrorTrees;
use crate::reconcile::{Run, drift, inputs, source, stages};
use crate::render::Fruit;
use crate::render::order::render_here;
use crate::report::audit::Told;
use crate::report::{self, Seen};
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
    /// Plan this working tree instead of the git source
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

/// Where manifests/ installs the agent.
pub(super) const AGENT_NAMESPACE: &str = "holdfast-system";

/// How long saves are gathered before they are planned.
const SETTLE: Duration = Duration::from_millis(50);

impl Plan {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let config = cluster::config(&global).await?;
        let namespace = config.default_namespace.clone();
        let mut sync = match (&self.name, &self.file) {
            (_, Some(file)) => files::sync(file)?,
            (Some(name), None) => cluster::sync(&cluster::client(&global).await?, name).await?,
            (None, None) => bail!("name a Sync, or a file with -f"),
        };
        let namespace = sync.namespace().unwrap_or(namespace);
        sync.metadata.namespace = Some(namespace.clone());
        let owner = SyncRef::new(namespace, sync.name_any());
        let cache = tempfile::tempdir().context("cannot make a folder for the mirror")?;
        let context = connect(config, cache.path(), &self.agent_namespace).await?;
        if let Some(why) = context.cluster.view.marks.unverified() {
            print::say(format_args!(
                "warning: marks on objects are not verified, so this plan may count copied objects: {why}; name the agent's namespace with --agent-namespace"
            ));
        }
        act(&context, &mut sync, &owner).await?;
        // Watches first: a save while the first plan is made is not missed.
        let watching = self.tree.as_deref().filter(|_| self.watch).map(watch).transpose()?;
        let mut memory = Memory::default();
        let mut changed = self.once(&context, &sync, &owner, &mut memory).await?;
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
                match self.once(&context, &sync, &owner, &mut memory).await {
                    Ok(any) => changed = any,
                    Err(error) => super::complain(&error),
                }
            }
        }
        Ok(if changed && self.exit_code { ExitCode::from(2) } else { ExitCode::SUCCESS })
    }

    /// Plans once; true if there are changes.
    async fn once(
        &self,
        context: &Context,
        sync: &Sync,
        owner: &SyncRef,
        memory: &mut Memory,
    ) -> anyhow::Result<bool> {
        let status = sync.status.clone().unwrap_or_default();
        let run = Run {
            context,
            sync,
            owner,
            status: &status,
            now: Timestamp::now(),
            limits: Limits::default(),
            progress: Progress::default(),
        };
        let (rendering, seen, unknown) = if let Some(tree) = &self.tree {
            let rendering = Rendering::whole(working_tree(&run, tree).await?, &Masks::default());
            (rendering, Seen::default(), leftovers::recall(&run, memory, None).await)
        } else {
            let mut source = source::source(&run, memory).await?;
            let unknown = leftovers::recall(&run, memory, Some(&source.seen)).await;
            (stages::render(&run, &mut source, memory)?, source.seen, unknown)
        };
        if let Some(unknown) = unknown {
            print::say(format_args!("warning: {unknown}"));
        }
        let empty = rendering.is_empty();
        let mut observed = stages::observe(&run, rendering, Past::of(memory), &seen.revision).await?;
        let stages::Planned { plan, kinds, drifted, kept, refused, .. } =
            stages::plan(&run, &seen, &mut observed);
        let (plan, lacking) = stages::rights(&run, &mut observed, plan, &kinds).await?;
        let refused: Vec<DriftObject> = drift::told(&run, &drifted, &[refused, lacking].concat())
            .into_iter()
            .map(|(_, told)| told)
            .collect();
        let waiting = stages::gate(&run, plan.clone(), stages::set(&run, empty, false)).waiting;
        let snoozed: Vec<String> = plan
            .changes
            .iter()
            .filter(|change| drifted.contains_key(&change.object))
            .filter_map(|change| {
                let Snooze { until, reason, .. } = drift::snoozed(&run, &change.object)?;
                Some(format!("{} is snoozed until {until}: {reason}", change.object))
            })
            .collect();
        let kept = kept.values().flatten();
        let kept: Vec<String> =
            kept.map(|change| format!("{}: {}", change.object, report::drift::why_kept(change))).collect();
        kept.iter().for_each(print::say);
        match self.output {
            Output::Json => {
                let errors: Vec<String> = observed.errors.iter().map(ToString::to_string).collect();
                let waiting =
                    waiting.map(|waiting| json!({"planId": waiting.plan.id, "reasons": waiting.held()}));
                let whole = json!({"id": plan.id, "revision": seen.revision, "summary": report::changes::summary(&plan.changes),
                    "drift": !drifted.is_empty(), "kept": kept, "refused": refused, "snoozed": snoozed, "changes": plan.changes, "waiting": waiting, "errors": errors});
                print::json(&whole)?;
            }
            Output::Text => {
                if plan.is_empty() && !observed.errors.is_empty() {
                    print::line("no changes can be planned before the errors are corrected");
                } else {
                    print::written(&text::plan(&plan, colour()))?;
                }
                for told in &refused {
                    print::line("");
                    print::line(format_args!(
                        "cannot be put back: {}",
                        report::drift::describe(slice::from_ref(told))
                    ));
                }
                for snoozed in snoozed {
                    print::line("");
                    print::line(snoozed);
                }
                if let Some(waiting) = waiting {
                    print::line("");
                    print::line(format_args!("waits for an Approval of plan {}:", waiting.plan.id));
                    waiting.held().iter().for_each(|held| print::line(format_args!("  {held}")));
                }
            }
        }
        if !observed.errors.is_empty() {
            let mistakes: Vec<_> = observed.errors.iter().map(ObjectError::mistake).collect();
            causes::all(&mistakes).iter().for_each(print::say);
            bail!("{} of the objects cannot be planned", observed.errors.len());
        }
        Ok(!plan.is_empty())
    }
}

/// Plans as the ServiceAccount of a Sync if the user may impersonate it, and else with the user's own rights.
async fn act(context: &Context, sync: &mut Sync, owner: &SyncRef) -> anyhow::Result<()> {
    let identity = Identity::of(owner, &sync.spec, &context.policy)?;
    let Identity::ServiceAccount { namespace, name } = &identity else { return Ok(()) };
    let may = rights::may_impersonate(&context.client, namespace, name).await;
    if !may.with_context(|| format!("cannot find out whether you may impersonate {identity}"))? {
        print::say(format_args!(
            "Planned with your own rights: you may not impersonate {identity}, which the agent acts as"
        ));
        sync.spec.service_account_name = None;
    }
    Ok(())
}

/// Tells of every change below a folder, for as long as the watcher is kept.
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

/// A context that nothing feeds: the Syncs and approvals are those of now.
pub(super) async fn connect(
    config: kube::Config,
    cache: &Path,
    agent_namespace: &str,
) -> anyhow::Result<Context> {
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
        audited: Told::new(1),
        instance: None,
        hooks: Hooks::new(Arc::new(|_| {})),
        may_write: Arc::new(|| true),
    };
    let metrics = Arc::new(Metrics::new());
    let (mut context, mut feeds) =
        Context::connect(config, &options, metrics, CancellationToken::new()).await?;
    let syncs = Api::<Sync>::all(context.client.clone()).list(&ListParams::default()).await;
    feeds.syncs.apply_watcher_event(&Event::Init);
    for sync in syncs.context("cannot list the Syncs, which tell what belongs to whom")?.items {
        feeds.syncs.apply_watcher_event(&Event::InitApply(sync));
    }
    feeds.syncs.apply_watcher_event(&Event::InitDone);
    context.together = false;
    Ok(context)
}

/// Renders a working tree as the agent would render a commit.
async fn working_tree(run: &Run<'_>, tree: &Path) -> anyhow::Result<Fruit> {
    let disk = files::Disk::new(tree)?;
    let folder = disk.folder(run.sync.spec.path.as_deref())?;
    let inputs = inputs::inputs(run, inputs::is_chart(run.sync, &disk, &folder)).await?;
    let options = run.sync.spec.render.clone().unwrap_or_default();
    let inputs = Arc::new(inputs);
    let trees = Arc::new(MirrorTrees::default());
    let rendered =
        render_here(Arc::new(disk), folder, options, inputs.clone(), &run.context.outside, trees).await?;
    Ok(rendered.fruit(inputs.keys()?.as_ref())?.0)
}

fn colour() -> Colour {
    if print::is_coloured() { Colour::Always } else { Colour::Never }
}

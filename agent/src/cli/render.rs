//! `holdfast render`: prints the objects that a folder renders to. Uses the cluster and the network only if the Sync
//! needs them. I/O: disk reads.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use holdfast_diff::causes;
use holdfast_diff::yaml;
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{Global, cluster, files, plan, print};
use crate::api::{KustomizeOptions, Render as Options, Sync};
use crate::disk::Usage;
use crate::error::StageError as _;
use crate::policy::CACHE_LIMIT;
use crate::progress::Progress;
use crate::reconcile::inputs::{self, Gather};
use crate::reconcile::remotes::GitRemotes;
use crate::reconcile::services::Services;
use crate::reconcile::sync_at::SyncAt;
use crate::reconcile::trees::MirrorTrees;
use crate::render::Target;
use crate::render::order::render_here;
use crate::render::outside::{Outside, Remotes};
use crate::render::web_files::WebFiles;
use crate::render::{self, Inputs, helm};
use crate::report::Failure;
use crate::source::{SourceOptions, Sources};
use crate::sync_ref::SyncRef;

/// The name of a release without a Sync, as in `helm template`.
const RELEASE: &str = "release-name";

/// What to render
#[derive(Args, Debug)]
pub struct Render {
    /// Folder of a working tree; with -f the root of the working tree
    path: PathBuf,
    /// Render what the Sync in this file reads below PATH, with its options
    #[arg(short, long, value_name = "SYNC.yaml")]
    file: Option<PathBuf>,
    /// Path of Helm, which renders charts
    #[arg(long, value_name = "PATH", default_value = "helm")]
    helm: PathBuf,
    /// Render `helmCharts` of kustomizations, without -f
    #[arg(long)]
    enable_helm: bool,
    /// Allow kustomizations to use bases in other Git repositories, and files of web servers
    #[arg(long)]
    allow_remote_bases: bool,
}

impl Render {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let cache = tempfile::tempdir().context("cannot create a folder for charts")?;
        let remotes = self.allow_remote_bases.then(|| remotes(cache.path()));
        let outside =
            Outside::new(&self.helm, cache.path(), helm::Limits::default(), Arc::default(), remotes);
        let (disk, folder, options, inputs) = if let Some(file) = &self.file {
            let mut sync = files::sync(file)?;
            let disk = files::Disk::new(&self.path)?;
            let folder = disk.folder(sync.spec.path.as_deref())?;
            let namespace = sync.namespace().or(global.namespace.clone()).unwrap_or("default".to_owned());
            sync.metadata.namespace = Some(namespace.clone());
            let owner = SyncRef::new(namespace, sync.name_any());
            let inputs = match inputs::alone(&sync, &owner, &outside).await? {
                Some(inputs) => inputs,
                None => of_cluster(&global, &sync, &owner, (&disk, &folder), cache.path()).await?,
            };
            (disk, folder, sync.spec.render.unwrap_or_default(), inputs)
        } else {
            let (disk, folder) = files::Disk::around(&self.path)?;
            let kustomize = KustomizeOptions { enable_helm: self.enable_helm, ..KustomizeOptions::default() };
            let options = Options { kustomize: Some(kustomize), ..Options::default() };
            let namespace = global.namespace.clone().unwrap_or_else(|| "default".to_owned());
            let target = Target { name: RELEASE.to_owned(), namespace, ..Target::default() };
            (disk, folder, options, Inputs { target, ..Inputs::default() })
        };
        let inputs = Arc::new(inputs);
        let trees = Arc::new(MirrorTrees::default());
        let rendered = render_here(Arc::new(disk), folder, options, inputs.clone(), &outside, trees).await?;
        let keys = inputs.keys()?;
        for (at, object) in rendered.objects.iter().enumerate() {
            let document = yaml::write_shown(&object.value);
            print::written(&if at > 0 { format!("---\n{document}") } else { document })?;
        }
        causes::lines(&rendered.warnings).iter().for_each(print::say);
        // The output of kustomize may contain objects that no cluster accepts; it is printed anyway.
        if let Err(error) = render::manifests(rendered.objects, keys.as_ref()) {
            causes::all(&error.mistakes().0).iter().for_each(print::say);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns the reader of other repositories and web servers.
fn remotes(cache: &Path) -> Arc<dyn Remotes> {
    let options = SourceOptions {
        allow_file: true,
        guard: Arc::default(),
        on_request: Arc::new(|_, _| {}),
        usage: Arc::new(Usage::new(CACHE_LIMIT)),
    };
    let sources = Arc::new(Sources::new(cache.to_path_buf(), options));
    Arc::new(GitRemotes { sources, files: Arc::new(WebFiles::new(cache, Arc::default())) })
}

/// Reads the Secrets and ConfigMaps that a Sync refers to.
async fn of_cluster(
    global: &Global,
    sync: &Sync,
    owner: &SyncRef,
    (disk, folder): (&files::Disk, &str),
    cache: &Path,
) -> anyhow::Result<Inputs> {
    let agent = plan::connect(cluster::config(global).await?, cache, plan::AGENT_NAMESPACE).await?;
    let status = sync.status.clone().unwrap_or_default();
    let at = SyncAt { sync, owner, status: &status, now: Timestamp::now() };
    let Services { secrets, cluster, outside, policy, .. } = &agent.services;
    let (discovery, progress) = (&cluster.discovery, &Progress::default());
    let from = Gather { secrets, discovery, outside, policy, progress };
    let inputs = inputs::inputs(from, at, inputs::is_chart(sync, disk, folder)).await;
    Ok(inputs.map_err(|error| Failure::of("render", &error))?)
}

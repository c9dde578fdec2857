//! Creates the parts of the agent for one cluster. I/O: API reads.

use std::path::PathBuf;
use std::sync::Arc;

use http::Method;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::{Api, Client};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::agent::Agent;
use super::memory::{Memories, Runs};
use crate::api::{Approval, ImageUpdate, Repository, Sync};
use crate::calls::Calls;
use crate::cluster::Cluster;
use crate::cluster::accounts::Accounts;
use crate::cluster::clients::{ClientError, Clients, MayWrite};
use crate::cluster::discovery::Discovery;
use crate::cluster::lookup::Lookups;
use crate::cluster::marks::key::{KeyError, KeyIn};
use crate::cluster::refusal::chain;
use crate::cluster::secrets::{Secrets, Wake};
use crate::cluster::view::View;
use crate::cluster::watch::{ActsAs, Watches};
use crate::disk::Usage;
use crate::forge::review;
use crate::forge::{PullRequests, Session};
use crate::http::Guard;
use crate::identity::Identity;
use crate::image::Images;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::reconcile::peers::Peers;
use crate::reconcile::remotes::GitRemotes;
use crate::reconcile::services::Services;
use crate::reconcile::trees::MirrorTrees;
use crate::registry::{self, Registries};
use crate::render::helm::Limits;
use crate::render::outside::{Outside, Remotes};
use crate::render::renderer::Renderer;
use crate::render::store::Renders;
use crate::render::web_files::WebFiles;
use crate::render::worker::{Capacity, Workers};
use crate::report::alert::{Alerts, Now};
use crate::report::audit::{Audit, ChangeSender};
use crate::report::events::Events;
use crate::rooms::Rooms;
use crate::server::hooks::Hooks;
use crate::source::{Moved, OnRequest, SourceOptions, Sources};
use crate::subject::Subject;
use crate::sync_ref::SyncRef;
use crate::ui::Live;

/// The file of this program, even if it was replaced on disk.
const SELF: &str = "/proc/self/exe";

/// The configuration of an agent.
pub struct Options {
    /// What the installation allows its tenants.
    pub policy: Policy,
    /// The folder of the cache, which may be deleted at any time.
    pub cache_dir: PathBuf,
    pub allow_file: bool,
    /// Whether kustomizations may name bases in other repositories.
    pub allow_remotes: bool,
    /// The program that renders charts.
    pub helm: PathBuf,
    /// Which servers the agent may connect to on behalf of a resource.
    pub guard: Arc<Guard>,
    /// The limits of renders in processes of their own; `None` to render in this process.
    pub capacity: Option<Capacity>,
    /// The record of audit events, if the API server sends them.
    pub audit: Option<Arc<Audit>>,
    /// Announces new audit events.
    pub audited: ChangeSender,
    /// The name of the pod, for Events.
    pub instance: Option<String>,
    /// The registered webhook endpoints.
    pub hooks: Hooks,
    /// Where the key that signs the marks on objects is stored.
    pub key: KeyIn,
    /// Whether a request that writes may begin.
    pub may_write: MayWrite,
    /// Where the web UI finds what it shows.
    pub live: watch::Sender<Option<Arc<Live>>>,
}

/// The channels and store writers that feed an agent.
pub struct Feeds {
    pub syncs: Writer<Sync>,
    pub approvals: Writer<Approval>,
    pub updates: Writer<ImageUpdate>,
    pub repositories: Writer<Repository>,
    /// The Syncs of which a run is requested.
    pub woken: mpsc::UnboundedReceiver<SyncRef>,
    /// The Repositories whose forge is to be asked.
    pub reviews: mpsc::UnboundedSender<Subject>,
    pub reviewed: mpsc::UnboundedReceiver<Subject>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("cannot read the namespace kube-system, whose UID identifies the cluster: {}", chain(.0))]
    Cluster(#[source] kube::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Connects to a cluster.
pub async fn connect(
    config: kube::Config,
    options: &Options,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(Agent, Feeds), ConnectError> {
    let counted = metrics.clone();
    let on_request = Arc::new(move |method: &Method, code| counted.api_request(method.as_str(), code));
    let clients = Arc::new(Clients::new(config, on_request, options.may_write.clone())?);
    let client = clients.own();
    let system =
        Api::<Namespace>::all(client.clone()).get("kube-system").await.map_err(ConnectError::Cluster)?;
    let uid = system.metadata.uid.unwrap_or_default();
    let marks = options.key.load(&client, &uid).await?;
    let (wake, woken) = mpsc::unbounded_channel();
    let (reviews, reviewed) = mpsc::unbounded_channel();
    let of_secrets = Wake { syncs: wake.clone(), repositories: reviews.clone() };
    let (syncs, sync_writer) = reflector::store();
    let (approvals, approval_writer) = reflector::store();
    let (updates, update_writer) = reflector::store();
    let (repositories, repository_writer) = reflector::store();
    let session = Arc::new(Session::new(options.guard.clone()));
    let view = Arc::new(View::new(marks, wake.clone()));
    let usage = Arc::new(Usage::new(options.policy.cache_limit));
    let sources = sources(options, &metrics, usage.clone());
    let services = Services {
        alerts: Alerts::new(uid.clone(), syncs.clone(), Arc::new(Now::read)),
        cluster: cluster(uid, options, clients, view, syncs),
        policy: options.policy.clone(),
        renders: Arc::new(Renders::new(&options.cache_dir, usage)),
        renderer: renderer(options),
        outside: outside(options, &sources),
        sources,
        secrets: Arc::new(Secrets::new(client.clone(), of_secrets)),
        approvals,
        peers: Peers::default(),
        calls: Calls::default(),
        rooms: Rooms::default(),
        audit: options.audit.clone(),
        events: Events::new(client.clone(), options.instance.clone()),
        metrics: metrics.clone(),
        wake,
        together: true,
    };
    let agent = Agent {
        services,
        images: images(options, metrics, session.clone()),
        updates,
        reviews: review::Client::new(session.clone()),
        session,
        repositories,
        pulls: Arc::default(),
        memories: Memories::default(),
        runs: Runs::default(),
        hooks: options.hooks.clone(),
        audited: options.audited.clone(),
        stop,
    };
    let (syncs, approvals) = (sync_writer, approval_writer);
    let (updates, repositories) = (update_writer, repository_writer);
    Ok((agent, Feeds { syncs, approvals, updates, repositories, woken, reviews, reviewed }))
}

fn cluster(
    uid: String,
    options: &Options,
    clients: Arc<Clients>,
    view: Arc<View>,
    syncs: Store<Sync>,
) -> Cluster {
    let client: Client = clients.own();
    let namespaces = &options.policy.namespaces;
    let acting = acting(syncs.clone(), options.policy.clone());
    Cluster {
        uid,
        discovery: Arc::new(Discovery::new(client.clone())),
        permissions: Arc::default(),
        refusals: Arc::default(),
        lookups: Arc::new(Lookups::new(namespaces.is_empty())),
        accounts: Arc::new(Accounts::new(client)),
        contents: Arc::default(),
        watches: Arc::new(Watches::new(clients.clone(), view.clone(), acting, namespaces)),
        view,
        syncs,
        clients,
        is_copy: false,
    }
}

/// Returns a lookup of the identities of Syncs; `None` for a Sync without an allowed identity.
fn acting(syncs: Store<Sync>, policy: Policy) -> ActsAs {
    Arc::new(move |owner| {
        let sync = syncs.get(&ObjectRef::new(owner.name()).within(owner.namespace()))?;
        Identity::of(owner, &sync.spec, &policy).ok()
    })
}

fn sources(options: &Options, metrics: &Arc<Metrics>, usage: Arc<Usage>) -> Arc<Sources> {
    let counted = metrics.clone();
    let on_request: OnRequest = Arc::new(move |result, moved| {
        counted.source_request(result);
        if let Some(Moved { url, reference, before, now }) = moved {
            counted.revision(&url, &reference, &now, before.as_deref());
        }
    });
    let source_options =
        SourceOptions { allow_file: options.allow_file, guard: options.guard.clone(), on_request, usage };
    Arc::new(Sources::new(options.cache_dir.clone(), source_options))
}

fn outside(options: &Options, sources: &Arc<Sources>) -> Outside {
    let files = Arc::new(WebFiles::new(&options.cache_dir, options.guard.clone()));
    let git = GitRemotes { sources: sources.clone(), files };
    let remotes = options.allow_remotes.then(|| Arc::new(git) as Arc<dyn Remotes>);
    let helm = options.capacity.map_or_else(Limits::default, |capacity| Limits {
        memory: capacity.helm_memory,
        parallel: capacity.helm,
        ..Limits::default()
    });
    Outside::new(&options.helm, &options.cache_dir, helm, options.guard.clone(), remotes)
}

fn renderer(options: &Options) -> Renderer {
    match options.capacity {
        Some(Capacity { workers, .. }) => {
            Renderer::Workers(Workers::new(PathBuf::from(SELF), options.policy.render_memory, workers))
        }
        None => Renderer::Here(Arc::new(MirrorTrees::default())),
    }
}

fn images(options: &Options, metrics: Arc<Metrics>, session: Arc<Session>) -> Images {
    let registries = Registries::new(registry::Options {
        guard: options.guard.clone(),
        on_request: Arc::new(move |host, result| metrics.registry_request(host, result)),
        ..registry::Options::default()
    });
    Images { registries, pull_requests: PullRequests::new(session) }
}

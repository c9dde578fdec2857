//! What all reconciles share. No I/O.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::api::{Approval, ApprovalDecision, ApprovalSpec, ImageUpdate, Sync, conditions};
use crate::cluster::Cluster;
use crate::cluster::accounts::Accounts;
use crate::cluster::clients::{ClientError, Clients, MayWrite};
use crate::cluster::contents::Contents;
use crate::cluster::discovery::Discovery;
use crate::cluster::lookup::Lookups;
use crate::cluster::marks::key::{KeyError, KeyIn};
use crate::cluster::permissions::Permissions;
use crate::cluster::refusal::chain;
use crate::cluster::refusals::Refusals;
use crate::cluster::requests::Requests;
use crate::cluster::secrets::{Secrets, User};
use crate::cluster::view::View;
use crate::cluster::watch::{ActsAs, Watches};
use crate::disk::Usage;
use crate::forge::PullRequests;
use crate::gate::Given;
use crate::http::Guard;
use crate::identity::Identity;
use crate::memory::Memories;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::reconcile::remotes::GitRemotes;
use crate::reconcile::trees::MirrorTrees;
use crate::registry::{self, Registries};
use crate::render::helm::Limits;
use crate::render::outside::{Outside, Remotes};
use crate::render::renderer::Renderer;
use crate::render::store::Renders;
use crate::render::web_files::WebFiles;
use crate::render::worker::{Capacity, Workers};
use crate::report::alert::Alerts;
use crate::report::audit::{Audit, Told};
use crate::report::events::Events;
use crate::rooms::Rooms;
use crate::server::hooks::{HookKind, HookOwner, Hooks};
use crate::source::{Moved, OnLook, SourceOptions, Sources};
use crate::sync_ref::SyncRef;

/// The longest time that a Sync waits for others to look at a commit. It is less if its interval is.
const BEHIND: Duration = Duration::from_mins(1);

/// A Sync that has not looked at a commit yet, and for how long it may be waited for.
pub struct Behind {
    pub sync: SyncRef,
    pub left: Duration,
}

/// This program, also when its file was replaced.
const SELF: &str = "/proc/self/exe";

/// Shared by all reconciles.
pub struct Context {
    pub client: Client,
    pub cluster: Cluster,
    /// What the installation allows its tenants.
    pub policy: Policy,
    pub sources: Arc<Sources>,
    pub renders: Arc<Renders>,
    /// What makes renders.
    pub renderer: Renderer,
    /// What a render may ask for beside files.
    pub outside: Outside,
    pub secrets: Arc<Secrets>,
    pub alerts: Alerts,
    /// Who changed what, if the API server tells.
    pub audit: Option<Arc<Audit>>,
    /// Tells of each change that the API server told of, which may be half a minute after it was seen.
    pub audited: Told,
    pub approvals: Store<Approval>,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    pub memories: Memories,
    /// What each namespace has for its runs.
    pub rooms: Rooms,
    /// Asks for a run of a Sync.
    pub wake: mpsc::UnboundedSender<SyncRef>,
    pub registries: Registries,
    pub pull_requests: PullRequests,
    pub updates: Store<ImageUpdate>,
    /// Who may call, and what for.
    pub hooks: Hooks,
    /// The agent is ending.
    pub stop: CancellationToken,
    /// Other Syncs run in this process too; not so when a single plan is made.
    pub together: bool,
}

/// What a context is made with.
pub struct Options {
    /// What the installation allows its tenants.
    pub policy: Policy,
    /// Mirrors of repositories go below it; it may be lost at any time.
    pub cache_dir: PathBuf,
    pub allow_file: bool,
    /// Whether kustomizations may name bases in other repositories.
    pub allow_remotes: bool,
    /// The program that renders charts.
    pub helm: PathBuf,
    /// Where may be connected to on behalf of a resource.
    pub guard: Arc<Guard>,
    /// What renders may use in processes of their own; `None`: they are made in this process.
    pub capacity: Option<Capacity>,
    /// Who changed what, if the API server tells.
    pub audit: Option<Arc<Audit>>,
    /// Tells of what the record takes.
    pub audited: Told,
    /// The name of the pod, for Events.
    pub instance: Option<String>,
    /// Where webhooks come in.
    pub hooks: Hooks,
    /// Where the key for marks on objects is.
    pub key: KeyIn,
    /// Whether a request that writes may begin.
    pub may_write: MayWrite,
}

/// The ends that feed a context.
pub struct Feeds {
    pub syncs: Writer<Sync>,
    pub approvals: Writer<Approval>,
    pub updates: Writer<ImageUpdate>,
    /// The Syncs that something asks a run of.
    pub woken: mpsc::UnboundedReceiver<SyncRef>,
}

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("cannot read the namespace kube-system, whose UID names the cluster: {}", chain(.0))]
    Cluster(#[source] kube::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The identities of the Syncs of a store. Of one that may not act at all there is none.
fn acting(syncs: Store<Sync>, policy: Policy) -> ActsAs {
    Arc::new(move |owner| {
        let sync = syncs.get(&ObjectRef::new(owner.name()).within(owner.namespace()))?;
        Identity::of(owner, &sync.spec, &policy).ok()
    })
}

impl Context {
    /// Connects to a cluster.
    pub async fn connect(
        config: kube::Config,
        options: &Options,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Result<(Self, Feeds), ConnectError> {
        let counted = metrics.clone();
        let on_request = Arc::new(move |method: &Method, code| counted.api_request(method.as_str(), code));
        let clients = Arc::new(Clients::new(config, on_request, options.may_write.clone())?);
        let client = clients.own();
        let system =
            Api::<Namespace>::all(client.clone()).get("kube-system").await.map_err(ConnectError::Cluster)?;
        let (wake, woken) = mpsc::unbounded_channel();
        let (syncs, sync_writer) = reflector::store();
        let (approvals, approval_writer) = reflector::store();
        let (updates, update_writer) = reflector::store();
        let asked = metrics.clone();
        let registries = Registries::new(registry::Options {
            guard: options.guard.clone(),
            on_request: Arc::new(move |host, result| asked.registry_request(host, result)),
            ..registry::Options::default()
        });
        let counted = metrics.clone();
        let on_look: OnLook = Arc::new(move |result, moved| {
            counted.source_request(result);
            if let Some(Moved { url, reference, before, now }) = moved {
                counted.revision(&url, &reference, &now, before.as_deref());
            }
        });
        let cluster_uid = system.metadata.uid.unwrap_or_default();
        let marks = options.key.load(&client, &cluster_uid).await?;
        let view = Arc::new(View::new(marks, wake.clone()));
        let alerts = Alerts::new(cluster_uid.clone(), syncs.clone());
        let usage = Arc::new(Usage::new(options.policy.cache_limit));
        let source_options = SourceOptions {
            allow_file: options.allow_file,
            guard: options.guard.clone(),
            on_look,
            usage: usage.clone(),
        };
        let sources = Arc::new(Sources::new(options.cache_dir.clone(), source_options));
        let git = GitRemotes {
            sources: sources.clone(),
            files: Arc::new(WebFiles::new(&options.cache_dir, options.guard.clone())),
        };
        let remotes = options.allow_remotes.then(|| Arc::new(git) as Arc<dyn Remotes>);
        let helm = options.capacity.map_or_else(Limits::default, |capacity| Limits {
            memory: capacity.helm_memory,
            parallel: capacity.helm,
            ..Limits::default()
        });
        let outside = Outside::new(&options.helm, &options.cache_dir, helm, options.guard.clone(), remotes);
        let renderer = match options.capacity {
            Some(Capacity { workers, .. }) => {
                Renderer::Workers(Workers::new(PathBuf::from(SELF), options.policy.render_memory, workers))
            }
            None => Renderer::Here(Arc::new(MirrorTrees::default())),
        };
        let context = Self {
            cluster: Cluster {
                uid: cluster_uid,
                discovery: Discovery::new(client.clone()),
                permissions: Permissions::default(),
                refusals: Refusals::default(),
                lookups: Lookups::new(options.policy.namespaces.is_empty()),
                accounts: Accounts::new(client.clone()),
                contents: Contents::default(),
                watches: Watches::new(
                    clients.clone(),
                    view.clone(),
                    acting(syncs.clone(), options.policy.clone()),
                    &options.policy.namespaces,
                ),
                view,
                syncs,
                clients,
            },
            policy: options.policy.clone(),
            sources,
            renders: Arc::new(Renders::new(&options.cache_dir, usage)),
            renderer,
            outside,
            secrets: Arc::new(Secrets::new(client.clone(), wake.clone())),
            alerts,
            audit: options.audit.clone(),
            audited: options.audited.clone(),
            approvals,
            events: Events::new(client.clone(), options.instance.clone()),
            metrics,
            memories: Memories::default(),
            rooms: Rooms::default(),
            wake,
            registries,
            pull_requests: PullRequests::new(options.guard.clone()),
            updates,
            hooks: options.hooks.clone(),
            stop,
            client,
            together: true,
        };
        Ok((context, Feeds { syncs: sync_writer, approvals: approval_writer, updates: update_writer, woken }))
    }

    /// Takes the health checks of a Sync as soon as it is seen, so that its objects are judged by them at first sight. What
    /// is wrong with them is told by its run.
    pub fn take_checks(&self, sync: &Sync) {
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let owner = SyncRef::new(name(&sync.metadata.namespace), name(&sync.metadata.name));
        let _ = self.cluster.view.judges.take(&owner, sync);
    }

    /// The requests of a Sync, in the name that it acts in.
    pub fn acts_as(&self, name: &SyncRef) -> Option<Requests> {
        let sync = self.cluster.sync(name)?;
        let identity = Identity::of(name, &sync.spec, &self.policy).ok()?;
        self.cluster.requests(&identity).ok()
    }

    /// True if a Sync acts as the agent itself.
    pub fn acts_as_agent(&self, owner: &SyncRef, sync: &Sync) -> bool {
        Identity::of(owner, &sync.spec, &self.policy).is_ok_and(|identity| identity.is_agent())
    }

    /// Asks for a run of a Sync.
    pub fn wake(&self, sync: SyncRef) {
        // The receiver ends with the process.
        let _ = self.wake.send(sync);
    }

    /// Asks for a run of every Sync that waits for this one.
    pub fn wake_dependents(&self, sync: &SyncRef) {
        for other in self.cluster.syncs.state() {
            let namespace = other.metadata.namespace.clone().unwrap_or_default();
            let waits = self.dependencies(&other, &namespace).any(|dependency| dependency == *sync);
            if waits {
                self.wake(SyncRef::new(namespace, other.metadata.name.clone().unwrap_or_default()));
            }
        }
    }

    /// The dependencies of a Sync that the installation allows.
    fn dependencies(&self, sync: &Sync, namespace: &str) -> impl Iterator<Item = SyncRef> {
        let all = sync.spec.depends_on.iter().map(|dependency| dependency.of(namespace));
        all.filter(|other| self.policy.allows_reference(namespace, other.namespace()))
    }

    /// The Syncs that depend on one, unless that depends on them too.
    pub fn dependents(&self, owner: &SyncRef) -> Vec<(SyncRef, Arc<Sync>)> {
        let found = self.cluster.syncs.state().into_iter().filter_map(|other| {
            let name = SyncRef::new(other.metadata.namespace.clone()?, other.metadata.name.clone()?);
            let depends = self.dependencies(&other, name.namespace()).any(|dependency| dependency == *owner);
            (depends && self.circle(&name, owner).is_none()).then_some((name, other))
        });
        found.collect()
    }

    /// The way from a dependency back to the Sync that has it, if there is one.
    pub fn circle(&self, owner: &SyncRef, dependency: &SyncRef) -> Option<String> {
        let mut ways = vec![vec![owner.clone(), dependency.clone()]];
        let mut seen = HashSet::new();
        while let Some(way) = ways.pop() {
            let last = way.last()?.clone();
            if last == *owner {
                return Some(way.iter().map(ToString::to_string).collect::<Vec<_>>().join(" -> "));
            }
            if seen.insert(last.clone())
                && let Some(sync) = self.cluster.sync(&last)
            {
                let next = self.dependencies(&sync, last.namespace());
                ways.extend(next.map(|next| [way.clone(), vec![next]].concat()));
            }
        }
        None
    }

    /// A Sync of the same source and the same trust domain that works and has not looked at this revision yet: until it has,
    /// nobody knows whether an object left git or moved to it. The Sync runs again when it has, and does not wait for long.
    pub fn behind(&self, sync: &Sync, owner: &SyncRef, revision: &str, now: Timestamp) -> Option<Behind> {
        if !self.together {
            return None;
        }
        let found = self.cluster.syncs.state().into_iter().find_map(|other| {
            let name = SyncRef::new(other.metadata.namespace.clone()?, other.metadata.name.clone()?);
            let awaited = name != *owner
                && other.spec.source == sync.spec.source
                && self.trusts(sync, owner, &other, &name)
                && self.works(&other, &name, now)
                && self.memories.revision(&name).as_deref() != Some(revision);
            awaited.then_some(name)
        });
        let Some(sync_behind) = found else {
            self.memories.release(owner);
            return None;
        };
        let left = BEHIND.min(sync.spec.interval()).saturating_sub(self.memories.hold(owner, revision));
        (!left.is_zero()).then_some(Behind { sync: sync_behind, left })
    }

    /// True if two Syncs are of one trust domain: of one namespace, or both act as the agent itself.
    pub fn trusts(&self, sync: &Sync, owner: &SyncRef, other: &Sync, name: &SyncRef) -> bool {
        owner.namespace() == name.namespace()
            || (self.acts_as_agent(owner, sync) && self.acts_as_agent(name, other))
    }

    /// True if a Sync can be expected to look at the next revision soon: its last run worked, or it had none yet.
    fn works(&self, sync: &Sync, name: &SyncRef, now: Timestamp) -> bool {
        let is_suspended = sync.spec.suspend.as_ref().is_some_and(|suspend| suspend.holds(now).is_some());
        let runs = sync.metadata.deletion_timestamp.is_none() && !is_suspended;
        runs && self.memories.worked(name).unwrap_or_else(|| {
            let status = sync.status.as_ref();
            status.is_none_or(|status| !conditions::is_true(&status.conditions, conditions::STALLED))
        })
    }

    /// Forgets the Syncs that went without having owned anything, and what nothing uses any more.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.cluster.clients.sweep(now);
        self.cluster.accounts.sweep(now);
        self.cluster.watches.sweep(now);
        self.cluster.view.sweep(|sync| self.cluster.exists(sync));
        for sync in self.memories.known().into_iter().filter(|sync| !self.cluster.exists(sync)) {
            self.forget(&sync);
        }
    }

    /// Forgets a Sync that is gone.
    pub fn forget(&self, sync: &SyncRef) {
        self.cluster.view.disclaim(sync);
        self.cluster.watches.forget(sync);
        self.secrets.release(&User::Sync(sync.clone()), &[]);
        self.alerts.forget(sync);
        self.metrics.forget(sync);
        self.memories.forget(sync);
        self.hooks.remove(&HookOwner {
            kind: HookKind::Sync,
            namespace: sync.namespace().to_owned(),
            name: sync.name().to_owned(),
        });
    }

    /// Forgets an ImageUpdate that is gone.
    pub fn forget_update(&self, update: &SyncRef) {
        self.secrets.release(&User::Update(update.clone()), &[]);
        self.metrics.forget_image_update(update);
        self.alerts.forget_update(update);
        self.hooks.remove(&HookOwner {
            kind: HookKind::ImageUpdate,
            namespace: update.namespace().to_owned(),
            name: update.name().to_owned(),
        });
    }

    /// The approvals and rejections that name a Sync, the oldest first. Approvals of an identity that Syncs act as do not
    /// count: whoever may write to git would approve their own changes, with a Job for example.
    pub fn approvals(&self, sync: &SyncRef) -> Vec<Given> {
        let found: Vec<_> = self
            .approvals
            .state()
            .into_iter()
            .filter(|approval| {
                approval.metadata.namespace.as_deref() == Some(sync.namespace())
                    && approval.spec.sync == sync.name()
            })
            .collect();
        if found.is_empty() {
            return Vec::new();
        }
        let identities = self.identities();
        let counts = |spec: &ApprovalSpec| {
            spec.decision == ApprovalDecision::Reject || !identities.contains(&spec.approver)
        };
        let mut found: Vec<Given> = found.iter().map(|approval| given(approval)).collect();
        found.retain(|given| counts(&given.spec));
        found.sort_by(|one, other| (one.created, &one.name).cmp(&(other.created, &other.name)));
        found
    }

    /// The users that Syncs act as.
    fn identities(&self) -> HashSet<String> {
        let syncs = self.cluster.syncs.state();
        let identity = |sync: &Arc<Sync>| {
            let account = sync.spec.service_account_name.as_ref();
            let account = account.or(self.policy.default_service_account.as_ref())?;
            Some(format!("system:serviceaccount:{}:{account}", sync.metadata.namespace.as_ref()?))
        };
        syncs.iter().filter_map(identity).collect()
    }
}

/// An Approval as the gate reads it.
fn given(approval: &Approval) -> Given {
    let Approval { metadata, spec, status } = approval;
    Given {
        name: metadata.name.clone().unwrap_or_default(),
        version: metadata.resource_version.clone(),
        created: metadata.creation_timestamp.as_ref().map(|time| time.0),
        spec: spec.clone(),
        status: status.clone().unwrap_or_default(),
    }
}

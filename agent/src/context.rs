//! What all reconciles share, and what is remembered of each Sync between two of them.
//!
//! Everything in [`Memory`] can be made again from git and the cluster. No I/O.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Store};
use kube::{Api, Client};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::api::{Approval, ApprovalSpec, Sync, SyncStatus};
use crate::cluster::Cluster;
use crate::cluster::clients::{ClientError, Clients};
use crate::cluster::discovery::Discovery;
use crate::cluster::lookup::Lookups;
use crate::cluster::refusal::chain;
use crate::cluster::secrets::Secrets;
use crate::cluster::view::View;
use crate::cluster::watch::Watches;
use crate::metrics::Metrics;
use crate::report::Done;
use crate::report::events::Events;
use crate::source::{Checkout, MirrorId, Moved, OnLook, SourceOptions, Sources};
use crate::sync_ref::SyncRef;

/// Objects that all runs together hold at once: this bounds memory when many large Syncs start. A Sync of more runs alone.
pub const ROOM: u32 = 1000;

/// Shared by all reconciles.
pub struct Context {
    pub client: Client,
    pub cluster: Cluster,
    pub sources: Sources,
    pub secrets: Secrets,
    pub approvals: Store<Approval>,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    pub memories: Memories,
    /// Room for objects that runs hold.
    pub room: Semaphore,
    /// Asks for a run of a Sync.
    pub wake: mpsc::UnboundedSender<SyncRef>,
    /// The agent is ending.
    pub stop: CancellationToken,
    /// Other Syncs run in this process too; not so when a single plan is made.
    pub together: bool,
}

/// What a context is made with.
pub struct Options {
    /// Empty: the whole cluster.
    pub namespaces: Vec<String>,
    /// Mirrors of repositories go below it; it may be lost at any time.
    pub cache_dir: PathBuf,
    pub allow_file: bool,
    /// The name of the pod, for Events.
    pub instance: Option<String>,
}

/// The ends that feed a context.
pub struct Feeds {
    pub syncs: Writer<Sync>,
    pub approvals: Writer<Approval>,
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
        let clients =
            Clients::new(config, Arc::new(move |method, code| counted.api_request(method.as_str(), code)))?;
        let client = clients.own();
        let system =
            Api::<Namespace>::all(client.clone()).get("kube-system").await.map_err(ConnectError::Cluster)?;
        let (wake, woken) = mpsc::unbounded_channel();
        let (syncs, sync_writer) = reflector::store();
        let (approvals, approval_writer) = reflector::store();
        let view = Arc::new(View::new(wake.clone()));
        let counted = metrics.clone();
        let on_look: OnLook = Arc::new(move |result, moved| {
            counted.source_request(result);
            if let Some(Moved { url, reference, before, now }) = moved {
                counted.revision(&url, &reference, &now, before.as_deref());
            }
        });
        let context = Self {
            cluster: Cluster {
                uid: system.metadata.uid.unwrap_or_default(),
                discovery: Discovery::new(client.clone()),
                lookups: Lookups::new(options.namespaces.is_empty()),
                watches: Watches::new(client.clone(), view.clone(), options.namespaces.clone()),
                view,
                syncs,
                clients,
            },
            sources: Sources::new(
                options.cache_dir.clone(),
                SourceOptions { allow_file: options.allow_file, on_look },
            ),
            secrets: Secrets::new(client.clone(), wake.clone()),
            approvals,
            events: Events::start(client.clone(), options.instance.clone()),
            metrics,
            memories: Memories::default(),
            room: Semaphore::new(ROOM as usize),
            wake,
            stop,
            client,
            together: true,
        };
        Ok((context, Feeds { syncs: sync_writer, approvals: approval_writer, woken }))
    }

    /// Takes the health checks of a Sync as soon as it is seen, so that its objects are judged by them at first sight. What
    /// is wrong with them is told by its run.
    pub fn take_checks(&self, sync: &Sync) {
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let owner = SyncRef::new(name(&sync.metadata.namespace), name(&sync.metadata.name));
        let _ = self.cluster.view.judges.take(&owner, sync);
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
            let waits = other.spec.depends_on.iter().any(|dependency| dependency.of(&namespace) == *sync);
            if waits {
                self.wake(SyncRef::new(namespace, other.metadata.name.clone().unwrap_or_default()));
            }
        }
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
                let next = sync.spec.depends_on.iter().map(|next| next.of(last.namespace()));
                ways.extend(next.map(|next| [way.clone(), vec![next]].concat()));
            }
        }
        None
    }

    /// Another Sync of the same source that has not looked at this revision yet: until it has, nobody knows whether an
    /// object left git or moved to it. The Sync runs again when it has.
    pub fn behind(&self, sync: &Sync, owner: &SyncRef, revision: &str) -> Option<SyncRef> {
        if !self.together {
            return None;
        }
        let found = self.cluster.syncs.state().into_iter().find_map(|other| {
            let name = SyncRef::new(other.metadata.namespace.clone()?, other.metadata.name.clone()?);
            let runs = other.metadata.deletion_timestamp.is_none() && other.spec.suspend.is_none();
            let same = name != *owner && other.spec.source == sync.spec.source;
            (same && runs && self.memories.revision(&name).as_deref() != Some(revision)).then_some(name)
        });
        if found.is_some() {
            self.memories.hold(owner);
        }
        found
    }

    /// Forgets the Syncs that went without having owned anything.
    pub fn sweep(&self) {
        for sync in self.memories.known().into_iter().filter(|sync| !self.cluster.exists(sync)) {
            self.forget(&sync);
        }
    }

    /// Forgets a Sync that is gone.
    pub fn forget(&self, sync: &SyncRef) {
        self.cluster.view.disclaim(sync);
        self.secrets.release(sync, None);
        self.metrics.forget(sync);
        self.memories.forget(sync);
    }

    /// The approvals and rejections that name a Sync, the oldest first.
    pub fn approvals(&self, sync: &SyncRef) -> Vec<ApprovalSpec> {
        let mut found: Vec<_> = self
            .approvals
            .state()
            .into_iter()
            .filter(|approval| {
                approval.metadata.namespace.as_deref() == Some(sync.namespace())
                    && approval.spec.sync == sync.name()
            })
            .collect();
        found.sort_by_key(|approval| approval.metadata.creation_timestamp.as_ref().map(|time| time.0));
        found.into_iter().map(|approval| approval.spec.clone()).collect()
    }
}

/// What is remembered of one Sync.
#[derive(Default)]
pub struct Memory {
    /// Of the Sync that is remembered: another one can have the same name later.
    pub uid: Option<String>,
    pub checkout: Option<Checkout>,
    pub rendered: Option<Rendered>,
    /// The status as it was written last; the watch may not have brought it yet.
    pub status: Option<SyncStatus>,
    /// The value of `holdfast.dev/reconcile-at` that was answered last.
    pub asked: Option<String>,
    /// What was done and is not reported yet: it is told together with how the objects are, a moment later.
    pub unreported: Option<Unreported>,
    /// When it was told last that objects are on their way.
    pub told: Option<Instant>,
    /// Failures in a row, for the backoff.
    pub failures: u32,
}

/// What a run found a moment ago.
pub struct Unreported {
    /// A plan that was carried out.
    pub done: Option<Done>,
    pub corrected: bool,
    pub since: Instant,
}

/// A render, and what every object must satisfy by it.
pub struct Rendered {
    tree: String,
    generation: Option<i64>,
    pub objects: Vec<(ObjectId, Digest)>,
}

impl Rendered {
    pub fn of(tree: &str, sync: &Sync, objects: Vec<(ObjectId, Digest)>) -> Self {
        Self { tree: tree.to_owned(), generation: sync.metadata.generation, objects }
    }

    /// True if it is of this tree and of the Sync as it is now.
    pub fn is_of(&self, tree: &str, sync: &Sync) -> bool {
        self.tree == tree && self.generation == sync.metadata.generation
    }
}

/// The memories of all Syncs, and where each of them reads.
#[derive(Default)]
pub struct Memories {
    all: Mutex<HashMap<SyncRef, Arc<tokio::sync::Mutex<Memory>>>>,
    places: Mutex<HashMap<SyncRef, Place>>,
    /// Syncs that wait for others to read the same commit.
    held: Mutex<HashSet<SyncRef>>,
}

/// What a Sync reads, and how far it is.
#[derive(Clone)]
struct Place {
    mirror: MirrorId,
    /// Of the last run that came to its end.
    revision: Option<String>,
    /// What was reported last: of which revision, and whether it was Ready.
    reported: Option<(String, bool)>,
}

impl Memories {
    pub fn of(&self, sync: &SyncRef) -> Arc<tokio::sync::Mutex<Memory>> {
        lock(&self.all).entry(sync.clone()).or_default().clone()
    }

    /// Notes which mirror a Sync reads.
    pub fn uses(&self, sync: &SyncRef, mirror: MirrorId) {
        let mut places = lock(&self.places);
        if places.get(sync).is_none_or(|place| place.mirror != mirror) {
            places.insert(sync.clone(), Place { mirror, revision: None, reported: None });
        }
    }

    /// Notes that a Sync has looked at a revision to the end, and returns the Syncs that waited for it.
    pub fn looked_at(&self, sync: &SyncRef, revision: &str) -> Vec<SyncRef> {
        let mut places = lock(&self.places);
        let Some(place) = places.get_mut(sync) else { return Vec::new() };
        if place.revision.as_deref() == Some(revision) {
            return Vec::new();
        }
        place.revision = Some(revision.to_owned());
        lock(&self.held).drain().collect()
    }

    /// Notes what was reported of a Sync; true if that is news to those who depend on it.
    pub fn report(&self, sync: &SyncRef, revision: &str, ready: bool) -> bool {
        let mut places = lock(&self.places);
        let Some(place) = places.get_mut(sync) else { return true };
        let now = Some((revision.to_owned(), ready));
        std::mem::replace(&mut place.reported, now.clone()) != now
    }

    /// True if a Sync was Ready when a revision was reported of it.
    pub fn is_ready_at(&self, sync: &SyncRef, revision: &str) -> bool {
        let places = lock(&self.places);
        let reported = places.get(sync).and_then(|place| place.reported.as_ref());
        reported.is_some_and(|(at, ready)| at == revision && *ready)
    }

    /// The revision that a Sync looked at last.
    fn revision(&self, sync: &SyncRef) -> Option<String> {
        lock(&self.places).get(sync)?.revision.clone()
    }

    /// Lets a Sync run again when another one has looked at its revision.
    fn hold(&self, sync: &SyncRef) {
        lock(&self.held).insert(sync.clone());
    }

    /// The Syncs that read a mirror; all of them if it is not known which mirror it was.
    pub fn users(&self, mirror: Option<MirrorId>) -> Vec<SyncRef> {
        let all = lock(&self.places);
        let reads = |place: &Place| mirror.is_none_or(|mirror| mirror == place.mirror);
        all.iter().filter(|(_, place)| reads(place)).map(|(sync, _)| sync.clone()).collect()
    }

    /// The Syncs that something is remembered of.
    fn known(&self) -> Vec<SyncRef> {
        lock(&self.all).keys().cloned().collect()
    }

    pub fn forget(&self, sync: &SyncRef) {
        lock(&self.all).remove(sync);
        lock(&self.places).remove(sync);
        lock(&self.held).remove(sync);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

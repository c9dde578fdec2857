//! The source of the desired state: a Git repository, a ref, and the tree of its commit. Also pushes commits.
//!
//! There is one mirror for each URL, credential and trust domain, one request to the server for each interval and ref, and a fetch
//! only if the ref moved. Knows no cluster: credentials are passed in. I/O: network, disk.

mod announce;
mod answer;
mod checkout;
mod credential;
mod entry;
mod error;
mod fetch;
mod files;
mod folders;
mod history;
mod identity;
mod keep;
mod known_hosts;
mod limit;
mod location;
mod merge;
mod mirror;
mod names;
mod offer;
mod open;
mod others;
mod pack;
mod pauses;
mod program;
mod progress;
mod publish;
mod push;
mod reference;
mod refusal;
mod repository;
mod revert;
mod scheme;
mod sign;
mod slot;
mod ssh;
mod ssh_errors;
mod thread;
mod three;
mod transport;
mod tree;
mod verify;
mod web;
mod write;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use announce::{Moved, OnRequest};
pub use checkout::Checkout;
pub use credential::Credential;
pub use error::SourceError;
pub use files::CommitFiles;
pub use location::{Location, MirrorId};
pub use merge::{CloneOnDisk, MergeError, Merged, MergedTree, merge};
pub use open::OpenMirror;
pub use others::{Graft, Kept};
pub use publish::{Others, OwnCommit, PushTarget, Pushed};
pub use reference::{CommitId, GitRef, Revision};
pub use refusal::{PushError, Refusal};
pub use sign::{SignError, Signer};
pub use tree::Tree;
pub use verify::{BadSigners, Signed, Signers, VerifyError};
pub use write::{NewCommit, Person, WriteError};

use crate::http::{Clients, Guard};
use announce::announce;
use entry::{Answer, MirrorEntry};
use folders::FolderCache;
use mirror::{Found, Mirror};
use names::server_name;
use pauses::Pauses;
use repository::Open;
use scheme::Scheme;
use transport::Network;

use crate::disk::Usage;
use crate::shares::Shares;

/// Maximum number of concurrent connections to Git servers for one tenant.
const CONNECTIONS: u32 = 8;

/// The settings for reading sources.
pub struct SourceOptions {
    /// Whether Syncs may name `file://` repositories.
    pub allow_file: bool,
    /// Decides which servers may be connected to.
    pub guard: Arc<Guard>,
    /// Called after each request to a server.
    pub on_request: OnRequest,
    /// The usage of the cache folder.
    pub usage: Arc<Usage>,
}

/// All mirrors of the process.
pub struct Sources {
    folder: PathBuf,
    options: SourceOptions,
    clients: Arc<Clients>,
    pauses: Arc<Pauses>,
    mirrors: Mutex<HashMap<MirrorId, MirrorEntry>>,
    /// The folders of open repositories, including replaced ones.
    open: Open,
    /// The cached folder entries of all mirrors.
    folders: FolderCache,
    moved: broadcast::Sender<MirrorId>,
    /// Serialises pushes for each branch and tenant.
    turns: Shares,
    /// Connections to servers, for each tenant, so that servers that do not respond only delay their tenant.
    connections: Shares,
}

impl Sources {
    /// Creates sources with mirrors below a folder, whose content may be lost at any time.
    pub fn new(folder: PathBuf, options: SourceOptions) -> Self {
        let sources = Self {
            folder,
            clients: transport::clients(options.guard.clone()),
            options,
            pauses: Arc::default(),
            mirrors: Mutex::default(),
            open: Open::default(),
            folders: FolderCache::default(),
            moved: broadcast::channel(256).0,
            turns: Shares::new(1),
            connections: Shares::new(CONNECTIONS),
        };
        sources.clear();
        sources
    }

    /// Subscribes to the ids of mirrors of which a ref has moved.
    pub fn moved(&self) -> broadcast::Receiver<MirrorId> {
        self.moved.subscribe()
    }

    /// Returns the commit of a ref. Requests it from the server if the last response is older than `max_age`;
    /// concurrent callers share one request. A server that does not respond delays its callers for `limit` at most, and
    /// no other mirror.
    pub async fn checkout(
        &self,
        location: &Location,
        reference: &GitRef,
        max_age: Duration,
        limit: Duration,
    ) -> Result<Checkout, SourceError> {
        self.check_allowed(location)?;
        let started = Instant::now();
        let asking = self.ask(location, reference, max_age, limit, started);
        let found = match tokio::time::timeout(limit, asking).await {
            Ok(found) => found?,
            Err(_) => {
                return Err(SourceError::Timeout { url: location.to_string(), seconds: limit.as_secs() });
            }
        };
        let Found { repository, revision, target, commit, root } = found;
        Ok(Checkout {
            mirror: location.mirror(),
            reference: reference.clone(),
            target,
            tree: Tree { repository, commit, root, revision },
        })
    }

    async fn ask(
        &self,
        location: &Location,
        reference: &GitRef,
        max_age: Duration,
        limit: Duration,
        started: Instant,
    ) -> Result<Found, SourceError> {
        let known = self.mirror(location);
        let line = known.line(reference);
        if let Some(found) = known.good(line.lock().await.as_ref(), location, reference, max_age, started) {
            return found;
        }
        // The lock is not held while this waits for a connection, so that a caller with a connection is not delayed.
        let connection = self.connections.take(location.tenant()).await;
        let mut answer = line.lock_owned().await;
        if let Some(found) = known.good(answer.as_ref(), location, reference, max_age, started) {
            return found;
        }
        let url = location.to_string();
        let (location, reference) = (location.clone(), reference.clone());
        let (on_request, moved) = (self.options.on_request.clone(), self.moved.clone());
        let interrupt = Interrupt::default();
        let (flag, ended) = (interrupt.flag.clone(), interrupt.ended.clone());
        let network = self.network(ended.clone());
        // The lock is moved into the request, so that a request whose caller was dropped ends before the next one
        // begins.
        let request = thread::run(move || {
            let _connection = connection;
            let asked = Instant::now();
            let found = known.mirror.update(&network, &location, &reference, limit, &flag);
            if flag.load(Ordering::Relaxed) && found.is_err() {
                // The caller was dropped, so the error says nothing about the server.
                return found;
            }
            let tenant = location.tenant().into();
            let before = answer.replace(Answer { asked, found: found.clone(), tenant });
            let before = before.and_then(|before| before.found.ok());
            announce(&on_request, &moved, &location, &reference, before.as_ref(), &found);
            found
        });
        let found = request.await.unwrap_or_else(|error| {
            Err(SourceError::Git { url, said: format!("cannot read the repository: {error}") })
        });
        drop(interrupt);
        found
    }

    /// Returns the parameters of connections, on the runtime of the caller.
    fn network(&self, ended: CancellationToken) -> Network {
        let (guard, clients) = (self.options.guard.clone(), self.clients.clone());
        Network { guard, clients, pauses: self.pauses.clone(), runtime: Handle::current(), ended }
    }

    fn check_allowed(&self, location: &Location) -> Result<(), SourceError> {
        if location.scheme == Scheme::File && !self.options.allow_file {
            return Err(SourceError::FileNotAllowed { url: location.to_string() });
        }
        Ok(())
    }

    fn mirror(&self, location: &Location) -> MirrorEntry {
        let mut mirrors = self.mirrors.lock();
        let known = mirrors.entry(location.mirror()).or_insert_with(|| {
            let folder = self.folder.join(keep::MIRRORS).join(location.place());
            let (open, folders, usage) =
                (self.open.clone(), self.folders.clone(), self.options.usage.clone());
            MirrorEntry {
                mirror: Arc::new(Mirror::at(folder, open, folders, usage)),
                used: Arc::new(Mutex::new(Instant::now())),
                answers: Arc::default(),
                repository: location.repository(),
                moved: Arc::default(),
            }
        });
        *known.used.lock() = Instant::now();
        known.clone()
    }

    /// Makes all readers of this branch check it now, whatever URL and credentials they use. Called after a push of
    /// this agent and after a webhook call.
    pub fn announce_moved(&self, location: &Location, branch: &str) {
        let name = server_name(&GitRef::Branch(branch.to_owned()), None);
        let (repository, now) = (location.repository(), Instant::now());
        let mirrors = self.mirrors.lock();
        for (id, known) in mirrors.iter().filter(|(_, known)| known.repository == repository) {
            known.moved.lock().insert(name.clone(), now);
            // There may be no receiver.
            let _ = self.moved.send(*id);
        }
    }
}

/// Stops a fetch and closes its connection when its caller is dropped.
#[derive(Default)]
struct Interrupt {
    flag: Arc<AtomicBool>,
    ended: CancellationToken,
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.flag.store(true, Ordering::Relaxed);
        self.ended.cancel();
    }
}

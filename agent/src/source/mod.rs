//! Where the desired state comes from: a git repository, a ref, and the tree of its commit.
//!
//! A branch is moved forward by commits made of the objects of another one. One mirror for each URL and credential, shared by all Syncs; one look at the server for each interval and ref, and a
//! fetch only when the ref moved. Knows no cluster: credentials come in as values. I/O: network, disk.

mod answer;
mod credential;
mod error;
mod fetch;
mod files;
mod folders;
mod heard;
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
mod scheme;
mod sign;
mod slot;
mod ssh;
mod thread;
mod transport;
mod tree;
mod web;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use credential::Credential;
pub use error::SourceError;
pub use files::CommitFiles;
pub use location::{Location, MirrorId};
pub use merge::{CloneOnDisk, MergeError, Merged, MergedTree, merge};
pub use open::OpenMirror;
pub use others::{Graft, Kept};
pub use publish::{Onto, Others, Own, Pushed};
pub use reference::{CommitId, GitRef, Revision};
pub use refusal::{PushError, Refusal};
pub use sign::{SignError, Signer};
pub use tree::Tree;
pub use write::{NewCommit, Person, WriteError};

use crate::http::{Clients, Guard};
use folders::FolderCache;
use mirror::{Found, Mirror};
use names::server_name;
use pauses::Pauses;
use repository::Open;
use scheme::Scheme;
use transport::Network;

use crate::disk::Usage;
use crate::shares::Shares;

/// Refs of one mirror whose answers are remembered.
const REFS: usize = 256;
/// Connections to git servers that one tenant has at a time.
const CONNECTIONS: u32 = 8;

/// How sources are read.
pub struct SourceOptions {
    /// Whether Syncs may name `file://` repositories.
    pub allow_file: bool,
    /// Which servers may be connected to.
    pub guard: Arc<Guard>,
    /// Hears of every look at a server.
    pub on_look: OnLook,
    /// How much of the cache folder is used.
    pub usage: Arc<Usage>,
}

/// Hears of a look at a server: its result, and the commit if there is a new one.
pub type OnLook = Arc<dyn Fn(&'static str, Option<Moved>) + Send + Sync>;

/// A ref that is at another commit than before.
pub struct Moved {
    /// Without its login.
    pub url: String,
    pub reference: String,
    pub before: Option<String>,
    pub now: String,
}

/// All mirrors of the process.
pub struct Sources {
    folder: PathBuf,
    options: SourceOptions,
    clients: Arc<Clients>,
    pauses: Arc<Pauses>,
    mirrors: Mutex<HashMap<MirrorId, MirrorEntry>>,
    /// The folders of repositories that are open, also of those that were replaced.
    open: Open,
    /// What the folders of mirrors hold.
    folders: FolderCache,
    moved: broadcast::Sender<MirrorId>,
    /// One push at a time for each branch and tenant.
    turns: Shares,
    /// Connections to servers, for each tenant: those that hang cost a tenant its own.
    connections: Shares,
}

/// A mirror that is in use.
#[derive(Clone)]
struct MirrorEntry {
    mirror: Arc<Mirror>,
    /// When it was used last.
    used: Arc<Mutex<Instant>>,
    answers: Arc<Mutex<HashMap<GitRef, Line>>>,
    /// What all mirrors of a repository have in common.
    repository: String,
    /// When refs, by full name, moved without a request of ours. Earlier answers are not used.
    moved: Arc<Mutex<HashMap<String, Instant>>>,
}

/// The last answer about a ref. Locked during a request, so that concurrent callers take the same answer.
type Line = Arc<tokio::sync::Mutex<Option<Answer>>>;

impl MirrorEntry {
    fn has_moved_since(&self, reference: &GitRef, asked: Instant) -> bool {
        let moved = self.moved.lock();
        moved.get(&server_name(reference, None)).is_some_and(|moved| *moved > asked)
    }

    fn line(&self, reference: &GitRef) -> Line {
        let mut answers = self.answers.lock();
        if answers.len() >= REFS && !answers.contains_key(reference) {
            // Answers without a current request are requested again.
            answers.retain(|_, line| Arc::strong_count(line) > 1);
        }
        answers.entry(reference.clone()).or_default().clone()
    }

    /// An answer that is young enough, or that was given while its reader waited, be it a bad one: that is taken of the own
    /// tenant alone, since another one may have given up sooner.
    fn good(
        &self,
        answer: Option<&Answer>,
        location: &Location,
        reference: &GitRef,
        max_age: Duration,
        started: Instant,
    ) -> Option<Result<Found, SourceError>> {
        let answer = answer?;
        let fresh = answer.found.is_ok() && answer.asked.elapsed() < max_age;
        let own = answer.found.is_ok() || *answer.tenant == *location.tenant();
        let good = fresh || (answer.asked >= started && own);
        (good && !self.has_moved_since(reference, answer.asked)).then(|| answer.found.clone())
    }
}

#[derive(Clone)]
struct Answer {
    asked: Instant,
    found: Result<Found, SourceError>,
    /// Who asked.
    tenant: Arc<str>,
}

/// A commit of a repository.
#[derive(Clone)]
pub struct Checkout {
    mirror: MirrorId,
    reference: GitRef,
    tree: Tree,
}

impl Checkout {
    pub fn revision(&self) -> &Revision {
        &self.tree.revision
    }

    /// Lets the mirror be fetched afresh: something of it cannot be read.
    pub fn mark_broken(&self) {
        self.tree.repository.note_broken();
    }

    /// The folder of the mirror that it is in, which stays as long as this does.
    pub fn mirror_folder(&self) -> &Path {
        self.tree.repository.folder()
    }

    pub fn id(&self) -> CommitId {
        CommitId(self.tree.commit)
    }

    /// Who made the commit, as `Name <address>`, and the first line of its message.
    pub fn commit(&self) -> Option<(String, String)> {
        self.tree.commit()
    }

    /// The clean path of the folder that a Sync names.
    pub fn folder(&self, path: &str) -> Result<String, SourceError> {
        self.tree.folder(path)
    }

    /// The id of the root of its tree.
    pub fn tree(&self) -> String {
        self.tree.root.to_string()
    }

    /// The mirror that it is of.
    pub fn mirror(&self) -> MirrorId {
        self.mirror
    }

    /// The files of the commit.
    pub fn files(&self) -> CommitFiles {
        CommitFiles::new(self.tree.clone())
    }

    /// True if it is of this repository and ref.
    pub fn is_of(&self, location: &Location, reference: &GitRef) -> bool {
        self.mirror == location.mirror() && self.reference == *reference
    }
}

impl Sources {
    /// Sources whose mirrors are below a folder, which may be lost at any time.
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

    /// Hears of every mirror of which a ref has moved.
    pub fn moved(&self) -> broadcast::Receiver<MirrorId> {
        self.moved.subscribe()
    }

    /// Returns the commit of a ref. Requests it from the server if the last answer is older than `max_age`; concurrent callers
    /// share one request. A server that hangs delays its callers for `limit` at most, and no other mirror.
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
        let Found { repository, revision, commit, root } = found;
        Ok(Checkout {
            mirror: location.mirror(),
            reference: reference.clone(),
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
        // The line is not locked while this waits for a connection, so that a caller with one is not delayed.
        let connection = self.connections.take(location.tenant()).await;
        let mut answer = line.lock_owned().await;
        if let Some(found) = known.good(answer.as_ref(), location, reference, max_age, started) {
            return found;
        }
        let url = location.to_string();
        let (location, reference) = (location.clone(), reference.clone());
        let (on_look, moved) = (self.options.on_look.clone(), self.moved.clone());
        let interrupt = Interrupt::default();
        let (flag, ended) = (interrupt.flag.clone(), interrupt.ended.clone());
        let network = self.network(ended.clone());
        // The lock goes along: a look that its caller gave up comes to its end before the next one begins.
        let looking = thread::run(move || {
            let _connection = connection;
            let asked = Instant::now();
            let found = known.mirror.update(&network, &location, &reference, limit, &flag);
            if flag.load(Ordering::Relaxed) && found.is_err() {
                // It was given up, and says nothing about the server.
                return found;
            }
            let tenant = location.tenant().into();
            let before = answer.replace(Answer { asked, found: found.clone(), tenant });
            let before = before.and_then(|before| before.found.ok());
            announce(&on_look, &moved, &location, &reference, before.as_ref(), &found);
            found
        });
        let found = looking.await.unwrap_or_else(|error| {
            Err(SourceError::Git { url, said: format!("cannot read the repository: {error}") })
        });
        drop(interrupt);
        found
    }

    /// What connections are made with, on the runtime of the caller.
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

    /// Lets everybody who reads this branch look at once, by whatever URL and login they read it. For what is known from
    /// elsewhere than a look: a push of ours, or a webhook.
    pub fn tell_moved(&self, location: &Location, branch: &str) {
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

/// Reports what a request found, and announces a ref that moved.
fn announce(
    on_look: &OnLook,
    moved: &broadcast::Sender<MirrorId>,
    location: &Location,
    reference: &GitRef,
    before: Option<&Found>,
    found: &Result<Found, SourceError>,
) {
    match found {
        Ok(now) if before.is_none_or(|before| before.revision != now.revision) => {
            let news = Moved {
                url: location.to_string(),
                reference: reference.to_string(),
                before: before.map(|before| before.revision.to_string()),
                now: now.revision.to_string(),
            };
            on_look("ok", Some(news));
            if before.is_some() {
                // There may be no receiver.
                let _ = moved.send(location.mirror());
            }
        }
        Ok(_) => on_look("ok", None),
        Err(error) => on_look(crate::error::StageError::name(error), None),
    }
}

/// Stops a fetch and ends its connection when its caller is dropped.
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

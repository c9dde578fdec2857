//! Where the desired state comes from: a git repository, a ref, and the tree of its commit.
//!
//! A branch is moved forward by commits made of the objects of another one. One mirror for each URL and credential, shared by all Syncs; one look at the server for each interval and ref, and a
//! fetch only when the ref moved. Knows no cluster: credentials come in as values. I/O: network, disk.

mod answer;
mod credential;
mod error;
mod files;
mod location;
mod mirror;
mod offer;
mod pack;
mod publish;
mod push;
mod reference;
mod refusal;
mod sign;
mod slot;
mod transport;
mod tree;
mod write;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

pub use credential::Credential;
pub use error::SourceError;
pub use files::CommitFiles;
pub use location::{Location, MirrorId};
pub use publish::{Onto, Pushed};
pub use reference::{CommitId, GitRef, Revision};
pub use refusal::{PushError, Refusal};
pub use sign::{SignError, Signer};
pub use tree::Tree;
pub use write::{NewCommit, Person, WriteError};

use location::Scheme;
use mirror::{Found, Mirror, server_name};

/// How sources are read.
pub struct SourceOptions {
    /// Whether Syncs may name `file://` repositories.
    pub allow_file: bool,
    /// Hears of every look at a server.
    pub on_look: OnLook,
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
    mirrors: Mutex<HashMap<MirrorId, Known>>,
    moved: broadcast::Sender<MirrorId>,
    turns: publish::Turns,
}

/// A mirror that somebody asked for.
#[derive(Clone)]
struct Known {
    shared: Arc<tokio::sync::Mutex<Shared>>,
    /// What all mirrors of a repository have in common.
    repository: String,
    /// When full names of refs were known to move, if not by a look. Answers from before are not taken.
    moved: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Known {
    fn has_moved_since(&self, reference: &GitRef, asked: Instant) -> bool {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.get(&server_name(reference, None)).is_some_and(|moved| *moved > asked)
    }
}

/// One mirror, and what was answered last about its refs.
struct Shared {
    mirror: Mirror,
    answers: HashMap<GitRef, Answer>,
}

#[derive(Clone)]
struct Answer {
    asked: Instant,
    found: Result<Found, SourceError>,
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
        Self {
            folder,
            options,
            mirrors: Mutex::default(),
            moved: broadcast::channel(256).0,
            turns: Mutex::default(),
        }
    }

    /// Hears of every mirror of which a ref has moved.
    pub fn moved(&self) -> broadcast::Receiver<MirrorId> {
        self.moved.subscribe()
    }

    /// The commit of a ref. The server is asked if nobody asked within `max_age`; callers at the same time share one
    /// request. A server that hangs holds nobody longer than `limit`, and no other mirror at all.
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
        let mut shared = known.shared.clone().lock_owned().await;
        if let Some(answer) = shared.answers.get(reference) {
            let fresh = answer.found.is_ok() && answer.asked.elapsed() < max_age;
            // Whoever waited while it was asked takes the same answer, a bad one too.
            let good = fresh || answer.asked >= started;
            if good && !known.has_moved_since(reference, answer.asked) {
                return answer.found.clone();
            }
        }
        let (location, reference) = (location.clone(), reference.clone());
        let (on_look, moved) = (self.options.on_look.clone(), self.moved.clone());
        let interrupt = Interrupt(Arc::default());
        let flag = interrupt.0.clone();
        // The lock goes along: a look that its caller gave up comes to its end before the next one begins.
        let looking = tokio::task::spawn_blocking(move || {
            let asked = Instant::now();
            let found = shared.mirror.update(&location, &reference, limit, &flag);
            let answer = Answer { asked, found: found.clone() };
            let before =
                shared.answers.insert(reference.clone(), answer).and_then(|before| before.found.ok());
            match &found {
                Ok(now) if before.as_ref().is_none_or(|before| before.revision != now.revision) => {
                    let news = Moved {
                        url: location.to_string(),
                        reference: reference.to_string(),
                        before: before.as_ref().map(|before| before.revision.to_string()),
                        now: now.revision.to_string(),
                    };
                    on_look("ok", Some(news));
                    if before.is_some() {
                        // Nobody needs to listen.
                        let _ = moved.send(location.mirror());
                    }
                }
                Ok(_) => on_look("ok", None),
                Err(error) => on_look(crate::error::StageError::name(error), None),
            }
            found
        });
        let found = looking.await.unwrap_or_else(|error| {
            Err(SourceError::Git {
                url: "the mirror".to_owned(),
                said: format!("reading it failed: {error}"),
            })
        });
        drop(interrupt);
        found
    }

    fn check_allowed(&self, location: &Location) -> Result<(), SourceError> {
        if location.scheme == Scheme::File && !self.options.allow_file {
            return Err(SourceError::FileNotAllowed { url: location.to_string() });
        }
        Ok(())
    }

    fn mirror(&self, location: &Location) -> Known {
        let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        let known = mirrors.entry(location.mirror()).or_insert_with(|| {
            let folder = self.folder.join("mirrors").join(location.mirror().to_string());
            let shared = Shared { mirror: Mirror::at(folder), answers: HashMap::new() };
            let shared = Arc::new(tokio::sync::Mutex::new(shared));
            Known { shared, repository: location.repository(), moved: Arc::default() }
        });
        known.clone()
    }

    /// Lets everybody who reads this branch look at once, by whatever URL and login they read it. For what is known from
    /// elsewhere than a look: a push of ours, or a webhook.
    pub fn tell_moved(&self, location: &Location, branch: &str) {
        let name = server_name(&GitRef::Branch(branch.to_owned()), None);
        let (repository, now) = (location.repository(), Instant::now());
        let mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, known) in mirrors.iter().filter(|(_, known)| known.repository == repository) {
            known.moved.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), now);
            // Nobody needs to listen.
            let _ = self.moved.send(*id);
        }
    }
}

/// Tells a fetch to stop when its caller has gone.
struct Interrupt(Arc<AtomicBool>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

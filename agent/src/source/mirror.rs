//! One mirror: a bare repository below the cache folder with the commits that Syncs follow, without their history.
//!
//! A mirror can be fetched again, so a damaged one is discarded. Leaves the connection to `fetch`, and the disk to
//! `repository`. I/O: through both.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gix::ObjectId;
use parking_lot::{Mutex, MutexGuard};
use tracing::{debug, warn};

use super::fetch::{RefRequest, choose_tag, fetch};
use super::folders::FolderCache;
use super::names::{parse_commit, refspec, revision};
use super::repository::{self, Open, Repository};
use super::transport::{Network, Peer};
use super::{GitRef, Location, Revision, SourceError};
use crate::disk::Usage;

/// A mirror with this many packs is fetched again, since packs are never combined.
const PACKS: usize = 120;
/// Interval at which a waiting caller checks whether another pack is still being received.
const PAUSE: Duration = Duration::from_millis(10);

/// A commit that is in the mirror.
#[derive(Clone)]
pub struct Found {
    pub repository: Arc<Repository>,
    pub revision: Revision,
    /// The object that the ref names: the commit, or a tag of it.
    pub target: ObjectId,
    pub commit: ObjectId,
    pub root: ObjectId,
}

/// Finds the commit of a ref, and fetches it if it is not in the mirror. Blocking. Requests run concurrently, but packs
/// are received one after the other, since Git locks a shallow repository while it receives one.
pub struct Mirror {
    state: Mutex<State>,
    receiving: Mutex<()>,
    usage: Arc<Usage>,
}

struct State {
    folder: PathBuf,
    open: Option<Arc<Repository>>,
    all: Open,
    folders: FolderCache,
}

impl Mirror {
    /// Returns the mirror in a folder, which need not exist.
    pub fn at(folder: PathBuf, all: Open, folders: FolderCache, usage: Arc<Usage>) -> Self {
        let state = Mutex::new(State { folder, open: None, all, folders });
        Self { state, receiving: Mutex::default(), usage }
    }

    /// Returns the current folder.
    pub fn folder(&self) -> PathBuf {
        self.lock().folder.clone()
    }

    /// True if a checkout of the mirror is in use.
    pub fn is_held(&self) -> bool {
        self.lock().open.as_ref().is_some_and(|open| Arc::strong_count(open) > 1)
    }

    /// Closes the mirror permanently. Its folder, which is returned, is removed with the last checkout.
    pub fn retire(&self) -> PathBuf {
        let mut state = self.lock();
        let folder = state.folder.clone();
        match state.open.clone() {
            Some(open) => state.discard(&open),
            None => repository::remove(&folder),
        }
        folder
    }

    /// Returns the commit of a ref on the server, fetched into the mirror. Opens one connection, and receives no pack
    /// if the mirror already has the commit.
    pub fn update(
        &self,
        network: &Network,
        location: &Location,
        reference: &GitRef,
        limit: Duration,
        interrupt: &Arc<AtomicBool>,
    ) -> Result<Found, SourceError> {
        let repository = self.open(location)?;
        let peer = Peer { network, location, limit };
        if let GitRef::Commit(id) = reference {
            let target = parse_commit(location, id)?;
            if let Some((commit, root)) = repository.peel(target) {
                let revision = revision(reference, None, commit);
                return Ok(Found { repository, revision, target, commit, root });
            }
        }
        let reference_name = match reference {
            GitRef::Semver(range) => Some(choose_tag(&peer, &repository, range)?),
            _ => None,
        };
        let spec = refspec(reference, reference_name.as_deref());
        let turn = || wait_for(&self.receiving, limit, interrupt);
        let request = RefRequest { peer: &peer, reference, spec: &spec, interrupt, usage: &self.usage };
        let target = fetch(&request, &repository, turn)?;
        let Some((commit, root)) = repository.peel(target) else {
            // It exists but cannot be read: the mirror is discarded and fetched again.
            self.lock().discard(&repository);
            let said = format!("{target} in the mirror cannot be read; the mirror is fetched again");
            return Err(SourceError::Git { url: location.to_string(), said });
        };
        if repository.packs() > PACKS {
            debug!(folder = %repository.folder().display(), "Mirror has many packs and will be fetched again");
            self.lock().discard(&repository);
        }
        let revision = revision(reference, reference_name.as_deref(), commit);
        Ok(Found { repository, revision, target, commit, root })
    }

    /// Opens the repository; an empty one if the previous one was damaged.
    fn open(&self, location: &Location) -> Result<Arc<Repository>, SourceError> {
        let mut state = self.lock();
        if let Some(open) = state.open.clone().filter(|open| open.is_broken()) {
            warn!(folder = %open.folder().display(), "Mirror cannot be read and is fetched again");
            state.discard(&open);
        }
        let open = state.open().inspect_err(|error| {
            let full = matches!(error, SourceError::Cache { said, .. } if said.contains("No space left"));
            if full {
                self.usage.no_room();
            }
        });
        match open {
            Err(SourceError::Cache { said, .. }) if said.contains("No space left") => {
                Err(SourceError::DiskFull { url: location.to_string() })
            }
            open => open,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Waits until no other pack is received into the mirror, up to the limit, and only while the caller waits.
fn wait_for<'a>(
    receiving: &'a Mutex<()>,
    limit: Duration,
    interrupt: &AtomicBool,
) -> Option<MutexGuard<'a, ()>> {
    let started = Instant::now();
    while !interrupt.load(Ordering::Relaxed) && started.elapsed() < limit {
        match receiving.try_lock() {
            Some(turn) => return Some(turn),
            None => std::thread::sleep(PAUSE),
        }
    }
    None
}

impl State {
    /// Starts again with an empty mirror, unless another request has done so. Checkouts of the old one stay readable.
    fn discard(&mut self, repository: &Arc<Repository>) {
        if self.open.as_ref().is_some_and(|open| Arc::ptr_eq(open, repository)) {
            self.open = None;
            repository.retire();
            self.folder = repository::next_folder(&self.folder);
        }
    }

    fn open(&mut self) -> Result<Arc<Repository>, SourceError> {
        if let Some(open) = &self.open {
            repository::mark(&self.folder);
            return Ok(open.clone());
        }
        self.all.lock().insert(self.folder.clone());
        let opened = repository::open(&self.folder, self.folders.repository(), self.all.clone());
        match &opened {
            Ok(open) => self.open = Some(open.clone()),
            Err(_) => drop(self.all.lock().remove(&self.folder)),
        }
        opened
    }
}

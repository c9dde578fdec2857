//! The repository of a mirror on disk: opening, reading and removing it.
//!
//! A repository with an error is discarded. Leaves fetching to `fetch`. I/O: disk.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use gix::odb::store::init::Slots;
use gix::{ObjectId, ThreadSafeRepository};
use parking_lot::Mutex;
use tracing::warn;

use super::SourceError;
use super::error::OBJECT_LIMIT;
use super::folders::{FolderCache, Folders};
use crate::disk::leftovers;

/// Maximum number of packs that gix can open of a mirror. It fails if there are more, so this leaves room.
const SLOTS: u16 = 200;
/// A mirror is marked as used again if its last mark is older than this.
const MARK: Duration = Duration::from_mins(10);

/// A repository on disk. A retired one is removed with its last checkout.
pub struct Repository {
    pub git: ThreadSafeRepository,
    /// The cached entries of its folders.
    pub folders: Folders,
    folder: PathBuf,
    retired: AtomicBool,
    /// An object could not be read: the repository is fetched again.
    broken: AtomicBool,
    open: Open,
}

/// The folders of all open repositories.
pub type Open = Arc<Mutex<HashSet<PathBuf>>>;

impl Repository {
    fn of(git: gix::Repository, folder: &Path, folders: Folders, open: Open) -> Arc<Self> {
        Arc::new(Self {
            git: git.into_sync(),
            folders,
            folder: folder.to_path_buf(),
            retired: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            open,
        })
    }

    /// Returns the folder of the repository.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Marks the folder for removal with the last checkout.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// True if another repository takes its place.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Records that an object could not be read, so that the repository is fetched again.
    pub fn note_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// True if an object could not be read.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Returns the number of packs.
    pub fn packs(&self) -> usize {
        let entries = self.folder.join("objects/pack").read_dir().into_iter().flatten().flatten();
        entries
            .into_iter()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pack"))
            .count()
    }

    /// Returns the commit that an object points to, and its tree, if the mirror has both.
    pub fn peel(&self, id: ObjectId) -> Option<(ObjectId, ObjectId)> {
        let repo = self.git.to_thread_local();
        let commit = repo.try_find_object(id).ok()??.peel_to_commit().ok()?;
        Some((commit.id, commit.tree_id().ok()?.detach()))
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        // A repository that is opened in the same folder must not be removed.
        let mut open = self.open.lock();
        open.remove(&self.folder);
        if self.retired.load(Ordering::Relaxed) {
            remove(&self.folder);
        }
    }
}

/// Marks a mirror as used. The mark only decides which mirrors are removed first.
pub fn mark(folder: &Path) {
    let marked = folder.metadata().and_then(|metadata| metadata.modified());
    let is_old = marked.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > MARK));
    if is_old {
        let _ = std::fs::File::open(folder).and_then(|folder| folder.set_modified(SystemTime::now()));
    }
}

pub(super) fn options() -> gix::open::Options {
    // gix refuses an object that is too large before it allocates memory; more threads allocate more at the same time.
    let limits = [format!("gitoxide.objects.allocLimit={OBJECT_LIMIT}"), "pack.threads=1".to_owned()];
    gix::open::Options::isolated()
        .object_store_slots(Slots::Given(SLOTS))
        .config_overrides(limits.map(gix::bstr::BString::from))
}

/// Opens a repository; creates an empty one if it does not exist or cannot be used.
pub fn open(folder: &Path, folders: Folders, all: Open) -> Result<Arc<Repository>, SourceError> {
    let failed = |said: String| SourceError::Cache { path: folder.display().to_string(), said };
    if interrupted(folder) {
        warn!(folder = %folder.display(), "Mirror of an interrupted fetch is discarded");
        remove(folder);
    }
    leftovers::beginning_with(&folder.join("objects/pack"), ".tmp");
    let open = || gix::open_opts(folder, options());
    let repository = if let Ok(repository) = open() {
        repository
    } else {
        remove(folder);
        std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        gix::init_bare(folder).map_err(|error| failed(error.to_string()))?;
        open().map_err(|error| failed(error.to_string()))?
    };
    mark(folder);
    Ok(Repository::of(repository, folder, folders, all))
}

/// Opens a mirror that another process fetches.
pub fn open_to_read(folder: &Path) -> Result<Arc<Repository>, SourceError> {
    let failed = |said: String| SourceError::Cache { path: folder.display().to_string(), said };
    let repository = gix::open_opts(folder, options()).map_err(|error| failed(error.to_string()))?;
    Ok(Repository::of(repository, folder, FolderCache::default().repository(), Open::default()))
}

/// Removes the folder of a mirror.
pub fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        warn!(folder = %folder.display(), %error, "Cannot remove a mirror");
    }
}

/// Returns the same folder with the next number: `…/abc`, `…/abc.1`, `…/abc.2`.
pub fn next_folder(folder: &Path) -> PathBuf {
    let number = folder.extension().and_then(|number| number.to_str()?.parse::<u64>().ok());
    folder.with_extension((number.unwrap_or(0) + 1).to_string())
}

/// True if a process was killed while it wrote to this repository.
fn interrupted(folder: &Path) -> bool {
    let places = [folder.to_path_buf(), folder.join("objects/pack"), folder.join("refs/holdfast")];
    places.iter().any(|place| {
        let entries = place.read_dir().into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.path().extension().is_some_and(|extension| extension == "lock"))
    })
}

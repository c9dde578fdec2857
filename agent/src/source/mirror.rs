//! One mirror: a bare repository below the cache folder that holds the commits that Syncs follow, one deep.
//!
//! All of it can be fetched again, so anything odd about it is answered by throwing it away. I/O: disk, git.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use gix::bstr::ByteSlice as _;
use gix::odb::store::init::Slots;
use gix::protocol::handshake::Ref;
use gix::remote::Direction;
use gix::remote::fetch::{Shallow, Tags};
use gix::{ObjectId, ThreadSafeRepository};
use parking_lot::{Mutex, MutexGuard};
use tracing::{debug, warn};

use super::error::OBJECT_LIMIT;
use super::folders::{FolderCache, Folders};
use super::progress::Received;
use super::reference::{highest, last};
use super::transport::{Connection, Network, Peer};
use super::{GitRef, Location, Revision, SourceError};
use crate::disk::{Usage, leftovers};

/// After so many packs a mirror is fetched afresh: packs are never joined.
const PACKS: usize = 50;
/// Packs that gix can know of an open mirror. It takes no more, and says so by an error, so there is room to spare.
const SLOTS: u16 = 200;
/// How often it is tried to receive a pack while another one is received.
const PAUSE: Duration = Duration::from_millis(10);
/// A pack may take this part of the cache folder.
const PACK: u64 = 4;
/// A mirror is marked as used when its last mark is older.
const MARK: Duration = Duration::from_mins(10);

/// A repository on disk. A retired one goes when the last checkout of it does.
pub struct Repository {
    pub git: ThreadSafeRepository,
    /// What its folders hold, as far as they were read.
    pub folders: Folders,
    folder: PathBuf,
    retired: AtomicBool,
    /// Something of it could not be read: it is fetched afresh.
    pub broken: AtomicBool,
    open: Open,
}

/// The folders of all repositories that are open.
pub type Open = Arc<Mutex<HashSet<PathBuf>>>;

impl Repository {
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        // One that is opened at the same folder must not lose it again.
        let mut open = lock(&self.open);
        open.remove(&self.folder);
        if self.retired.load(Ordering::Relaxed) {
            remove(&self.folder);
        }
    }
}

/// A commit that is in the mirror.
#[derive(Clone)]
pub struct Found {
    pub repository: Arc<Repository>,
    pub revision: Revision,
    pub commit: ObjectId,
    pub root: ObjectId,
}

/// Finds the commit of a ref, and fetches it if it is not there yet. Blocking. Servers are asked side by side, and packs are
/// received one after the other, since git locks a shallow repository while it takes one.
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
    /// The mirror in a folder, which need not exist.
    pub fn at(folder: PathBuf, all: Open, folders: FolderCache, usage: Arc<Usage>) -> Self {
        let state = Mutex::new(State { folder, open: None, all, folders });
        Self { state, receiving: Mutex::default(), usage }
    }

    /// Where it is now.
    pub fn folder(&self) -> PathBuf {
        self.lock().folder.clone()
    }

    /// True if somebody has a checkout of it.
    pub fn is_held(&self) -> bool {
        self.lock().open.as_ref().is_some_and(|open| Arc::strong_count(open) > 1)
    }

    /// Closes it for good: its folder, which is returned, goes with the last checkout.
    pub fn retire(&self) -> PathBuf {
        let mut state = self.lock();
        let folder = state.folder.clone();
        match state.open.clone() {
            Some(open) => state.discard(&open),
            None => remove(&folder),
        }
        folder
    }

    /// The commit of a ref on the server, in the mirror. One connection, and no pack if the commit is there.
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
            let commit = parse_commit(location, id)?;
            if let Some((commit, root)) = peel(&repository, commit) {
                return Ok(Found { repository, revision: revision(reference, None, commit), commit, root });
            }
        }
        let reference_name = match reference {
            GitRef::Semver(range) => Some(choose_tag(&peer, &repository, range)?),
            _ => None,
        };
        let spec = refspec(reference, reference_name.as_deref());
        let turn = || wait_for(&self.receiving, limit, interrupt);
        let asking = Asking { peer: &peer, reference, spec: &spec, interrupt, usage: &self.usage };
        let commit = fetch(&asking, &repository, turn)?;
        let Some((commit, root)) = peel(&repository, commit) else {
            // It is there and cannot be read: begin again with an empty mirror.
            self.lock().discard(&repository);
            let said = format!("{commit} in the mirror cannot be read; the mirror is fetched afresh");
            return Err(SourceError::Git { url: location.to_string(), said });
        };
        if packs(&repository.folder) > PACKS {
            debug!(folder = %repository.folder.display(), "Mirror has many packs and is fetched afresh next time");
            self.lock().discard(&repository);
        }
        let revision = revision(reference, reference_name.as_deref(), commit);
        Ok(Found { repository, revision, commit, root })
    }

    /// The repository, empty if something of it could not be read.
    fn open(&self, location: &Location) -> Result<Arc<Repository>, SourceError> {
        let mut state = self.lock();
        if let Some(open) = state.open.clone().filter(|open| open.broken.load(Ordering::Relaxed)) {
            warn!(folder = %open.folder.display(), "Mirror cannot be read and is fetched afresh");
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

/// Waits until no other pack is received into the mirror; not longer than the limit, and not for a caller that has gone.
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
    /// Begins again with an empty mirror, unless another look has done so. Checkouts of the old one stay readable.
    fn discard(&mut self, repository: &Arc<Repository>) {
        if self.open.as_ref().is_some_and(|open| Arc::ptr_eq(open, repository)) {
            self.open = None;
            repository.retired.store(true, Ordering::Relaxed);
            self.folder = next_folder(&self.folder);
        }
    }

    fn open(&mut self) -> Result<Arc<Repository>, SourceError> {
        if let Some(open) = &self.open {
            mark(&self.folder);
            return Ok(open.clone());
        }
        lock(&self.all).insert(self.folder.clone());
        let opened = self.open_anew();
        match &opened {
            Ok(open) => self.open = Some(open.clone()),
            Err(_) => drop(lock(&self.all).remove(&self.folder)),
        }
        opened
    }

    fn open_anew(&self) -> Result<Arc<Repository>, SourceError> {
        let failed = |said: String| SourceError::Cache { path: self.folder.display().to_string(), said };
        if interrupted(&self.folder) {
            warn!(folder = %self.folder.display(), "Mirror was left in the middle of a fetch and is thrown away");
            remove(&self.folder);
        }
        leftovers::beginning_with(&self.folder.join("objects/pack"), ".tmp");
        let open = |folder: &Path| gix::open_opts(folder, options());
        let repository = if let Ok(repository) = open(&self.folder) {
            repository
        } else {
            remove(&self.folder);
            std::fs::create_dir_all(&self.folder).map_err(|error| failed(error.to_string()))?;
            gix::init_bare(&self.folder).map_err(|error| failed(error.to_string()))?;
            open(&self.folder).map_err(|error| failed(error.to_string()))?
        };
        mark(&self.folder);
        Ok(Arc::new(Repository {
            git: repository.into_sync(),
            folders: self.folders.repository(),
            folder: self.folder.clone(),
            retired: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            open: self.all.clone(),
        }))
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

/// Marks a mirror as used. Only what goes first depends on it.
fn mark(folder: &Path) {
    let marked = folder.metadata().and_then(|metadata| metadata.modified());
    let is_old = marked.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > MARK));
    if is_old {
        let _ = std::fs::File::open(folder).and_then(|folder| folder.set_modified(SystemTime::now()));
    }
}

fn options() -> gix::open::Options {
    // An object is known to be too large before memory is taken for it; the more threads, the more of them at a time.
    let limits = [format!("gitoxide.objects.allocLimit={OBJECT_LIMIT}"), "pack.threads=1".to_owned()];
    gix::open::Options::isolated()
        .object_store_slots(Slots::Given(SLOTS))
        .config_overrides(limits.map(gix::bstr::BString::from))
}

/// Opens a mirror that another process fetches.
pub fn open_to_read(folder: &Path) -> Result<Arc<Repository>, SourceError> {
    let failed = |said: String| SourceError::Cache { path: folder.display().to_string(), said };
    let repository = gix::open_opts(folder, options()).map_err(|error| failed(error.to_string()))?;
    Ok(Arc::new(Repository {
        git: repository.into_sync(),
        folders: FolderCache::default().repository(),
        folder: folder.to_path_buf(),
        retired: AtomicBool::new(false),
        broken: AtomicBool::new(false),
        open: Open::default(),
    }))
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        warn!(folder = %folder.display(), %error, "Cannot remove a mirror");
    }
}

/// The same folder with the next number: `…/abc`, `…/abc.1`, `…/abc.2`.
fn next_folder(folder: &Path) -> PathBuf {
    let number = folder.extension().and_then(|number| number.to_str()?.parse::<u64>().ok());
    folder.with_extension((number.unwrap_or(0) + 1).to_string())
}

/// True if a process was killed while it wrote here.
fn interrupted(folder: &Path) -> bool {
    let places = [folder.to_path_buf(), folder.join("objects/pack"), folder.join("refs/holdfast")];
    places.iter().any(|place| {
        let entries = place.read_dir().into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.path().extension().is_some_and(|extension| extension == "lock"))
    })
}

fn packs(folder: &Path) -> usize {
    let entries = folder.join("objects/pack").read_dir().into_iter().flatten().flatten();
    entries
        .into_iter()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pack"))
        .count()
}

fn parse_commit(location: &Location, id: &str) -> Result<ObjectId, SourceError> {
    ObjectId::from_hex(id.as_bytes()).map_err(|_| SourceError::RefNotFound {
        url: location.to_string(),
        reference: format!("commit {id}"),
        near: "; a commit is named by all 40 hex digits".to_owned(),
    })
}

/// The full name on the server.
pub(super) fn server_name(reference: &GitRef, tag: Option<&str>) -> String {
    match reference {
        GitRef::Branch(name) => format!("refs/heads/{name}"),
        GitRef::Tag(name) => format!("refs/tags/{name}"),
        GitRef::Semver(_) => format!("refs/tags/{}", tag.unwrap_or_default()),
        GitRef::Name(name) | GitRef::Commit(name) => name.clone(),
    }
}

fn refspec(reference: &GitRef, tag: Option<&str>) -> String {
    let name = server_name(reference, tag);
    match reference {
        GitRef::Commit(id) => format!("{id}:refs/holdfast/commits/{id}"),
        _ => format!("+{name}:refs/holdfast/{}", name.trim_start_matches("refs/")),
    }
}

fn revision(reference: &GitRef, tag: Option<&str>, commit: ObjectId) -> Revision {
    let name = match reference {
        GitRef::Branch(name) | GitRef::Tag(name) | GitRef::Name(name) => name.clone(),
        GitRef::Semver(range) => tag.unwrap_or(range).to_owned(),
        GitRef::Commit(_) => "commit".to_owned(),
    };
    Revision { name, commit: commit.to_string() }
}

/// Takes the highest tag in the range.
fn choose_tag(peer: &Peer<'_>, repository: &Repository, range: &str) -> Result<String, SourceError> {
    let tags = list(peer, repository, "refs/tags/")?;
    highest(&peer.location.to_string(), range, &tags).map(str::to_owned)
}

/// Lists the names of the refs below a folder, without the folder.
fn list(peer: &Peer<'_>, repository: &Repository, folder: &str) -> Result<Vec<String>, SourceError> {
    let repo = repository.git.to_thread_local();
    let Connection { transport, said } = peer.connect()?;
    let failed = |error: gix::Error| said.explain(&error);
    let spec = format!("+{folder}*:refs/holdfast/list/*");
    let remote = repo
        .remote_at_without_url_rewrite(peer.location.url.as_str())
        .and_then(|remote| {
            remote.with_fetch_tags(Tags::None).with_refspecs([spec.as_str()], Direction::Fetch)
        })
        .map_err(&failed)?;
    let client = remote.to_connection_with_transport(transport).with_credentials(|_| Ok(None));
    let (map, _) =
        client.ref_map(gix::progress::Discard, gix::remote::ref_map::Options::default()).map_err(&failed)?;
    Ok(map
        .remote_refs
        .iter()
        .filter_map(|found| Some(name_of(found).strip_prefix(folder)?.to_owned()))
        .collect())
}

/// What a server is asked for.
struct Asking<'a> {
    peer: &'a Peer<'a>,
    reference: &'a GitRef,
    spec: &'a str,
    interrupt: &'a Arc<AtomicBool>,
    usage: &'a Usage,
}

/// Asks the server for the ref, and for the pack if the commit is not in the mirror.
fn fetch<'a>(
    asking: &Asking<'_>,
    repository: &Repository,
    turn: impl FnOnce() -> Option<MutexGuard<'a, ()>>,
) -> Result<ObjectId, SourceError> {
    let Asking { peer, reference, spec, interrupt, usage } = *asking;
    let Peer { location, limit, .. } = *peer;
    let repo = repository.git.to_thread_local();
    let Connection { transport, said } = peer.connect()?;
    let failed = |error: gix::Error| said.explain(&error);
    let remote = repo
        .remote_at_without_url_rewrite(peer.location.url.as_str())
        .and_then(|remote| remote.with_fetch_tags(Tags::None).with_refspecs([spec], Direction::Fetch))
        .map_err(&failed)?;
    let client = remote.to_connection_with_transport(transport).with_credentials(|_| Ok(None));
    let prepared = client
        .prepare_fetch(gix::progress::Discard, gix::remote::ref_map::Options::default())
        .map_err(&failed)?;
    let map = prepared.ref_map();
    let found = map.mappings.first().and_then(|mapping| mapping.remote.as_id().map(ToOwned::to_owned));
    let Some(id) = found else {
        drop(prepared);
        return Err(missing(peer, repository, reference));
    };
    if peel(repository, id).is_some() {
        return Ok(id);
    }
    let Some(_turn) = turn() else {
        return Err(SourceError::Timeout { url: location.to_string(), seconds: limit.as_secs() });
    };
    // It may have come with another pack meanwhile.
    if peel(repository, id).is_some() {
        return Ok(id);
    }
    let domain = location.domain().to_string();
    if !usage.admits(&domain) {
        return Err(SourceError::CacheFull { url: location.to_string(), domain });
    }
    let one = Shallow::DepthAtRemote(NonZeroU32::MIN);
    // From a server that cannot leave out what came before, all of it is fetched, and nothing may be left out yet.
    let depth = if said.can_be_shallow() { one } else { Shallow::NoChange };
    if !said.can_be_shallow() && repo.is_shallow().unwrap_or(false) {
        repository.broken.store(true, Ordering::Relaxed);
        let said = "the server gives no shallow clones any more; the mirror is fetched afresh".to_owned();
        return Err(SourceError::Git { url: location.to_string(), said });
    }
    let received = Received::new(usage.limit() / PACK, interrupt.clone());
    let outcome = prepared.with_shallow(depth).receive(received.clone(), interrupt);
    match outcome {
        _ if received.is_too_much() => {
            Err(SourceError::TooLarge { url: location.to_string(), limit: usage.limit() / PACK })
        }
        Ok(_) => {
            usage.grow(&domain, received.bytes());
            Ok(id)
        }
        Err(error) => {
            let error = failed(error);
            if let (GitRef::Commit(_), SourceError::Git { said, .. }) = (reference, &error) {
                warn!(error = %said, "Server does not give a commit by its id");
                return Err(SourceError::RefNotFound {
                    url: peer.location.to_string(),
                    reference: reference.to_string(),
                    near:
                        "; the server may not serve commits by their id: name a branch or a tag that has it"
                            .to_owned(),
                });
            }
            // What a server says of a disk is not about this one.
            if matches!(error, SourceError::DiskFull { .. })
                && is_short(&repository.folder, usage.limit() / PACK)
            {
                usage.no_room();
            }
            Err(error)
        }
    }
}

/// True if the disk itself has less room than one pack may need.
fn is_short(folder: &Path, wanted: u64) -> bool {
    rustix::fs::statvfs(folder)
        .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < wanted || disk.f_favail == 0)
}

fn name_of(found: &Ref) -> String {
    found.unpack().0.to_str_lossy().into_owned()
}

/// Why a ref is not there, with the names that are.
fn missing(peer: &Peer<'_>, repository: &Repository, reference: &GitRef) -> SourceError {
    let url = peer.location.to_string();
    let folder = if matches!(reference, GitRef::Tag(_)) { "refs/tags/" } else { "refs/heads/" };
    let near = match list(peer, repository, folder) {
        Ok(names) if names.is_empty() && folder == "refs/heads/" => {
            return SourceError::EmptyRepository { url };
        }
        Ok(names) if names.is_empty() => "; there is none at all".to_owned(),
        Ok(names) => format!("; there are {}", last(&names)),
        Err(error) => return error,
    };
    SourceError::RefNotFound { url, reference: reference.to_string(), near }
}

/// The commit that an object leads to, and its tree, if both are in the mirror.
pub fn peel(repository: &Repository, id: ObjectId) -> Option<(ObjectId, ObjectId)> {
    let repo = repository.git.to_thread_local();
    let commit = repo.try_find_object(id).ok()??.peel_to_commit().ok()?;
    Some((commit.id, commit.tree_id().ok()?.detach()))
}

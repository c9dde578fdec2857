//! What is remembered of each Sync between two of its runs. All of it can be made again from git and the cluster.
//!
//! No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::digest::Digest;
use holdfast_diff::mask::Masks;
use holdfast_diff::object::ObjectId;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::api::{DriftObject, DriftStatus, Sync, SyncStatus};
use crate::cluster::parent::Former;
use crate::cluster::view::Differs;
use crate::reconcile::fights::Fights;
use crate::reconcile::leftovers::Leftovers;
use crate::reconcile::rendering::Known;
use crate::render::kept::Kept;
use crate::render::reads::Reads;
use crate::report::Done;
use crate::source::{Checkout, MirrorId};
use crate::sync_ref::SyncRef;

/// What is remembered of one Sync.
#[derive(Default)]
pub struct Memory {
    /// Of the Sync that is remembered: another one can have the same name later.
    pub uid: Option<String>,
    pub checkout: Option<Checkout>,
    pub rendered: Option<Rendered>,
    /// What git had before, if what it has now was not looked at without an error.
    pub earlier: Option<Rendered>,
    /// It was tried to read what git had before a restart.
    pub recalled: bool,
    /// What git had and does not have any more, and that may still be live.
    pub leftovers: Leftovers,
    /// What git says, as far as the Sync reads it.
    pub known: Option<Known>,
    /// The status as it was written last; the watch may not have brought it yet.
    pub status: Option<SyncStatus>,
    /// The status as it is on the server, if that says what a run is doing in place of `status`.
    pub shown: Option<Shown>,
    /// When it was written last what a run is doing.
    pub progressed: Option<Instant>,
    /// When git was asked last.
    pub looked: Option<Instant>,
    /// It is time to ask git, and drift came first.
    pub postponed: bool,
    /// The value of `holdfast.dev/reconcile-at` that was answered last.
    pub asked: Option<String>,
    /// What was done and is not reported yet: it is told together with how the objects are, a moment later.
    pub unreported: Option<Unreported>,
    /// When it was told last that objects are on their way.
    pub told: Option<Instant>,
    pub drift: Drift,
    /// Files of web servers that have other content than what is applied.
    pub elsewhere: Vec<String>,
    /// What is amiss in git, as it was told when all of it was looked at last.
    pub mistakes: Option<Vec<String>>,
    /// What was told last of objects that are not removed though they left git.
    pub notes: Vec<String>,
    /// Objects that carry the marks of the Sync and are ignored, as they were told last.
    pub ignored: BTreeSet<ObjectId>,
    /// What the Sync names of its set, and needs no more when the last member of it is gone.
    pub former: Former,
    pub ending: Ending,
    /// What must not be shown of what was rendered last, and before: a value that is replaced may be of then.
    pub masks: Arc<Masks>,
    /// Failures in a row, for the backoff.
    pub failures: u32,
}

/// A status that says what a run is doing.
pub struct Shown {
    pub status: SyncStatus,
    /// The words of it.
    pub said: String,
}

impl Shown {
    /// A status of which it is not known what it says.
    pub fn unknown(status: SyncStatus) -> Self {
        Self { status, said: String::new() }
    }
}

/// What is remembered of a Sync that is being deleted.
#[derive(Default)]
pub struct Ending {
    /// Since when objects of it are out of reach.
    pub since: Option<Timestamp>,
    /// The objects that it may not remove.
    pub refused: BTreeSet<ObjectId>,
}

/// What is remembered of drift.
#[derive(Default)]
pub struct Drift {
    /// What differs and stays as it is for now, as it was when it was looked at: while it stays so, nothing is asked.
    pub left: HashMap<ObjectId, Left>,
    pub fights: Fights,
    /// What others added to objects, by what it was when it was looked at.
    pub unmanaged: BTreeMap<ObjectId, (Digest, DriftObject)>,
    /// What left git and stays, since controllers own it too.
    pub kept: BTreeMap<ObjectId, DriftObject>,
    /// What goes on, whole; the status has a part of it.
    pub episode: Option<DriftStatus>,
    /// Since when nothing was put back.
    pub calm: Option<Instant>,
}

/// An object that differs and stays so.
#[derive(Clone)]
pub struct Left {
    pub seen: Differs,
    /// When it is to be looked at again all the same.
    pub until: Option<Timestamp>,
    pub told: DriftObject,
}

impl Drift {
    /// True if an object that differs was not looked at like this, or is to be looked at again.
    pub fn is_news(&self, object: &ObjectId, seen: Differs, now: Timestamp) -> bool {
        let left = self.left.get(object);
        left.is_none_or(|left| left.seen != seen || left.until.is_some_and(|until| until <= now))
    }
}

/// What a run found a moment ago.
pub struct Unreported {
    /// A plan that was carried out.
    pub done: Option<Done>,
    pub warnings: Option<Vec<String>>,
    pub since: Instant,
}

/// A render, and what every object must satisfy by it.
pub struct Rendered {
    tree: String,
    generation: Option<i64>,
    /// In the order of the render.
    pub objects: Arc<Vec<(ObjectId, Digest)>>,
    pub kept: Kept,
}

impl Rendered {
    pub fn of(tree: &str, sync: &Sync, objects: Arc<Vec<(ObjectId, Digest)>>, kept: Kept) -> Self {
        Self { tree: tree.to_owned(), generation: sync.metadata.generation, objects, kept }
    }

    /// True if it is of this tree and of the Sync as it is now. An empty one is always looked at again.
    pub fn is_of(&self, tree: &str, sync: &Sync) -> bool {
        !self.objects.is_empty() && self.tree == tree && self.generation == sync.metadata.generation
    }
}

/// The memories of all Syncs, and where each of them reads.
#[derive(Default)]
pub struct Memories {
    all: Mutex<HashMap<SyncRef, Arc<tokio::sync::Mutex<Memory>>>>,
    places: Mutex<HashMap<SyncRef, Place>>,
    /// Syncs that wait for others to read the same commit.
    held: Mutex<HashMap<SyncRef, Held>>,
    /// Syncs of which a forge says that there is news.
    called: Mutex<HashSet<SyncRef>>,
    /// What each Sync read when it was rendered last.
    reads: Mutex<HashMap<SyncRef, Arc<Reads>>>,
    /// The runs that go on, and the form of their Sync.
    running: Mutex<HashMap<SyncRef, (u64, CancellationToken)>>,
}

/// A run that goes on until this is dropped.
pub struct Running<'a> {
    memories: &'a Memories,
    sync: &'a SyncRef,
    /// Cancelled when the Sync has changed or is gone.
    pub superseded: CancellationToken,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(&self.memories.running).remove(self.sync);
    }
}

/// What a Sync reads, and how far it is.
#[derive(Clone)]
struct Place {
    mirror: MirrorId,
    /// Of the last run that came to its end.
    revision: Option<String>,
    /// Whether the last run came to its end without a failure; `None` if there was none yet.
    worked: Option<bool>,
    /// What was reported last: of which revision, and whether it was Ready.
    reported: Option<(String, bool)>,
}

/// A Sync that waits for others to read a commit.
struct Held {
    revision: String,
    since: Instant,
    /// It is to be woken by the next one that has read it.
    waits: bool,
}

impl Memories {
    pub fn of(&self, sync: &SyncRef) -> Arc<tokio::sync::Mutex<Memory>> {
        lock(&self.all).entry(sync.clone()).or_default().clone()
    }

    /// Notes that a Sync runs, in the form that it has now. `end` ends all runs.
    pub fn run<'a>(&'a self, sync: &'a SyncRef, form: u64, end: &CancellationToken) -> Running<'a> {
        let superseded = end.child_token();
        lock(&self.running).insert(sync.clone(), (form, superseded.clone()));
        Running { memories: self, sync, superseded }
    }

    /// Ends the run of a Sync that has another form now; of one that is gone, if there is none.
    pub fn supersede(&self, sync: &SyncRef, form: Option<u64>) {
        if let Some((runs, superseded)) = lock(&self.running).get(sync)
            && Some(*runs) != form
        {
            superseded.cancel();
        }
    }

    /// Notes that a forge says that there is news for a Sync.
    pub fn call(&self, sync: &SyncRef) {
        lock(&self.called).insert(sync.clone());
    }

    /// True if a forge says that there is news.
    pub fn is_called(&self, sync: &SyncRef) -> bool {
        lock(&self.called).contains(sync)
    }

    /// True if a forge said so; from now on it is answered.
    pub fn take_call(&self, sync: &SyncRef) -> bool {
        lock(&self.called).remove(sync)
    }

    /// Notes what a Sync read.
    pub fn note_reads(&self, sync: &SyncRef, reads: &Arc<Reads>) {
        lock(&self.reads).insert(sync.clone(), reads.clone());
    }

    /// What a Sync read when it was rendered last.
    pub fn reads(&self, sync: &SyncRef) -> Option<Arc<Reads>> {
        lock(&self.reads).get(sync).cloned()
    }

    /// Notes which mirror a Sync reads.
    pub fn uses(&self, sync: &SyncRef, mirror: MirrorId) {
        let mut places = lock(&self.places);
        if places.get(sync).is_none_or(|place| place.mirror != mirror) {
            places.insert(sync.clone(), Place { mirror, revision: None, worked: None, reported: None });
        }
    }

    /// The mirror that a Sync reads.
    pub fn mirror(&self, sync: &SyncRef) -> Option<MirrorId> {
        lock(&self.places).get(sync).map(|place| place.mirror)
    }

    /// Notes how a run of a Sync ended, and which revision it looked at, and returns the Syncs that waited for it.
    pub fn ended(&self, sync: &SyncRef, revision: Option<&str>, worked: bool) -> Vec<SyncRef> {
        let mut places = lock(&self.places);
        let Some(place) = places.get_mut(sync) else { return Vec::new() };
        let failed = place.worked != Some(worked) && !worked;
        place.worked = Some(worked);
        let newer = revision.filter(|revision| place.revision.as_deref() != Some(*revision));
        if let Some(revision) = newer {
            place.revision = Some(revision.to_owned());
        }
        // Nobody waits for a Sync that fails.
        if newer.is_none() && !failed {
            return Vec::new();
        }
        drop(places);
        let mut held = lock(&self.held);
        let waiting =
            held.iter_mut().filter_map(|(sync, held)| std::mem::take(&mut held.waits).then(|| sync.clone()));
        waiting.collect()
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
    pub fn revision(&self, sync: &SyncRef) -> Option<String> {
        lock(&self.places).get(sync)?.revision.clone()
    }

    /// Whether the last run of a Sync worked, if there was one.
    pub fn worked(&self, sync: &SyncRef) -> Option<bool> {
        lock(&self.places).get(sync)?.worked
    }

    /// Lets a Sync run again when another one has looked at its revision, and says for how long it has waited for that.
    pub fn hold(&self, sync: &SyncRef, revision: &str) -> Duration {
        let mut held = lock(&self.held);
        let new = || Held { revision: revision.to_owned(), since: Instant::now(), waits: true };
        let held = held.entry(sync.clone()).or_insert_with(new);
        if held.revision != revision {
            *held = new();
        }
        held.waits = true;
        held.since.elapsed()
    }

    /// Forgets that a Sync waited: nobody is behind it.
    pub fn release(&self, sync: &SyncRef) {
        lock(&self.held).remove(sync);
    }

    /// The Syncs that read a mirror; all of them if it is not known which mirror it was.
    pub fn users(&self, mirror: Option<MirrorId>) -> Vec<SyncRef> {
        let all = lock(&self.places);
        let reads = |place: &Place| mirror.is_none_or(|mirror| mirror == place.mirror);
        all.iter().filter(|(_, place)| reads(place)).map(|(sync, _)| sync.clone()).collect()
    }

    /// The Syncs that something is remembered of.
    pub fn known(&self) -> HashSet<SyncRef> {
        let mut known: HashSet<SyncRef> = lock(&self.all).keys().cloned().collect();
        known.extend(lock(&self.places).keys().cloned());
        known.extend(lock(&self.held).keys().cloned());
        known.extend(lock(&self.reads).keys().cloned());
        known.extend(lock(&self.called).iter().cloned());
        known
    }

    pub fn forget(&self, sync: &SyncRef) {
        lock(&self.all).remove(sync);
        lock(&self.places).remove(sync);
        lock(&self.held).remove(sync);
        lock(&self.reads).remove(sync);
        lock(&self.called).remove(sync);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Location;

    #[test]
    fn two_thousand_syncs_that_went_leave_nothing_behind() {
        let memories = Memories::default();
        let mirror = Location::parse("https://git.example.com/a", None).map(|location| location.mirror());
        let (end, reads) = (CancellationToken::new(), Arc::<Reads>::default());
        for at in 0..2000 {
            let sync = SyncRef::new("tenant", format!("sync-{at}"));
            drop(memories.of(&sync));
            if let Ok(mirror) = &mirror {
                memories.uses(&sync, *mirror);
            }
            memories.call(&sync);
            memories.hold(&sync, "a");
            memories.note_reads(&sync, &reads);
            drop(memories.run(&sync, 1, &end));
        }
        assert_eq!(memories.known().len(), 2000);
        assert!(lock(&memories.running).is_empty());
        memories.known().iter().for_each(|sync| memories.forget(sync));
        assert!(memories.known().is_empty());
    }

    #[test]
    fn a_run_is_superseded_by_another_form_of_its_sync_alone() {
        let (memories, end) = (Memories::default(), CancellationToken::new());
        let sync = SyncRef::new("tenant", "sync");
        let running = memories.run(&sync, 1, &end);
        memories.supersede(&sync, Some(1));
        memories.supersede(&SyncRef::new("tenant", "other"), None);
        assert!(!running.superseded.is_cancelled());
        memories.supersede(&sync, Some(2));
        assert!(running.superseded.is_cancelled());
        let gone = memories.run(&sync, 2, &end);
        memories.supersede(&sync, None);
        assert!(gone.superseded.is_cancelled());
    }

    #[test]
    fn who_waits_is_woken_once_by_each_that_reads_on_or_fails_and_the_time_goes_on() {
        let (memories, one, two) =
            (Memories::default(), SyncRef::new("team", "one"), SyncRef::new("team", "two"));
        let location = Location::parse("https://git.example.com/config", None).expect("a URL");
        memories.uses(&two, location.mirror());
        assert_eq!((memories.worked(&two), memories.revision(&two)), (None, None));
        memories.hold(&one, "b");
        assert_eq!(memories.ended(&two, Some("a"), true), std::slice::from_ref(&one));
        assert_eq!(memories.ended(&two, Some("b"), true), []);
        std::thread::sleep(Duration::from_millis(2));
        assert!(memories.hold(&one, "b") >= Duration::from_millis(2));
        assert_eq!(memories.ended(&two, None, true), []);
        assert_eq!(memories.ended(&two, None, false), std::slice::from_ref(&one));
        assert_eq!((memories.worked(&two), memories.revision(&two)), (Some(false), Some("b".to_owned())));
        memories.release(&one);
        assert!(memories.hold(&one, "c") < Duration::from_secs(1));
    }
}

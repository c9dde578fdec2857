//! What Syncs share about one another: which mirror each reads, which revision it has reached, and which Syncs wait for that. No
//! I/O.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::render::reads::Reads;
use crate::source::MirrorId;
use crate::sync_ref::SyncRef;

/// All Syncs that have run in this process.
#[derive(Default)]
pub struct Peers {
    all: Mutex<HashMap<SyncRef, Peer>>,
    /// Syncs that wait until another one has reached their revision.
    waiting: Mutex<HashMap<SyncRef, IsToBeWoken>>,
    /// What each Sync read when it was rendered last.
    reads: Mutex<HashMap<SyncRef, Arc<Reads>>>,
}

/// What other Syncs may read of one Sync.
#[derive(Clone)]
struct Peer {
    mirror: MirrorId,
    /// The last revision of which every object that the Sync wants is known.
    revision: Option<String>,
    /// How the last run ended; `None` before the end of the first one.
    ended: Option<Ended>,
    /// The revision of the last report, and whether the Sync was Ready at it.
    reported: Option<(String, bool)>,
}

/// True if the next Sync that reaches a revision wakes the one that waits.
type IsToBeWoken = bool;

/// How the last run of a Sync ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The Sync is expected to reach the next revision by itself.
    Working,
    /// A revision cannot be rendered, for a reason that may pass. Every run since then has ended like this.
    NotRendered { revision: String, since: Timestamp },
    /// A person must change something before the Sync goes on.
    Stopped,
}

impl Peers {
    /// Notes which mirror a Sync reads.
    pub fn reads_from(&self, sync: &SyncRef, mirror: MirrorId) {
        let mut all = self.all.lock();
        if all.get(sync).is_none_or(|peer| peer.mirror != mirror) {
            all.insert(sync.clone(), Peer { mirror, revision: None, ended: None, reported: None });
        }
    }

    /// The mirror that a Sync reads.
    pub fn mirror(&self, sync: &SyncRef) -> Option<MirrorId> {
        self.all.lock().get(sync).map(|peer| peer.mirror)
    }

    /// The Syncs that read a mirror; every Sync if `mirror` is `None`.
    pub fn readers(&self, mirror: Option<MirrorId>) -> Vec<SyncRef> {
        let all = self.all.lock();
        let reads = |peer: &Peer| mirror.is_none_or(|mirror| mirror == peer.mirror);
        all.iter().filter(|(_, peer)| reads(peer)).map(|(sync, _)| sync.clone()).collect()
    }

    /// Notes what the render of a Sync read.
    pub fn note_reads(&self, sync: &SyncRef, reads: &Arc<Reads>) {
        self.reads.lock().insert(sync.clone(), reads.clone());
    }

    /// What the last render of a Sync read.
    pub fn reads(&self, sync: &SyncRef) -> Option<Arc<Reads>> {
        self.reads.lock().get(sync).cloned()
    }

    /// Notes that all objects are known that a Sync wants of a revision. Returns the Syncs to wake: those that waited for it.
    pub fn reached(&self, sync: &SyncRef, revision: &str) -> Vec<SyncRef> {
        let mut all = self.all.lock();
        let Some(peer) = all.get_mut(sync).filter(|peer| peer.revision.as_deref() != Some(revision)) else {
            return Vec::new();
        };
        peer.revision = Some(revision.to_owned());
        drop(all);
        self.take_waiting()
    }

    /// Notes how a run of a Sync ended. Returns the Syncs to wake if it is no longer expected to reach the next revision by itself.
    pub fn ended(&self, sync: &SyncRef, mut how: Ended) -> Vec<SyncRef> {
        let mut all = self.all.lock();
        let Some(peer) = all.get_mut(sync) else { return Vec::new() };
        if let (Ended::NotRendered { since, .. }, Some(Ended::NotRendered { since: first, .. })) =
            (&mut how, &peer.ended)
        {
            *since = *first;
        }
        let stops = how == Ended::Stopped && peer.ended != Some(Ended::Stopped);
        peer.ended = Some(how);
        drop(all);
        if stops { self.take_waiting() } else { Vec::new() }
    }

    /// The Syncs that wait and were not woken yet.
    fn take_waiting(&self) -> Vec<SyncRef> {
        let mut waiting = self.waiting.lock();
        let woken = waiting
            .iter_mut()
            .filter_map(|(sync, is_to_be_woken)| std::mem::take(is_to_be_woken).then(|| sync.clone()));
        woken.collect()
    }

    /// Records the status that was reported of a Sync. True if that is new to the Syncs that depend on it.
    pub fn report(&self, sync: &SyncRef, revision: &str, ready: bool) -> bool {
        let mut all = self.all.lock();
        let Some(peer) = all.get_mut(sync) else { return true };
        let now = Some((revision.to_owned(), ready));
        std::mem::replace(&mut peer.reported, now.clone()) != now
    }

    /// True if the last reported status of a Sync was Ready at this revision.
    pub fn is_ready_at(&self, sync: &SyncRef, revision: &str) -> bool {
        let all = self.all.lock();
        let reported = all.get(sync).and_then(|peer| peer.reported.as_ref());
        reported.is_some_and(|(at, ready)| at == revision && *ready)
    }

    /// The last revision of which every object that a Sync wants is known.
    pub fn revision(&self, sync: &SyncRef) -> Option<String> {
        self.all.lock().get(sync)?.revision.clone()
    }

    /// How the last run of a Sync ended; `None` before the end of the first one.
    pub fn last_end(&self, sync: &SyncRef) -> Option<Ended> {
        self.all.lock().get(sync)?.ended.clone()
    }

    /// Requests that a Sync is woken when another one reaches its revision.
    pub fn wait(&self, sync: &SyncRef) {
        self.waiting.lock().insert(sync.clone(), true);
    }

    /// Forgets that a Sync waited.
    pub fn stop_waiting(&self, sync: &SyncRef) {
        self.waiting.lock().remove(sync);
    }

    /// All Syncs that have an entry here.
    pub fn names(&self) -> HashSet<SyncRef> {
        let mut names: HashSet<SyncRef> = self.all.lock().keys().cloned().collect();
        names.extend(self.waiting.lock().keys().cloned());
        names.extend(self.reads.lock().keys().cloned());
        names
    }

    /// Forgets a Sync.
    pub fn forget(&self, sync: &SyncRef) {
        self.all.lock().remove(sync);
        self.waiting.lock().remove(sync);
        self.reads.lock().remove(sync);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::source::Location;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn mirror() -> MirrorId {
        Location::parse("https://git.example.com/config", None).expect("a URL").mirror()
    }

    #[test]
    fn two_thousand_syncs_that_are_gone_leave_nothing_behind() {
        let (peers, mirror) = (Peers::default(), mirror());
        for at in 0..2000 {
            let sync = SyncRef::new("tenant", format!("sync-{at}"));
            peers.reads_from(&sync, mirror);
            peers.wait(&sync);
            peers.note_reads(&sync, &Arc::default());
        }
        assert_eq!(peers.names().len(), 2000);
        peers.names().iter().for_each(|sync| peers.forget(sync));
        assert!(peers.names().is_empty());
    }

    #[test]
    fn a_waiting_sync_is_woken_once_by_each_peer_that_moves_on_or_stops() {
        let (peers, one, two) = (Peers::default(), SyncRef::new("team", "one"), SyncRef::new("team", "two"));
        peers.reads_from(&two, mirror());
        assert_eq!((peers.last_end(&two), peers.revision(&two)), (None, None));
        peers.wait(&one);
        assert_eq!(peers.reached(&two, "a"), std::slice::from_ref(&one));
        assert_eq!(peers.reached(&two, "b"), []);
        peers.wait(&one);
        assert_eq!(peers.reached(&two, "b"), []);
        assert_eq!(peers.ended(&two, Ended::Working), []);
        assert_eq!(peers.ended(&two, Ended::Stopped), std::slice::from_ref(&one));
        peers.wait(&one);
        assert_eq!(peers.ended(&two, Ended::Stopped), []);
        assert_eq!(
            (peers.last_end(&two), peers.revision(&two)),
            (Some(Ended::Stopped), Some("b".to_owned()))
        );
        peers.stop_waiting(&one);
        assert_eq!(peers.reached(&two, "c"), []);
    }

    #[test]
    fn a_render_fails_since_the_first_of_its_consecutive_failures() {
        let (peers, two) = (Peers::default(), SyncRef::new("team", "two"));
        peers.reads_from(&two, mirror());
        let fails =
            |revision: &str, since: Timestamp| Ended::NotRendered { revision: revision.to_owned(), since };
        let later = NOW + Duration::from_secs(30);
        peers.ended(&two, fails("a", NOW));
        peers.ended(&two, fails("b", later));
        assert_eq!(peers.last_end(&two), Some(fails("b", NOW)));
        peers.ended(&two, Ended::Working);
        peers.ended(&two, fails("c", later));
        assert_eq!(peers.last_end(&two), Some(fails("c", later)));
    }
}

//! Limits the connections of a listener, in total and for each peer, and decides which of them is closed for a new
//! one.
//!
//! A connection without a current request is idle and costs nothing to close, so silent connections never keep other
//! callers out: the oldest one is closed. A peer with few connections is always accepted, at the expense of the peer
//! with the most. Pure.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::peer::Peer;

/// The limits of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub total: usize,
    /// Maximum number of connections of one peer.
    pub each: usize,
}

/// The connections of one listener. Cheap to clone.
#[derive(Clone)]
pub struct Budget {
    limits: Limits,
    open: Arc<Mutex<Open>>,
}

/// The permit of one connection. It is released when this is dropped.
pub struct Permit {
    number: u64,
    peer: Peer,
    budget: Budget,
    end: CancellationToken,
}

/// Marks a connection as busy until this is dropped.
pub struct Busy(Arc<Permit>);

/// The permit of a new connection, and whether another one is closed for it.
pub struct Admitted {
    pub permit: Permit,
    pub evicted: bool,
}

#[derive(Default)]
struct Open {
    /// Increases with each use of a connection, so that the smallest value is the least recently used one.
    clock: u64,
    connections: HashMap<u64, Connection>,
    peers: HashMap<Peer, usize>,
}

struct Connection {
    peer: Peer,
    used: u64,
    busy: bool,
    end: CancellationToken,
}

impl Budget {
    pub fn new(limits: Limits) -> Self {
        Self { limits, open: Arc::default() }
    }

    /// Accepts a connection of this peer. `None`: the limit is reached, and all other connections are busy.
    pub fn admit(&self, peer: Peer) -> Option<Admitted> {
        let mut open = self.open();
        let mut evicted = false;
        if open.count(peer) >= self.limits.each {
            open.evict(|connection, _| connection.peer == peer && !connection.busy)?;
            evicted = true;
        } else if open.connections.len() >= self.limits.total {
            let own = open.count(peer);
            open.evict(|connection, count| {
                // Its own idle connections, and those of peers that have more; also busy ones, if it stays below them.
                if connection.busy { count > own + 1 } else { count > own || connection.peer == peer }
            })?;
            evicted = true;
        }
        let number = open.tick();
        let end = CancellationToken::new();
        open.connections.insert(number, Connection { peer, used: number, busy: false, end: end.clone() });
        *open.peers.entry(peer).or_default() += 1;
        Some(Admitted { permit: Permit { number, peer, budget: self.clone(), end }, evicted })
    }

    /// Closes the oldest idle connection of the peer with the most, if the system cannot open another one.
    pub fn make_room(&self) {
        let _ = self.open().evict(|connection, _| !connection.busy);
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock()
    }
}

impl Open {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn count(&self, peer: Peer) -> usize {
        self.peers.get(&peer).copied().unwrap_or(0)
    }

    /// Closes one of the connections that `may` permits: of the peer with the most, idle before busy, the least
    /// recently used. `may` is called with the number of connections of the peer.
    fn evict(&mut self, may: impl Fn(&Connection, usize) -> bool) -> Option<()> {
        let counted = self.connections.iter().map(|(number, one)| (*number, one, self.count(one.peer)));
        let (number, ..) = counted
            .filter(|(_, one, count)| may(one, *count))
            .min_by_key(|(_, one, count)| (Reverse(*count), one.busy, one.used))?;
        self.remove(number)?.end.cancel();
        Some(())
    }

    fn remove(&mut self, number: u64) -> Option<Connection> {
        let removed = self.connections.remove(&number)?;
        if let Some(count) = self.peers.get_mut(&removed.peer) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&removed.peer);
            }
        }
        Some(removed)
    }

    fn mark(&mut self, number: u64, busy: bool) {
        let used = self.tick();
        if let Some(connection) = self.connections.get_mut(&number) {
            (connection.used, connection.busy) = (used, busy);
        }
    }
}

impl Permit {
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Waits until the connection must be closed for another one.
    pub async fn ended(&self) {
        self.end.cancelled().await;
    }

    /// Records that a request has begun.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.budget.open().mark(self.number, true);
        Busy(self.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.budget.open().mark(self.0.number, false);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.open().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn peer(last: u8) -> Peer {
        IpAddr::from([10, 0, 0, last]).into()
    }

    fn budget(total: usize, each: usize) -> Budget {
        Budget::new(Limits { total, each })
    }

    fn admit(budget: &Budget, last: u8) -> Option<Arc<Permit>> {
        budget.admit(peer(last)).map(|admitted| Arc::new(admitted.permit))
    }

    fn ended(permits: &[Arc<Permit>]) -> Vec<usize> {
        permits.iter().enumerate().filter(|(_, permit)| permit.end.is_cancelled()).map(|(at, _)| at).collect()
    }

    #[test]
    fn a_peer_at_its_limit_replaces_its_longest_unused_connection() {
        let budget = budget(10, 3);
        let mut permits: Vec<_> = (0..3).filter_map(|_| admit(&budget, 1)).collect();
        drop(permits[0].busy());
        permits.extend(admit(&budget, 1));
        assert_eq!(ended(&permits), [1]);
        // Those in use stay.
        let busy: Vec<_> = [0, 2, 3].iter().map(|at| permits[*at].busy()).collect();
        assert!(admit(&budget, 1).is_none());
        assert!(admit(&budget, 2).is_some(), "others are not concerned");
        drop(busy);
        assert!(admit(&budget, 1).is_some());
    }

    #[test]
    fn when_all_are_taken_the_peer_with_the_most_gives_way() {
        let budget = budget(6, 5);
        let mut permits = Vec::new();
        permits.extend(admit(&budget, 1));
        permits.extend((0..5).filter_map(|_| admit(&budget, 2)));
        let busy: Vec<_> = permits[1..].iter().map(Permit::busy).collect();
        // Also of those that are busy, since they are more than a fair share.
        permits.extend(admit(&budget, 3));
        assert_eq!(ended(&permits), [1]);
        permits.extend(admit(&budget, 3));
        assert_eq!(ended(&permits), [1, 2]);
        let more = admit(&budget, 3);
        assert_eq!(ended(&permits), [1, 2, 6], "as many as the others have: its own idle one goes");
        drop((busy, more));
    }

    #[test]
    fn many_peers_that_are_busy_leave_no_room_and_idle_ones_do() {
        let budget = budget(3, 2);
        let permits: Vec<_> = (1..=3).filter_map(|last| admit(&budget, last)).collect();
        let busy: Vec<_> = permits.iter().map(Permit::busy).collect();
        assert!(admit(&budget, 9).is_none());
        drop(busy);
        assert!(admit(&budget, 9).is_some());
    }

    #[test]
    fn nothing_is_remembered_of_what_is_closed() {
        let budget = budget(3, 2);
        for last in 0..200 {
            drop(admit(&budget, last));
        }
        let kept = admit(&budget, 1);
        let open = budget.open();
        assert_eq!((open.connections.len(), open.peers.len()), (1, 1));
        drop(open);
        drop(kept);
        assert!(budget.open().peers.is_empty());
    }
}

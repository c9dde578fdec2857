//! The state for the probes: whether each loop of the process is alive, and whether the process is ready.
//!
//! Leaves the heartbeats to the loops. I/O: the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long the main loop may be silent before the process counts as hung.
const SILENCE: Duration = Duration::from_mins(1);
/// The time of a loop that has ended.
const ENDED: u64 = u64::MAX;

/// What the probes are answered with. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    ready: Arc<AtomicBool>,
    loops: Arc<Mutex<Vec<Arc<Loop>>>>,
    main: Arc<Pulse>,
}

/// A loop that says that it is alive. It is no longer waited for when this is dropped.
pub struct Pulse {
    shared: Arc<Loop>,
}

struct Loop {
    name: &'static str,
    /// How long it may be silent.
    limit: Duration,
    started: Instant,
    /// Milliseconds after the start.
    beat: AtomicU64,
}

impl Default for Health {
    fn default() -> Self {
        let main = Loop::new("main", SILENCE);
        let loops = Arc::new(Mutex::new(vec![main.clone()]));
        Self { ready: Arc::default(), loops, main: Arc::new(Pulse { shared: main }) }
    }
}

impl Health {
    /// The caches are synced, or another agent holds the Lease and this one is ready to go on.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// The main loop is alive.
    pub fn beat(&self) {
        self.main.beat();
    }

    /// Expects a beat of a loop at least once in each `limit`, from now on.
    pub fn expect(&self, name: &'static str, limit: Duration) -> Pulse {
        let shared = Loop::new(name, limit);
        let mut loops = self.loops.lock();
        loops.retain(|one| !one.has_ended());
        loops.push(shared.clone());
        Pulse { shared }
    }

    /// The loop that hangs, and how long it has been silent.
    pub(super) fn hung(&self) -> Option<(&'static str, Duration)> {
        let loops = self.loops.lock();
        loops.iter().map(|one| (one, one.silence())).find_map(|(one, silence)| {
            let hangs = !one.has_ended() && silence > one.limit;
            hangs.then_some((one.name, silence))
        })
    }
}

impl Pulse {
    /// The loop is alive.
    pub fn beat(&self) {
        self.shared.beat.store(self.shared.elapsed(), Ordering::Relaxed);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.shared.beat.store(ENDED, Ordering::Relaxed);
    }
}

impl Loop {
    fn new(name: &'static str, limit: Duration) -> Arc<Self> {
        Arc::new(Self { name, limit, started: Instant::now(), beat: AtomicU64::new(0) })
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(ENDED - 1)
    }

    fn has_ended(&self) -> bool {
        self.beat.load(Ordering::Relaxed) == ENDED
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(self.elapsed().saturating_sub(self.beat.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_is_silent_for_too_long_hangs_and_one_that_ended_does_not() {
        let health = Health::default();
        let one = health.expect("one", Duration::from_millis(20));
        let _other = health.expect("other", SILENCE);
        assert_eq!(health.hung(), None);
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(health.hung().map(|(name, _)| name), Some("one"));
        one.beat();
        assert_eq!(health.hung(), None);
        std::thread::sleep(Duration::from_millis(30));
        drop(one);
        assert_eq!(health.hung(), None);
        drop(health.expect("third", SILENCE));
        assert!(health.loops.lock().len() <= 3, "those that ended are forgotten");
    }
}

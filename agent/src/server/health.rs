//! The state for the probes: whether each loop of the process is alive, and whether the process is ready.
//!
//! Leaves the heartbeats to the loops. I/O: the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Maximum time between two beats of the main loop.
const SILENCE: Duration = Duration::from_mins(1);
/// The beat of a loop that has ended.
const ENDED: u64 = u64::MAX;

/// The state that the probes report. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    ready: Arc<AtomicBool>,
    loops: Arc<Mutex<Vec<Arc<Loop>>>>,
    main: Arc<Heartbeat>,
}

/// The heartbeat of a loop. The loop is no longer expected when this is dropped.
pub struct Heartbeat {
    shared: Arc<Loop>,
}

struct Loop {
    name: &'static str,
    /// Maximum time between two beats.
    limit: Duration,
    started: Instant,
    /// The last beat, in milliseconds after the start.
    beat: AtomicU64,
}

impl Default for Health {
    fn default() -> Self {
        let main = Loop::new("main", SILENCE);
        let loops = Arc::new(Mutex::new(vec![main.clone()]));
        Self { ready: Arc::default(), loops, main: Arc::new(Heartbeat { shared: main }) }
    }
}

impl Health {
    /// Records that the caches are synced, or that the agent waits for the Lease of another one.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Records a beat of the main loop.
    pub fn beat(&self) {
        self.main.beat();
    }

    /// Expects a beat of a loop at least once in each `limit`, from now on.
    pub fn expect(&self, name: &'static str, limit: Duration) -> Heartbeat {
        let shared = Loop::new(name, limit);
        let mut loops = self.loops.lock();
        loops.retain(|one| !one.has_ended());
        loops.push(shared.clone());
        Heartbeat { shared }
    }

    /// Returns the loop that hangs, and the time since its last beat.
    pub(super) fn hung(&self) -> Option<(&'static str, Duration)> {
        let loops = self.loops.lock();
        loops.iter().map(|one| (one, one.silence())).find_map(|(one, silence)| {
            let hangs = !one.has_ended() && silence > one.limit;
            hangs.then_some((one.name, silence))
        })
    }
}

impl Heartbeat {
    /// Records a beat of this loop.
    pub fn beat(&self) {
        self.shared.beat.store(self.shared.elapsed(), Ordering::Relaxed);
    }
}

impl Drop for Heartbeat {
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

//! Whether this process may still write: it may until another agent could hold the Lease. Checked before each write, so
//! that a process that was stopped for a while, or a virtual machine that was paused, writes nothing when it continues.
//!
//! I/O: the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A monotonic clock.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Returns the time since the machine was started, including the time in which it was suspended.
pub fn clock() -> Clock {
    Arc::new(|| {
        let now = clock_gettime(ClockId::Boottime);
        let (seconds, nanoseconds) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
        Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0))
    })
}

/// Whether this process may still write. Cheap to clone.
#[derive(Clone)]
pub struct Fence {
    clock: Clock,
    /// Milliseconds of the clock.
    until: Arc<AtomicU64>,
}

impl Fence {
    /// Creates a fence that permits no writes yet.
    pub fn closed(clock: Clock) -> Self {
        Self { clock, until: Arc::default() }
    }

    /// True if a write may begin.
    pub fn is_open(&self) -> bool {
        millis((self.clock)()) < self.until.load(Ordering::Acquire)
    }

    /// Permits writes until a time of the clock.
    pub(super) fn open_until(&self, end: Duration) {
        self.until.store(millis(end), Ordering::Release);
    }

    pub(super) fn close(&self) {
        self.until.store(0, Ordering::Release);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

//! Whether this process may still write: it may until its Lease could be another one's. Asked before each write, so that a
//! process that was stopped for a while, or a virtual machine that was paused, writes nothing when it goes on.
//!
//! I/O: the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A clock that only goes forward.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The time since the machine was started, with the time in which it was suspended.
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
    /// A fence that nothing may pass yet.
    pub fn closed(clock: Clock) -> Self {
        Self { clock, until: Arc::default() }
    }

    /// True if a write may begin.
    pub fn is_open(&self) -> bool {
        millis((self.clock)()) < self.until.load(Ordering::Acquire)
    }

    /// Lets writes pass until a time of the clock.
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

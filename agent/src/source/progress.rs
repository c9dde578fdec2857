//! Counts the bytes of a pack while it is received, and stops it at a limit.
//!
//! gix has no limit, but it reports every read as progress, and checks a flag before the next one. Pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gix::progress::{Count, Id, MessageLevel, NestedProgress, Progress, Step, StepShared, Unit};

/// The id under which gix reports the bytes that it has read of a pack.
const READ: Id = *b"BWRB";

/// The number of bytes of one pack that were received.
#[derive(Clone)]
pub struct Received {
    bytes: Arc<AtomicUsize>,
    limit: usize,
    /// Set to stop the fetch.
    end: Arc<AtomicBool>,
    /// True for the counter of bytes; false for counters of objects.
    is_read: bool,
}

impl Received {
    /// Creates a counter. It sets the flag when there are more bytes than the limit.
    pub fn new(limit: u64, end: Arc<AtomicBool>) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { bytes: Arc::default(), limit, end, is_read: false }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) as u64
    }

    /// True if the limit was exceeded.
    pub fn is_too_much(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.limit
    }

    fn check(&self) {
        if self.is_read && self.is_too_much() {
            self.end.store(true, Ordering::Relaxed);
        }
    }
}

impl Count for Received {
    fn set(&self, step: Step) {
        if self.is_read {
            self.bytes.store(step, Ordering::Relaxed);
            self.check();
        }
    }

    fn step(&self) -> Step {
        self.bytes.load(Ordering::Relaxed)
    }

    fn inc_by(&self, step: Step) {
        if self.is_read {
            self.bytes.fetch_add(step, Ordering::Relaxed);
            self.check();
        }
    }

    fn counter(&self) -> StepShared {
        if self.is_read { self.bytes.clone() } else { Arc::default() }
    }
}

impl Progress for Received {
    fn init(&mut self, _max: Option<Step>, _unit: Option<Unit>) {}

    fn set_name(&mut self, _name: String) {}

    fn name(&self) -> Option<String> {
        None
    }

    fn id(&self) -> Id {
        READ
    }

    fn message(&self, _level: MessageLevel, _message: String) {}
}

impl NestedProgress for Received {
    type SubProgress = Self;

    fn add_child(&mut self, _name: impl Into<String>) -> Self {
        Self { is_read: false, ..self.clone() }
    }

    fn add_child_with_id(&mut self, _name: impl Into<String>, id: Id) -> Self {
        Self { is_read: id == READ, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_ends_when_it_has_too_many_bytes() {
        let end = Arc::<AtomicBool>::default();
        let mut received = Received::new(100, end.clone());
        let (objects, read) = (received.add_child("objects"), received.add_child_with_id("read", READ));
        objects.inc_by(1000);
        read.inc_by(100);
        assert!(!end.load(Ordering::Relaxed) && !received.is_too_much());
        read.inc();
        assert!(end.load(Ordering::Relaxed) && received.is_too_much());
        assert_eq!(received.bytes(), 101);
    }
}

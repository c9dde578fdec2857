//! Calls that arrive while the agent starts, before its paths are set. Each is remembered by its path, and causes a check once the
//! path is set; other calls are forgotten. Bounded in number and in time. I/O: the clock.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Key;

/// How long after the start a path may still be set that was called before.
const WINDOW: Duration = Duration::from_mins(5);
/// Paths that are remembered.
const PATHS: usize = 4096;

/// The paths that were called and do not exist yet.
#[derive(Default)]
pub struct Early {
    until: Option<Instant>,
    called: HashSet<Key>,
}

impl Early {
    /// Begins to remember calls.
    pub fn open(&mut self, now: Instant) {
        self.until = Some(now + WINDOW);
    }

    /// Remembers a call. `None`: the agent has started. `Some(false)`: there is no room for another path.
    pub fn note(&mut self, key: Key, now: Instant) -> Option<bool> {
        if self.until.is_none_or(|until| until <= now) {
            *self = Self::default();
            return None;
        }
        let room = self.called.len() < PATHS || self.called.contains(&key);
        if room {
            self.called.insert(key);
        }
        Some(room)
    }

    /// True if a path that is now set was called.
    pub fn take(&mut self, key: &Key) -> bool {
        self.called.remove(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_remembered_for_a_time_and_up_to_a_number() {
        let (mut early, now) = (Early::default(), Instant::now());
        assert_eq!(early.note([1; 32], now), None);
        early.open(now);
        assert_eq!(early.note([1; 32], now), Some(true));
        assert!(early.take(&[1; 32]));
        assert!(!early.take(&[1; 32]));
        let key = |number: u16| {
            let mut key = Key::default();
            key[..2].copy_from_slice(&number.to_be_bytes());
            key
        };
        for number in 0..4096 {
            assert_eq!(early.note(key(number), now), Some(true));
        }
        assert_eq!(early.note(key(4096), now), Some(false));
        assert_eq!(early.note(key(7), now), Some(true), "it is remembered already");
        assert_eq!(early.note(key(7), now + WINDOW), None);
        assert!(!early.take(&key(7)) && early.called.is_empty(), "what never became a path is forgotten");
    }
}

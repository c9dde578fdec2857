//! What was answered last, for each place that is asked. Pure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_diff::digest::Digest;
use jiff::Timestamp;

use super::ask::Known;
use super::{RegistryError, Tags};

/// How long a place is kept that nobody asks for, at the least.
const KEPT: Duration = Duration::from_hours(1);

/// All places.
#[derive(Default)]
pub struct Memory {
    slots: Mutex<HashMap<Digest, Used>>,
}

struct Used {
    slot: Arc<tokio::sync::Mutex<Slot>>,
    until: Instant,
}

/// One place. Whoever holds it is the one who asks for its tags.
#[derive(Default)]
pub struct Slot {
    pub listed: Option<Listed>,
    /// By which the registry can say that nothing changed.
    pub known: Option<Known>,
    created: HashMap<Box<str>, (Instant, Timestamp)>,
}

/// The last answer.
pub struct Listed {
    pub asked: Instant,
    pub answered: Instant,
    pub found: Result<Arc<Tags>, RegistryError>,
}

impl Memory {
    /// The place of this id, which is kept at least as long as its answers are good.
    pub fn slot(&self, id: Digest, max_age: Duration, now: Instant) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let until = now.checked_add(max_age.saturating_mul(2).max(KEPT)).unwrap_or(now + KEPT);
        if let Some(used) = slots.get_mut(&id) {
            used.until = used.until.max(until);
            return used.slot.clone();
        }
        slots.retain(|_, used| used.until > now || Arc::strong_count(&used.slot) > 1);
        let slot = Arc::<tokio::sync::Mutex<Slot>>::default();
        slots.insert(id, Used { slot: slot.clone(), until });
        slot
    }
}

impl Slot {
    /// When the image of a tag was created, if that was asked within `max_age`.
    pub fn created(&self, tag: &str, max_age: Duration) -> Option<Timestamp> {
        self.created.get(tag).filter(|(asked, _)| asked.elapsed() < max_age).map(|(_, time)| *time)
    }

    pub fn keep_created(&mut self, tag: &str, time: Timestamp) {
        self.created.insert(tag.into(), (Instant::now(), time));
    }

    /// Forgets the tags that are gone.
    pub fn forget_others(&mut self, tags: &Tags) {
        if !self.created.is_empty() {
            let mut gone = std::mem::take(&mut self.created);
            self.created = tags.iter().filter_map(|tag| gone.remove_entry(tag)).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_nobody_asks_for_is_forgotten() {
        let (memory, now) = (Memory::default(), Instant::now());
        let place = |name: &str| Digest::of_bytes(name.as_bytes());
        let count = || memory.slots.lock().unwrap_or_else(PoisonError::into_inner).len();
        let held = memory.slot(place("held"), Duration::ZERO, now);
        memory.slot(place("short"), Duration::ZERO, now);
        memory.slot(place("long"), KEPT * 2, now);
        memory.slot(place("new"), Duration::ZERO, now + KEPT * 2);
        assert_eq!(count(), 3);
        assert!(Arc::ptr_eq(&held, &memory.slot(place("held"), Duration::ZERO, now)));
        drop(held);
        memory.slot(place("newer"), Duration::MAX, now + KEPT * 5);
        assert_eq!(count(), 1);
    }
}

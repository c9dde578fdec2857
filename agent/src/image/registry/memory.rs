//! What was answered last, for each place that is asked. Pure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_diff::digest::Digest;
use jiff::Timestamp;

use super::ask::Known;
use super::{ImageDigest, RegistryError, Tags};

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
    digests: HashMap<Box<str>, (Instant, ImageDigest)>,
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

    /// The digest of a tag, if that was asked within `max_age`.
    pub fn digest(&self, tag: &str, max_age: Duration) -> Option<ImageDigest> {
        self.digests.get(tag).filter(|(asked, _)| asked.elapsed() < max_age).map(|(_, found)| found.clone())
    }

    /// Keeps the digest of a tag as it was at a time.
    pub fn keep_digest(&mut self, tag: &str, asked: Instant, digest: ImageDigest) {
        self.digests.insert(tag.into(), (asked, digest));
    }

    /// Forgets the tags that are gone.
    pub fn forget_others(&mut self, tags: &Tags) {
        keep_only(&mut self.created, tags);
        keep_only(&mut self.digests, tags);
    }
}

fn keep_only<T>(known: &mut HashMap<Box<str>, T>, tags: &Tags) {
    if !known.is_empty() {
        let mut all = std::mem::take(known);
        *known = tags.iter().filter_map(|tag| all.remove_entry(tag)).collect();
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

//! The last responses about each repository. Pure.
//!
//! Successful responses are shared by all callers with the same access and credentials. Locks and failures are kept for
//! each tenant, so no tenant waits for a request of another one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::digest::Digest;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use super::ask::ListedTags;
use super::{ImageDigest, RegistryError, RequestError, Tags};

/// Minimum time for which responses about an unused repository are kept.
const KEPT: Duration = Duration::from_hours(1);

/// Time for which a tag is assumed not to be an image: it may be pushed again.
const FAULTY: Duration = Duration::from_mins(10);

/// The responses of all repositories.
#[derive(Default)]
pub struct Memory {
    slots: Mutex<HashMap<Digest, Used>>,
}

struct Used {
    slot: Arc<Slot>,
    until: Instant,
}

/// The responses about one repository.
#[derive(Default)]
pub struct Slot {
    answers: Mutex<Answers>,
    turns: Mutex<HashMap<Arc<str>, Arc<Turn>>>,
}

/// Held by the request of a tenant for tags; with the failure of the last one, and its time.
pub type Turn = tokio::sync::Mutex<Option<(Instant, RegistryError)>>;

/// The last responses about a repository.
#[derive(Default)]
pub struct Answers {
    /// The tags, and when they were requested.
    pub listed: Option<(Instant, Arc<Tags>)>,
    /// The value by which the registry can confirm that nothing changed.
    pub known: Option<ListedTags>,
    created: HashMap<Box<str>, (Instant, Result<Timestamp, RequestError>)>,
    digests: HashMap<Box<str>, (Instant, ImageDigest)>,
}

impl Memory {
    /// Returns the slot of a repository, which is kept at least as long as its responses are valid.
    pub fn slot(&self, id: Digest, max_age: Duration, now: Instant) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        let until = now.checked_add(max_age.saturating_mul(2).max(KEPT)).unwrap_or(now + KEPT);
        if let Some(used) = slots.get_mut(&id) {
            used.until = used.until.max(until);
            return used.slot.clone();
        }
        slots.retain(|_, used| used.until > now || Arc::strong_count(&used.slot) > 1);
        let slot = Arc::<Slot>::default();
        slots.insert(id, Used { slot: slot.clone(), until });
        slot
    }
}

impl Slot {
    pub fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock()
    }

    /// Returns the lock of a tenant for requesting tags.
    pub fn turn(&self, tenant: &Arc<str>) -> Arc<Turn> {
        let mut turns = self.turns.lock();
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(tenant.clone()).or_default().clone()
    }
}

impl Answers {
    /// Returns when the image of a tag was created, or why that is unknown, if it was requested within `max_age`.
    pub fn created(&self, tag: &str, max_age: Duration) -> Option<Result<Timestamp, RequestError>> {
        let (asked, found) = self.created.get(tag)?;
        let max_age = if found.is_ok() { max_age } else { max_age.min(FAULTY) };
        (asked.elapsed() < max_age).then(|| found.clone())
    }

    pub fn keep_created(&mut self, tag: &str, found: Result<Timestamp, RequestError>) {
        self.created.insert(tag.into(), (Instant::now(), found));
    }

    /// Returns the digest of a tag, if it was requested within `max_age`.
    pub fn digest(&self, tag: &str, max_age: Duration) -> Option<ImageDigest> {
        self.digests.get(tag).filter(|(asked, _)| asked.elapsed() < max_age).map(|(_, found)| found.clone())
    }

    /// Stores the digest of a tag.
    pub fn keep_digest(&mut self, tag: &str, asked: Instant, digest: ImageDigest) {
        self.digests.insert(tag.into(), (asked, digest));
    }

    /// Removes tags that no longer exist.
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
    fn an_unused_repository_is_forgotten() {
        let (memory, now) = (Memory::default(), Instant::now());
        let access = |name: &str| Digest::of_bytes(name.as_bytes());
        let count = || memory.slots.lock().len();
        let held = memory.slot(access("held"), Duration::ZERO, now);
        memory.slot(access("short"), Duration::ZERO, now);
        memory.slot(access("long"), KEPT * 2, now);
        memory.slot(access("new"), Duration::ZERO, now + KEPT * 2);
        assert_eq!(count(), 3);
        assert!(Arc::ptr_eq(&held, &memory.slot(access("held"), Duration::ZERO, now)));
        drop(held);
        memory.slot(access("newer"), Duration::MAX, now + KEPT * 5);
        assert_eq!(count(), 1);
    }

    #[test]
    fn a_turn_is_forgotten_with_the_last_one_who_waits_for_it() {
        let slot = Slot::default();
        let count = || slot.turns.lock().len();
        let held = slot.turn(&"a".into());
        assert!(Arc::ptr_eq(&held, &slot.turn(&"a".into())));
        slot.turn(&"b".into());
        drop(held);
        slot.turn(&"c".into());
        assert_eq!(count(), 1);
    }
}

//! What one receiver was told and what it is still to be told: an onset at once, changes of it at most once a second, an end
//! when it is over, everything at least once and in order for one Sync.
//!
//! Bounded by what there is to tell about: of one event of one Sync there is one entry, whatever happens while the receiver is
//! down. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::notice::{Notice, Status, Subject, VERSION, has_end};
use super::wanted::{Snapshot, Wanted};
use crate::api::{AlertEvent, AlertStatus, Firing};

/// How long an onset waits for company.
const GATHER: Duration = Duration::from_millis(50);
/// The shortest time between two notices of one entry.
const PACE: Duration = Duration::from_secs(1);
/// The shortest time between two notices of a failure that several Syncs have in common: more of them may follow.
const PACE_TOGETHER: Duration = Duration::from_secs(10);
/// The longest time that a change waits for the end of a storm.
const STORM: Duration = Duration::from_mins(1);
/// Events without an end that wait for a receiver; older ones are dropped.
const EVENTS: usize = 200;
/// Objects that an episode remembers while its receiver is down.
const OBJECTS: usize = 200;
/// Notices that a status holds, and their bytes of JSON.
const PENDING: usize = 20;
const PENDING_OBJECTS: usize = 20;
const PENDING_BYTES: usize = 100_000;

/// A Sync, and what happens to it.
pub type Key = (String, AlertEvent);

/// The outbox of one receiver.
pub struct Outbox {
    cluster: String,
    namespace: String,
    open: BTreeMap<Key, Entry>,
    events: VecDeque<Notice>,
    /// Until when events without an end are in `events` or told, by Sync.
    seen: BTreeMap<String, Timestamp>,
    /// Events without an end before this are not told.
    since: Timestamp,
    /// Syncs about which a notice is on its way.
    busy: BTreeSet<String>,
    pub dropped: i64,
}

struct Entry {
    notice: Notice,
    meaning: String,
    cause: Option<String>,
    /// Since when there is a change that was not told.
    changed: Option<Instant>,
    told: Option<Told>,
    /// It is over.
    ended: Option<Timestamp>,
    due: Option<Instant>,
}

struct Told {
    meaning: Option<String>,
    first: Instant,
    last: Instant,
    reference: Option<String>,
}

/// One notice that is due.
#[derive(Clone, Debug)]
pub struct Due {
    pub notice: Notice,
    /// The receiver was told the beginning of it before.
    pub update: bool,
    /// What the receiver calls it.
    pub reference: Option<String>,
    meaning: String,
}

/// How a receiver wants to be told.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How long a notice stays firing at least.
    pub keep: Duration,
    /// How often what goes on is told again.
    pub repeat: Option<Duration>,
    /// How long nothing may change before a change is told, if a message cannot be corrected.
    pub settle: Option<Duration>,
}

impl Outbox {
    /// What was told before, as the status of the Alert has it. `time` is now.
    pub fn load(cluster: &str, namespace: &str, status: &AlertStatus, time: Timestamp, now: Instant) -> Self {
        let mut outbox = Self {
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            open: BTreeMap::new(),
            events: VecDeque::new(),
            seen: BTreeMap::new(),
            since: status.told.unwrap_or(time),
            busy: BTreeSet::new(),
            dropped: status.dropped.unwrap_or_default(),
        };
        for Firing { event, sync, starts_at, meaning, reference, cause, syncs } in &status.firing {
            let (meaning, reference) = (meaning.clone(), reference.clone());
            let told = Told { meaning: Some(meaning), first: now, last: now, reference };
            let notice = Notice { syncs: syncs.clone(), ..outbox.blank(*event, sync, *starts_at) };
            let entry = Entry { told: Some(told), cause: cause.clone(), ..Entry::new(notice, None) };
            outbox.open.insert((sync.clone(), *event), entry);
        }
        for notice in
            status.pending.iter().filter_map(|notice| serde_json::from_value::<Notice>(notice.clone()).ok())
        {
            if !has_end(notice.event) {
                outbox.events.push_back(notice);
                continue;
            }
            let key = (notice.object.key(), notice.event);
            let entry = Entry::new(notice, Some(now));
            outbox.open.entry(key).or_insert(entry);
        }
        outbox
    }

    /// A notice of which only the beginning is known.
    fn blank(&self, event: AlertEvent, sync: &str, starts_at: Timestamp) -> Notice {
        Notice {
            version: VERSION,
            event,
            status: Status::Firing,
            cluster: self.cluster.clone(),
            object: Subject::of(&self.namespace, sync),
            syncs: Vec::new(),
            revision: String::new(),
            commit: None,
            starts_at,
            ends_at: None,
            summary: format!("{event:?} of Sync {}/{sync}", self.namespace),
            command: None,
            objects: Vec::new(),
            omitted: None,
        }
    }

    /// Takes what is to be told of a Sync now.
    pub fn take(
        &mut self,
        sync: &str,
        snapshot: &Snapshot,
        on: &[AlertEvent],
        manner: Manner,
        now: Instant,
        time: Timestamp,
    ) {
        for event in ALL.into_iter().filter(|event| !snapshot.unknown.contains(event)) {
            let wanted = snapshot.firing.iter().find(|wanted| wanted.notice.event == event);
            match wanted.filter(|_| on.contains(&event)) {
                Some(wanted) => self.goes_on(sync, wanted, manner, now),
                None => self.ends(sync, event, manner, now, time),
            }
        }
        let wanted = snapshot.happened.iter().filter(|notice| on.contains(&notice.event));
        self.happened(sync, wanted);
    }

    fn goes_on(&mut self, sync: &str, wanted: &Wanted, manner: Manner, now: Instant) {
        let Wanted { notice, meaning, cause } = wanted;
        let key = (sync.to_owned(), notice.event);
        let Some(entry) = self.open.get_mut(&key) else {
            let (meaning, cause) = (meaning.clone(), cause.clone());
            let entry = Entry { meaning, cause, ..Entry::new(notice.clone(), Some(now + GATHER)) };
            self.open.insert(key, entry);
            return;
        };
        let starts_at = entry.notice.starts_at;
        let mut newest = Notice { starts_at, ..notice.clone() };
        match &entry.told {
            // A notice that was not sent yet is kept when another one follows.
            None => keep_objects(&mut newest, &entry.notice),
            Some(Told { meaning: told, last, .. }) if told.as_ref() != Some(meaning) => {
                let changed = *entry.changed.get_or_insert(now);
                if entry.due.is_none() || entry.ended.is_some() || entry.meaning != *meaning {
                    let pace = if newest.syncs.is_empty() { PACE } else { PACE_TOGETHER };
                    let settled = manner.settle.map(|settle| (now + settle).min(changed + STORM));
                    entry.due = Some((*last + pace).max(settled.unwrap_or(now)));
                }
            }
            Some(Told { last, .. }) => {
                entry.changed = None;
                entry.due = manner.repeat.map(|repeat| (*last + repeat).max(now));
            }
        }
        entry.ended = None;
        entry.notice = newest;
        entry.meaning.clone_from(meaning);
        entry.cause.clone_from(cause);
    }

    fn ends(&mut self, sync: &str, event: AlertEvent, manner: Manner, now: Instant, time: Timestamp) {
        let Some(entry) = self.open.get_mut(&(sync.to_owned(), event)) else { return };
        if entry.ended.is_none() {
            entry.ended = Some(time);
        }
        if let Some(Told { first, last, .. }) = &entry.told {
            entry.due = Some((*first + manner.keep).max(*last).max(now));
        }
    }

    fn happened<'a>(&mut self, sync: &str, notices: impl Iterator<Item = &'a Notice>) {
        let seen = self.seen.entry(sync.to_owned()).or_insert(self.since);
        for notice in notices {
            if notice.starts_at > *seen {
                *seen = notice.starts_at;
                self.events.push_back(notice.clone());
            }
        }
        while self.events.len() > EVENTS {
            self.events.pop_front();
            self.dropped += 1;
        }
    }

    /// Everything about a Sync that is gone, or not selected any more, ends.
    pub fn forget(&mut self, sync: &str, manner: Manner, now: Instant, time: Timestamp) {
        ALL.into_iter().for_each(|event| self.ends(sync, event, manner, now, time));
        self.open.retain(|(name, _), entry| name != sync || entry.told.is_some());
        self.seen.remove(sync);
    }

    /// Everything ends: the Alert is gone, or goes to another receiver. Notices that were never sent are dropped.
    pub fn end(&mut self, manner: Manner, now: Instant, time: Timestamp) {
        let keys: Vec<Key> = self.open.keys().cloned().collect();
        keys.iter().for_each(|(sync, event)| self.ends(sync, *event, manner, now, time));
        self.open.retain(|(sync, _), entry| entry.told.is_some() || self.busy.contains(sync));
        self.events.clear();
        for entry in self.open.values_mut().filter(|entry| entry.told.is_some()) {
            entry.due = Some(now);
        }
    }

    /// True if nothing is left to be told.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.events.is_empty() && self.busy.is_empty()
    }

    /// A outbox for another receiver: current alerts are sent to it, and past events are not.
    #[must_use]
    pub fn successor(&self) -> Self {
        Self {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            open: BTreeMap::new(),
            events: self.events.clone(),
            seen: self.seen.clone(),
            since: self.since,
            busy: BTreeSet::new(),
            dropped: self.dropped,
        }
    }

    /// The Syncs that something is open of.
    pub fn syncs(&self) -> BTreeSet<String> {
        self.open.keys().map(|(sync, _)| sync.clone()).collect()
    }

    /// When something is due.
    pub fn next(&self) -> Option<Instant> {
        let open = self.open.iter().filter(|((sync, _), _)| !self.busy.contains(sync));
        open.filter_map(|(_, entry)| entry.due).min()
    }

    /// True if an event without an end waits and could go out.
    fn event(&self) -> Option<usize> {
        self.events.iter().position(|notice| !self.busy.contains(&notice.object.key()))
    }

    /// Takes out a notice that is due, and holds back what else there is of its Sync until it was
    /// [`Self::delivered`] or [`Self::failed`].
    pub fn due(&mut self, now: Instant) -> Option<Due> {
        if let Some(notice) = self.event().and_then(|at| self.events.remove(at)) {
            self.busy.insert(notice.object.key());
            return Some(Due { notice, update: false, reference: None, meaning: String::new() });
        }
        let ready = self.open.iter().filter(|((sync, _), entry)| {
            !self.busy.contains(sync) && entry.due.is_some_and(|due| due <= now)
        });
        let ((sync, _), entry) = ready.min_by_key(|(_, entry)| entry.due)?;
        self.busy.insert(sync.clone());
        let mut notice = entry.notice.clone();
        if let (Some(ended), Some(_)) = (entry.ended, &entry.told) {
            notice.status = Status::Resolved;
            notice.ends_at = Some(ended);
        }
        let reference = entry.told.as_ref().and_then(|told| told.reference.clone());
        Some(Due { notice, update: entry.told.is_some(), reference, meaning: entry.meaning.clone() })
    }

    /// Notes that a notice was taken by the receiver, who calls it by the reference from now on.
    pub fn delivered(&mut self, due: &Due, reference: Option<String>, manner: Manner, now: Instant) {
        let sync = due.notice.object.key();
        self.busy.remove(&sync);
        let key = (sync, due.notice.event);
        if !has_end(due.notice.event) {
            return;
        }
        if due.notice.status == Status::Resolved
            && self.open.get(&key).is_some_and(|entry| entry.ended.is_some())
        {
            self.open.remove(&key);
            return;
        }
        let Some(entry) = self.open.get_mut(&key) else { return };
        entry.changed = (entry.meaning != due.meaning).then_some(now);
        let first = entry.told.as_ref().map_or(now, |told| told.first);
        let reference = reference.or_else(|| due.reference.clone());
        // What ended for the receiver and goes on again begins anew.
        let again = due.notice.status == Status::Resolved;
        entry.told =
            (!again).then_some(Told { meaning: Some(due.meaning.clone()), first, last: now, reference });
        entry.due = match (entry.ended, again) {
            (_, true) => Some(now),
            (Some(_), false) => Some((first + manner.keep).max(now)),
            (None, false) if entry.meaning != due.meaning => Some(now + manner.settle.unwrap_or(PACE)),
            (None, false) => manner.repeat.map(|repeat| now + repeat),
        };
    }

    /// Notes that a notice was not taken. One that will never be is dropped.
    pub fn failed(&mut self, due: Due, hopeless: bool, now: Instant) {
        let sync = due.notice.object.key();
        self.busy.remove(&sync);
        let key = (sync, due.notice.event);
        if hopeless {
            self.dropped += 1;
            let over = |entry: &Entry| entry.ended.is_some();
            if self.open.get(&key).is_some_and(over) {
                self.open.remove(&key);
            } else if let Some(entry) = self.open.get_mut(&key) {
                entry.due = None;
                let (meaning, reference) = (Some(due.meaning), due.reference);
                entry.told = Some(Told { meaning, first: now, last: now, reference });
            }
        } else if !has_end(due.notice.event) {
            self.events.push_front(due.notice);
        }
    }

    /// True if something is due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.event().is_some() || self.next().is_some_and(|next| next <= now)
    }

    /// What a restart must not lose: what was told the beginning of, and, where the receiver is down, what it was not.
    pub fn status(&self, down: bool) -> (Vec<Firing>, Vec<Value>, Option<Timestamp>) {
        let firing = self.open.iter().filter_map(|((sync, event), entry)| {
            let Told { meaning, reference, .. } = entry.told.as_ref()?;
            Some(Firing {
                event: *event,
                sync: sync.clone(),
                starts_at: entry.notice.starts_at,
                meaning: meaning.clone().unwrap_or_default(),
                reference: reference.clone(),
                cause: entry.cause.clone(),
                syncs: entry.notice.syncs.clone(),
            })
        });
        let waiting = self.open.values().filter(|entry| entry.told.is_none()).map(|entry| &entry.notice);
        let waiting = waiting.chain(&self.events).filter(|_| down);
        let mut room = PENDING_BYTES;
        let pending = waiting
            .take(PENDING)
            .map(bounded)
            .filter_map(|notice| serde_json::to_value(notice).ok())
            .take_while(|notice| {
                room = room.saturating_sub(notice.to_string().len());
                room > 0
            });
        let told = match self.events.front() {
            Some(next) if !down => next.starts_at.checked_sub(Duration::from_millis(1)).ok(),
            _ => self.seen.values().max().copied().or(Some(self.since)),
        };
        (firing.collect(), pending.collect(), told)
    }
}

/// A notice with as many objects as a status has room for.
fn bounded(notice: &Notice) -> Notice {
    let mut notice = notice.clone();
    let more = notice.objects.len().saturating_sub(PENDING_OBJECTS);
    if more > 0 {
        notice.objects.truncate(PENDING_OBJECTS);
        notice.omitted = Some(notice.omitted.unwrap_or_default() + i64::try_from(more).unwrap_or(i64::MAX));
    }
    notice
}

/// Adds the objects of an earlier notice that the newer one does not name.
fn keep_objects(newer: &mut Notice, earlier: &Notice) {
    for object in &earlier.objects {
        let same = |other: &&crate::api::DriftObject| crate::report::drift::is_same(other, object);
        if newer.objects.iter().find(same).is_some() {
            continue;
        }
        if newer.objects.len() < OBJECTS {
            newer.objects.push(object.clone());
        } else {
            *newer.omitted.get_or_insert(0) += 1;
        }
    }
}

impl Entry {
    fn new(notice: Notice, due: Option<Instant>) -> Self {
        Self { notice, meaning: String::new(), cause: None, changed: None, told: None, ended: None, due }
    }
}

/// The events that have an end.
pub const ALL: [AlertEvent; 5] = [
    AlertEvent::Drifted,
    AlertEvent::Failed,
    AlertEvent::Unhealthy,
    AlertEvent::AwaitingApproval,
    AlertEvent::Stale,
];

#[cfg(test)]
mod tests;

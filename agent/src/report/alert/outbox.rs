//! The notices that one receiver got and still has to get: an onset at once, changes of it at most once a second, and its end.
//! Every notice is sent at least once, and in order for one Sync, unless too many of them wait (`EVENTS`).
//!
//! Bounded by the number of Syncs and events: there is one entry for each event of a Sync, whatever happens while the receiver is
//! down. Pure.

mod status;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::notice::{Notice, Status, VERSION, has_end};
use super::wanted::{Snapshot, Wanted};
use crate::api::AlertEvent;
use crate::subject::Subject;

/// How long an onset waits for others.
const GATHER: Duration = Duration::from_millis(50);
/// The shortest time between two notices of one entry.
const PACE: Duration = Duration::from_secs(1);
/// The shortest time between two notices of a failure that several Syncs have in common, since more of them may follow.
const PACE_TOGETHER: Duration = Duration::from_secs(10);
/// The longest time that a change waits for more changes.
const STORM: Duration = Duration::from_mins(1);
/// Maximum number of waiting events without an end. Older ones are dropped.
const EVENTS: usize = 200;
/// Maximum number of objects of an episode that are remembered while its receiver is down.
const OBJECTS: usize = 200;

/// A Sync or ImageUpdate, and an event.
pub type Key = (Subject, AlertEvent);

/// The outbox of one receiver.
pub struct Outbox {
    cluster: String,
    open: BTreeMap<Key, Entry>,
    events: VecDeque<Notice>,
    /// The time of the newest event without an end that is in `events` or was sent, by Sync.
    seen: BTreeMap<Subject, Timestamp>,
    /// Events without an end before this time are not sent.
    since: Timestamp,
    /// Syncs with a notice that is being sent.
    busy: BTreeSet<Subject>,
    pub dropped: i64,
}

struct Entry {
    notice: Notice,
    meaning: String,
    cause: Option<String>,
    /// Since when there is a change that was not sent.
    changed: Option<Instant>,
    sent: Option<Sent>,
    /// When the event ended.
    ended: Option<Timestamp>,
    due: Option<Instant>,
}

struct Sent {
    meaning: Option<String>,
    first: Instant,
    last: Instant,
    reference: Option<String>,
}

/// One notice that is due.
#[derive(Clone, Debug)]
pub struct Due {
    pub notice: Notice,
    /// True if the onset was sent before.
    pub update: bool,
    /// The reference of the receiver for the notice.
    pub reference: Option<String>,
    meaning: String,
}

/// How often notices are sent to a receiver.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    /// The minimum time for which a notice fires.
    pub keep: Duration,
    /// How often a firing notice is repeated.
    pub repeat: Option<Duration>,
    /// How long nothing may change before a change is sent, if a message cannot be edited.
    pub settle: Option<Duration>,
}

impl Outbox {
    /// Returns a notice of which only the start is known.
    fn blank(&self, event: AlertEvent, subject: &Subject, starts_at: Timestamp) -> Notice {
        Notice {
            version: VERSION,
            event,
            status: Status::Firing,
            cluster: self.cluster.clone(),
            object: subject.clone(),
            syncs: Vec::new(),
            revision: String::new(),
            commit: None,
            starts_at,
            ends_at: None,
            summary: format!("{event} of {} {subject}", subject.kind),
            command: None,
            objects: Vec::new(),
            omitted: None,
        }
    }

    /// Takes the new snapshot of a Sync.
    pub fn take(
        &mut self,
        subject: &Subject,
        snapshot: &Snapshot,
        on: &[AlertEvent],
        cadence: Cadence,
        now: Instant,
        time: Timestamp,
    ) {
        for event in ALL.into_iter().filter(|event| !snapshot.unknown.contains(event)) {
            let wanted = snapshot.firing.iter().find(|wanted| wanted.notice.event == event);
            match wanted.filter(|_| on.contains(&event)) {
                Some(wanted) => self.goes_on(subject, wanted, cadence, now),
                None => self.ends(subject, event, cadence, now, time),
            }
        }
        let wanted = snapshot.happened.iter().filter(|notice| on.contains(&notice.event));
        self.happened(subject, wanted);
    }

    fn goes_on(&mut self, subject: &Subject, wanted: &Wanted, cadence: Cadence, now: Instant) {
        let Wanted { notice, meaning, cause } = wanted;
        let key = (subject.clone(), notice.event);
        let Some(entry) = self.open.get_mut(&key) else {
            let (meaning, cause) = (meaning.clone(), cause.clone());
            let entry = Entry { meaning, cause, ..Entry::new(notice.clone(), Some(now + GATHER)) };
            self.open.insert(key, entry);
            return;
        };
        let starts_at = entry.notice.starts_at;
        let mut newest = Notice { starts_at, ..notice.clone() };
        match &entry.sent {
            // A notice that was not sent yet is kept if another one follows.
            None => keep_objects(&mut newest, &entry.notice),
            Some(Sent { meaning: sent, last, .. }) if sent.as_ref() != Some(meaning) => {
                let changed = *entry.changed.get_or_insert(now);
                if entry.due.is_none() || entry.ended.is_some() || entry.meaning != *meaning {
                    let pace = if newest.syncs.is_empty() { PACE } else { PACE_TOGETHER };
                    let settled = cadence.settle.map(|settle| (now + settle).min(changed + STORM));
                    entry.due = Some((*last + pace).max(settled.unwrap_or(now)));
                }
            }
            Some(Sent { last, .. }) => {
                entry.changed = None;
                entry.due = cadence.repeat.map(|repeat| (*last + repeat).max(now));
            }
        }
        entry.ended = None;
        entry.notice = newest;
        entry.meaning.clone_from(meaning);
        entry.cause.clone_from(cause);
    }

    fn ends(
        &mut self,
        subject: &Subject,
        event: AlertEvent,
        cadence: Cadence,
        now: Instant,
        time: Timestamp,
    ) {
        let Some(entry) = self.open.get_mut(&(subject.clone(), event)) else { return };
        if entry.ended.is_none() {
            entry.ended = Some(time);
        }
        if let Some(Sent { first, last, .. }) = &entry.sent {
            entry.due = Some((*first + cadence.keep).max(*last).max(now));
        }
    }

    fn happened<'a>(&mut self, subject: &Subject, notices: impl Iterator<Item = &'a Notice>) {
        let seen = self.seen.entry(subject.clone()).or_insert(self.since);
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

    /// Resolves all notices of a Sync that is gone or no longer selected.
    pub fn forget(&mut self, subject: &Subject, cadence: Cadence, now: Instant, time: Timestamp) {
        ALL.into_iter().for_each(|event| self.ends(subject, event, cadence, now, time));
        self.open.retain(|(other, _), entry| other != subject || entry.sent.is_some());
        self.seen.remove(subject);
    }

    /// Resolves all notices, since the Alert is gone or has another receiver. Notices that were never sent are dropped.
    pub fn end(&mut self, cadence: Cadence, now: Instant, time: Timestamp) {
        let keys: Vec<Key> = self.open.keys().cloned().collect();
        keys.iter().for_each(|(subject, event)| self.ends(subject, *event, cadence, now, time));
        self.open.retain(|(subject, _), entry| entry.sent.is_some() || self.busy.contains(subject));
        self.events.clear();
        for entry in self.open.values_mut().filter(|entry| entry.sent.is_some()) {
            entry.due = Some(now);
        }
    }

    /// True if nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.events.is_empty() && self.busy.is_empty()
    }

    /// Returns an outbox for another receiver. Events that were not sent yet are kept, and current alerts are taken again.
    #[must_use]
    pub fn successor(&self) -> Self {
        Self {
            cluster: self.cluster.clone(),
            open: BTreeMap::new(),
            events: self.events.clone(),
            seen: self.seen.clone(),
            since: self.since,
            busy: BTreeSet::new(),
            dropped: self.dropped,
        }
    }

    /// The Syncs and ImageUpdates with an open notice.
    pub fn subjects(&self) -> BTreeSet<Subject> {
        self.open.keys().map(|(subject, _)| subject.clone()).collect()
    }

    /// When something is due.
    pub fn next(&self) -> Option<Instant> {
        let open = self.open.iter().filter(|((subject, _), _)| !self.busy.contains(subject));
        open.filter_map(|(_, entry)| entry.due).min()
    }

    /// True if an event without an end waits and can be sent.
    fn event(&self) -> Option<usize> {
        self.events.iter().position(|notice| !self.busy.contains(&notice.object))
    }

    /// Takes a notice that is due. The other notices of its Sync are held back until it was [`Self::delivered`] or
    /// [`Self::failed`].
    pub fn due(&mut self, now: Instant) -> Option<Due> {
        if let Some(notice) = self.event().and_then(|at| self.events.remove(at)) {
            self.busy.insert(notice.object.clone());
            return Some(Due { notice, update: false, reference: None, meaning: String::new() });
        }
        let ready = self.open.iter().filter(|((subject, _), entry)| {
            !self.busy.contains(subject) && entry.due.is_some_and(|due| due <= now)
        });
        let ((subject, _), entry) = ready.min_by_key(|(_, entry)| entry.due)?;
        self.busy.insert(subject.clone());
        let mut notice = entry.notice.clone();
        if let (Some(ended), Some(_)) = (entry.ended, &entry.sent) {
            notice.status = Status::Resolved;
            notice.ends_at = Some(ended);
        }
        let reference = entry.sent.as_ref().and_then(|sent| sent.reference.clone());
        Some(Due { notice, update: entry.sent.is_some(), reference, meaning: entry.meaning.clone() })
    }

    /// Records that the receiver accepted a notice, with its reference for it.
    pub fn delivered(&mut self, due: &Due, reference: Option<String>, cadence: Cadence, now: Instant) {
        let key = (due.notice.object.clone(), due.notice.event);
        self.busy.remove(&key.0);
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
        let first = entry.sent.as_ref().map_or(now, |sent| sent.first);
        let reference = reference.or_else(|| due.reference.clone());
        // A notice that was resolved and fires again starts anew.
        let again = due.notice.status == Status::Resolved;
        entry.sent =
            (!again).then_some(Sent { meaning: Some(due.meaning.clone()), first, last: now, reference });
        entry.due = match (entry.ended, again) {
            (_, true) => Some(now),
            (Some(_), false) => Some((first + cadence.keep).max(now)),
            (None, false) if entry.meaning != due.meaning => Some(now + cadence.settle.unwrap_or(PACE)),
            (None, false) => cadence.repeat.map(|repeat| now + repeat),
        };
    }

    /// Records that a notice was not accepted. One that never will be is dropped.
    pub fn failed(&mut self, due: Due, hopeless: bool, now: Instant) {
        let key = (due.notice.object.clone(), due.notice.event);
        self.busy.remove(&key.0);
        if hopeless {
            self.dropped += 1;
            let over = |entry: &Entry| entry.ended.is_some();
            if self.open.get(&key).is_some_and(over) {
                self.open.remove(&key);
            } else if let Some(entry) = self.open.get_mut(&key) {
                entry.due = None;
                let (meaning, reference) = (Some(due.meaning), due.reference);
                entry.sent = Some(Sent { meaning, first: now, last: now, reference });
            }
        } else if !has_end(due.notice.event) {
            self.events.push_front(due.notice);
        }
    }

    /// True if something is due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.event().is_some() || self.next().is_some_and(|next| next <= now)
    }
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
        Self { notice, meaning: String::new(), cause: None, changed: None, sent: None, ended: None, due }
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

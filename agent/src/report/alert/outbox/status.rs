//! The part of an outbox that survives a restart: it is kept in the status of the Alert. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::super::notice::{Notice, has_end};
use super::{Entry, Outbox, Sent};
use crate::api::{AlertStatus, Firing};
use crate::subject::Subject;

/// Maximum number of notices in a status, of their objects, and of their bytes as JSON.
const PENDING: usize = 20;
const PENDING_OBJECTS: usize = 20;
const PENDING_BYTES: usize = 100_000;

impl Outbox {
    /// Restores an outbox from the status of the Alert. Its notices are about objects of the namespace. `time` is now.
    pub fn load(cluster: &str, namespace: &str, status: &AlertStatus, time: Timestamp, now: Instant) -> Self {
        let mut outbox = Self {
            cluster: cluster.to_owned(),
            open: BTreeMap::new(),
            events: VecDeque::new(),
            seen: BTreeMap::new(),
            since: status.sent_until.unwrap_or(time),
            busy: BTreeSet::new(),
            dropped: status.dropped.unwrap_or_default(),
        };
        for Firing { event, sync, starts_at, meaning, reference, cause, syncs } in &status.firing {
            let (meaning, reference) = (meaning.clone(), reference.clone());
            let sent = Sent { meaning: Some(meaning), first: now, last: now, reference };
            let subject = Subject::of_key(namespace, sync);
            let notice = Notice { syncs: syncs.clone(), ..outbox.blank(*event, &subject, *starts_at) };
            let entry = Entry { sent: Some(sent), cause: cause.clone(), ..Entry::new(notice, None) };
            outbox.open.insert((subject, *event), entry);
        }
        for notice in
            status.pending.iter().filter_map(|notice| serde_json::from_value::<Notice>(notice.clone()).ok())
        {
            if !has_end(notice.event) {
                outbox.events.push_back(notice);
                continue;
            }
            let key = (notice.object.clone(), notice.event);
            let entry = Entry::new(notice, Some(now));
            outbox.open.entry(key).or_insert(entry);
        }
        outbox
    }

    /// Returns what a restart must not lose: the notices that fire at the receiver, and, if it is down, those that it did not
    /// get.
    pub fn status(&self, down: bool) -> (Vec<Firing>, Vec<Value>, Option<Timestamp>) {
        let firing = self.open.iter().filter_map(|((subject, event), entry)| {
            let Sent { meaning, reference, .. } = entry.sent.as_ref()?;
            Some(Firing {
                event: *event,
                sync: subject.key(),
                starts_at: entry.notice.starts_at,
                meaning: meaning.clone().unwrap_or_default(),
                reference: reference.clone(),
                cause: entry.cause.clone(),
                syncs: entry.notice.syncs.clone(),
            })
        });
        let waiting = self.open.values().filter(|entry| entry.sent.is_none()).map(|entry| &entry.notice);
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
        let sent_until = match self.events.front() {
            Some(next) if !down => next.starts_at.checked_sub(Duration::from_millis(1)).ok(),
            _ => self.seen.values().max().copied().or(Some(self.since)),
        };
        (firing.collect(), pending.collect(), sent_until)
    }
}

/// Returns a notice with as many objects as a status has room for.
fn bounded(notice: &Notice) -> Notice {
    let mut notice = notice.clone();
    let more = notice.objects.len().saturating_sub(PENDING_OBJECTS);
    if more > 0 {
        notice.objects.truncate(PENDING_OBJECTS);
        notice.omitted = Some(notice.omitted.unwrap_or_default() + i64::try_from(more).unwrap_or(i64::MAX));
    }
    notice
}

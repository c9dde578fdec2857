//! Syncs that fail by one cause are one alert: that of the Sync that was first, which lists the others. It lasts until the
//! last of them has recovered.
//!
//! Decides what the `ledger` is given of each Sync. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cause::digest;
use super::notice::Notice;
use super::wanted::{Snapshot, Wanted};
use crate::api::{AlertEvent, Firing};
use crate::report::changes::cut;

/// How long those who fail by a cause wait for the next one, when the Sync that told it fails by another: mostly they follow.
const FOLLOW: Duration = Duration::from_secs(30);
/// Names that a notice lists, and those of a summary.
const NAMES: usize = 100;
const SUMMARY_NAMES: usize = 10;
/// Characters of a summary.
const SUMMARY: usize = 2000;
/// The events that have causes.
const EVENTS: [AlertEvent; 2] = [AlertEvent::Failed, AlertEvent::Stale];

/// What of each Sync goes on, and who tells what they have in common.
#[derive(Default)]
pub struct Together {
    snapshots: BTreeMap<String, Arc<Snapshot>>,
    groups: BTreeMap<(AlertEvent, String), Group>,
}

#[derive(Default)]
struct Group {
    /// The Sync whose alert it is.
    teller: Option<String>,
    /// When it lost its teller to another cause.
    lost: Option<Instant>,
    /// Those that fail by the cause, or did since the alert began.
    syncs: BTreeSet<String>,
}

impl Together {
    /// What was told before, as the status of the Alert has it.
    pub fn load(firing: &[Firing]) -> Self {
        let mut together = Self::default();
        for Firing { event, sync, cause, syncs, .. } in firing {
            let Some(cause) = cause else { continue };
            let syncs = syncs.iter().chain([sync]).cloned().collect();
            let group = Group { teller: Some(sync.clone()), lost: None, syncs };
            together.groups.insert((*event, cause.clone()), group);
        }
        together
    }

    /// Takes what there is to tell of a Sync now, and returns what is to be told of each Sync that this concerns.
    pub fn take(&mut self, sync: &str, snapshot: Arc<Snapshot>, now: Instant) -> Vec<(String, Snapshot)> {
        let mut keys = self.keys(sync);
        self.snapshots.insert(sync.to_owned(), snapshot);
        keys.extend(self.keys(sync));
        let mut concerned = self.regroup(&keys, now);
        concerned.insert(sync.to_owned());
        self.told(concerned)
    }

    /// Forgets a Sync that is gone.
    pub fn forget(&mut self, sync: &str, now: Instant) -> Vec<(String, Snapshot)> {
        let keys = self.keys(sync);
        self.snapshots.remove(sync);
        for group in self.groups.values_mut() {
            group.syncs.remove(sync);
            group.teller.take_if(|teller| teller == sync);
        }
        let mut concerned = self.regroup(&keys, now);
        concerned.remove(sync);
        self.told(concerned)
    }

    /// Looks at what changes by time alone.
    pub fn pass(&mut self, now: Instant) -> Vec<(String, Snapshot)> {
        let lost = self.groups.iter().filter(|(_, group)| group.teller.is_none());
        let keys = lost.map(|(key, _)| key.clone()).collect();
        let concerned = self.regroup(&keys, now);
        self.told(concerned)
    }

    /// The Syncs that are known.
    pub fn syncs(&self) -> BTreeSet<String> {
        let grouped = self.groups.values().flat_map(|group| &group.syncs);
        self.snapshots.keys().chain(grouped).cloned().collect()
    }

    /// The groups that a Sync is in, or tells.
    fn keys(&self, sync: &str) -> BTreeSet<(AlertEvent, String)> {
        let own = EVENTS.into_iter().filter_map(|event| Some((event, self.cause(sync, event)?.to_owned())));
        let tells = self
            .groups
            .iter()
            .filter(|(_, group)| group.teller.as_deref() == Some(sync) || group.syncs.contains(sync));
        own.chain(tells.map(|(key, _)| key.clone())).collect()
    }

    fn wanted(&self, sync: &str, event: AlertEvent) -> Option<&Wanted> {
        self.snapshots.get(sync)?.firing.iter().find(|wanted| wanted.notice.event == event)
    }

    fn cause(&self, sync: &str, event: AlertEvent) -> Option<&str> {
        self.wanted(sync, event)?.cause.as_deref()
    }

    /// True if nobody has looked at a Sync since the agent began.
    fn is_unknown(&self, sync: &str, event: AlertEvent) -> bool {
        self.snapshots.get(sync).is_none_or(|snapshot| snapshot.unknown.contains(&event))
    }

    /// Those that fail by a cause now.
    fn members(&self, (event, cause): &(AlertEvent, String)) -> Vec<&str> {
        let all = self.snapshots.keys().map(String::as_str);
        all.filter(|sync| self.cause(sync, *event) == Some(cause)).collect()
    }

    /// Finds out anew who tells what these groups have in common; returns who told it before, and who does now.
    fn regroup(&mut self, keys: &BTreeSet<(AlertEvent, String)>, now: Instant) -> BTreeSet<String> {
        let mut concerned = BTreeSet::new();
        for key in keys {
            let members: Vec<String> = self.members(key).into_iter().map(str::to_owned).collect();
            let mut group = self.groups.remove(key).unwrap_or_default();
            concerned.extend(group.teller.clone());
            group.syncs.extend(members.iter().cloned());
            group.syncs.retain(|sync| self.cause(sync, key.0).is_none_or(|cause| cause == key.1));
            // It has another cause to tell.
            let is_taken = |teller: &String| {
                self.wanted(teller, key.0).is_some_and(|wanted| wanted.cause.as_ref() != Some(&key.1))
            };
            if group.teller.take_if(|teller| is_taken(teller)).is_some() {
                group.lost = Some(now);
            }
            if members.is_empty() {
                let may_fail =
                    group.teller.is_some() && group.syncs.iter().any(|sync| self.is_unknown(sync, key.0));
                if may_fail {
                    self.groups.insert(key.clone(), group);
                }
                continue;
            }
            let waits = group.lost.is_some_and(|lost| now.duration_since(lost) < FOLLOW);
            if group.teller.is_none() && !waits {
                group.teller = members.first().cloned();
                group.lost = None;
            }
            concerned.extend(group.teller.clone());
            self.groups.insert(key.clone(), group);
        }
        concerned
    }

    fn told(&self, concerned: BTreeSet<String>) -> Vec<(String, Snapshot)> {
        concerned.into_iter().map(|sync| (sync.clone(), self.snapshot(&sync))).collect()
    }

    /// What is to be told of a Sync: what it has for itself, and what it tells for others.
    fn snapshot(&self, sync: &str) -> Snapshot {
        let mut snapshot = match self.snapshots.get(sync) {
            Some(snapshot) => Snapshot::clone(snapshot),
            None => Snapshot { unknown: super::ledger::ALL.to_vec(), ..Snapshot::default() },
        };
        for event in EVENTS {
            let is_of = |wanted: &Wanted| wanted.notice.event == event && wanted.cause.is_some();
            snapshot.firing.retain(|wanted| !is_of(wanted));
            let tells = |(key, group): &(&(AlertEvent, String), &Group)| {
                key.0 == event && group.teller.as_deref() == Some(sync)
            };
            let Some((key, group)) = self.groups.iter().find(tells) else { continue };
            let members = self.members(key);
            let Some(by) = members.iter().find(|member| **member == sync).or_else(|| members.first()) else {
                // Those that are not known yet may still fail.
                snapshot.unknown.push(event);
                continue;
            };
            if let Some(wanted) = self.wanted(by, event) {
                snapshot.unknown.retain(|unknown| *unknown != event);
                snapshot.firing.push(common(wanted, sync, &group.syncs));
            }
        }
        snapshot
    }
}

/// One notice for all Syncs that fail by a cause.
fn common(wanted: &Wanted, teller: &str, syncs: &BTreeSet<String>) -> Wanted {
    let Wanted { notice, meaning, cause } = wanted.clone();
    let object = super::notice::Subject::of(&notice.object.namespace, teller);
    if syncs.len() < 2 {
        return Wanted { notice: Notice { object, ..notice }, meaning, cause };
    }
    let names: Vec<&str> = syncs.iter().take(SUMMARY_NAMES).map(String::as_str).collect();
    let more = syncs.len().saturating_sub(SUMMARY_NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = if notice.event == AlertEvent::Stale { "are not verified" } else { "fail" };
    let count = syncs.len();
    let summary =
        format!("{count} Syncs {what} by one cause ({}{more}): {}", names.join(", "), notice.summary);
    let meaning = digest(syncs.iter().map(String::as_str).chain([meaning.as_str()]));
    let listed = syncs.iter().take(NAMES).cloned().collect();
    Wanted {
        notice: Notice { object, syncs: listed, summary: cut(&summary, SUMMARY), ..notice },
        meaning,
        cause,
    }
}

#[cfg(test)]
mod tests;

//! Groups Syncs that fail for the same cause into one alert. The first of them owns the alert, which lists all others and is
//! resolved when the last of them has recovered.
//!
//! Returns the snapshots for the `outbox`. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cause::digest;
use super::notice::{Kind, Notice, Subject};
use super::wanted::{Snapshot, Wanted};
use crate::api::{AlertEvent, Firing};
use crate::report::changes::cut;

/// How long a group without an owner waits for a new one after its owner failed for another cause: its members often follow.
const FOLLOW: Duration = Duration::from_secs(30);
/// Maximum number of Syncs that a notice lists, and that its summary names.
const NAMES: usize = 100;
const SUMMARY_NAMES: usize = 10;
/// Characters of a summary.
const SUMMARY: usize = 2000;
/// The events that have causes.
const EVENTS: [AlertEvent; 2] = [AlertEvent::Failed, AlertEvent::Stale];

/// The snapshot of each Sync, and the groups that have a cause in common.
#[derive(Default)]
pub struct Groups {
    snapshots: BTreeMap<String, Arc<Snapshot>>,
    groups: BTreeMap<(AlertEvent, String), Group>,
}

#[derive(Default)]
struct Group {
    /// The Sync that owns the alert.
    owner: Option<String>,
    /// When its owner failed for another cause.
    lost: Option<Instant>,
    /// Syncs that fail for the cause, or did since the alert started.
    syncs: BTreeSet<String>,
}

impl Groups {
    /// Restores the groups from the status of the Alert.
    pub fn load(firing: &[Firing]) -> Self {
        let mut loaded = Self::default();
        for Firing { event, sync, cause, syncs, .. } in firing {
            let Some(cause) = cause else { continue };
            let syncs = syncs.iter().chain([sync]).cloned().collect();
            let group = Group { owner: Some(sync.clone()), lost: None, syncs };
            loaded.groups.insert((*event, cause.clone()), group);
        }
        loaded
    }

    /// Takes the snapshot of a Sync, and returns the new snapshots of all Syncs whose alerts it changes.
    pub fn take(&mut self, sync: &str, snapshot: Arc<Snapshot>, now: Instant) -> Vec<(String, Snapshot)> {
        let mut keys = self.keys(sync);
        self.snapshots.insert(sync.to_owned(), snapshot);
        keys.extend(self.keys(sync));
        let mut concerned = self.regroup(&keys, now);
        concerned.insert(sync.to_owned());
        self.snapshots_of(concerned)
    }

    /// Forgets a Sync that is gone.
    pub fn forget(&mut self, sync: &str, now: Instant) -> Vec<(String, Snapshot)> {
        let keys = self.keys(sync);
        self.snapshots.remove(sync);
        for group in self.groups.values_mut() {
            group.syncs.remove(sync);
            group.owner.take_if(|owner| owner == sync);
        }
        let mut concerned = self.regroup(&keys, now);
        concerned.remove(sync);
        self.snapshots_of(concerned)
    }

    /// Applies changes that depend on time alone.
    pub fn pass(&mut self, now: Instant) -> Vec<(String, Snapshot)> {
        let lost = self.groups.iter().filter(|(_, group)| group.owner.is_none());
        let keys = lost.map(|(key, _)| key.clone()).collect();
        let concerned = self.regroup(&keys, now);
        self.snapshots_of(concerned)
    }

    /// All Syncs that have a snapshot.
    pub fn syncs(&self) -> BTreeSet<String> {
        let grouped = self.groups.values().flat_map(|group| &group.syncs);
        self.snapshots.keys().chain(grouped).cloned().collect()
    }

    /// The groups that a Sync is in, or owns.
    fn keys(&self, sync: &str) -> BTreeSet<(AlertEvent, String)> {
        let own = EVENTS.into_iter().filter_map(|event| Some((event, self.cause(sync, event)?.to_owned())));
        let owned = self
            .groups
            .iter()
            .filter(|(_, group)| group.owner.as_deref() == Some(sync) || group.syncs.contains(sync));
        own.chain(owned.map(|(key, _)| key.clone())).collect()
    }

    fn wanted(&self, sync: &str, event: AlertEvent) -> Option<&Wanted> {
        self.snapshots.get(sync)?.firing.iter().find(|wanted| wanted.notice.event == event)
    }

    fn cause(&self, sync: &str, event: AlertEvent) -> Option<&str> {
        self.wanted(sync, event)?.cause.as_deref()
    }

    /// True if a Sync has not been reconciled since the agent started.
    fn is_unknown(&self, sync: &str, event: AlertEvent) -> bool {
        self.snapshots.get(sync).is_none_or(|snapshot| snapshot.unknown.contains(&event))
    }

    /// The Syncs that fail for a cause now.
    fn members(&self, (event, cause): &(AlertEvent, String)) -> Vec<&str> {
        let all = self.snapshots.keys().map(String::as_str);
        all.filter(|sync| self.cause(sync, *event) == Some(cause)).collect()
    }

    /// Updates the members and owners of groups; returns the previous and the new owners.
    fn regroup(&mut self, keys: &BTreeSet<(AlertEvent, String)>, now: Instant) -> BTreeSet<String> {
        let mut concerned = BTreeSet::new();
        for key in keys {
            let members: Vec<String> = self.members(key).into_iter().map(str::to_owned).collect();
            let mut group = self.groups.remove(key).unwrap_or_default();
            concerned.extend(group.owner.clone());
            group.syncs.extend(members.iter().cloned());
            group.syncs.retain(|sync| self.cause(sync, key.0).is_none_or(|cause| cause == key.1));
            // It fails for another cause.
            let is_taken = |owner: &String| {
                self.wanted(owner, key.0).is_some_and(|wanted| wanted.cause.as_ref() != Some(&key.1))
            };
            if group.owner.take_if(|owner| is_taken(owner)).is_some() {
                group.lost = Some(now);
            }
            if members.is_empty() {
                let may_fail =
                    group.owner.is_some() && group.syncs.iter().any(|sync| self.is_unknown(sync, key.0));
                if may_fail {
                    self.groups.insert(key.clone(), group);
                }
                continue;
            }
            let waits = group.lost.is_some_and(|lost| now.duration_since(lost) < FOLLOW);
            if group.owner.is_none() && !waits {
                group.owner = members.first().cloned();
                group.lost = None;
            }
            concerned.extend(group.owner.clone());
            self.groups.insert(key.clone(), group);
        }
        concerned
    }

    fn snapshots_of(&self, concerned: BTreeSet<String>) -> Vec<(String, Snapshot)> {
        concerned.into_iter().map(|sync| (sync.clone(), self.snapshot(&sync))).collect()
    }

    /// The snapshot of a Sync: its own alerts, and those of groups that it owns.
    fn snapshot(&self, sync: &str) -> Snapshot {
        let mut snapshot = match self.snapshots.get(sync) {
            Some(snapshot) => Snapshot::clone(snapshot),
            None => Snapshot { unknown: super::outbox::ALL.to_vec(), ..Snapshot::default() },
        };
        for event in EVENTS {
            let is_of = |wanted: &Wanted| wanted.notice.event == event && wanted.cause.is_some();
            snapshot.firing.retain(|wanted| !is_of(wanted));
            let is_owned = |(key, group): &(&(AlertEvent, String), &Group)| {
                key.0 == event && group.owner.as_deref() == Some(sync)
            };
            let Some((key, group)) = self.groups.iter().find(is_owned) else { continue };
            let members = self.members(key);
            let Some(by) = members.iter().find(|member| **member == sync).or_else(|| members.first()) else {
                // Members that have not been reconciled yet may still fail.
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

/// One notice for all Syncs that fail for a cause.
fn common(wanted: &Wanted, owner: &str, syncs: &BTreeSet<String>) -> Wanted {
    let Wanted { notice, meaning, cause } = wanted.clone();
    let object = Subject::of(&notice.object.namespace, owner);
    if syncs.len() < 2 {
        return Wanted { notice: Notice { object, ..notice }, meaning, cause };
    }
    let names: Vec<&str> = syncs.iter().take(SUMMARY_NAMES).map(String::as_str).collect();
    let more = syncs.len().saturating_sub(SUMMARY_NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = if notice.event == AlertEvent::Stale { "are not verified" } else { "failed" };
    let (count, kind) = (syncs.len(), kinds(syncs));
    let summary =
        format!("{count} {kind} {what} for the same reason ({}{more}): {}", names.join(", "), notice.summary);
    let meaning = digest(syncs.iter().map(String::as_str).chain([meaning.as_str()]));
    let listed = syncs.iter().take(NAMES).cloned().collect();
    Wanted {
        notice: Notice { object, syncs: listed, summary: cut(&summary, SUMMARY), ..notice },
        meaning,
        cause,
    }
}

fn kinds(subjects: &BTreeSet<String>) -> &'static str {
    match subjects.iter().filter(|key| Subject::of("", key).kind == Kind::ImageUpdate).count() {
        0 => "Syncs",
        updates if updates == subjects.len() => "ImageUpdates",
        _ => "Syncs and ImageUpdates",
    }
}

#[cfg(test)]
mod tests;

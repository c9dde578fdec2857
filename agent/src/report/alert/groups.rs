//! Groups Syncs that fail for the same cause into one alert. The first of them owns the alert, which lists all others and is
//! resolved when the last of them has recovered.
//!
//! Returns the snapshots for the `outbox`. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cause::digest;
use super::notice::Notice;
use super::wanted::{Snapshot, Wanted};
use crate::api::{AlertEvent, Firing};
use crate::report::changes::cut;
use crate::subject::{Kind, Subject};

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
    snapshots: BTreeMap<Subject, Arc<Snapshot>>,
    groups: BTreeMap<(AlertEvent, String), Group>,
}

#[derive(Default)]
struct Group {
    /// The Sync or ImageUpdate that owns the alert.
    owner: Option<Subject>,
    /// When its owner failed for another cause.
    lost: Option<Instant>,
    /// Syncs and ImageUpdates that fail for the cause, or did since the alert started.
    members: BTreeSet<Subject>,
}

impl Groups {
    /// Restores the groups from the status of the Alert.
    pub fn load(namespace: &str, firing: &[Firing]) -> Self {
        let mut loaded = Self::default();
        for Firing { event, sync, cause, syncs, .. } in firing {
            let Some(cause) = cause else { continue };
            let of = |key: &String| Subject::of_key(namespace, key);
            let members = syncs.iter().chain([sync]).map(of).collect();
            let group = Group { owner: Some(of(sync)), lost: None, members };
            loaded.groups.insert((*event, cause.clone()), group);
        }
        loaded
    }

    /// Takes the snapshot of a Sync, and returns the new snapshots of all Syncs whose alerts it changes.
    pub fn take(
        &mut self,
        subject: &Subject,
        snapshot: Arc<Snapshot>,
        now: Instant,
    ) -> Vec<(Subject, Snapshot)> {
        let mut keys = self.keys(subject);
        self.snapshots.insert(subject.clone(), snapshot);
        keys.extend(self.keys(subject));
        let mut concerned = self.regroup(&keys, now);
        concerned.insert(subject.clone());
        self.snapshots_of(concerned)
    }

    /// Forgets a Sync that is gone.
    pub fn forget(&mut self, subject: &Subject, now: Instant) -> Vec<(Subject, Snapshot)> {
        let keys = self.keys(subject);
        self.snapshots.remove(subject);
        for group in self.groups.values_mut() {
            group.members.remove(subject);
            group.owner.take_if(|owner| owner == subject);
        }
        let mut concerned = self.regroup(&keys, now);
        concerned.remove(subject);
        self.snapshots_of(concerned)
    }

    /// Applies changes that depend on time alone.
    pub fn pass(&mut self, now: Instant) -> Vec<(Subject, Snapshot)> {
        let lost = self.groups.iter().filter(|(_, group)| group.owner.is_none());
        let keys = lost.map(|(key, _)| key.clone()).collect();
        let concerned = self.regroup(&keys, now);
        self.snapshots_of(concerned)
    }

    /// All Syncs and ImageUpdates that have a snapshot or are in a group.
    pub fn subjects(&self) -> BTreeSet<Subject> {
        let grouped = self.groups.values().flat_map(|group| &group.members);
        self.snapshots.keys().chain(grouped).cloned().collect()
    }

    /// The groups that a Sync is in, or owns.
    fn keys(&self, subject: &Subject) -> BTreeSet<(AlertEvent, String)> {
        let own =
            EVENTS.into_iter().filter_map(|event| Some((event, self.cause(subject, event)?.to_owned())));
        let owned = self
            .groups
            .iter()
            .filter(|(_, group)| group.owner.as_ref() == Some(subject) || group.members.contains(subject));
        own.chain(owned.map(|(key, _)| key.clone())).collect()
    }

    fn wanted(&self, subject: &Subject, event: AlertEvent) -> Option<&Wanted> {
        self.snapshots.get(subject)?.firing.iter().find(|wanted| wanted.notice.event == event)
    }

    fn cause(&self, subject: &Subject, event: AlertEvent) -> Option<&str> {
        self.wanted(subject, event)?.cause.as_deref()
    }

    /// True if a Sync has not been reconciled since the agent started.
    fn is_unknown(&self, subject: &Subject, event: AlertEvent) -> bool {
        self.snapshots.get(subject).is_none_or(|snapshot| snapshot.unknown.contains(&event))
    }

    /// The Syncs that fail for a cause now.
    fn members(&self, (event, cause): &(AlertEvent, String)) -> Vec<&Subject> {
        self.snapshots.keys().filter(|subject| self.cause(subject, *event) == Some(cause)).collect()
    }

    /// Updates the members and owners of groups; returns the previous and the new owners.
    fn regroup(&mut self, keys: &BTreeSet<(AlertEvent, String)>, now: Instant) -> BTreeSet<Subject> {
        let mut concerned = BTreeSet::new();
        for key in keys {
            let members: Vec<Subject> = self.members(key).into_iter().cloned().collect();
            let mut group = self.groups.remove(key).unwrap_or_default();
            concerned.extend(group.owner.clone());
            group.members.extend(members.iter().cloned());
            group.members.retain(|member| self.cause(member, key.0).is_none_or(|cause| cause == key.1));
            // It fails for another cause.
            let is_taken = |owner: &Subject| {
                self.wanted(owner, key.0).is_some_and(|wanted| wanted.cause.as_ref() != Some(&key.1))
            };
            if group.owner.take_if(|owner| is_taken(owner)).is_some() {
                group.lost = Some(now);
            }
            if members.is_empty() {
                let may_fail = group.owner.is_some()
                    && group.members.iter().any(|member| self.is_unknown(member, key.0));
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

    fn snapshots_of(&self, concerned: BTreeSet<Subject>) -> Vec<(Subject, Snapshot)> {
        concerned.into_iter().map(|subject| (subject.clone(), self.snapshot(&subject))).collect()
    }

    /// The snapshot of a Sync: its own alerts, and those of groups that it owns.
    fn snapshot(&self, subject: &Subject) -> Snapshot {
        let mut snapshot = match self.snapshots.get(subject) {
            Some(snapshot) => Snapshot::clone(snapshot),
            None => Snapshot { unknown: super::outbox::ALL.to_vec(), ..Snapshot::default() },
        };
        for event in EVENTS {
            let is_of = |wanted: &Wanted| wanted.notice.event == event && wanted.cause.is_some();
            snapshot.firing.retain(|wanted| !is_of(wanted));
            let is_owned = |(key, group): &(&(AlertEvent, String), &Group)| {
                key.0 == event && group.owner.as_ref() == Some(subject)
            };
            let Some((key, group)) = self.groups.iter().find(is_owned) else { continue };
            let members = self.members(key);
            let Some(by) = members.iter().find(|member| **member == subject).or_else(|| members.first())
            else {
                // Members that have not been reconciled yet may still fail.
                snapshot.unknown.push(event);
                continue;
            };
            if let Some(wanted) = self.wanted(by, event) {
                snapshot.unknown.retain(|unknown| *unknown != event);
                snapshot.firing.push(common(wanted, subject, &group.members));
            }
        }
        snapshot
    }
}

/// One notice for all Syncs that fail for a cause.
fn common(wanted: &Wanted, owner: &Subject, members: &BTreeSet<Subject>) -> Wanted {
    let Wanted { notice, meaning, cause } = wanted.clone();
    let object = owner.clone();
    if members.len() < 2 {
        return Wanted { notice: Notice { object, ..notice }, meaning, cause };
    }
    let keys: Vec<String> = members.iter().map(Subject::key).collect();
    let names = keys.get(..SUMMARY_NAMES).unwrap_or(&keys).join(", ");
    let more = keys.len().saturating_sub(SUMMARY_NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = if notice.event == AlertEvent::Stale { "are not verified" } else { "failed" };
    let (count, kind) = (keys.len(), kinds(members));
    let summary = format!("{count} {kind} {what} for the same reason ({names}{more}): {}", notice.summary);
    let meaning = digest(keys.iter().map(String::as_str).chain([meaning.as_str()]));
    let listed = keys.iter().take(NAMES).cloned().collect();
    Wanted {
        notice: Notice { object, syncs: listed, summary: cut(&summary, SUMMARY), ..notice },
        meaning,
        cause,
    }
}

fn kinds(subjects: &BTreeSet<Subject>) -> &'static str {
    match subjects.iter().filter(|subject| subject.kind == Kind::ImageUpdate).count() {
        0 => "Syncs",
        updates if updates == subjects.len() => "ImageUpdates",
        _ => "Syncs and ImageUpdates",
    }
}

#[cfg(test)]
mod tests;

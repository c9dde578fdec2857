//! Which user changed which object recently, from the audit events that the API server sends.
//!
//! `managedFields` name tools. People are named by the audit webhook of the API server alone, which is started with
//! `--audit-policy-file`, `--audit-webhook-config-file` and `--audit-webhook-mode=batch`; level `Metadata` is enough
//! (<https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>). The second file is a kubeconfig. Over plain HTTP the
//! API server leaves its credentials out, so the token stands in the address:
//!
//! ```yaml
//! apiVersion: v1
//! kind: Config
//! clusters: [{name: holdfast, cluster: {server: "http://audit:TOKEN@10.0.0.7:8080/audit"}}]
//! contexts: [{name: holdfast, context: {cluster: holdfast}}]
//! current-context: holdfast
//! ```
//!
//! Leaves parsing an event to `event`, and receiving a batch to the server. A wrong name is worse than none, so no user is named
//! if two come into question. Pure but for the lock; time is an argument.

mod event;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::broadcast;

pub use self::event::AuditError;

/// Changes that are remembered.
pub const LIMIT: usize = 2_000;
/// How long a change is remembered after its event arrived.
pub const AGE: SignedDuration = SignedDuration::from_mins(10);
/// How far a change may be from the time of a write.
const APART: SignedDuration = SignedDuration::from_secs(5);
/// The precision of times in `managedFields`.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Sends the changes of each batch. A receiver that is too slow loses the oldest batches.
pub type ChangeSender = broadcast::Sender<Arc<[Change]>>;

/// A bounded record of who changed which object.
#[derive(Default)]
pub struct Audit(Mutex<Record>);

#[derive(Default)]
struct Record {
    /// In the order of arrival, with the time of arrival.
    changes: VecDeque<(Timestamp, Change)>,
    words: Words,
}

/// A change of an object that a user made through the API server. Strings are shared with other changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Empty for the core group.
    pub group: Arc<str>,
    /// The plural: `deployments`.
    pub resource: Arc<str>,
    /// Empty for objects of the cluster.
    pub namespace: Arc<str>,
    /// None: objects of the namespace were deleted all together.
    pub name: Option<Arc<str>>,
    pub subresource: Option<Arc<str>>,
    pub deletes: bool,
    /// As `managedFields` have it.
    pub manager: Arc<str>,
    /// `alice`, or `bob (impersonated by alice)`.
    pub user: Arc<str>,
    /// `kubectl/v1.36.3 (linux/amd64) …`
    pub agent: Arc<str>,
    pub began: Timestamp,
    pub ended: Timestamp,
}

/// The object that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Empty for the core group.
    pub group: &'a str,
    /// The plural: `deployments`.
    pub resource: &'a str,
    /// Empty for objects of the cluster.
    pub namespace: &'a str,
    pub name: &'a str,
}

/// The write that is asked about, as an entry of `managedFields` has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Write<'a> {
    /// None for a field that no manager owns any more.
    pub manager: Option<&'a str>,
    pub subresource: Option<&'a str>,
    /// To the second. None: the newest write that is known.
    pub at: Option<Timestamp>,
}

/// Who asked for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `alice`, or `bob (impersonated by alice)`.
    pub name: Arc<str>,
    /// The program, as it named itself: `kubectl/v1.36.3 (linux/amd64) …`
    pub agent: Arc<str>,
}

impl Audit {
    /// Takes the body of a request of the API server: an `EventList` of `audit.k8s.io/v1`. Returns what was changed by others
    /// than this agent.
    pub fn take(&self, body: &[u8], now: Timestamp) -> Result<Vec<Change>, AuditError> {
        let events = event::read(body)?;
        let mut record = self.record();
        let changes: Vec<Change> =
            events.iter().filter_map(|event| event.change(&mut record.words)).collect();
        for change in &changes {
            record.changes.push_back((now, change.clone()));
            record.forget(now);
        }
        record.forget(now);
        record.words.sweep();
        Ok(changes)
    }

    /// Who made a write that is seen on an object, if one user alone comes into question: the one whose request was closest
    /// to its time, at most five seconds away.
    pub fn user(&self, object: Object<'_>, write: Write<'_>) -> Option<User> {
        let record = self.record();
        let fits = |change: &&Change| {
            !change.deletes
                && change.is_of(object)
                && change.subresource.as_deref() == write.subresource
                && write.manager.is_none_or(|manager| *change.manager == *manager)
        };
        closest(record.changes.iter().map(|(_, change)| change).filter(fits), write.at)
    }

    /// Who deleted an object that was seen to go at this time, in the same way. If the object waited for its finalizers, the
    /// time to ask with is that of its `deletionTimestamp`. One who deleted it by its name comes before one who deleted many.
    pub fn deleter(&self, object: Object<'_>, seen: Timestamp) -> Option<User> {
        let record = self.record();
        let of = |named: bool| {
            let changes = record.changes.iter().map(|(_, change)| change);
            closest(
                changes.filter(move |change| {
                    change.deletes && change.name.is_some() == named && change.is_of(object)
                }),
                Some(seen),
            )
        };
        of(true).or_else(|| of(false))
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock()
    }
}

impl Record {
    /// Forgets what is too old and what is too much.
    fn forget(&mut self, now: Timestamp) {
        let old = |heard: Timestamp| now.duration_since(heard) > AGE;
        while self.changes.len() > LIMIT || self.changes.front().is_some_and(|(heard, _)| old(*heard)) {
            self.changes.pop_front();
        }
    }
}

impl Change {
    fn is_of(&self, Object { group, resource, namespace, name }: Object<'_>) -> bool {
        self.name.as_ref().is_none_or(|of| **of == *name)
            && *self.namespace == *namespace
            && *self.resource == *resource
            && *self.group == *group
    }

    /// How far its request was from a time that is given to the second. The API server took that time while it answered.
    fn apart(&self, at: Timestamp) -> SignedDuration {
        let before = at.duration_since(self.ended);
        let after = self.began.duration_since(at) - SECOND;
        before.max(after).max(SignedDuration::ZERO)
    }
}

/// Who made the change that is closest to a time, or the newest one.
fn closest<'a>(changes: impl Iterator<Item = &'a Change>, at: Option<Timestamp>) -> Option<User> {
    let mut found: Vec<(SignedDuration, &Change)> = changes
        .map(|change| (at.map_or(SignedDuration::ZERO, |at| change.apart(at)), change))
        .filter(|(apart, _)| *apart <= APART)
        .collect();
    found.sort_by_key(|(apart, change)| (*apart, std::cmp::Reverse(change.ended)));
    let (apart, first) = *found.first()?;
    let others = found.iter().any(|(other, change)| *other == apart && change.user != first.user);
    let known = at.is_none() || !others;
    known.then(|| User { name: first.user.clone(), agent: first.agent.clone() })
}

/// Strings that are kept once.
#[derive(Default)]
struct Words(HashSet<Arc<str>>);

impl Words {
    fn keep(&mut self, text: &str) -> Arc<str> {
        if let Some(word) = self.0.get(text) {
            return word.clone();
        }
        let word: Arc<str> = text.into();
        self.0.insert(word.clone());
        word
    }

    /// Forgets unused strings.
    fn sweep(&mut self) {
        self.0.retain(|word| Arc::strong_count(word) > 1);
    }
}

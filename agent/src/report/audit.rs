//! Which user changed which object recently, from the audit events that the API server sends.
//!
//! `managedFields` contain programs. Users are only known from the audit webhook of the API server, which is started
//! with `--audit-policy-file`, `--audit-webhook-config-file` and `--audit-webhook-mode=batch`; level `Metadata` is
//! enough (<https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>). The second file is a kubeconfig. Over plain
//! HTTP the API server does not send its credentials, so the token is in the URL:
//!
//! ```yaml
//! apiVersion: v1
//! kind: Config
//! clusters: [{name: holdfast, cluster: {server: "http://audit:TOKEN@10.0.0.7:8080/audit"}}]
//! contexts: [{name: holdfast, context: {cluster: holdfast}}]
//! current-context: holdfast
//! ```
//!
//! Leaves parsing an event to `event`, and receiving a batch to the server. A wrong name is worse than none, so no user
//! is reported if two are possible. Pure but for the lock; time is an argument.

mod event;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::broadcast;

pub use self::event::AuditError;

/// Maximum number of changes that are kept.
pub const LIMIT: usize = 2_000;
/// Time for which a change is kept after its event arrived.
pub const AGE: SignedDuration = SignedDuration::from_mins(10);
/// Maximum difference between the time of a change and that of a write.
const APART: SignedDuration = SignedDuration::from_secs(5);
/// The precision of times in `managedFields`.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Sends the changes of each batch. A subscriber that is too slow loses the oldest batches.
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
    /// `None`: objects of the namespace were deleted by one request.
    pub name: Option<Arc<str>>,
    pub subresource: Option<Arc<str>>,
    pub deletes: bool,
    /// The field manager, as in `managedFields`.
    pub manager: Arc<str>,
    /// `alice`, or `bob (impersonated by alice)`.
    pub user: Arc<str>,
    /// `kubectl/v1.36.3 (linux/amd64) …`
    pub agent: Arc<str>,
    pub began: Timestamp,
    pub ended: Timestamp,
}

/// The object of a query.
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

/// The write of a query, as in an entry of `managedFields`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Write<'a> {
    /// `None` for a field that no manager owns.
    pub manager: Option<&'a str>,
    pub subresource: Option<&'a str>,
    /// To the second. `None`: the newest write.
    pub at: Option<Timestamp>,
}

/// The user who made a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `alice`, or `bob (impersonated by alice)`.
    pub name: Arc<str>,
    /// The user agent of the program: `kubectl/v1.36.3 (linux/amd64) …`
    pub agent: Arc<str>,
}

impl Audit {
    /// Accepts the body of a request of the API server: an `EventList` of `audit.k8s.io/v1`. Returns the changes by
    /// clients other than this agent.
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

    /// Returns the user who made a write, if only one user is possible: the one whose request was closest
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

    /// Returns the user who deleted an object that was removed at this time, in the same way. If the object waited for
    /// its finalizers, the time of the query is its `deletionTimestamp`. A deletion of the object by its name has
    /// precedence over a deletion of several.
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
    /// Removes changes that are too old or exceed the limit.
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

    /// Returns the distance of its request from a time with the precision of seconds. The API server sets that time
    /// while it handles the request.
    fn apart(&self, at: Timestamp) -> SignedDuration {
        let before = at.duration_since(self.ended);
        let after = self.began.duration_since(at) - SECOND;
        before.max(after).max(SignedDuration::ZERO)
    }
}

/// Returns the user of the change that is closest to a time, or of the newest one.
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

/// Shared strings.
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

    /// Removes unused strings.
    fn sweep(&mut self) {
        self.0.retain(|word| Arc::strong_count(word) > 1);
    }
}

//! The last reported state of each Sync and ImageUpdate, from which alerts are made. No I/O.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::wanted::{Snapshot, Staleness};
use crate::api::SyncStatus;
use crate::error::Class;
use crate::report::Failure;
use crate::sync_ref::SyncRef;

/// A moment: for intervals, and as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub instant: Instant,
    pub time: Timestamp,
}

impl Now {
    /// The current moment.
    pub fn read() -> Self {
        Self { instant: Instant::now(), time: Timestamp::now() }
    }

    /// The time since then.
    pub(super) fn since(&self, then: Instant) -> Duration {
        self.instant.saturating_duration_since(then)
    }
}

/// Time after which a transient failure is sent.
pub(super) const PASSING: Duration = Duration::from_secs(30);
/// A state that was verified longer ago than this and an interval of its Sync, and than three intervals, is stale. An idle API
/// server is heard once a minute.
pub(super) const FRESH: Duration = Duration::from_secs(75);

/// The last reported state of one ImageUpdate.
pub(super) struct Update {
    pub(super) labels: BTreeMap<String, String>,
    /// Since when it fails, whatever the reasons.
    pub(super) failing: Option<(Instant, Timestamp)>,
    pub(super) snapshot: Arc<Snapshot>,
}

/// The last reported state of one Sync.
pub(super) struct SyncEntry {
    /// When the entry was created.
    pub(super) since: Instant,
    /// The last status, without fields that no notice needs.
    pub(super) status: SyncStatus,
    pub(super) reported: bool,
    pub(super) failure: Option<Failing>,
    /// True if the failure is sent: it is not transient, or has lasted.
    pub(super) lasting: bool,
    pub(super) suspended: bool,
    /// When the live view last verified the state.
    pub(super) verified: Option<(Instant, Timestamp)>,
    /// The last contact with the API server before a run of the Sync ended.
    pub(super) heard: Option<Instant>,
    pub(super) staleness: Staleness,
    pub(super) snapshot: Arc<Snapshot>,
}

/// A failure of a Sync.
pub(super) struct Failing {
    pub(super) failure: Failure,
    pub(super) cause: String,
    /// Since when it fails, whatever the reasons.
    pub(super) since: Instant,
    pub(super) time: Timestamp,
}

impl Failing {
    /// True if the Sync waits for another one, which is not reported as a failure.
    pub(super) fn is_wait(&self) -> bool {
        is_wait(&self.failure)
    }
}

/// True if a Sync waits for another one.
pub(super) fn is_wait(failure: &Failure) -> bool {
    failure.reason == "DependencyNotReady"
}

impl SyncEntry {
    pub(super) fn unknown(status: &SyncStatus, now: Now) -> Self {
        Self {
            since: now.instant,
            status: status.clone(),
            reported: false,
            failure: None,
            lasting: false,
            suspended: false,
            verified: None,
            heard: None,
            staleness: Staleness::Unknown,
            snapshot: Arc::default(),
        }
    }
}

/// True if a failure of a Sync is not transient, or if it or another one with the same cause has lasted. Waiting for another Sync
/// is not a failure.
pub(super) fn is_lasting(all: &HashMap<SyncRef, SyncEntry>, sync: &SyncRef, now: Now) -> bool {
    let Some(failing) = all.get(sync).and_then(|entry| entry.failure.as_ref()) else { return false };
    if failing.is_wait() {
        return false;
    }
    let lasts = |other: &Failing| now.since(other.since) >= PASSING;
    if failing.failure.class != Class::Transient || lasts(failing) {
        return true;
    }
    let others = all.iter().filter(|(other, _)| other.namespace() == sync.namespace());
    others
        .filter_map(|(_, entry)| entry.failure.as_ref())
        .any(|other| other.cause == failing.cause && lasts(other))
}

/// True if no Sync has had contact with the API server recently.
pub(super) fn is_silent(all: &HashMap<SyncRef, SyncEntry>, now: Now) -> bool {
    let mut heard = all.values().filter_map(|entry| entry.heard).peekable();
    heard.peek().is_some() && heard.all(|heard| now.since(heard) >= FRESH)
}

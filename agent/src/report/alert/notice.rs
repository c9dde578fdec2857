//! A notice for a receiver: an event began, changed or ended. Its JSON is the body of the webhook. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::{AlertEvent, CommitNote, DriftObject};
use crate::subject::Subject;

/// The version of the form of notices.
pub const VERSION: u32 = 1;

/// One notice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    pub version: u32,
    pub event: AlertEvent,
    pub status: Status,
    /// The UID of the namespace `kube-system`.
    pub cluster: String,
    /// The Sync or ImageUpdate that the notice is about.
    pub object: Subject,
    /// Names of all objects that fail by the same cause, if there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub syncs: Vec<String>,
    /// `main@sha1:<40 hex>`; empty if none is known.
    pub revision: String,
    /// Of the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitNote>,
    pub starts_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// One sentence or a few, for people.
    pub summary: String,
    /// The command that a person runs next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    pub objects: Vec<DriftObject>,
    /// Objects that are not listed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
}

/// Whether it goes on. What has no end ([`Notice::has_end`]) is always firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Firing,
    Resolved,
}

/// How urgent an event is: the label `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Critical,
    Warning,
    Info,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl Notice {
    pub fn severity(&self) -> Severity {
        match self.event {
            AlertEvent::Failed | AlertEvent::Unhealthy | AlertEvent::Stale => Severity::Critical,
            AlertEvent::Drifted | AlertEvent::AwaitingApproval => Severity::Warning,
            AlertEvent::Applied | AlertEvent::ImageUpdated => Severity::Info,
        }
    }

    /// False for events that are sent once, and have no end.
    pub fn has_end(&self) -> bool {
        has_end(self.event)
    }
}

/// False for events that are sent once, and have no end.
pub fn has_end(event: AlertEvent) -> bool {
    !matches!(event, AlertEvent::Applied | AlertEvent::ImageUpdated)
}

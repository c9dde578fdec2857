//! What a receiver is told: something began, changed or ended. Its JSON is the body of the webhook. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::{AlertEvent, CommitNote, DriftObject};

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

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

/// The kind of an object that notices are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Sync,
    ImageUpdate,
}

/// What goes before the name of an ImageUpdate where Syncs are named: it may have the name of one.
const IMAGE_UPDATE: &str = "imageupdate/";

impl Subject {
    /// What has this key in its namespace.
    pub fn of(namespace: &str, key: &str) -> Self {
        let (kind, name) = match key.strip_prefix(IMAGE_UPDATE) {
            Some(name) => (Kind::ImageUpdate, name),
            None => (Kind::Sync, key),
        };
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The name of a Sync, or `imageupdate/` and the name of an ImageUpdate.
    pub fn key(&self) -> String {
        match self.kind {
            Kind::Sync => self.name.clone(),
            Kind::ImageUpdate => format!("{IMAGE_UPDATE}{}", self.name),
        }
    }
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

    /// False for what happens at once and is told once.
    pub fn has_end(&self) -> bool {
        has_end(self.event)
    }
}

/// False for what happens at once and is told once.
pub fn has_end(event: AlertEvent) -> bool {
    !matches!(event, AlertEvent::Applied | AlertEvent::ImageUpdated)
}

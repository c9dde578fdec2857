//! The notices of a Sync, from its status: one for each event that is firing. Pure.

use holdfast_diff::digest::Hasher;
use jiff::Timestamp;

use super::cause::{self, digest};
use super::notice::{Notice, Status, VERSION};
use crate::api::conditions::{self, reason};
use crate::api::{AlertEvent, DriftObject, DriftState, SyncStatus};
use crate::report::drift;
use crate::report::{Failure, changes::cut};
use crate::sync_ref::SyncRef;

/// Characters of a summary.
const SUMMARY: usize = 2000;

/// A notice and its meaning. A notice with the same meaning is not sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub notice: Notice,
    /// A digest of what a person must do: which objects, at which revision, and why. No times are in it.
    pub meaning: String,
    /// A digest of why; those that fail by one cause are one alert.
    pub cause: Option<String>,
}

/// The notices of one Sync or ImageUpdate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Events that are firing.
    pub firing: Vec<Wanted>,
    /// Events without an end, the oldest first.
    pub happened: Vec<Notice>,
    /// Events of which it is unknown whether they are firing.
    pub unknown: Vec<AlertEvent>,
}

/// The state of a Sync from which its notices are made.
pub struct SyncState<'a> {
    pub cluster: &'a str,
    pub sync: &'a SyncRef,
    pub status: &'a SyncStatus,
    /// A failure that is reported, its cause, and its start.
    pub failure: Option<(&'a Failure, &'a str, Timestamp)>,
    pub staleness: Staleness,
    /// False if the Sync has not been reported since the agent started.
    pub reported: bool,
}

/// Whether the state of a Sync was verified recently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// It has not been verified since the agent started.
    Unknown,
    Fresh,
    /// It was verified too long ago.
    Since {
        /// When it was verified last; `None` if this process has not verified it.
        confirmed: Option<Timestamp>,
        /// When it was found to be stale.
        found: Timestamp,
        /// True if the API server does not answer at all.
        silent: bool,
    },
}

/// Makes the notices of a Sync.
pub fn snapshot(state: &SyncState<'_>) -> Snapshot {
    let SyncState { status, failure, staleness, .. } = state;
    let mut firing = Vec::new();
    firing.extend(drifted(state));
    firing.extend(failure.map(|(failure, cause, since)| failed(state, failure, cause, since)));
    firing.extend(unhealthy(state));
    firing.extend(awaiting(state));
    if let Staleness::Since { confirmed, found, silent } = staleness {
        firing.push(stale(state, *confirmed, *found, *silent));
    }
    let happened = status.history.iter().rev().map(|entry| {
        let plan = entry.plan.as_ref().map(|plan| format!(" by plan {plan}")).unwrap_or_default();
        let summary = format!("Sync {} applied {}{plan}", state.sync, entry.revision);
        Notice {
            revision: entry.revision.clone(),
            ..notice(state, AlertEvent::Applied, entry.at, &summary, None)
        }
    });
    let mut unknown = Vec::new();
    if *staleness == Staleness::Unknown {
        unknown.push(AlertEvent::Stale);
    }
    if !state.reported {
        unknown.extend([
            AlertEvent::Drifted,
            AlertEvent::Failed,
            AlertEvent::Unhealthy,
            AlertEvent::AwaitingApproval,
        ]);
    }
    Snapshot { firing, happened: happened.collect(), unknown }
}

fn notice(
    SyncState { cluster, sync, status, .. }: &SyncState<'_>,
    event: AlertEvent,
    starts_at: Timestamp,
    summary: &str,
    command: Option<String>,
) -> Notice {
    let revision = status.revision.clone().unwrap_or_default();
    Notice {
        version: VERSION,
        event,
        status: Status::Firing,
        cluster: (*cluster).to_owned(),
        object: (*sync).into(),
        syncs: Vec::new(),
        revision: revision.seen.unwrap_or_default(),
        commit: revision.commit,
        starts_at,
        ends_at: None,
        summary: cut(summary, SUMMARY),
        command,
        objects: Vec::new(),
        omitted: None,
    }
}

fn drifted(state: &SyncState<'_>) -> Option<Wanted> {
    let drift = state.status.drift.as_ref()?;
    let objects: Vec<DriftObject> =
        drift.objects.iter().filter(|object| object.state != DriftState::Snoozed).cloned().collect();
    if objects.is_empty() {
        return None;
    }
    let unlisted = usize::try_from(drift.omitted.unwrap_or_default()).unwrap_or_default();
    let many = match objects.len() + unlisted {
        1 => "1 object".to_owned(),
        more => format!("{more} objects"),
    };
    let ended = if objects.iter().all(|object| object.state == DriftState::Corrected) {
        ", and all of it was corrected"
    } else {
        ""
    };
    let summary =
        format!("{many} of Sync {} drifted from Git{ended}: {}", state.sync, drift::describe(&objects));
    let mut hasher = Hasher::default();
    hasher.text(&unlisted.to_string());
    for DriftObject { api_version, kind, namespace, name, state, deleted, changes, refusal, .. } in &objects {
        [api_version, kind, namespace, name].into_iter().for_each(|part| hasher.text(part));
        let refusal = refusal.as_deref().map(cause::without_numbers);
        hasher.text(&format!("{state} {deleted} {}", refusal.is_some()));
        hasher.text(&refusal.unwrap_or_default());
        for change in changes {
            hasher.text(&change.path);
            hasher.value(&change.live.clone().unwrap_or_default());
            hasher.text(change.user.as_deref().unwrap_or_default());
        }
    }
    let command = format!("holdfast drift -n {} {}", state.sync.namespace(), state.sync.name());
    let notice = notice(state, AlertEvent::Drifted, drift.since, &summary, Some(command));
    Some(Wanted {
        notice: Notice { objects, omitted: drift.omitted, ..notice },
        meaning: hasher.finish().to_string(),
        cause: None,
    })
}

fn status_command(state: &SyncState<'_>) -> String {
    format!("holdfast status -n {} {}", state.sync.namespace(), state.sync.name())
}

fn revision<'a>(state: &SyncState<'a>) -> &'a str {
    let revision = state.status.revision.as_ref();
    revision.and_then(|revision| revision.seen.as_deref()).unwrap_or_default()
}

fn failed(state: &SyncState<'_>, failure: &Failure, cause: &str, since: Timestamp) -> Wanted {
    let Failure { stage, class, reason, message, .. } = failure;
    let summary = format!("Sync {} failed in {stage} ({reason}): {message}", state.sync);
    Wanted {
        notice: notice(state, AlertEvent::Failed, since, &summary, Some(status_command(state))),
        meaning: digest([*stage, *reason, revision(state), &cause::text(*class, message)]),
        cause: Some(cause.to_owned()),
    }
}

fn unhealthy(state: &SyncState<'_>) -> Option<Wanted> {
    let of = |kind: &str| state.status.conditions.iter().find(|condition| condition.type_ == kind);
    let healthy = of(conditions::HEALTHY).filter(|condition| condition.status == "False")?;
    let late = of(conditions::READY).is_some_and(|ready| ready.reason == reason::HEALTH_TIMEOUT);
    if healthy.reason != reason::UNHEALTHY && !late {
        return None;
    }
    let summary = format!("objects of Sync {} are not healthy: {}", state.sync, healthy.message);
    let since = healthy.last_transition_time.0;
    Some(Wanted {
        notice: notice(state, AlertEvent::Unhealthy, since, &summary, Some(status_command(state))),
        meaning: digest([revision(state), &cause::without_numbers(&healthy.message)]),
        cause: None,
    })
}

fn awaiting(state: &SyncState<'_>) -> Option<Wanted> {
    let waits = state.status.conditions.iter().find(|condition| {
        condition.type_ == conditions::AWAITING_APPROVAL
            && condition.status == "True"
            && condition.reason == reason::AWAITING_APPROVAL
    })?;
    let plan = state.status.plan.as_ref().map(|plan| plan.id.as_str()).unwrap_or_default();
    let (namespace, name) = (state.sync.namespace(), state.sync.name());
    let summary = format!("a plan of Sync {} waits for an approval: {}", state.sync, waits.message);
    let command = format!("holdfast approve -n {namespace} {name} {plan} --reason \"...\"");
    let since = waits.last_transition_time.0;
    Some(Wanted {
        notice: notice(state, AlertEvent::AwaitingApproval, since, &summary, Some(command)),
        meaning: digest([plan]),
        cause: None,
    })
}

fn stale(state: &SyncState<'_>, confirmed: Option<Timestamp>, found: Timestamp, silent: bool) -> Wanted {
    let ready = state.status.conditions.iter().find(|condition| condition.type_ == conditions::READY);
    let why = ready
        .filter(|ready| ready.status != "True")
        .map(|ready| format!(" ({}: {})", ready.reason, ready.message));
    let last = match confirmed {
        Some(time) => format!("it was verified last at {time:.0}"),
        None => "the agent has not verified it since it started".to_owned(),
    };
    let summary = format!(
        "the state of Sync {} has not been verified recently: {last}{}",
        state.sync,
        why.unwrap_or_default()
    );
    let since = confirmed.unwrap_or(found);
    Wanted {
        notice: notice(state, AlertEvent::Stale, since, &summary, Some(status_command(state))),
        meaning: digest([]),
        // One API server that is silent is one cause for all.
        cause: silent.then(|| "silent".to_owned()),
    }
}

//! What of a Sync is to be told now, out of its status: one notice for everything that goes on. Pure.

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

/// A notice, and what it means: a notice of the same meaning is not told again.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub notice: Notice,
    /// A digest of what a person must do: which objects, at which revision, and why. No times are in it.
    pub meaning: String,
    /// A digest of why; those that fail by one cause are one alert.
    pub cause: Option<String>,
}

/// What is to be told of one Sync.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// What goes on.
    pub firing: Vec<Wanted>,
    /// What happened, the oldest first.
    pub happened: Vec<Notice>,
    /// Nobody knows yet whether these go on.
    pub unknown: Vec<AlertEvent>,
}

/// What is known of a Sync beside its status.
pub struct Known<'a> {
    pub cluster: &'a str,
    pub sync: &'a SyncRef,
    pub status: &'a SyncStatus,
    /// A failure that is worth a person's time, its cause, and since when.
    pub failure: Option<(&'a Failure, &'a str, Timestamp)>,
    pub staleness: Staleness,
    /// False if the status is not known yet.
    pub reported: bool,
}

/// Whether the verdict about a Sync still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// Nobody has looked since the agent began.
    Unknown,
    Fresh,
    /// It was confirmed last at some time, which is too long ago.
    Since {
        /// When it was confirmed last; `None` if this process never did.
        confirmed: Option<Timestamp>,
        /// When that was found.
        found: Timestamp,
        /// The API server is not heard at all.
        silent: bool,
    },
}

/// Makes the notices of a Sync.
pub fn snapshot(known: &Known<'_>) -> Snapshot {
    let Known { status, failure, staleness, .. } = known;
    let mut firing = Vec::new();
    firing.extend(drifted(known));
    firing.extend(failure.map(|(failure, cause, since)| failed(known, failure, cause, since)));
    firing.extend(unhealthy(known));
    firing.extend(awaiting(known));
    if let Staleness::Since { confirmed, found, silent } = staleness {
        firing.push(stale(known, *confirmed, *found, *silent));
    }
    let happened = status.history.iter().rev().map(|entry| {
        let plan = entry.plan.as_ref().map(|plan| format!(" by plan {plan}")).unwrap_or_default();
        let summary = format!("Sync {} applied {}{plan}", known.sync, entry.revision);
        Notice {
            revision: entry.revision.clone(),
            ..notice(known, AlertEvent::Applied, entry.at, &summary, None)
        }
    });
    let mut unknown = Vec::new();
    if *staleness == Staleness::Unknown {
        unknown.push(AlertEvent::Stale);
    }
    if !known.reported {
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
    Known { cluster, sync, status, .. }: &Known<'_>,
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

fn drifted(known: &Known<'_>) -> Option<Wanted> {
    let drift = known.status.drift.as_ref()?;
    let objects: Vec<DriftObject> =
        drift.objects.iter().filter(|told| told.state != DriftState::Snoozed).cloned().collect();
    if objects.is_empty() {
        return None;
    }
    let unlisted = usize::try_from(drift.omitted.unwrap_or_default()).unwrap_or_default();
    let many = match objects.len() + unlisted {
        1 => "1 object".to_owned(),
        more => format!("{more} objects"),
    };
    let ended = if objects.iter().all(|told| told.state == DriftState::Corrected) {
        ", and all of it was put back"
    } else {
        ""
    };
    let summary =
        format!("{many} of Sync {} drifted from git{ended}: {}", known.sync, drift::describe(&objects));
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
    let command = format!("holdfast drift -n {} {}", known.sync.namespace(), known.sync.name());
    let notice = notice(known, AlertEvent::Drifted, drift.since, &summary, Some(command));
    Some(Wanted {
        notice: Notice { objects, omitted: drift.omitted, ..notice },
        meaning: hasher.finish().to_string(),
        cause: None,
    })
}

fn status_command(known: &Known<'_>) -> String {
    format!("holdfast status -n {} {}", known.sync.namespace(), known.sync.name())
}

fn revision<'a>(known: &Known<'a>) -> &'a str {
    let revision = known.status.revision.as_ref();
    revision.and_then(|revision| revision.seen.as_deref()).unwrap_or_default()
}

fn failed(known: &Known<'_>, failure: &Failure, cause: &str, since: Timestamp) -> Wanted {
    let Failure { stage, class, reason, message, .. } = failure;
    let summary = format!("Sync {} failed in {stage} ({reason}): {message}", known.sync);
    Wanted {
        notice: notice(known, AlertEvent::Failed, since, &summary, Some(status_command(known))),
        meaning: digest([*stage, *reason, revision(known), &cause::text(*class, message)]),
        cause: Some(cause.to_owned()),
    }
}

fn unhealthy(known: &Known<'_>) -> Option<Wanted> {
    let of = |kind: &str| known.status.conditions.iter().find(|condition| condition.type_ == kind);
    let healthy = of(conditions::HEALTHY).filter(|condition| condition.status == "False")?;
    let late = of(conditions::READY).is_some_and(|ready| ready.reason == reason::HEALTH_TIMEOUT);
    if healthy.reason != reason::UNHEALTHY && !late {
        return None;
    }
    let summary = format!("objects of Sync {} are not healthy: {}", known.sync, healthy.message);
    let since = healthy.last_transition_time.0;
    Some(Wanted {
        notice: notice(known, AlertEvent::Unhealthy, since, &summary, Some(status_command(known))),
        meaning: digest([revision(known), &cause::without_numbers(&healthy.message)]),
        cause: None,
    })
}

fn awaiting(known: &Known<'_>) -> Option<Wanted> {
    let waits = known.status.conditions.iter().find(|condition| {
        condition.type_ == conditions::AWAITING_APPROVAL
            && condition.status == "True"
            && condition.reason == reason::AWAITING_APPROVAL
    })?;
    let plan = known.status.plan.as_ref().map(|plan| plan.id.as_str()).unwrap_or_default();
    let (namespace, name) = (known.sync.namespace(), known.sync.name());
    let summary = format!("a plan of Sync {} waits for an approval: {}", known.sync, waits.message);
    let command = format!("holdfast approve -n {namespace} {name} {plan} --reason \"...\"");
    let since = waits.last_transition_time.0;
    Some(Wanted {
        notice: notice(known, AlertEvent::AwaitingApproval, since, &summary, Some(command)),
        meaning: digest([plan]),
        cause: None,
    })
}

fn stale(known: &Known<'_>, confirmed: Option<Timestamp>, found: Timestamp, silent: bool) -> Wanted {
    let ready = known.status.conditions.iter().find(|condition| condition.type_ == conditions::READY);
    let why = ready
        .filter(|ready| ready.status != "True")
        .map(|ready| format!(" ({}: {})", ready.reason, ready.message));
    let last = match confirmed {
        Some(time) => format!("it was verified last at {time:.0}"),
        None => "the agent has not verified it since it started".to_owned(),
    };
    let summary = format!(
        "the state of Sync {} has not been verified recently: {last}{}",
        known.sync,
        why.unwrap_or_default()
    );
    let since = confirmed.unwrap_or(found);
    Wanted {
        notice: notice(known, AlertEvent::Stale, since, &summary, Some(status_command(known))),
        meaning: digest([]),
        // One API server that is silent is one cause for all.
        cause: silent.then(|| "silent".to_owned()),
    }
}

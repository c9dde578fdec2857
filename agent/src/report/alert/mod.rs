//! Alerts: notices about Syncs and ImageUpdates to receivers. Each alert fires and is resolved.
//!
//! `wanted` derives the notices of a Sync, `groups` joins those of one cause, `outbox` queues them for one receiver, `courier`
//! delivers them, and `receiver` formats them for each kind of receiver. Reads only Alerts from the API server. I/O: API watch
//! of Alerts; the rest through the couriers.

pub mod cause;
pub mod courier;
mod farewell;
pub mod groups;
pub mod notice;
pub mod outbox;
pub mod receiver;
pub mod sending;
pub mod updates;
pub mod wanted;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _, pin_mut};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::reflector::Store;
use kube::runtime::watcher::{self, Event};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc;
use tracing::warn;

use self::courier::{Command, Courier};
use self::sending::Shared;
use self::wanted::{Known, Snapshot, Staleness};
use super::Failure;
use crate::api::{Alert, AlertEvent, ImageUpdateStatus, PlanStatus, Sync, SyncStatus};
use crate::error::{Class, chain};
use crate::secret_data::Data;
use crate::sync_ref::SyncRef;

/// Reads a Secret in the namespace of an Alert; an error is for the person who wrote the Alert.
pub type ReadSecret =
    Arc<dyn Fn(SyncRef, String) -> BoxFuture<'static, Result<Arc<Data>, String>> + Send + std::marker::Sync>;

/// A failure that may pass by itself is told when it has lasted so long.
const PASSING: Duration = Duration::from_secs(30);
/// A verdict that was confirmed longer ago than this and an interval of its Sync, and than three intervals, is stale. An API
/// server at which nothing happens is heard once a minute.
const FRESH: Duration = Duration::from_secs(75);

/// How long a Sync that fails may rest between two runs.
const RETRY: Duration = Duration::from_mins(2);

/// All Alerts of the process.
pub struct Alerts {
    cluster: String,
    syncs: Store<Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    couriers: HashMap<SyncRef, Handle>,
    syncs: HashMap<SyncRef, Told>,
    updates: HashMap<SyncRef, Update>,
}

/// What is known of one ImageUpdate.
struct Update {
    labels: BTreeMap<String, String>,
    /// Since when it fails, whatever the reasons.
    failing: Option<(Instant, Timestamp)>,
    snapshot: Arc<Snapshot>,
}

struct Handle {
    alert: Arc<Alert>,
    commands: mpsc::UnboundedSender<Command>,
}

/// What is known of one Sync.
struct Told {
    /// When it was heard of first.
    since: Instant,
    /// Without what no notice needs.
    status: SyncStatus,
    reported: bool,
    failure: Option<Failing>,
    /// The failure is worth a person's time.
    lasting: bool,
    suspended: bool,
    /// When the live view confirmed the verdict.
    verified: Option<(Instant, Timestamp)>,
    /// When the API server was heard last before a run of the Sync ended.
    heard: Option<Instant>,
    staleness: Staleness,
    snapshot: Arc<Snapshot>,
}

/// A failure of a Sync.
struct Failing {
    failure: Failure,
    cause: String,
    /// Since when it fails, whatever the reasons.
    since: Instant,
    time: Timestamp,
}

impl Failing {
    /// True if the Sync waits for another one, which is no failure.
    fn is_wait(&self) -> bool {
        is_wait(&self.failure)
    }
}

/// True if a Sync waits for another one.
fn is_wait(failure: &Failure) -> bool {
    failure.reason == "DependencyNotReady"
}

/// What a run of a Sync came to.
pub struct Ran<'a> {
    pub status: &'a SyncStatus,
    pub failure: Option<&'a Failure>,
    pub suspended: bool,
    /// Whether the live view confirmed the verdict.
    pub verified: bool,
    /// When the API server was heard last.
    pub heard: Option<Instant>,
}

impl Alerts {
    pub fn new(cluster: String, syncs: Store<Sync>) -> Self {
        Self { cluster, syncs, state: Mutex::default() }
    }

    /// Keeps a courier for every Alert, until the stream of Alerts ends. What couriers need is prepared when there is one.
    pub async fn serve(
        &self,
        prepare: impl Fn() -> Shared,
        alerts: impl Stream<Item = watcher::Result<Event<Alert>>>,
    ) {
        pin_mut!(alerts);
        let mut listed = Vec::new();
        let mut shared = None;
        let mut see = |alert: Alert| {
            let shared = shared.get_or_insert_with(|| Arc::new(prepare()));
            self.seen(shared, alert);
        };
        while let Some(event) = alerts.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(alert)) => {
                    listed.push(name(&alert));
                    see(alert);
                }
                Ok(Event::InitDone) => self.lock().couriers.retain(|name, _| listed.contains(name)),
                Ok(Event::Apply(alert)) => see(alert),
                Ok(Event::Delete(alert)) => drop(self.lock().couriers.remove(&name(&alert))),
                Err(error) => warn!(error = chain(&error), "Watch of Alerts failed; retrying"),
            }
        }
    }

    /// Takes an Alert as it is now.
    fn seen(&self, shared: &Arc<Shared>, alert: Alert) {
        let (name, alert) = (name(&alert), Arc::new(alert));
        let mut state = self.lock();
        let known = state.couriers.get(&name).map(|handle| handle.alert.clone());
        match known {
            Some(known) if known.metadata.uid == alert.metadata.uid => {
                if known.spec == alert.spec {
                    return;
                }
            }
            _ => {
                let (commands, told) = mpsc::unbounded_channel();
                tokio::spawn(Courier::new(shared.clone(), alert.clone()).run(told));
                state.couriers.insert(name.clone(), Handle { alert: alert.clone(), commands });
            }
        }
        let State { couriers, syncs, updates } = &mut *state;
        let Some(handle) = couriers.get_mut(&name) else { return };
        handle.alert = alert.clone();
        handle.send(Command::Spec(alert));
        for (sync, told) in syncs.iter().filter(|(sync, _)| sync.namespace() == name.namespace()) {
            if self.selects(&handle.alert, sync) {
                handle.send(Command::Tell(sync.name().to_owned(), told.snapshot.clone()));
            } else {
                handle.send(Command::Gone(sync.name().to_owned()));
            }
        }
        for (update, told) in updates.iter().filter(|(update, _)| update.namespace() == name.namespace()) {
            if selects_update(&handle.alert, update, &told.labels) {
                handle.send(Command::Tell(updates::subject(update), told.snapshot.clone()));
            } else {
                handle.send(Command::Gone(updates::subject(update)));
            }
        }
    }

    /// Takes what a pass of an ImageUpdate found. A failure that may pass is told when it has lasted.
    pub fn tell_update(
        &self,
        update: &SyncRef,
        labels: &BTreeMap<String, String>,
        status: &ImageUpdateStatus,
        failure: Option<&Failure>,
    ) {
        let mut state = self.lock();
        let State { couriers, updates, .. } = &mut *state;
        let before = updates.get(update).and_then(|told| told.failing);
        let failing = failure.map(|_| before.unwrap_or_else(|| (Instant::now(), Timestamp::now())));
        let lasting = failure
            .zip(failing)
            .filter(|(failure, (since, _))| failure.class != Class::Transient || since.elapsed() >= PASSING);
        let lasting = lasting.map(|(failure, (_, time))| (failure, time));
        let snapshot = Arc::new(updates::snapshot(&self.cluster, update, status, lasting));
        for (name, handle) in couriers.iter() {
            if name.namespace() == update.namespace() && selects_update(&handle.alert, update, labels) {
                handle.send(Command::Tell(updates::subject(update), snapshot.clone()));
            }
        }
        updates.insert(update.clone(), Update { labels: labels.clone(), failing, snapshot });
    }

    /// Forgets an ImageUpdate that is gone: what was firing about it ends.
    pub fn forget_update(&self, update: &SyncRef) {
        let mut state = self.lock();
        state.updates.remove(update);
        for (name, handle) in &state.couriers {
            if name.namespace() == update.namespace() {
                handle.send(Command::Gone(updates::subject(update)));
            }
        }
    }

    /// True if somebody is told the drift of a Sync.
    pub fn wants_drift(&self, sync: &SyncRef) -> bool {
        self.lock().couriers.values().any(|handle| {
            courier::on(&handle.alert).contains(&AlertEvent::Drifted) && self.selects(&handle.alert, sync)
        })
    }

    /// Takes what a run found.
    pub fn tell(&self, sync: &SyncRef, ran: &Ran<'_>) {
        let Ran { status, failure, suspended, verified, heard } = *ran;
        let now = (Instant::now(), Timestamp::now());
        let cause = failure.map(|failure| self.cause(sync, failure)).unwrap_or_default();
        let mut state = self.lock();
        let told = state.syncs.entry(sync.clone()).or_insert_with(|| Told::unknown(status));
        told.status = SyncStatus { plan: None, ..status.clone() };
        told.status.plan =
            status.plan.as_ref().map(|plan| PlanStatus { changes: Vec::new(), ..plan.clone() });
        told.reported = true;
        told.suspended = suspended;
        let before = told.failure.take();
        told.failure = failure.map(|failure| {
            // It counts from the last success, whatever the reasons in between. Waiting for another Sync is no failure.
            let before = before.filter(|before| before.is_wait() == is_wait(failure));
            let (since, time) = before.map_or(now, |before| (before.since, before.time));
            Failing { failure: failure.clone(), cause, since, time }
        });
        told.heard = heard.or(told.heard);
        // While it waits for another one, what it was verified to be is verified on.
        let waits = told.failure.as_ref().is_some_and(Failing::is_wait) && told.verified.is_some();
        if let Some(heard) = heard.filter(|_| verified || waits) {
            told.verified = Some((heard, now.1.checked_sub(heard.elapsed()).unwrap_or(now.1)));
        }
        self.update(&mut state, sync);
        self.spread(&mut state, sync);
    }

    /// The cause of a failure.
    fn cause(&self, sync: &SyncRef, failure: &Failure) -> String {
        let found = self.sync(sync);
        let spec = found.as_ref().map(|sync| &sync.spec);
        let url = spec.map(|spec| spec.source.git.url.as_str()).unwrap_or_default();
        let path = spec.and_then(|spec| spec.path.as_deref()).unwrap_or_default();
        let path = path.trim_start_matches("./").trim_matches('/');
        cause::of(url, &[path, &sync.to_string()], failure)
    }

    /// A failure that has lasted is told of all that fail by the same cause.
    fn spread(&self, state: &mut State, sync: &SyncRef) {
        let Some(told) = state.syncs.get(sync).filter(|told| told.lasting) else { return };
        let Some(cause) = told.failure.as_ref().map(|failing| failing.cause.clone()) else { return };
        let others = state.syncs.iter().filter(|(other, told)| {
            other.namespace() == sync.namespace()
                && !told.lasting
                && told.failure.as_ref().is_some_and(|failing| failing.cause == cause)
        });
        let others: Vec<SyncRef> = others.map(|(other, _)| other.clone()).collect();
        others.iter().for_each(|other| self.update(state, other));
    }

    /// Takes what is about to be put back.
    pub fn tell_drift(&self, sync: &SyncRef, status: &SyncStatus) {
        let mut state = self.lock();
        let told = state.syncs.entry(sync.clone()).or_insert_with(|| Told::unknown(status));
        told.status.drift.clone_from(&status.drift);
        self.update(&mut state, sync);
    }

    /// Looks at what changes by time alone: verdicts that became stale, failures that last, Alerts that select nothing. The
    /// Syncs must be known.
    pub fn tick(&self) {
        let mut state = self.lock();
        let all: Vec<SyncRef> = self.syncs.state().iter().map(|sync| sync_name(sync)).collect();
        if state.couriers.is_empty() {
            return;
        }
        let silent = is_silent(&state.syncs);
        for sync in &all {
            let told =
                state.syncs.entry(sync.clone()).or_insert_with(|| Told::unknown(&SyncStatus::default()));
            let stale = self.staleness(sync, told, silent) != told.staleness;
            if stale || is_lasting(&state.syncs, sync) != state.syncs[sync].lasting {
                self.update(&mut state, sync);
            }
        }
        for (name, handle) in &state.couriers {
            let here: Vec<&SyncRef> =
                all.iter().filter(|sync| sync.namespace() == name.namespace()).collect();
            let mut selected: Vec<String> = here
                .iter()
                .filter(|sync| self.selects(&handle.alert, sync))
                .map(|sync| sync.name().to_owned())
                .collect();
            let updates = state.updates.iter().filter(|(update, told)| {
                update.namespace() == name.namespace() && selects_update(&handle.alert, update, &told.labels)
            });
            selected.extend(updates.map(|(update, _)| updates::subject(update)));
            let problem = selected.is_empty().then(|| selects_nothing(name.namespace(), &here));
            handle.send(Command::Selected(selected, problem));
        }
    }

    /// Forgets a Sync that is gone: what was firing about it ends.
    pub fn forget(&self, sync: &SyncRef) {
        let mut state = self.lock();
        state.syncs.remove(sync);
        for (name, handle) in &state.couriers {
            if name.namespace() == sync.namespace() {
                handle.send(Command::Gone(sync.name().to_owned()));
            }
        }
    }

    /// Makes the notices of a Sync anew and hands them to whom they concern.
    fn update(&self, state: &mut State, sync: &SyncRef) {
        let (silent, lasting) = (is_silent(&state.syncs), is_lasting(&state.syncs, sync));
        let Some(told) = state.syncs.get_mut(sync) else { return };
        told.staleness = self.staleness(sync, told, silent);
        told.lasting = lasting;
        let lasting = told.failure.as_ref().filter(|_| told.lasting);
        let known = Known {
            cluster: &self.cluster,
            sync,
            status: &told.status,
            failure: lasting.map(|failing| (&failing.failure, failing.cause.as_str(), failing.time)),
            staleness: told.staleness.clone(),
            reported: told.reported,
        };
        let snapshot = wanted::snapshot(&known);
        if *told.snapshot == snapshot {
            return;
        }
        told.snapshot = Arc::new(snapshot);
        for (name, handle) in &state.couriers {
            if name.namespace() == sync.namespace() && self.selects(&handle.alert, sync) {
                handle.send(Command::Tell(sync.name().to_owned(), told.snapshot.clone()));
            }
        }
    }

    /// Whether the verdict about a Sync still holds. One that was never confirmed cannot become stale, and one that fails is
    /// told as that while it is tried again.
    fn staleness(&self, sync: &SyncRef, told: &Told, silent: bool) -> Staleness {
        let Some(found) = self.sync(sync).filter(|_| !told.suspended) else { return Staleness::Fresh };
        let interval = found.spec.interval();
        let bound = (FRESH + interval).max(interval * 3);
        let of = |status: Option<&SyncStatus>| {
            status
                .and_then(|status| status.revision.as_ref())
                .is_some_and(|revision| revision.applied.is_some())
        };
        let confirmed = told.verified.map(|(_, time)| time);
        if confirmed.is_none() && !of(Some(&told.status)) && !of(found.status.as_ref()) {
            return if told.reported { Staleness::Fresh } else { Staleness::Unknown };
        }
        let (since, bound) = match (&told.failure, told.verified) {
            (Some(_), _) => (told.heard, bound + RETRY),
            (None, Some((since, _))) => (Some(since), bound),
            (None, None) => (None, bound),
        };
        match since {
            Some(since) if since.elapsed() < bound => return Staleness::Fresh,
            None if told.since.elapsed() < bound => return Staleness::Unknown,
            _ => {}
        }
        match &told.staleness {
            known @ Staleness::Since { .. } => known.clone(),
            _ => Staleness::Since { confirmed, found: Timestamp::now(), silent },
        }
    }

    fn sync(&self, sync: &SyncRef) -> Option<Arc<Sync>> {
        self.syncs.get(&kube::runtime::reflector::ObjectRef::new(sync.name()).within(sync.namespace()))
    }

    fn selects(&self, alert: &Alert, sync: &SyncRef) -> bool {
        if alert.namespace().as_deref() != Some(sync.namespace()) {
            return false;
        }
        let Some(selector) = &alert.spec.syncs else { return true };
        let named = selector.names.as_ref().is_none_or(|names| names.iter().any(|name| name == sync.name()));
        let labelled = selector.match_labels.as_ref().is_none_or(|wanted| {
            let found = self.sync(sync);
            let labels = found.as_ref().map(|sync| sync.labels());
            wanted.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
        });
        named && labelled
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Handle {
    fn send(&self, command: Command) {
        // The courier ends with its Alert.
        let _ = self.commands.send(command);
    }
}

impl Told {
    fn unknown(status: &SyncStatus) -> Self {
        Self {
            since: Instant::now(),
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

/// True if a failure of a Sync will not pass by itself, or it or another one by the same cause has not for some time. Who waits
/// for another Sync has not failed.
fn is_lasting(all: &HashMap<SyncRef, Told>, sync: &SyncRef) -> bool {
    let Some(failing) = all.get(sync).and_then(|told| told.failure.as_ref()) else { return false };
    if failing.is_wait() {
        return false;
    }
    let lasts = |other: &Failing| other.since.elapsed() >= PASSING;
    if failing.failure.class != Class::Transient || lasts(failing) {
        return true;
    }
    let others = all.iter().filter(|(other, _)| other.namespace() == sync.namespace());
    others
        .filter_map(|(_, told)| told.failure.as_ref())
        .any(|other| other.cause == failing.cause && lasts(other))
}

/// True if the API server is not heard: no Sync has heard it.
fn is_silent(all: &HashMap<SyncRef, Told>) -> bool {
    let mut heard = all.values().filter_map(|told| told.heard).peekable();
    heard.peek().is_some() && heard.all(|heard| heard.elapsed() >= FRESH)
}

fn selects_update(alert: &Alert, update: &SyncRef, labels: &BTreeMap<String, String>) -> bool {
    let Some(selector) = &alert.spec.syncs else { return true };
    let named = selector.names.as_ref().is_none_or(|names| names.iter().any(|name| name == update.name()));
    let labelled = selector
        .match_labels
        .as_ref()
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)));
    named && labelled
}

fn selects_nothing(namespace: &str, here: &[&SyncRef]) -> String {
    let names: Vec<&str> = here.iter().map(|sync| sync.name()).take(10).collect();
    let there = if names.is_empty() { "has none".to_owned() } else { format!("has {}", names.join(", ")) };
    format!("spec.syncs selects no Sync, so no notices will be sent; namespace {namespace} {there}")
}

fn name(alert: &Alert) -> SyncRef {
    SyncRef::new(alert.namespace().unwrap_or_default(), alert.name_any())
}

fn sync_name(sync: &Sync) -> SyncRef {
    SyncRef::new(sync.namespace().unwrap_or_default(), sync.name_any())
}

#[cfg(test)]
mod tests;

//! Alerts: notices about Syncs and ImageUpdates to receivers. Each alert fires and is resolved.
//!
//! `wanted` derives the notices of a Sync, `groups` joins those of one cause, `outbox` queues them for one receiver, `courier`
//! delivers them, and `receiver` formats them for each kind of receiver. Reads only Alerts from the API server. I/O: API watch
//! of Alerts; the rest through the couriers.

pub mod cause;
pub mod courier;
mod entry;
mod final_notices;
pub mod groups;
pub mod notice;
pub mod outbox;
pub mod receiver;
mod selection;
pub mod sending;
pub mod updates;
pub mod wanted;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _, pin_mut};
use kube::ResourceExt as _;
use kube::runtime::reflector::Store;
use kube::runtime::watcher::{self, Event};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc;
use tracing::warn;

use self::courier::{Command, Courier};
pub use self::entry::Now;
use self::entry::{FRESH, Failing, PASSING, SyncEntry, Update, is_lasting, is_silent, is_wait};
use self::selection::{name, selects_nothing, selects_update, sync_name};
use self::sending::Shared;
use self::wanted::{Staleness, SyncState};
use super::Failure;
use crate::api::{Alert, AlertEvent, ImageUpdateStatus, PlanStatus, Sync, SyncStatus};
use crate::error::{Class, chain};
use crate::secret_data::Data;
use crate::subject::Subject;
use crate::sync_ref::SyncRef;

/// Reads a Secret in the namespace of an Alert; the error is for the user who wrote the Alert.
pub type ReadSecret =
    Arc<dyn Fn(Subject, String) -> BoxFuture<'static, Result<Arc<Data>, String>> + Send + std::marker::Sync>;

/// The longest pause between two runs of a Sync that fails.
const RETRY: Duration = Duration::from_mins(2);

/// Reads the current moment; a test has a clock of its own.
pub type Clock = Arc<dyn Fn() -> Now + Send + std::marker::Sync>;

/// All Alerts of the process.
pub struct Alerts {
    cluster: String,
    syncs: Store<Sync>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    couriers: HashMap<Subject, Handle>,
    syncs: HashMap<SyncRef, SyncEntry>,
    updates: HashMap<Subject, Update>,
}

struct Handle {
    alert: Arc<Alert>,
    commands: mpsc::UnboundedSender<Command>,
}

/// The result of a run of a Sync.
pub struct RunResult<'a> {
    pub status: &'a SyncStatus,
    pub failure: Option<&'a Failure>,
    pub suspended: bool,
    /// True if the live view has verified the state.
    pub verified: bool,
    /// The last contact with the API server.
    pub heard: Option<Instant>,
}

impl Alerts {
    pub fn new(cluster: String, syncs: Store<Sync>, clock: Clock) -> Self {
        Self { cluster, syncs, clock, state: Mutex::default() }
    }

    /// Runs a courier for every Alert, until the stream of Alerts ends. `prepare` is called when there is a first Alert.
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

    /// Handles an Alert that was created or changed.
    fn seen(&self, shared: &Arc<Shared>, alert: Alert) {
        let (name, alert) = (name(&alert), Arc::new(alert));
        let mut state = self.lock();
        let current = state.couriers.get(&name).map(|handle| handle.alert.clone());
        match current {
            Some(current) if current.metadata.uid == alert.metadata.uid => {
                if current.spec == alert.spec {
                    return;
                }
            }
            _ => {
                let (commands, received) = mpsc::unbounded_channel();
                tokio::spawn(Courier::new(shared.clone(), alert.clone()).run(received));
                state.couriers.insert(name.clone(), Handle { alert: alert.clone(), commands });
            }
        }
        let State { couriers, syncs, updates } = &mut *state;
        let Some(handle) = couriers.get_mut(&name) else { return };
        handle.alert = alert.clone();
        handle.send(Command::Spec(alert));
        for (sync, entry) in syncs.iter().filter(|(sync, _)| sync.namespace() == name.namespace) {
            if self.selects(&handle.alert, sync) {
                handle.send(Command::Tell(sync.into(), entry.snapshot.clone()));
            } else {
                handle.send(Command::Gone(sync.into()));
            }
        }
        for (update, entry) in updates.iter().filter(|(update, _)| update.namespace == name.namespace) {
            if selects_update(&handle.alert, update, &entry.labels) {
                handle.send(Command::Tell(update.clone(), entry.snapshot.clone()));
            } else {
                handle.send(Command::Gone(update.clone()));
            }
        }
    }

    /// Takes the result of a pass of an ImageUpdate. A transient failure is sent after it has lasted.
    pub fn report_update(
        &self,
        update: &Subject,
        labels: &BTreeMap<String, String>,
        status: &ImageUpdateStatus,
        failure: Option<&Failure>,
    ) {
        let (now, mut state) = (self.now(), self.lock());
        let State { couriers, updates, .. } = &mut *state;
        let before = updates.get(update).and_then(|entry| entry.failing);
        let failing = failure.map(|_| before.unwrap_or((now.instant, now.time)));
        let lasting = failure.zip(failing).filter(|(failure, (since, _))| {
            failure.class != Class::Transient || now.since(*since) >= PASSING
        });
        let lasting = lasting.map(|(failure, (_, time))| (failure, time));
        let snapshot = Arc::new(updates::snapshot(&self.cluster, update, status, lasting));
        for (name, handle) in couriers.iter() {
            if name.namespace == update.namespace && selects_update(&handle.alert, update, labels) {
                handle.send(Command::Tell(update.clone(), snapshot.clone()));
            }
        }
        updates.insert(update.clone(), Update { labels: labels.clone(), failing, snapshot });
    }

    /// Forgets an ImageUpdate that is gone, and resolves its alerts.
    pub fn forget_update(&self, update: &Subject) {
        let mut state = self.lock();
        state.updates.remove(update);
        for (name, handle) in &state.couriers {
            if name.namespace == update.namespace {
                handle.send(Command::Gone(update.clone()));
            }
        }
    }

    /// True if an Alert for drift selects the Sync.
    pub fn wants_drift(&self, sync: &SyncRef) -> bool {
        self.lock().couriers.values().any(|handle| {
            courier::on(&handle.alert).contains(&AlertEvent::Drifted) && self.selects(&handle.alert, sync)
        })
    }

    /// Takes the result of a run.
    pub fn tell(&self, sync: &SyncRef, ran: &RunResult<'_>) {
        let RunResult { status, failure, suspended, verified, heard } = *ran;
        let now = self.now();
        let cause = failure.map(|failure| self.cause(sync, failure)).unwrap_or_default();
        let mut state = self.lock();
        let entry = state.syncs.entry(sync.clone()).or_insert_with(|| SyncEntry::unknown(status, now));
        entry.status = SyncStatus { plan: None, ..status.clone() };
        entry.status.plan =
            status.plan.as_ref().map(|plan| PlanStatus { changes: Vec::new(), ..plan.clone() });
        entry.reported = true;
        entry.suspended = suspended;
        let before = entry.failure.take();
        entry.failure = failure.map(|failure| {
            // The time counts from the last success, whatever the reasons in between. Waiting for another Sync is not a failure.
            let before = before.filter(|before| before.is_wait() == is_wait(failure));
            let (since, time) = before.map_or((now.instant, now.time), |before| (before.since, before.time));
            Failing { failure: failure.clone(), cause, since, time }
        });
        entry.heard = heard.or(entry.heard);
        // While the Sync waits for another one, its verified state stays verified.
        let waits = entry.failure.as_ref().is_some_and(Failing::is_wait) && entry.verified.is_some();
        if let Some(heard) = heard.filter(|_| verified || waits) {
            entry.verified = Some((heard, now.time.checked_sub(now.since(heard)).unwrap_or(now.time)));
        }
        self.update(&mut state, sync, now);
        self.spread(&mut state, sync, now);
    }

    /// Returns the cause of a failure.
    fn cause(&self, sync: &SyncRef, failure: &Failure) -> String {
        let found = self.sync(sync);
        let spec = found.as_ref().map(|sync| &sync.spec);
        let url = spec.map(|spec| spec.source.git.url.as_str()).unwrap_or_default();
        let path = spec.and_then(|spec| spec.path.as_deref()).unwrap_or_default();
        let path = path.trim_start_matches("./").trim_matches('/');
        cause::of(url, &[path, &sync.to_string()], failure)
    }

    /// Updates the Syncs that fail for the same cause as one whose failure has lasted.
    fn spread(&self, state: &mut State, sync: &SyncRef, now: Now) {
        let Some(entry) = state.syncs.get(sync).filter(|entry| entry.lasting) else { return };
        let Some(cause) = entry.failure.as_ref().map(|failing| failing.cause.clone()) else { return };
        let others = state.syncs.iter().filter(|(other, entry)| {
            other.namespace() == sync.namespace()
                && !entry.lasting
                && entry.failure.as_ref().is_some_and(|failing| failing.cause == cause)
        });
        let others: Vec<SyncRef> = others.map(|(other, _)| other.clone()).collect();
        others.iter().for_each(|other| self.update(state, other, now));
    }

    /// Takes drift that is about to be corrected.
    pub fn report_drift(&self, sync: &SyncRef, status: &SyncStatus) {
        let (now, mut state) = (self.now(), self.lock());
        let entry = state.syncs.entry(sync.clone()).or_insert_with(|| SyncEntry::unknown(status, now));
        entry.status.drift.clone_from(&status.drift);
        self.update(&mut state, sync, now);
    }

    /// Checks what depends on time alone: stale states, failures that last, Alerts that select nothing. The store of Syncs must
    /// be ready.
    pub fn tick(&self) {
        let (now, mut state) = (self.now(), self.lock());
        let all: Vec<SyncRef> = self.syncs.state().iter().map(|sync| sync_name(sync)).collect();
        if state.couriers.is_empty() {
            return;
        }
        let silent = is_silent(&state.syncs, now);
        for sync in &all {
            let entry = state
                .syncs
                .entry(sync.clone())
                .or_insert_with(|| SyncEntry::unknown(&SyncStatus::default(), now));
            let stale = self.staleness(sync, entry, silent, now) != entry.staleness;
            if stale || is_lasting(&state.syncs, sync, now) != state.syncs[sync].lasting {
                self.update(&mut state, sync, now);
            }
        }
        for (name, handle) in &state.couriers {
            let here: Vec<&SyncRef> = all.iter().filter(|sync| sync.namespace() == name.namespace).collect();
            let mut selected: Vec<Subject> = here
                .iter()
                .filter(|sync| self.selects(&handle.alert, sync))
                .map(|sync| Subject::from(*sync))
                .collect();
            let updates = state.updates.iter().filter(|(update, entry)| {
                update.namespace == name.namespace && selects_update(&handle.alert, update, &entry.labels)
            });
            selected.extend(updates.map(|(update, _)| update.clone()));
            let problem = selected.is_empty().then(|| selects_nothing(&name.namespace, &here));
            handle.send(Command::Selected(selected, problem));
        }
    }

    /// Forgets a Sync that is gone, and resolves its alerts.
    pub fn forget(&self, sync: &SyncRef) {
        let mut state = self.lock();
        state.syncs.remove(sync);
        for (name, handle) in &state.couriers {
            if name.namespace == sync.namespace() {
                handle.send(Command::Gone(sync.into()));
            }
        }
    }

    /// Computes the notices of a Sync, and sends them to the couriers of the Alerts that select it.
    fn update(&self, state: &mut State, sync: &SyncRef, now: Now) {
        let (silent, lasting) = (is_silent(&state.syncs, now), is_lasting(&state.syncs, sync, now));
        let Some(entry) = state.syncs.get_mut(sync) else { return };
        entry.staleness = self.staleness(sync, entry, silent, now);
        entry.lasting = lasting;
        let lasting = entry.failure.as_ref().filter(|_| entry.lasting);
        let reported = SyncState {
            cluster: &self.cluster,
            sync,
            status: &entry.status,
            failure: lasting.map(|failing| (&failing.failure, failing.cause.as_str(), failing.time)),
            staleness: entry.staleness.clone(),
            reported: entry.reported,
        };
        let snapshot = wanted::snapshot(&reported);
        if *entry.snapshot == snapshot {
            return;
        }
        entry.snapshot = Arc::new(snapshot);
        for (name, handle) in &state.couriers {
            if name.namespace == sync.namespace() && self.selects(&handle.alert, sync) {
                handle.send(Command::Tell(sync.into(), entry.snapshot.clone()));
            }
        }
    }

    /// Returns whether the state of a Sync is verified recently enough. A state that was never verified cannot become stale, and
    /// a failure is reported as that while it is retried.
    fn staleness(&self, sync: &SyncRef, entry: &SyncEntry, silent: bool, now: Now) -> Staleness {
        let Some(found) = self.sync(sync).filter(|_| !entry.suspended) else { return Staleness::Fresh };
        let interval = found.spec.interval();
        let bound = (FRESH + interval).max(interval * 3);
        let of = |status: Option<&SyncStatus>| {
            status
                .and_then(|status| status.revision.as_ref())
                .is_some_and(|revision| revision.applied.is_some())
        };
        let confirmed = entry.verified.map(|(_, time)| time);
        if confirmed.is_none() && !of(Some(&entry.status)) && !of(found.status.as_ref()) {
            return if entry.reported { Staleness::Fresh } else { Staleness::Unknown };
        }
        let (since, bound) = match (&entry.failure, entry.verified) {
            (Some(_), _) => (entry.heard, bound + RETRY),
            (None, Some((since, _))) => (Some(since), bound),
            (None, None) => (None, bound),
        };
        match since {
            Some(since) if now.since(since) < bound => return Staleness::Fresh,
            None if now.since(entry.since) < bound => return Staleness::Unknown,
            _ => {}
        }
        match &entry.staleness {
            known @ Staleness::Since { .. } => known.clone(),
            _ => Staleness::Since { confirmed, found: now.time, silent },
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

    fn now(&self) -> Now {
        (self.clock)()
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

#[cfg(test)]
mod tests;

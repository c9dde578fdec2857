//! Delivers the notices of one Alert to its receiver, retries those that were not accepted, and writes the status of the Alert.
//!
//! Leaves what is due to the `outbox`. A receiver that is slow or down does not delay others. I/O: HTTP, API writes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use kube::Api;
use kube::ResourceExt as _;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::final_notices::FinalNotices;
use super::groups::Groups;
use super::outbox::{Cadence, Due, Outbox};
use super::receiver::{Retry, Target};
use super::sending::{AT_ONCE, Delivery, OnTheWay, PAUSE, PAUSE_LIMIT, Shared, sending};
use super::wanted::Snapshot;
use crate::api::{Alert, AlertEvent, AlertStatus, conditions};
use crate::report::write;
use crate::secret_data::Data;
use crate::subject::{Kind, Subject};

/// How often the Secret of a receiver that does not work is read. It is watched, so that this makes no request.
const LOOK: Duration = Duration::from_secs(2);
/// The shortest time between two writes of the status.
const PACE: Duration = Duration::from_secs(1);
/// Maximum time for reading the Secret. It is watched, so only the first read takes time.
const READ: Duration = Duration::from_secs(1);

/// A message to a courier.
pub enum Command {
    /// The Alert was created or changed.
    Spec(Arc<Alert>),
    /// The alerts of a Sync or ImageUpdate have changed.
    Tell(Subject, Arc<Snapshot>),
    /// A Sync or ImageUpdate is gone, or no longer selected.
    Gone(Subject),
    /// The selected Syncs and ImageUpdates, and a problem if there are none.
    Selected(Vec<Subject>, Option<String>),
}

/// The result of a write of the status.
type Written = (AlertStatus, Result<(), String>);

/// The courier of one Alert.
pub struct Courier {
    shared: Arc<Shared>,
    name: Subject,
    alert: Arc<Alert>,
    groups: Groups,
    outbox: Outbox,
    target: Result<Arc<Target>, (&'static str, String)>,
    secret: Option<Arc<Data>>,
    on_the_way: OnTheWay,
    /// Nothing is sent until then.
    paused: Option<Instant>,
    failures: u32,
    /// The last error of the receiver.
    trouble: Option<(&'static str, String)>,
    selects_nothing: Option<String>,
    written: AlertStatus,
    /// When the status is due to be written, if it has changed.
    unwritten: bool,
    write_at: Option<Instant>,
    /// The current write of the status.
    writing: Option<BoxFuture<'static, Written>>,
}

impl Courier {
    pub fn new(shared: Arc<Shared>, alert: Arc<Alert>) -> Self {
        let name = Subject::new(Kind::Alert, alert.namespace().unwrap_or_default(), alert.name_any());
        let written = alert.status.clone().unwrap_or_default();
        // Events from before the Alert existed are not sent.
        let outbox =
            Outbox::load(&shared.cluster, &name.namespace, &written, Timestamp::now(), Instant::now());
        let groups = Groups::load(&name.namespace, &written.firing);
        Self {
            shared,
            name,
            alert,
            groups,
            outbox,
            target: Err(("Starting", "the receiver is not prepared yet".to_owned())),
            secret: None,
            on_the_way: FuturesUnordered::new(),
            paused: None,
            failures: 0,
            trouble: None,
            selects_nothing: None,
            written,
            unwritten: false,
            write_at: None,
            writing: None,
        }
    }

    /// Runs until the channel of commands is closed.
    pub async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        self.prepare(true).await;
        loop {
            self.dispatch().await;
            self.write();
            let next = self.next();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.take(command).await,
                    None => return self.end().await,
                },
                Some((due, result)) = self.on_the_way.next(), if !self.on_the_way.is_empty() => self.came_back(due, result),
                written = ended(&mut self.writing) => self.was_written(written),
                () = sleep_until(next) => if self.trouble.is_some() || self.target.is_err() {
                    self.prepare(false).await;
                },
            }
        }
    }

    async fn take(&mut self, command: Command) {
        let (now, time, cadence) = (Instant::now(), Timestamp::now(), self.cadence());
        match command {
            Command::Spec(alert) => {
                if alert.spec.receiver != self.alert.spec.receiver {
                    self.leave();
                }
                self.alert = alert;
                self.prepare(true).await;
            }
            Command::Tell(subject, snapshot) => {
                let snapshots = self.groups.take(&subject, snapshot, now);
                self.note(snapshots);
            }
            Command::Gone(subject) => self.forget(&subject, cadence, now, time),
            Command::Selected(selected, problem) => {
                let reported = self.outbox.subjects().into_iter().chain(self.groups.subjects());
                let gone: BTreeSet<Subject> =
                    reported.filter(|subject| !selected.contains(subject)).collect();
                gone.iter().for_each(|subject| self.forget(subject, cadence, now, time));
                let snapshots = self.groups.pass(now);
                self.note(snapshots);
                self.selects_nothing = problem;
            }
        }
    }

    /// Passes snapshots to the outbox.
    fn note(&mut self, snapshots: Vec<(Subject, Snapshot)>) {
        let (on, cadence) = (on(&self.alert), self.cadence());
        for (subject, snapshot) in snapshots {
            self.outbox.take(&subject, &snapshot, &on, cadence, Instant::now(), Timestamp::now());
        }
    }

    fn forget(&mut self, subject: &Subject, cadence: Cadence, now: Instant, time: Timestamp) {
        self.outbox.forget(subject, cadence, now, time);
        let snapshots = self.groups.forget(subject, now);
        self.note(snapshots);
    }

    /// Resolves all alerts at the previous receiver of the Alert.
    fn leave(&mut self) {
        let next = self.outbox.successor();
        let outbox = std::mem::replace(&mut self.outbox, next);
        let on_the_way = std::mem::take(&mut self.on_the_way);
        if let Ok(target) = self.target.clone() {
            let (shared, alert) = (self.shared.clone(), self.name.clone());
            tokio::spawn(FinalNotices { shared, alert, outbox, target, on_the_way }.send());
        }
    }

    /// Resolves all alerts, since the Alert is gone.
    async fn end(self) {
        let Self { shared, name, outbox, target, on_the_way, .. } = self;
        if let Ok(target) = target {
            FinalNotices { shared: shared.clone(), alert: name.clone(), outbox, target, on_the_way }
                .send()
                .await;
        }
        (shared.release)(name);
    }

    fn cadence(&self) -> Cadence {
        match &self.target {
            Ok(target) => Cadence { keep: target.keep(), repeat: target.repeat(), settle: target.settle() },
            Err(_) => Cadence { keep: Duration::from_secs(5), repeat: None, settle: None },
        }
    }

    /// Reads the Secret of the receiver and creates a target, if either has changed.
    async fn prepare(&mut self, anew: bool) {
        let spec = &self.alert.spec.receiver;
        let secret = match Target::secret_name(spec) {
            None => None,
            Some(name) => {
                let reading = (self.shared.secrets)(self.name.clone(), name.to_owned());
                match tokio::time::timeout(READ, reading).await {
                    Ok(Ok(data)) => Some(data),
                    Ok(Err(error)) => {
                        self.target = Err(("SecretUnreadable", error));
                        self.secret = None;
                        return;
                    }
                    // The current target stays in use, and the Secret is read again soon.
                    Err(_) if self.target.is_ok() && !anew => return,
                    Err(_) => {
                        let said = format!("the Secret {name} has not been read yet");
                        self.target = Err(("SecretUnreadable", said));
                        return;
                    }
                }
            }
        };
        let same = match (&secret, &self.secret) {
            (Some(one), Some(other)) => one == other,
            (None, None) => true,
            _ => false,
        };
        if same && !anew && self.target.is_ok() {
            return;
        }
        self.target = Target::new(spec, secret.as_deref(), &self.shared.guard)
            .map(Arc::new)
            .map_err(|error| ("ReceiverInvalid", error.to_string()));
        self.secret = secret;
        self.paused = None;
        self.failures = 0;
    }

    /// Sends the notices that are due.
    async fn dispatch(&mut self) {
        if self.paused.is_some_and(|until| until > Instant::now()) {
            return;
        }
        if Target::secret_name(&self.alert.spec.receiver).is_some() && self.outbox.is_due(Instant::now()) {
            // A rotated Secret is used from the next notice on.
            self.prepare(false).await;
        }
        let Ok(target) = self.target.clone() else { return };
        while self.has_room() {
            let Some(due) = self.outbox.due(Instant::now()) else { return };
            self.on_the_way.push(sending(&self.shared, &target, &self.name, due));
        }
    }

    /// True if another notice may be sent. While a receiver does not work, one notice at a time is tried.
    fn has_room(&self) -> bool {
        self.on_the_way.len() < if self.failures > 0 { 1 } else { AT_ONCE }
    }

    fn came_back(&mut self, due: Due, result: Delivery) {
        let now = Instant::now();
        let kind = self.target.as_ref().map_or("unknown", |target| target.kind());
        let (event, object) = (due.notice.event, due.notice.object.key());
        let error = match result {
            Ok(reference) => {
                if self.failures > 0 {
                    info!(alert = %self.name, receiver = kind, "Receiver accepts notices again");
                }
                self.outbox.delivered(&due, reference, self.cadence(), now);
                self.shared.metrics.alert(kind, "ok");
                (self.failures, self.paused, self.trouble) = (0, None, None);
                return;
            }
            Err(error) => error,
        };
        let retry = error.retry();
        let said = error.to_string();
        if self.trouble.as_ref().is_none_or(|(_, before)| *before != said) {
            warn!(alert = %self.name, receiver = kind, object, %event, error = %error, "Receiver rejected a notice");
        }
        self.trouble = Some((error.name(), said));
        match retry {
            Retry::Never => {
                self.outbox.failed(due, true, now);
                self.shared.metrics.alert(kind, "dropped");
            }
            Retry::After(asked) => {
                self.outbox.failed(due, false, now);
                self.shared.metrics.alert(kind, "error");
                let pause = PAUSE.saturating_mul(1 << self.failures.min(10)).min(PAUSE_LIMIT);
                self.failures = self.failures.saturating_add(1);
                self.paused = Some(now + asked.map_or(pause, |asked| asked.max(PAUSE)));
            }
        }
    }

    /// When something is due without a command.
    fn next(&self) -> Option<Instant> {
        let due = if self.target.is_ok() && self.has_room() { self.outbox.next() } else { None };
        let due = due.map(|due| self.paused.map_or(due, |paused| paused.max(due)));
        let broken = self.trouble.is_some() || self.target.is_err();
        let look = broken.then(|| Instant::now() + LOOK);
        due.into_iter()
            .chain(look)
            .chain(self.write_at.filter(|_| self.unwritten && self.writing.is_none()))
            .min()
    }

    /// Starts a write of the status if it changed, at most once a second. Does not wait for it.
    fn write(&mut self) {
        let status = self.status();
        self.unwritten = status != self.written;
        let now = Instant::now();
        if !self.unwritten || self.writing.is_some() || self.write_at.is_some_and(|at| at > now) {
            return;
        }
        self.write_at = Some(now + PACE);
        let (name, before) = (self.name.clone(), self.written.clone());
        let api: Api<Alert> = Api::namespaced(self.shared.client.clone(), &name.namespace);
        self.writing = Some(Box::pin(async move {
            let written = write::patch(&api, &name.name, &before, &status).await;
            (status, written.map_err(|error| error.to_string()))
        }));
    }

    fn was_written(&mut self, (status, written): Written) {
        self.writing = None;
        match written {
            Ok(()) => self.written = status,
            Err(error) => {
                warn!(alert = %self.name, error, "Failed to write the status of an Alert; retrying");
            }
        }
    }

    fn status(&self) -> AlertStatus {
        let (firing, pending, sent_until) = self.outbox.status(self.failures > 0 || self.target.is_err());
        let mut status = AlertStatus {
            observed_generation: self.alert.metadata.generation,
            firing,
            pending,
            sent_until,
            dropped: Some(self.outbox.dropped).filter(|dropped| *dropped > 0),
            conditions: self.written.conditions.clone(),
        };
        let (ready, reason, message) = match (&self.target, &self.trouble, &self.selects_nothing) {
            (Err((reason, said)), ..) | (Ok(_), Some((reason, said)), _) => (false, *reason, said.clone()),
            (Ok(_), None, Some(problem)) => (false, "SelectsNothing", problem.clone()),
            (Ok(target), None, None) => {
                let dropped = match self.outbox.dropped {
                    0 => String::new(),
                    dropped => format!(
                        "; {dropped} notices were dropped because the receiver rejected them or the queue was full"
                    ),
                };
                (
                    true,
                    "Delivering",
                    format!("notices are delivered to the {} receiver{dropped}", target.kind()),
                )
            }
        };
        let generation = self.alert.metadata.generation.unwrap_or_default();
        conditions::set(
            &mut status.conditions,
            conditions::READY,
            Some(ready),
            reason,
            &message,
            generation,
            Timestamp::now(),
        );
        status
    }
}

/// The events that an Alert selects.
pub fn on(alert: &Alert) -> Vec<AlertEvent> {
    alert.spec.on.clone().unwrap_or_else(|| {
        vec![
            AlertEvent::Drifted,
            AlertEvent::Failed,
            AlertEvent::Unhealthy,
            AlertEvent::AwaitingApproval,
            AlertEvent::Stale,
        ]
    })
}

/// Waits for a future, or for ever if there is none.
async fn ended(writing: &mut Option<BoxFuture<'static, Written>>) -> Written {
    match writing {
        Some(writing) => writing.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

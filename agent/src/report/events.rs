//! Kubernetes Events; each text is a separate object. An Event never fails or delays a sync.
//!
//! Each namespace has its own queue and writer, which ends when the queue is empty: a namespace whose Events are
//! slow to write, or many, does not delay another one. I/O: API writes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use parking_lot::{Mutex, MutexGuard};
use tracing::{debug, warn};

use crate::error::chain;

/// Maximum number of Events of one namespace that wait. A further one replaces the oldest.
const QUEUE: usize = 128;
/// Maximum time for which an Event waits for the runs of its namespace, whose writes have precedence.
const PATIENCE: Duration = Duration::from_secs(2);
/// Interval at which it is checked whether those runs have ended.
const PAUSE: Duration = Duration::from_millis(100);
/// Maximum duration of one write.
const LIMIT: Duration = Duration::from_secs(10);
/// Maximum characters of the note of an Event.
const NOTE: usize = 1000;

/// An Event about one object.
#[derive(Debug)]
pub struct Note {
    pub about: ObjectReference,
    pub warning: bool,
    pub reason: String,
    /// The verb: `Apply`, `Correct`.
    pub action: String,
    pub text: String,
}

/// The queues of Events.
#[derive(Clone)]
pub struct Events(Arc<Shared>);

struct Shared {
    client: Client,
    /// The name of the agent's pod.
    instance: String,
    /// Namespaces that have Events to write, or current runs.
    namespaces: Mutex<HashMap<String, Namespace>>,
}

#[derive(Default)]
struct Namespace {
    queue: Queue,
    is_writing: bool,
    /// Number of current runs.
    runs: usize,
}

#[derive(Default)]
struct Queue {
    notes: VecDeque<(Instant, Note)>,
    /// Number of notes that were replaced by newer ones since that was logged last.
    dropped: usize,
}

/// Marks a reconciliation of a namespace as running until it is dropped.
pub struct Busy {
    shared: Arc<Shared>,
    namespace: String,
}

impl Events {
    /// `instance` is the name of the agent's pod.
    pub fn new(client: Client, instance: Option<String>) -> Self {
        let instance = instance.unwrap_or_else(|| "holdfast".to_owned());
        Self(Arc::new(Shared { client, instance, namespaces: Mutex::default() }))
    }

    /// Records that a reconciliation is running.
    pub fn busy(&self, namespace: &str) -> Busy {
        self.0.lock().entry(namespace.to_owned()).or_default().runs += 1;
        Busy { shared: self.0.clone(), namespace: namespace.to_owned() }
    }

    /// Adds an Event to the queue of its namespace.
    pub fn tell(&self, note: Note) {
        let name = note.about.namespace.clone().unwrap_or_default();
        let mut namespaces = self.0.lock();
        let namespace = namespaces.entry(name.clone()).or_default();
        namespace.queue.push(note);
        if !std::mem::replace(&mut namespace.is_writing, true) {
            drop(tokio::spawn(write_all(self.0.clone(), name)));
        }
    }

    /// Returns the number of namespaces in memory.
    pub fn namespaces(&self) -> usize {
        self.0.lock().len()
    }
}

impl Queue {
    fn push(&mut self, note: Note) {
        if self.notes.len() >= QUEUE {
            self.notes.pop_front();
            self.dropped += 1;
        }
        self.notes.push_back((Instant::now(), note));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Namespace>> {
        self.namespaces.lock()
    }

    fn is_busy(&self, namespace: &str) -> bool {
        self.lock().get(namespace).is_some_and(|namespace| namespace.runs > 0)
    }

    /// Returns the next Event of a namespace; without one its writer ends.
    fn next(&self, name: &str) -> Option<(Instant, Note)> {
        let mut namespaces = self.lock();
        let namespace = namespaces.get_mut(name)?;
        let dropped = std::mem::take(&mut namespace.queue.dropped);
        let next = namespace.queue.notes.pop_front();
        namespace.is_writing = next.is_some();
        if next.is_none() && namespace.runs == 0 {
            namespaces.remove(name);
        }
        drop(namespaces);
        if dropped > 0 {
            warn!(namespace = name, dropped, "Dropped Events because the queue was full");
        }
        next
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut namespaces = self.shared.lock();
        if let Some(namespace) = namespaces.get_mut(&self.namespace) {
            namespace.runs = namespace.runs.saturating_sub(1);
            if namespace.runs == 0 && !namespace.is_writing {
                namespaces.remove(&self.namespace);
            }
        }
    }
}

/// Writes the Events of a namespace, one after the other, until the queue is empty.
async fn write_all(shared: Arc<Shared>, namespace: String) {
    while let Some((noted, note)) = shared.next(&namespace) {
        while shared.is_busy(&namespace) && noted.elapsed() < PATIENCE {
            tokio::time::sleep(PAUSE).await;
        }
        let event = event(&shared.instance, &namespace, note);
        let api = Api::<Event>::namespaced(shared.client.clone(), &namespace);
        match tokio::time::timeout(LIMIT, api.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => debug!(namespace, error = chain(&error), "Cannot write an Event"),
            Err(_) => debug!(namespace, "Cannot write an Event in time"),
        }
    }
}

fn event(instance: &str, namespace: &str, note: Note) -> Event {
    let Note { about, warning, reason, action, text } = note;
    let time = Timestamp::now();
    let name = format!("{}.{:x}", about.name.as_deref().unwrap_or_default(), time.as_nanosecond());
    Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(reason),
        note: Some(super::changes::cut(&text, NOTE)),
        action: Some(action),
        event_time: Some(MicroTime(time)),
        regarding: Some(about),
        reporting_controller: Some("holdfast".to_owned()),
        reporting_instance: Some(instance.to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(namespace: &str, reason: usize) -> Note {
        Note {
            about: ObjectReference { namespace: Some(namespace.to_owned()), ..ObjectReference::default() },
            warning: false,
            reason: reason.to_string(),
            action: String::new(),
            text: String::new(),
        }
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts_it() {
        let mut queue = Queue::default();
        (0..QUEUE + 2).for_each(|at| queue.push(note("a", at)));
        assert_eq!((queue.notes.len(), queue.dropped), (QUEUE, 2));
        assert_eq!(queue.notes.front().map(|(_, note)| note.reason.clone()), Some("2".to_owned()));
    }

    #[tokio::test]
    async fn two_thousand_namespaces_that_went_leave_nothing_behind() {
        // No server listens there, so every write fails at once.
        let config = kube::Config::new(http::Uri::from_static("http://127.0.0.1:9"));
        let client = Client::try_from(config).expect("a client without TLS needs nothing");
        let events = Events::new(client, None);
        for at in 0..2000 {
            let name = format!("tenant-{at}");
            let busy = events.busy(&name);
            events.tell(note(&name, 1));
            drop(busy);
        }
        for _ in 0..600 {
            if events.namespaces() == 0 {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        assert_eq!(events.namespaces(), 0);
    }
}

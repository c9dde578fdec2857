//! Kubernetes Events, each with its own words and so an object of its own, told when there is nothing more urgent to write. An Event is never worth a failed or a slower sync.
//!
//! I/O: API writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// Events that may wait to be written; what comes on top is dropped and counted in the log.
const QUEUE: usize = 1024;
/// How long an Event waits at most for the writes that matter more.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an Event's note may have.
const NOTE: usize = 1000;

/// What is told about one Sync.
#[derive(Debug)]
pub struct Note {
    pub about: ObjectReference,
    pub warning: bool,
    pub reason: String,
    /// The verb: `Apply`, `Correct`.
    pub action: String,
    pub text: String,
}

/// The queue of Events.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<Note>,
    busy: Arc<AtomicUsize>,
}

/// Counts one reconcile as under way until it is dropped.
pub struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Events {
    /// Starts the writer. `instance` is the name of the agent's pod.
    pub fn start(client: Client, instance: Option<String>) -> Self {
        let (queue, notes) = mpsc::channel(QUEUE);
        let busy = Arc::new(AtomicUsize::new(0));
        let instance = instance.unwrap_or_else(|| "holdfast".to_owned());
        tokio::spawn(write(client, instance, notes, busy.clone()));
        Self { queue, busy }
    }

    /// Notes that a reconcile is under way.
    pub fn busy(&self) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self.busy.clone())
    }

    pub fn tell(&self, note: Note) {
        if let Err(error) = self.queue.try_send(note) {
            warn!(%error, "Dropped an Event");
        }
    }
}

async fn write(client: Client, instance: String, mut notes: mpsc::Receiver<Note>, busy: Arc<AtomicUsize>) {
    while let Some(Note { about, warning, reason, action, text }) = notes.recv().await {
        let pause = Duration::from_millis(100);
        let mut waited = Duration::ZERO;
        while busy.load(Ordering::Relaxed) > 0 && waited < PATIENCE {
            tokio::time::sleep(pause).await;
            waited += pause;
        }
        let time = Timestamp::now();
        let namespace = about.namespace.clone().unwrap_or_default();
        let name = format!("{}.{:x}", about.name.as_deref().unwrap_or_default(), time.as_nanosecond());
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(reason),
            note: Some(super::changes::cut(&text, NOTE)),
            action: Some(action),
            event_time: Some(MicroTime(time)),
            regarding: Some(about),
            reporting_controller: Some("holdfast".to_owned()),
            reporting_instance: Some(instance.clone()),
            ..Event::default()
        };
        let written =
            Api::<Event>::namespaced(client.clone(), &namespace).create(&PostParams::default(), &event).await;
        if let Err(error) = written {
            debug!(%error, "Cannot write an Event");
        }
    }
}

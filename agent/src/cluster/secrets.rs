//! The Secrets and ConfigMaps that Syncs refer to. Each is watched by name, so that reading one needs no request and a change is
//! noticed at once.
//!
//! I/O: API watches.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::refusal;
use super::requests;
use crate::api::InputKind;
use crate::secret_data::Data;
use crate::subject::{Kind, Subject};
use crate::sync_ref::SyncRef;

/// The data, and a version that changes with it. Has no `Debug`, since the data is secret.
#[derive(Clone)]
pub struct Held {
    pub data: Arc<Data>,
    pub version: String,
}

/// Which object of a namespace.
pub type Name = (InputKind, String);

/// Maximum time of the first answer.
const LIMIT: Duration = Duration::from_secs(15);

#[derive(Clone)]
enum Phase {
    Starting,
    /// `None` if there is no such object.
    Read(Option<Held>),
    Broken(String),
}

struct Handle {
    phase: watch::Receiver<Phase>,
    task: AbortHandle,
    users: Arc<Mutex<Vec<Subject>>>,
}

/// What runs again when a Secret of it changed. Alerts and ImageUpdates read their Secrets before each use.
#[derive(Clone)]
pub struct Wake {
    pub syncs: mpsc::UnboundedSender<SyncRef>,
    pub repositories: mpsc::UnboundedSender<Subject>,
}

/// All Secrets and ConfigMaps that are in use.
pub struct Secrets {
    client: Client,
    wake: Wake,
    watched: Mutex<HashMap<(String, Name), Handle>>,
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{kind} {namespace}/{name} does not exist; create it, or change what refers to it")]
    Missing { kind: InputKind, namespace: String, name: String },
    #[error("cannot read {kind} {namespace}/{name}: {said}")]
    Unreadable { kind: InputKind, namespace: String, name: String, said: String },
}

impl Secrets {
    /// `wake` receives every Sync and every Repository whose Secret changed.
    pub fn new(client: Client, wake: Wake) -> Self {
        Self { client, wake, watched: Mutex::default() }
    }

    /// Returns the data of a Secret in the namespace of a resource.
    pub async fn read(&self, user: &Subject, name: &str) -> Result<Arc<Data>, SecretError> {
        let held = self.look(user, InputKind::Secret, name).await?;
        let namespace = user.namespace.clone();
        let missing = || SecretError::Missing { kind: InputKind::Secret, namespace, name: name.to_owned() };
        held.map(|held| held.data).ok_or_else(missing)
    }

    /// Returns a Secret or ConfigMap in the namespace of a resource; `None` if there is none.
    pub async fn look(
        &self,
        user: &Subject,
        kind: InputKind,
        name: &str,
    ) -> Result<Option<Held>, SecretError> {
        let namespace = &user.namespace;
        let mut phase = self.start(user, kind, name);
        let unreadable = |said: String| SecretError::Unreadable {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            said,
        };
        let settled =
            tokio::time::timeout(LIMIT, phase.wait_for(|phase| !matches!(phase, Phase::Starting))).await;
        let phase = match settled {
            Ok(Ok(phase)) => phase.clone(),
            Ok(Err(_)) => return Err(unreadable("the watch has ended".to_owned())),
            Err(_) => return Err(unreadable(format!("no answer within {} s", LIMIT.as_secs()))),
        };
        match phase {
            Phase::Read(held) => Ok(held),
            Phase::Broken(said) => Err(unreadable(said)),
            Phase::Starting => Err(unreadable("the watch has not begun".to_owned())),
        }
    }

    /// Removes a user from all watches except those in `still`, and ends the watches without users.
    pub fn release(&self, user: &Subject, still: &[Name]) {
        let mut watched = self.watched.lock();
        watched.retain(|(namespace, name), handle| {
            if *namespace != user.namespace || still.contains(name) {
                return true;
            }
            let mut users = handle.users.lock();
            users.retain(|other| other != user);
            if users.is_empty() {
                handle.task.abort();
            }
            !users.is_empty()
        });
    }

    fn start(&self, user: &Subject, kind: InputKind, name: &str) -> watch::Receiver<Phase> {
        let mut watched = self.watched.lock();
        let key = (user.namespace.clone(), (kind, name.to_owned()));
        let handle = watched.entry(key).or_insert_with(|| {
            let (report, phase) = watch::channel(Phase::Starting);
            let users = Arc::default();
            let news = News { report, users: Arc::clone(&users), wake: self.wake.clone() };
            let (client, namespace) = (self.client.clone(), &user.namespace);
            let name = name.to_owned();
            let task = match kind {
                InputKind::Secret => {
                    tokio::spawn(run(Api::namespaced(client, namespace), name, news, of_secret))
                }
                InputKind::ConfigMap => {
                    tokio::spawn(run(Api::namespaced(client, namespace), name, news, of_config_map))
                }
            };
            Handle { phase, task: task.abort_handle(), users }
        });
        let mut users = handle.users.lock();
        if !users.contains(user) {
            users.push(user.clone());
        }
        handle.phase.clone()
    }
}

/// Where the events of a watch are sent: its phase, and the Syncs to wake.
struct News {
    report: watch::Sender<Phase>,
    users: Arc<Mutex<Vec<Subject>>>,
    wake: Wake,
}

impl News {
    /// True if the first answer has not arrived.
    fn is_first(&self) -> bool {
        !matches!(&*self.report.borrow(), Phase::Read(_))
    }

    fn tell(&self, phase: Phase) {
        let first = matches!(&*self.report.borrow(), Phase::Starting);
        self.report.send_replace(phase);
        if first {
            return;
        }
        for user in self.users.lock().iter() {
            // The receivers end with the process.
            if let Some(sync) = user.sync() {
                let _ = self.wake.syncs.send(sync);
            } else if user.kind == Kind::Repository {
                let _ = self.wake.repositories.send(user.clone());
            }
        }
    }
}

async fn run<K>(api: Api<K>, name: String, news: News, held: fn(K) -> Held)
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let events = watcher::watcher(api, config).default_backoff();
    pin_mut!(events);
    let mut listed = None;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = None,
            Ok(Event::InitApply(object)) => listed = Some(held(object)),
            Ok(Event::InitDone) => news.tell(Phase::Read(listed.take())),
            Ok(Event::Apply(object)) => news.tell(Phase::Read(Some(held(object)))),
            Ok(Event::Delete(_)) => news.tell(Phase::Read(None)),
            // If the API server does not answer, the last state is kept.
            Err(watcher::Error::InitialListFailed(error))
                if requests::refusal(&error).is_some() || news.is_first() =>
            {
                news.tell(Phase::Broken(refusal::said(&error)));
            }
            Err(_) => {}
        }
    }
}

/// An object that was created again has another version, whatever its data.
fn version(metadata: ObjectMeta) -> String {
    let ObjectMeta { uid, resource_version, .. } = metadata;
    format!("{}/{}", uid.unwrap_or_default(), resource_version.unwrap_or_default())
}

fn of_secret(secret: Secret) -> Held {
    let data = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
    Held { data: Arc::new(data), version: version(secret.metadata) }
}

fn of_config_map(map: ConfigMap) -> Held {
    let text = map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
    let bytes = map.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
    Held { data: Arc::new(text.chain(bytes).collect()), version: version(map.metadata) }
}

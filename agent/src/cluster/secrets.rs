//! The Secrets that Syncs refer to, each watched by name, so that reading one costs nothing and a rotated one is
//! noticed at once.
//!
//! I/O: API watches.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::sync_ref::SyncRef;

/// The data of a Secret. Has no `Debug`: it must not be printed.
pub type Data = BTreeMap<String, Vec<u8>>;

/// Who refers to a Secret, in its own namespace. An Alert reads its Secret again before it needs it; a Sync is woken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    Sync(SyncRef),
    Alert(SyncRef),
}

impl User {
    fn namespace(&self) -> &str {
        let (Self::Sync(name) | Self::Alert(name)) = self;
        name.namespace()
    }
}

/// How long the first answer may take.
const LIMIT: Duration = Duration::from_secs(15);

#[derive(Clone)]
enum Phase {
    Starting,
    /// `None`: there is no such Secret.
    Known(Option<std::sync::Arc<Data>>),
    Broken(String),
}

struct Handle {
    phase: watch::Receiver<Phase>,
    task: AbortHandle,
    users: std::sync::Arc<Mutex<Vec<User>>>,
}

/// All Secrets that are in use.
pub struct Secrets {
    client: Client,
    wake: mpsc::UnboundedSender<SyncRef>,
    watched: Mutex<HashMap<(String, String), Handle>>,
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("Secret {namespace}/{name} does not exist; create it, or change secretRef")]
    Missing { namespace: String, name: String },
    #[error(
        "cannot read Secret {namespace}/{name}: {said}; the agent must be allowed to get, list and watch it"
    )]
    Unreadable { namespace: String, name: String, said: String },
}

impl Secrets {
    /// `wake` hears of every Sync whose Secret changed.
    pub fn new(client: Client, wake: mpsc::UnboundedSender<SyncRef>) -> Self {
        Self { client, wake, watched: Mutex::default() }
    }

    /// The data of a Secret in the namespace of a Sync.
    pub async fn read(&self, user: &User, name: &str) -> Result<std::sync::Arc<Data>, SecretError> {
        let namespace = user.namespace();
        let mut phase = self.start(user, name);
        let unreadable = |said: String| SecretError::Unreadable {
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
            Phase::Known(Some(data)) => Ok(data),
            Phase::Broken(said) => Err(unreadable(said)),
            Phase::Known(None) | Phase::Starting => {
                Err(SecretError::Missing { namespace: namespace.to_owned(), name: name.to_owned() })
            }
        }
    }

    /// Ends the watches of Secrets that nobody uses any more.
    pub fn release(&self, user: &User, still: Option<&str>) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|(namespace, name), handle| {
            if namespace != user.namespace() || still == Some(name) {
                return true;
            }
            let mut users = handle.users.lock().unwrap_or_else(PoisonError::into_inner);
            users.retain(|other| other != user);
            if users.is_empty() {
                handle.task.abort();
            }
            !users.is_empty()
        });
    }

    fn start(&self, user: &User, name: &str) -> watch::Receiver<Phase> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (user.namespace().to_owned(), name.to_owned());
        let handle = watched.entry(key).or_insert_with(|| {
            let (report, phase) = watch::channel(Phase::Starting);
            let users = std::sync::Arc::default();
            let api = Api::namespaced(self.client.clone(), user.namespace());
            let task = run(api, name.to_owned(), report, std::sync::Arc::clone(&users), self.wake.clone());
            Handle { phase, task: tokio::spawn(task).abort_handle(), users }
        });
        let mut users = handle.users.lock().unwrap_or_else(PoisonError::into_inner);
        if !users.contains(user) {
            users.push(user.clone());
        }
        handle.phase.clone()
    }
}

async fn run(
    api: Api<Secret>,
    name: String,
    report: watch::Sender<Phase>,
    users: std::sync::Arc<Mutex<Vec<User>>>,
    wake: mpsc::UnboundedSender<SyncRef>,
) {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let events = watcher::watcher(api, config).default_backoff();
    pin_mut!(events);
    let mut listed = None;
    while let Some(event) = events.next().await {
        let news = match event {
            Ok(Event::Init) => {
                listed = None;
                continue;
            }
            Ok(Event::InitApply(secret)) => {
                listed = Some(data(secret));
                continue;
            }
            Ok(Event::InitDone) => Phase::Known(listed.take().map(std::sync::Arc::new)),
            Ok(Event::Apply(secret)) => Phase::Known(Some(std::sync::Arc::new(data(secret)))),
            Ok(Event::Delete(_)) => Phase::Known(None),
            Err(watcher::Error::InitialListFailed(error)) => Phase::Broken(error.to_string()),
            Err(_) => continue,
        };
        let first = matches!(&*report.borrow(), Phase::Starting);
        report.send_replace(news);
        if !first {
            for user in users.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                if let User::Sync(sync) = user {
                    // The receiver ends with the process.
                    let _ = wake.send(sync.clone());
                }
            }
        }
    }
}

fn data(secret: Secret) -> Data {
    secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
}

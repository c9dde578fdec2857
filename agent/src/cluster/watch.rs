//! The watches that feed the live view: one for each kind in use, on the ownership label, so that only managed
//! objects stream in.
//!
//! I/O: API watches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{TryStreamExt as _, pin_mut};
use holdfast_diff::applyset::PART_OF;
use holdfast_diff::object::{GroupKind, ObjectId};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ApiResource};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use super::requests::{ResourceType, is_not_found};
use super::view::{Listed, View};

/// Objects of one page of a list: the initial burst is what memory is measured by.
const PAGE: u32 = 100;

/// How far a watch is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Live,
    /// What the API server said last.
    Broken(String),
}

struct Handle {
    phase: watch::Receiver<Phase>,
    trouble: Arc<Mutex<Option<Trouble>>>,
    task: AbortHandle,
}

/// A watch that broke and may not be back: it says nothing until something changes, so it counts as back when it has not broken
/// again for [`SILENCE`].
struct Trouble {
    last: Instant,
    said: String,
}

/// The longest time between two tries to begin a watch anew, and what they may take.
const SILENCE: Duration = Duration::from_secs(45);

/// All watches of the process.
pub struct Watches {
    client: Client,
    view: Arc<View>,
    /// Empty: the whole cluster.
    namespaces: Vec<String>,
    running: Mutex<HashMap<(ResourceType, String), Handle>>,
}

/// A kind cannot be watched, so nothing can be said about its objects.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch {kind}: {said}; the agent must be allowed to get, list and watch it")]
pub struct WatchError {
    pub kind: GroupKind,
    pub said: String,
}

impl Watches {
    pub fn new(client: Client, view: Arc<View>, namespaces: Vec<String>) -> Self {
        Self { client, view, namespaces, running: Mutex::default() }
    }

    /// Starts the watch of a kind if there is none, and waits until the view has all its objects.
    pub async fn ensure(&self, kind: &Arc<ResourceType>, limit: Duration) -> Result<(), WatchError> {
        let scopes = if kind.namespaced && !self.namespaces.is_empty() {
            &self.namespaces[..]
        } else {
            &[String::new()]
        };
        for namespace in scopes {
            let mut phase = self.start(kind, namespace);
            let settled = phase.wait_for(|phase| *phase != Phase::Starting);
            let settled = tokio::time::timeout(limit, settled).await;
            let said = match settled {
                Ok(Ok(phase)) => match &*phase {
                    Phase::Broken(said) => said.clone(),
                    Phase::Starting | Phase::Live => continue,
                },
                Ok(Err(_)) => "the watch has ended".to_owned(),
                Err(_) => format!("no answer within {} s", limit.as_secs()),
            };
            return Err(WatchError { kind: (*kind.kind).clone(), said });
        }
        Ok(())
    }

    /// What is wrong with the watches of these kinds, so that the view may miss what changes.
    pub fn trouble(&self, kinds: &[Arc<ResourceType>]) -> Option<String> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().filter(|((kind, _), _)| kinds.iter().any(|one| **one == *kind)).find_map(
            |((kind, _), handle)| {
                let trouble = handle.trouble.lock().unwrap_or_else(PoisonError::into_inner);
                let Trouble { said, .. } =
                    trouble.as_ref().filter(|trouble| trouble.last.elapsed() < SILENCE)?;
                Some(format!("the watch of {} is broken: {said}", kind.kind))
            },
        )
    }

    fn start(&self, kind: &Arc<ResourceType>, namespace: &str) -> watch::Receiver<Phase> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let key = ((**kind).clone(), namespace.to_owned());
        if let Some(handle) = running.get(&key).filter(|handle| !handle.task.is_finished()) {
            return handle.phase.clone();
        }
        let (report, phase) = watch::channel(Phase::Starting);
        let resource = ApiResource {
            group: kind.kind.group.clone(),
            version: kind.version.clone(),
            api_version: kind.api_version(),
            kind: kind.kind.kind.clone(),
            plural: kind.plural.clone(),
        };
        let api: Api<Live> = if namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        };
        let trouble = Arc::new(Mutex::default());
        let feed = Feed {
            kind: kind.clone(),
            namespace: namespace.to_owned(),
            view: self.view.clone(),
            report,
            trouble: trouble.clone(),
        };
        let task = tokio::spawn(run(api, feed)).abort_handle();
        running.insert(key, Handle { phase: phase.clone(), trouble, task });
        phase
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        running.values().for_each(|handle| handle.task.abort());
    }
}

/// What one watch feeds.
struct Feed {
    kind: Arc<ResourceType>,
    namespace: String,
    view: Arc<View>,
    report: watch::Sender<Phase>,
    trouble: Arc<Mutex<Option<Trouble>>>,
}

/// Feeds the view until the kind is gone from the server.
async fn run(api: Api<Live>, Feed { kind, namespace, view, report, trouble }: Feed) {
    let note = |trouble: &Mutex<Option<Trouble>>, now: Option<Trouble>| {
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = now;
    };
    let config = watcher::Config::default().labels(PART_OF).page_size(PAGE);
    let events = watcher::watcher(api, config).default_backoff();
    pin_mut!(events);
    let (mut listed, mut first) = (Listed::default(), true);
    loop {
        let event = events.try_next().await;
        if matches!(event, Ok(Some(Event::InitDone | Event::Apply(_) | Event::Delete(_)))) {
            note(&trouble, None);
        }
        match event {
            Ok(Some(Event::Init)) => listed = Listed::default(),
            Ok(Some(Event::InitApply(live))) => {
                let object = live.id(&kind);
                let sight = view.sight(&kind, &object, &live.value(&kind));
                listed.push(object, sight);
            }
            Ok(Some(Event::InitDone)) => {
                view.replace(&kind, &namespace, std::mem::take(&mut listed), first);
                first = false;
                report.send_replace(Phase::Live);
            }
            Ok(Some(Event::Apply(live))) => {
                report.send_if_modified(|phase| std::mem::replace(phase, Phase::Live) != Phase::Live);
                view.put(&kind, live.id(&kind), &live.value(&kind));
            }
            Ok(Some(Event::Delete(live))) => {
                let version =
                    live.metadata.resource_version.as_deref().and_then(|version| version.parse().ok());
                view.remove(&live.id(&kind), version.unwrap_or(u64::MAX));
            }
            Ok(None) => return,
            Err(error) => {
                let gone = matches!(&error,
                    watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) if is_not_found(error));
                if gone {
                    debug!(kind = %kind.kind, "Kind is not served any more");
                    view.replace(&kind, &namespace, Listed::default(), first);
                    report.send_replace(Phase::Broken(
                        "the API server does not serve this kind any more".to_owned(),
                    ));
                    return;
                }
                warn!(kind = %kind.kind, %error, "Watch failed and is tried again");
                note(&trouble, Some(Trouble { last: Instant::now(), said: error.to_string() }));
                // A watch that breaks goes on where it was; only without a list is nothing known.
                if let watcher::Error::InitialListFailed(error) = error {
                    report.send_replace(Phase::Broken(error.to_string()));
                }
            }
        }
    }
}

/// A live object on its way from the watch to the view. Its value is never logged: it may be a Secret.
#[derive(Clone, Deserialize)]
#[serde(from = "Value")]
struct Live {
    metadata: ObjectMeta,
    value: Value,
}

impl From<Value> for Live {
    fn from(value: Value) -> Self {
        let text = |name: &str| {
            value.pointer("/metadata").and_then(|all| all.get(name)?.as_str()).map(str::to_owned)
        };
        let metadata = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Self { metadata, value }
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("name", &self.metadata.name).finish_non_exhaustive()
    }
}

impl Live {
    fn id(&self, kind: &ResourceType) -> ObjectId {
        ObjectId::new(
            kind.kind.clone(),
            self.metadata.namespace.as_deref().unwrap_or_default(),
            self.metadata.name.as_deref().unwrap_or_default(),
        )
    }

    /// The object, with the type that items of lists come without and that `health` needs.
    fn value(mut self, kind: &ResourceType) -> Value {
        if let Some(fields) = self.value.as_object_mut() {
            fields.entry("apiVersion").or_insert_with(|| kind.api_version().into());
            fields.entry("kind").or_insert_with(|| kind.kind.kind.as_str().into());
        }
        self.value
    }
}

impl Resource for Live {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

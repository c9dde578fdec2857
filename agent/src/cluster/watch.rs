//! The watches that feed the live view: for each identity and kind in use one watch of the whole cluster, or one for each
//! namespace if the identity lacks the right for that. They select on the ownership label, so that only managed objects are sent.
//!
//! A watch ends when no Sync uses it any more. I/O: API watches.

mod feed;
mod live;
#[cfg(test)]
mod tests;
mod users;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::object::GroupKind;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use self::feed::{Feed, Phase, Trouble};
use super::clients::Clients;
use super::requests::ResourceType;
use super::view::View;
use crate::identity::{Identity, is_name};
use crate::sync_ref::SyncRef;

/// Up to this number of namespaces of a kind are watched one by one, without trying the whole cluster.
const FEW: usize = 3;
/// Maximum number of watches of the ServiceAccounts of one namespace.
const WATCHES: usize = 2000;
/// Time before the whole cluster is tried again for an identity that may not list a kind there.
const REFUSED: Duration = Duration::from_mins(10);

/// The identity that a Sync acts as; `None` if there is no such Sync.
pub type ActsAs = Arc<dyn Fn(&SyncRef) -> Option<Identity> + Send + Sync>;

/// The key of a watch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    identity: Identity,
    kind: ResourceType,
    /// Empty: the whole cluster.
    namespace: Arc<str>,
}

impl Key {
    /// True if it sees the objects of a namespace.
    fn covers(&self, namespace: &str) -> bool {
        self.namespace.is_empty() || *self.namespace == *namespace
    }
}

struct Handle {
    phase: watch::Receiver<Phase>,
    trouble: Arc<Mutex<Option<Trouble>>>,
    task: AbortHandle,
    users: HashSet<SyncRef>,
}

#[derive(Default)]
struct State {
    running: HashMap<Key, Handle>,
    /// When a list of the whole cluster was refused to an identity.
    refused: HashMap<(Identity, ResourceType), Instant>,
    /// The last identity of each Sync.
    acting: HashMap<SyncRef, Identity>,
}

/// All watches of the process.
pub struct Watches {
    clients: Arc<Clients>,
    view: Arc<View>,
    acts_as: ActsAs,
    /// Empty: the whole cluster.
    namespaces: Vec<Arc<str>>,
    state: Mutex<State>,
}

/// What a Sync needs to see of one kind.
pub struct Wanted<'a> {
    pub owner: &'a SyncRef,
    pub identity: &'a Identity,
    pub kind: &'a Arc<ResourceType>,
    /// Namespaces in which the Sync desires or owns objects of this kind.
    pub places: BTreeSet<Arc<str>>,
    /// Namespaces in which it may own objects that it desired before.
    pub former: BTreeSet<Arc<str>>,
}

/// The result of ensuring the watches of a kind.
#[derive(Default)]
pub struct Watched {
    pub used: Vec<Key>,
    pub errors: Vec<WatchError>,
    /// Former namespaces that cannot be watched now. The Sync is woken if a watch of them finds members later.
    pub unseen: Vec<WatchError>,
}

/// A kind cannot be watched, so that the state of its objects is unknown.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch {kind}: {said}")]
pub struct WatchError {
    pub kind: Arc<GroupKind>,
    /// The namespace; empty for the whole cluster.
    pub namespace: Arc<str>,
    pub said: String,
    /// True if a right is missing.
    pub forbidden: bool,
}

impl Watched {
    /// Records that the whole cluster cannot be watched, which would show desired objects too.
    fn fail_whole(&mut self, wanted: &Wanted<'_>, error: WatchError) {
        if wanted.places.is_empty() {
            self.fail(wanted, error);
        } else {
            self.errors.push(error);
        }
    }

    /// Records that a scope cannot be watched. If no objects are expected there, the watch keeps retrying, unless a right is
    /// missing.
    fn fail(&mut self, wanted: &Wanted<'_>, error: WatchError) {
        if !is_former(wanted, &error.namespace) {
            self.errors.push(error);
            return;
        }
        if !error.forbidden {
            self.used.push(wanted.key(&error.namespace));
        }
        self.unseen.push(error);
    }
}

impl Wanted<'_> {
    fn key(&self, namespace: &Arc<str>) -> Key {
        let Wanted { identity, kind, .. } = self;
        Key { identity: (*identity).clone(), kind: (***kind).clone(), namespace: namespace.clone() }
    }
}

impl Watches {
    pub fn new(clients: Arc<Clients>, view: Arc<View>, acts_as: ActsAs, namespaces: &[String]) -> Self {
        let namespaces = namespaces.iter().map(|namespace| namespace.as_str().into()).collect();
        Self { clients, view, acts_as, namespaces, state: Mutex::default() }
    }

    /// Starts the missing watches of a kind, and waits until the view has all its objects.
    pub async fn ensure(&self, wanted: &Wanted<'_>, limit: Duration) -> Watched {
        self.acts(wanted.owner, wanted.identity);
        let mut watched = Watched::default();
        let scopes = self.scopes(wanted);
        if self.tries_whole(wanted, &scopes) {
            match self.one(wanted, &"".into(), limit).await {
                Err(error) if error.forbidden => {
                    let key = (wanted.identity.clone(), (**wanted.kind).clone());
                    self.lock().refused.insert(key, Instant::now());
                }
                Ok(key) => {
                    watched.used.push(key);
                    return watched;
                }
                Err(error) => {
                    watched.fail_whole(wanted, error);
                    return watched;
                }
            }
        }
        if scopes.len() > WATCHES && !wanted.identity.is_agent() {
            watched.fail_whole(wanted, too_many(wanted, scopes.len()));
            return watched;
        }
        let starting = scopes.iter().map(|namespace| self.one(wanted, namespace, limit));
        for found in futures::future::join_all(starting).await {
            match found {
                Ok(key) => watched.used.push(key),
                Err(error) => watched.fail(wanted, error),
            }
        }
        watched
    }

    /// Returns the namespaces to watch one by one; the empty name is the whole cluster.
    fn scopes(&self, Wanted { identity, kind, places, former, .. }: &Wanted<'_>) -> Vec<Arc<str>> {
        if !kind.namespaced {
            return vec!["".into()];
        }
        match (identity, self.namespaces.is_empty()) {
            (Identity::Agent, true) => vec!["".into()],
            (Identity::Agent, false) => self.namespaces.clone(),
            (Identity::ServiceAccount { .. }, all) => {
                // The marks of a Sync in too many namespaces name none of them: an empty name is the whole cluster, and every
                // namespace of the agent if that is limited.
                let is_everywhere = |place: &Arc<str>| place.is_empty();
                if !all && places.iter().chain(former.iter()).any(is_everywhere) {
                    return self.namespaces.clone();
                }
                let known = places.union(former).cloned();
                known.filter(|place| all || self.namespaces.contains(place)).collect()
            }
        }
    }

    /// True if an identity may have the right to list a kind in the whole cluster, and it is worth a request.
    fn tries_whole(&self, Wanted { identity, kind, .. }: &Wanted<'_>, scopes: &[Arc<str>]) -> bool {
        let key = (*identity).clone();
        let refused = self.lock().refused.get(&(key, (***kind).clone())).copied();
        let many = scopes.len() > FEW || (kind.namespaced && scopes.iter().any(|scope| scope.is_empty()));
        !identity.is_agent()
            && many
            && self.namespaces.is_empty()
            && refused.is_none_or(|at| at.elapsed() >= REFUSED)
    }

    /// Starts one watch if there is none, and waits until it has listed.
    async fn one(
        &self,
        wanted: &Wanted<'_>,
        namespace: &Arc<str>,
        limit: Duration,
    ) -> Result<Key, WatchError> {
        let Wanted { owner, kind, .. } = wanted;
        let key = wanted.key(namespace);
        let failed = |said: String, forbidden: bool| WatchError {
            kind: kind.kind.clone(),
            namespace: namespace.clone(),
            said,
            forbidden,
        };
        // The name becomes part of a path, and manifests and annotations may contain any text.
        if !namespace.is_empty() && !is_name(namespace) {
            return Err(failed(format!("{namespace} is not the name of a namespace"), true));
        }
        let mut phase = self.start(&key, kind, owner).map_err(|said| failed(said, false))?;
        let settled = phase.wait_for(|phase| *phase != Phase::Starting);
        match tokio::time::timeout(limit, settled).await {
            Ok(Ok(phase)) => match &*phase {
                Phase::Broken { said, forbidden } => Err(failed(said.clone(), *forbidden)),
                Phase::Starting | Phase::Live => Ok(key),
            },
            Ok(Err(_)) => Err(failed("the watch has ended".to_owned(), false)),
            Err(_) => Err(failed(format!("no answer within {} s", limit.as_secs()), false)),
        }
    }

    fn start(
        &self,
        key: &Key,
        kind: &Arc<ResourceType>,
        owner: &SyncRef,
    ) -> Result<watch::Receiver<Phase>, String> {
        let mut state = self.lock();
        if let Some(handle) = state.running.get_mut(key) {
            handle.users.insert(owner.clone());
            if !handle.task.is_finished() {
                return Ok(handle.phase.clone());
            }
        }
        if let Identity::ServiceAccount { namespace, .. } = &key.identity
            && !state.running.contains_key(key)
        {
            let is_ours = |other: &&Key| matches!(&other.identity, Identity::ServiceAccount { namespace: theirs, .. } if theirs == namespace);
            if state.running.keys().filter(is_ours).count() >= WATCHES {
                return Err(format!(
                    "the Syncs of namespace {namespace} watch {WATCHES} kinds and namespaces already; use fewer, or grant \
                     their ServiceAccounts to list in the whole cluster"
                ));
            }
        }
        let mut handle = self.spawn(key, kind)?;
        handle.users = state.running.remove(key).map(|handle| handle.users).unwrap_or_default();
        handle.users.insert(owner.clone());
        let phase = handle.phase.clone();
        state.running.insert(key.clone(), handle);
        Ok(phase)
    }

    /// Starts a watch without users.
    fn spawn(&self, key: &Key, kind: &Arc<ResourceType>) -> Result<Handle, String> {
        let client = self.clients.of(&key.identity).map_err(|error| error.to_string())?;
        let (report, phase) = watch::channel(Phase::Starting);
        let trouble = Arc::new(Mutex::default());
        let feed = Feed {
            key: key.clone(),
            kind: kind.clone(),
            view: self.view.clone(),
            acts_as: self.acts_as.clone(),
            report,
            trouble: trouble.clone(),
        };
        let task = tokio::spawn(feed.run(client)).abort_handle();
        Ok(Handle { phase, trouble, task, users: HashSet::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// There are more namespaces of a kind than are watched one by one. None of them is watched, rather than a part.
fn too_many(Wanted { identity, kind, .. }: &Wanted<'_>, count: usize) -> WatchError {
    let said = format!(
        "the Sync has objects of this kind in {count} namespaces, and at most {WATCHES} are watched one by one; grant {identity} the verbs list and watch on {} in the whole cluster",
        kind.plural
    );
    WatchError { kind: kind.kind.clone(), namespace: "".into(), said, forbidden: true }
}

/// True if the Sync neither desires nor owns an object in a scope.
fn is_former(Wanted { kind, places, former, .. }: &Wanted<'_>, scope: &Arc<str>) -> bool {
    if kind.namespaced && scope.is_empty() {
        places.is_empty() || former.contains(scope)
    } else {
        !places.contains(scope)
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        state.running.values().for_each(|handle| handle.task.abort());
    }
}

//! Which kinds the API server serves, asked for by group and version and remembered.
//!
//! Leaves the question what an unknown kind means to `observe`. I/O: API reads.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_diff::object::GroupKind;
use holdfast_diff::yaml::is_api_version;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;
use kube::Client;
use parking_lot::Mutex;

use super::capabilities::{Capabilities, LastCapabilities};
use super::requests::{ResourceType, is_not_found};

/// What must be possible with objects of a kind, so that they can be kept in sync.
const NEEDED: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];

/// What the server serves, by `apiVersion`. One for the process: kinds do not depend on who asks.
pub struct Discovery {
    client: Client,
    served: Mutex<HashMap<String, Arc<Vec<Served>>>>,
    capabilities: LastCapabilities,
}

/// A kind, and what can be done with its objects.
struct Served {
    kind: ResourceType,
    verbs: Vec<String>,
}

impl Served {
    fn lacks(&self) -> impl Iterator<Item = &'static str> {
        NEEDED.into_iter().filter(|verb| !self.verbs.iter().any(|served| served == verb))
    }
}

impl Discovery {
    pub fn new(client: Client) -> Self {
        Self { client, served: Mutex::default(), capabilities: LastCapabilities::default() }
    }

    /// The client that asks.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The resource type of a kind; `None` if the server does not serve it.
    pub async fn find(&self, api_version: &str, kind: &str) -> Result<Option<ResourceType>, kube::Error> {
        let known = self.known(api_version).await?;
        Ok(known.iter().find(|served| served.kind.kind.kind == kind).map(|served| served.kind.clone()))
    }

    /// Why objects of a kind that is served cannot be kept in sync, in the words of a message; `None` if they can. Requests,
    /// such as a `SelfSubjectAccessReview`, are answered and not stored, and some servers only list.
    pub async fn unkept(&self, kind: &ResourceType) -> Result<Option<String>, kube::Error> {
        let known = self.known(&kind.api_version()).await?;
        let Some(served) = known.iter().find(|served| served.kind == *kind) else { return Ok(None) };
        let lacks: Vec<&str> = served.lacks().collect();
        Ok((!lacks.is_empty()).then(|| {
            let offers = served.verbs.join(", ");
            let offers = if offers.is_empty() { "no verb" } else { &offers };
            format!(
                "objects of this kind cannot be kept in sync: the API server offers {offers} for {}, and not {}",
                kind.plural,
                lacks.join(", ")
            )
        }))
    }

    /// The resource type of a kind in the version that the server prefers; `None` if the server does not serve it, or if
    /// its objects cannot be listed and watched, so that none of them can be a member of a set.
    pub async fn former(&self, kind: &GroupKind) -> Result<Option<ResourceType>, kube::Error> {
        match self.preferred(kind).await? {
            Some(found) if self.unkept(&found).await?.is_none() => Ok(Some(found)),
            _ => Ok(None),
        }
    }

    /// The resource type of a kind in the version that the server prefers; `None` if the server does not serve it.
    async fn preferred(&self, kind: &GroupKind) -> Result<Option<ResourceType>, kube::Error> {
        if kind.group.is_empty() {
            return self.find("v1", &kind.kind).await;
        }
        for version in self.group(&kind.group).await? {
            if let Some(found) = self.find(&version, &kind.kind).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The `apiVersion`s in which the server serves a kind, the preferred one first.
    pub async fn versions(&self, kind: &GroupKind) -> Result<Vec<String>, kube::Error> {
        let all = if kind.group.is_empty() { vec!["v1".to_owned()] } else { self.group(&kind.group).await? };
        let mut served = Vec::new();
        for version in all {
            if self.find(&version, &kind.kind).await?.is_some() {
                served.push(version);
            }
        }
        Ok(served)
    }

    /// The `apiVersion`s of a group, the preferred one first.
    async fn group(&self, name: &str) -> Result<Vec<String>, kube::Error> {
        let groups = self.client.list_api_groups().await?;
        let Some(group) = groups.groups.into_iter().find(|group| group.name == name) else {
            return Ok(Vec::new());
        };
        let mut all: Vec<String> =
            group.preferred_version.into_iter().map(|version| version.group_version).collect();
        let others = group.versions.into_iter().map(|version| version.group_version);
        for version in others {
            if !all.contains(&version) {
                all.push(version);
            }
        }
        Ok(all)
    }

    /// The capabilities of the cluster that a chart can read.
    pub async fn capabilities(&self) -> Result<Arc<Capabilities>, kube::Error> {
        self.capabilities.get(&self.client).await
    }

    /// Forgets a group, because its definitions changed or a kind was missing in it.
    pub fn forget(&self, group: &str) {
        self.capabilities.forget();
        self.lock().retain(|version, _| version.rsplit_once('/').map_or("", |(name, _)| name) != group);
    }

    async fn known(&self, api_version: &str) -> Result<Arc<Vec<Served>>, kube::Error> {
        // It becomes a path, and it may come from an object that a tenant wrote.
        if !is_api_version(api_version) {
            return Ok(Arc::default());
        }
        let known = self.lock().get(api_version).cloned();
        match known {
            Some(known) => Ok(known),
            None => self.ask(api_version).await,
        }
    }

    async fn ask(&self, api_version: &str) -> Result<Arc<Vec<Served>>, kube::Error> {
        let answer = if api_version.contains('/') {
            self.client.list_api_group_resources(api_version).await
        } else {
            self.client.list_core_api_resources(api_version).await
        };
        let resources = match answer {
            Ok(list) => list.resources,
            // Nothing is remembered of a group that is not there: its definitions may come at any moment.
            Err(error) if is_not_found(&error) => return Ok(Arc::default()),
            Err(error) => return Err(error),
        };
        let served: Arc<Vec<_>> = Arc::new(
            resources
                .into_iter()
                .filter(|served| !served.name.contains('/'))
                .map(|served| typed(api_version, served))
                .collect(),
        );
        self.lock().insert(api_version.to_owned(), served.clone());
        Ok(served)
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, HashMap<String, Arc<Vec<Served>>>> {
        self.served.lock()
    }
}

fn typed(api_version: &str, served: APIResource) -> Served {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let kind = ResourceType {
        kind: Arc::new(GroupKind::new(group, served.kind)),
        version: version.to_owned(),
        plural: served.name,
        namespaced: served.namespaced,
    };
    Served { kind, verbs: served.verbs }
}

//! Which kinds the API server serves, asked for by group and version and remembered.
//!
//! Leaves the question what an unknown kind means to `observe`. I/O: API reads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_diff::object::GroupKind;
use holdfast_diff::yaml::is_api_version;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;
use kube::Client;

use super::capabilities::{Capabilities, Known};
use super::requests::{ResourceType, is_not_found};

/// What the server serves, by `apiVersion`. One for the process: kinds do not depend on who asks.
pub struct Discovery {
    client: Client,
    served: Mutex<HashMap<String, Arc<Vec<ResourceType>>>>,
    capabilities: Known,
}

impl Discovery {
    pub fn new(client: Client) -> Self {
        Self { client, served: Mutex::default(), capabilities: Known::default() }
    }

    /// The resource type of a kind; `None` if the server does not serve it.
    pub async fn find(&self, api_version: &str, kind: &str) -> Result<Option<ResourceType>, kube::Error> {
        // It becomes a path, and it may come from an object that a tenant wrote.
        if !is_api_version(api_version) {
            return Ok(None);
        }
        let known = self.lock().get(api_version).cloned();
        let known = match known {
            Some(known) => known,
            None => self.ask(api_version).await?,
        };
        Ok(known.iter().find(|served| served.kind.kind == kind).cloned())
    }

    /// The resource type of a kind in the version that the server prefers; `None` if the server does not serve it.
    pub async fn preferred(&self, kind: &GroupKind) -> Result<Option<ResourceType>, kube::Error> {
        if kind.group.is_empty() {
            return self.find("v1", &kind.kind).await;
        }
        let groups = self.client.list_api_groups().await?;
        let Some(group) = groups.groups.into_iter().find(|group| group.name == kind.group) else {
            return Ok(None);
        };
        let preferred = group.preferred_version.map(|version| version.group_version);
        let others = group.versions.into_iter().map(|version| version.group_version);
        for version in preferred.into_iter().chain(others) {
            if let Some(found) = self.find(&version, &kind.kind).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What a chart is told of the cluster.
    pub async fn capabilities(&self) -> Result<Arc<Capabilities>, kube::Error> {
        self.capabilities.get(&self.client).await
    }

    /// Forgets a group, because its definitions changed or a kind was missing in it.
    pub fn forget(&self, group: &str) {
        self.capabilities.forget();
        self.lock().retain(|version, _| version.rsplit_once('/').map_or("", |(name, _)| name) != group);
    }

    async fn ask(&self, api_version: &str) -> Result<Arc<Vec<ResourceType>>, kube::Error> {
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

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Vec<ResourceType>>>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn typed(api_version: &str, served: APIResource) -> ResourceType {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    ResourceType {
        kind: Arc::new(GroupKind::new(group, served.kind)),
        version: version.to_owned(),
        plural: served.name,
        namespaced: served.namespaced,
    }
}

//! The capabilities of the cluster that a chart can read: its version, and the APIs that it serves.
//!
//! Asked for once, and again when a kind was missing or a definition was applied. I/O: API reads.

use std::sync::Arc;

use http::Request;
use http::header::ACCEPT;
use kube::Client;
use parking_lot::Mutex;
use serde::Deserialize;

/// The Accept header of aggregated discovery (KEP-3352), with the plain one as the last resort.
pub(super) const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// The version of a cluster, and what it serves.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `v1.36.1`
    pub version: String,
    /// `apps/v1`, `apps/v1/Deployment`, …, sorted.
    pub apis: Vec<String>,
}

/// The last capabilities that were read.
#[derive(Default)]
pub struct LastCapabilities(Mutex<Option<Arc<Capabilities>>>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Groups {
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: Named,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    response_kind: Option<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

impl LastCapabilities {
    /// What the cluster is, asked for if it is not known.
    pub async fn get(&self, client: &Client) -> Result<Arc<Capabilities>, kube::Error> {
        let known = self.0.lock().clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let asked = Arc::new(ask(client).await?);
        *self.0.lock() = Some(asked.clone());
        Ok(asked)
    }

    /// What it serves may have changed.
    pub fn forget(&self) {
        *self.0.lock() = None;
    }
}

async fn ask(client: &Client) -> Result<Capabilities, kube::Error> {
    let version = client.apiserver_version().await?.git_version;
    let mut apis = Vec::new();
    for path in ["/api", "/apis"] {
        let request = Request::get(path).header(ACCEPT, AGGREGATED).body(Vec::new());
        let request = request.map_err(kube::Error::HttpError)?;
        let groups: Groups = client.request(request).await?;
        for Group { metadata, versions } in groups.items {
            for Version { version, resources } in versions {
                let name = &metadata.name;
                let api = if name.is_empty() { version } else { format!("{name}/{version}") };
                let kinds = resources.into_iter().filter_map(|resource| Some(resource.response_kind?.kind));
                apis.extend(kinds.map(|kind| format!("{api}/{kind}")));
                apis.push(api);
            }
        }
    }
    apis.sort_unstable();
    apis.dedup();
    Ok(Capabilities { version, apis })
}

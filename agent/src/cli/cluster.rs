//! The connection to the cluster that all verbs share. I/O: kubeconfig, API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use super::Global;
use crate::api::Sync;
use crate::cluster::clients::Clients;
use crate::http::{Destination, Guard, Own};

/// Maximum time for resolving the name of the API server.
const RESOLVE: Duration = Duration::from_secs(2);

/// Returns the configuration of the flags; without flags, that of the ServiceAccount of the pod, or else the usual
/// kubeconfig.
pub async fn config(global: &Global) -> anyhow::Result<Config> {
    let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
    let mut config = match &global.kubeconfig {
        Some(file) => {
            let name = || format!("cannot read the kubeconfig {}", file.display());
            std::fs::File::open(file).with_context(name)?;
            let read = Kubeconfig::read_from(file).with_context(name)?;
            Config::from_custom_kubeconfig(read, &options).await?
        }
        None if global.context.is_some() => Config::from_kubeconfig(&options).await?,
        None => Config::infer().await.map_err(|error| {
            anyhow!("no cluster is configured: {error}; set a file with --kubeconfig, or run in a cluster")
        })?,
    };
    if let Some(namespace) = &global.namespace {
        config.default_namespace.clone_from(namespace);
    }
    Ok(config)
}

/// Returns the guard for destinations of resources: it refuses the API server of this configuration, and the listeners
/// of this process.
pub async fn guard(
    config: &Config,
    listed: Vec<Destination>,
    listeners: impl IntoIterator<Item = SocketAddr>,
) -> Arc<Guard> {
    let variable = |name: &str| std::env::var(name).ok();
    let mut own = Own::of(Some(&config.cluster_url.to_string()), Some(&config.default_namespace), &variable);
    for (name, port) in own.api_names().to_vec() {
        let found = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((name.as_str(), port))).await;
        // A name that cannot be resolved is still refused by its name.
        if let Ok(Ok(found)) = found {
            own = own.with_api_addresses(found);
        }
    }
    Arc::new(Guard::new(listed, listeners.into_iter().fold(own, Own::with_listener)))
}

/// Returns a client, in the namespace of the flags.
pub async fn client(global: &Global) -> anyhow::Result<Client> {
    Ok(Clients::new(config(global).await?, Arc::new(|_, _| {}), Arc::new(|| true))?.own())
}

/// Returns the API of Syncs in the namespace of the flags.
pub fn syncs(client: &Client) -> Api<Sync> {
    Api::default_namespaced(client.clone())
}

/// Reads one Sync; the error names its namespace.
pub async fn sync(client: &Client, name: &str) -> anyhow::Result<Sync> {
    let namespace = client.default_namespace();
    let found =
        syncs(client).get_opt(name).await.with_context(|| format!("cannot read Sync {namespace}/{name}"))?;
    found.ok_or_else(|| {
        anyhow!("Sync {name} not found in namespace {namespace}; set another namespace with -n")
    })
}

//! The connection to the cluster that all verbs share. I/O: kubeconfig, API.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use super::Global;
use crate::api::Sync;
use crate::cluster::clients::Clients;

/// The configuration that the flags name. Without any, the ServiceAccount of the pod, then the usual kubeconfig.
pub async fn config(global: &Global) -> anyhow::Result<Config> {
    let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
    let mut config = match &global.kubeconfig {
        Some(file) => {
            let read = Kubeconfig::read_from(file)
                .with_context(|| format!("cannot read the kubeconfig {}", file.display()))?;
            Config::from_custom_kubeconfig(read, &options).await?
        }
        None if global.context.is_some() => Config::from_kubeconfig(&options).await?,
        None => Config::infer().await.map_err(|error| {
            anyhow!("no cluster is configured: {error}; name a file with --kubeconfig, or run in a cluster")
        })?,
    };
    if let Some(namespace) = &global.namespace {
        config.default_namespace.clone_from(namespace);
    }
    Ok(config)
}

/// A client, in the namespace that the flags name.
pub async fn client(global: &Global) -> anyhow::Result<Client> {
    Ok(Clients::new(config(global).await?, Arc::new(|_, _| {}), Arc::new(|| true))?.own())
}

/// The Syncs of the namespace that the flags name.
pub fn syncs(client: &Client) -> Api<Sync> {
    Api::default_namespaced(client.clone())
}

/// Reads one Sync, with an error that says where it was looked for.
pub async fn sync(client: &Client, name: &str) -> anyhow::Result<Sync> {
    let namespace = client.default_namespace();
    let found =
        syncs(client).get_opt(name).await.with_context(|| format!("cannot read Sync {namespace}/{name}"))?;
    found.ok_or_else(|| anyhow!("there is no Sync {name} in namespace {namespace}; name another one with -n"))
}

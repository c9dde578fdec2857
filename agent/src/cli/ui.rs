//! `holdfast ui`: the web UI on loopback, with the rights of a kubeconfig. I/O: API watches, listens.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use futures::StreamExt as _;
use kube::api::ListParams;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::{self, Store};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Global, cluster, print};
use crate::api::{Approval, ImageUpdate, Repository, Sync};
use crate::cluster::clients::Clients;
use crate::cluster::discovery::Discovery;
use crate::cluster::people::Hand;
use crate::cluster::requests::is_forbidden;
use crate::controller::feeds;
use crate::server::UiListener;
use crate::ui::{self, Access, Live};

/// Where it is served
#[derive(Args, Debug)]
pub struct Ui {
    /// Serve the UI at this loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
}

/// How long the first list may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Ui {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        if !self.listen.ip().is_loopback() {
            bail!(
                "--listen {} is no loopback address: the UI has the rights of your kubeconfig",
                self.listen
            );
        }
        let clients =
            Arc::new(Clients::new(cluster::config(&global).await?, Arc::new(|_, _| {}), Arc::new(|| true))?);
        let client = clients.own();
        let namespaces = namespaces(&client, &global).await?;
        let hand = Hand::new(client.clone());
        let name = hand.name().await?;
        let heard = clients.clone();
        let live = Live {
            syncs: store::<Sync>(&client, &namespaces),
            approvals: store::<Approval>(&client, &namespaces),
            updates: store::<ImageUpdate>(&client, &namespaces),
            repositories: store::<Repository>(&client, &namespaces),
            pulls: Arc::default(),
            discovery: Arc::new(Discovery::new(client.clone())),
            renders: None,
            view: None,
            silence: Arc::new(move || heard.contact().last().elapsed()),
            events: None,
        };
        let listed = tokio::time::timeout(PATIENCE, live.syncs.wait_until_ready()).await;
        listed.ok().and_then(Result::ok).context("cannot list Syncs in time")?;
        let (stop, key) = (CancellationToken::new(), ui::key());
        let (_offer, offered) = watch::channel(Some(Arc::new(live)));
        let listener = UiListener::bind(self.listen, "--listen")?;
        let address = listener.address();
        let place = namespaces.first().map_or("all namespaces".to_owned(), |one| format!("namespace {one}"));
        print::say(format_args!("serving the UI of {place} as {name}; end it with Ctrl-C, and open:"));
        print::line(format_args!("http://{address}/open?key={key}"));
        let pages = ui::routes(offered, Access::Own { hand, name, key }, stop.clone());
        tokio::select! {
            () = listener.serve(pages, None, stop.clone()) => {}
            ended = tokio::signal::ctrl_c() => ended.context("cannot listen for signals")?,
        }
        stop.cancel();
        Ok(ExitCode::SUCCESS)
    }
}

/// The namespace that is shown; none for all, if the user may list the Syncs of all and names no namespace.
async fn namespaces(client: &Client, global: &Global) -> anyhow::Result<Vec<String>> {
    let one = ListParams::default().limit(1);
    let own = client.default_namespace().to_owned();
    if global.namespace.is_none() {
        match Api::<Sync>::all(client.clone()).list_metadata(&one).await {
            Ok(_) => return Ok(Vec::new()),
            Err(error) if is_forbidden(&error) => {}
            Err(error) => return Err(error).context("cannot list Syncs"),
        }
    }
    let found = Api::<Sync>::namespaced(client.clone(), &own).list_metadata(&one).await;
    found.with_context(|| format!("cannot list Syncs in namespace {own}; set another namespace with -n"))?;
    Ok(vec![own])
}

/// The resources of a kind, watched until the process ends. What the user may not list stays away.
fn store<K>(client: &Client, namespaces: &[String]) -> Store<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
    K: Clone + DeserializeOwned + std::fmt::Debug + Send + std::marker::Sync + 'static,
    K::DynamicType: Default + Clone + Eq + std::hash::Hash + Send + std::marker::Sync,
{
    let (store, writer) = reflector::store();
    let mut events = feeds::watch::<K>(client, namespaces).reflect(writer).boxed();
    tokio::spawn(async move { while events.next().await.is_some() {} });
    store
}

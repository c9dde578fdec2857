//! Feeds and wakes the Syncs from other sources than their own watch: Approvals, Alerts, audit events, repositories.
//!
//! I/O: API watches.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, stream};
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::warn;

use super::agent::Agent;
use super::connect::Options;
use crate::api::{Alert, Approval, InputKind, Sync};
use crate::cluster::refusal::chain;
use crate::reconcile::services::Services;
use crate::report::alert::receiver::Sender;
use crate::report::alert::sending::Shared;
use crate::shares::Shares;
use crate::source::MirrorId;
use crate::sync_ref::SyncRef;

/// Notices of the Alerts of one namespace that are sent at the same time.
const DELIVERIES: u32 = 16;
/// How often alerts that depend on time alone are checked.
const TICK: Duration = Duration::from_secs(2);

/// The namespaces to watch, where `None` stands for all.
pub(super) fn scopes(namespaces: &[String]) -> impl Iterator<Item = Option<&str>> {
    let all = namespaces.is_empty().then_some(None);
    all.into_iter().chain(namespaces.iter().map(|namespace| Some(namespace.as_str())))
}

pub(super) fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Watches a kind. An object that cannot be decoded is logged and skipped: the schema of its definition can be wider than that of
/// the agent.
pub fn watch<K>(
    client: &Client,
    namespaces: &[String],
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Debug + Send + std::marker::Sync + 'static,
    K::DynamicType: Default,
{
    let watches = scopes(namespaces).map(|namespace| {
        let api = api::<DeserializeGuard<K>>(client, namespace);
        watcher::watcher(api, watcher::Config::default()).default_backoff().boxed()
    });
    stream::select_all(watches).filter_map(|event| std::future::ready(readable(event)))
}

fn readable<K>(event: watcher::Result<Event<DeserializeGuard<K>>>) -> Option<watcher::Result<Event<K>>>
where
    K: kube::Resource,
    K::DynamicType: Default,
{
    let event = match event {
        Err(error) => return Some(Err(error)),
        Ok(event) => event,
    };
    Some(Ok(match event {
        Event::Apply(object) => Event::Apply(read(object)?),
        Event::Delete(object) => Event::Delete(read(object)?),
        Event::InitApply(object) => Event::InitApply(read(object)?),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }))
}

fn read<K>(DeserializeGuard(object): DeserializeGuard<K>) -> Option<K>
where
    K: kube::Resource,
    K::DynamicType: Default,
{
    object
        .inspect_err(|InvalidObject { error, metadata }| {
            let kind = K::kind(&K::DynamicType::default()).into_owned();
            let name = |name: &Option<String>| name.clone().unwrap_or_default();
            let (namespace, name) = (name(&metadata.namespace), name(&metadata.name));
            warn!(kind, namespace, name, error, "Cannot decode an object; skipping it");
        })
        .ok()
}

/// Keeps the store of Approvals, and wakes the Sync that a changed Approval names.
pub(super) async fn feed_approvals(
    agent: &Agent,
    namespaces: &[String],
    writer: reflector::store::Writer<Approval>,
) {
    let events = watch::<Approval>(&agent.services.cluster.clients.own(), namespaces);
    let mut events = events.reflect(writer).touched_objects().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(approval) => {
                agent
                    .services
                    .wake(SyncRef::new(approval.namespace().unwrap_or_default(), approval.spec.sync));
            }
            Err(error) => warn!(error = %chain(&error), "Watch of Approvals failed; retrying"),
        }
    }
}

/// Runs the couriers of the Alerts, and checks alerts that depend on time.
pub(super) async fn serve_alerts(agent: &Agent, options: &Options) {
    let Services { cluster, secrets, alerts, metrics, .. } = &agent.services;
    let client = cluster.clients.own();
    let prepare = || {
        let (secrets, released) = (secrets.clone(), secrets.clone());
        Shared {
            cluster: cluster.uid.clone(),
            client: client.clone(),
            sender: Sender::new(options.guard.clone()),
            secrets: Arc::new(move |alert, name| {
                let secrets = secrets.clone();
                Box::pin(async move {
                    secrets.release(&alert, &[(InputKind::Secret, name.clone())]);
                    secrets.read(&alert, &name).await.map_err(|error| error.to_string())
                })
            }),
            release: Arc::new(move |alert| released.release(&alert, &[])),
            metrics: metrics.clone(),
            guard: options.guard.clone(),
            deliveries: Shares::new(DELIVERIES),
        }
    };
    let events = watch::<Alert>(&client, &options.policy.namespaces);
    let ticks = async {
        let _ = cluster.syncs.wait_until_ready().await;
        loop {
            tokio::time::sleep(TICK).await;
            alerts.tick();
        }
    };
    tokio::join!(alerts.serve(prepare, events), ticks);
}

/// Runs the Syncs with drift again when audit events have arrived, since they name the user and may be late.
pub(super) async fn hear_audit(agent: &Agent) {
    let mut audited = agent.audited.subscribe();
    while !matches!(audited.recv().await, Err(broadcast::error::RecvError::Closed)) {
        let syncs = agent.services.cluster.syncs.state();
        let open =
            syncs.iter().filter(|sync| sync.status.as_ref().is_some_and(|status| status.drift.is_some()));
        for sync in open {
            agent.services.wake(SyncRef::new(sync.namespace().unwrap_or_default(), sync.name_any()));
        }
    }
}

/// Streams the Syncs of each repository whose refs moved.
pub(super) fn moved(agent: &Arc<Agent>) -> BoxStream<'static, ObjectRef<Sync>> {
    let (agent, moved) = (agent.clone(), agent.services.sources.moved());
    mirrors(moved)
        .flat_map(move |mirror| stream::iter(agent.services.peers.readers(mirror)))
        .map(|sync| ObjectRef::new(sync.name()).within(sync.namespace()))
        .boxed()
}

/// Streams the mirrors whose refs moved; `None` is any mirror, after messages were lost.
pub(super) fn mirrors(
    moved: broadcast::Receiver<MirrorId>,
) -> impl Stream<Item = Option<MirrorId>> + Send + 'static {
    stream::unfold(moved, |mut moved| async move {
        match moved.recv().await {
            Ok(mirror) => Some((Some(mirror), moved)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some((None, moved)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    })
}

/// Converts a channel to a stream.
pub(super) fn received<T: Send + 'static>(channel: UnboundedReceiver<T>) -> impl Stream<Item = T> + Send {
    stream::unfold(channel, |mut channel| async move { Some((channel.recv().await?, channel)) })
}

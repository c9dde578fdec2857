//! The frame that runs every kind of resource. It watches the objects, keeps them in a store, and runs an object when it has
//! changed, when an event wakes it, or when its next run is due. At most one run of an object at a time.
//!
//! I/O: API watches.

use std::convert::Infallible;
use std::fmt::Debug;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::runtime::{Controller, PredicateConfig, WatchStreamExt as _};
use kube::{Client, ResourceExt};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::feeds::watch;

/// No limit: most runs only wait. Each namespace has its own limits, in [`crate::rooms`].
const CONCURRENCY: u16 = 0;
/// The pause after a run with an error, which the types rule out.
const PAUSE: Duration = Duration::from_secs(1);
/// How often deleted objects are forgotten.
const SWEEP: Duration = Duration::from_secs(30);

/// A kind of resource that the frame runs.
pub(super) trait Kind: Send + Sync + 'static {
    type Object: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + Unpin
        + 'static;

    /// Digests the fields of an object whose change requests a run, without what the agent itself writes.
    fn form(object: &Self::Object) -> u64;

    /// Called for each event of the watch, after the store is updated.
    fn event(&self, event: &Event<Self::Object>);

    /// Called for each object whose form has changed.
    fn changed(&self, object: &Self::Object);

    /// Runs an object once, and returns when the next run is due.
    fn run(self: Arc<Self>, object: Arc<Self::Object>) -> BoxFuture<'static, Action>;

    /// Called after each run.
    fn ran(&self);
}

/// The store of one kind, and the streams that request runs.
pub(super) struct Feed<K: kube::Resource<DynamicType = ()> + Clone + 'static> {
    pub store: Store<K>,
    pub writer: Writer<K>,
    /// Requests of runs for other reasons than a change.
    pub wakes: Vec<BoxStream<'static, ObjectRef<K>>>,
}

/// Runs a kind until the token is cancelled and the current runs have ended.
pub(super) async fn run<K: Kind>(
    kind: Arc<K>,
    client: &Client,
    namespaces: &[String],
    feed: Feed<K::Object>,
    stop: CancellationToken,
) {
    let Feed { store, writer, wakes } = feed;
    let (seen, changed, ran) = (kind.clone(), kind.clone(), kind.clone());
    let triggers = watch::<K::Object>(client, namespaces)
        .reflect(writer)
        .inspect_ok(move |event| seen.event(event))
        .applied_objects()
        .predicate_filter(|object: &K::Object| Some(K::form(object)), PredicateConfig::default())
        .inspect_ok(move |object| changed.changed(object));
    let config = controller::Config::default().concurrency(CONCURRENCY);
    let mut controller = Controller::for_stream(triggers, store).with_config(config);
    for wakes in wakes {
        controller = controller.reconcile_on(wakes);
    }
    let one = |object, kind: Arc<K>| {
        let running = kind.run(object);
        async move { Ok::<_, Infallible>(running.await) }
    };
    controller
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(one, |_, _, _| Action::requeue(PAUSE), kind)
        .for_each(|_| {
            ran.ran();
            std::future::ready(())
        })
        .await;
}

/// Digests the generation and the UID of an object, and the annotations that request something.
pub(super) fn form(object: &impl ResourceExt, annotations: &[&str]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    object.meta().generation.hash(&mut hasher);
    object.meta().uid.hash(&mut hasher);
    annotations.iter().for_each(|name| object.annotations().get(*name).hash(&mut hasher));
    hasher.finish()
}

/// Forgets deleted objects at intervals, once the store has all that exist. Never ends.
pub(super) async fn sweeps<K: kube::Resource<DynamicType = ()> + Clone + 'static>(
    store: &Store<K>,
    sweep: impl Fn(),
) {
    store.wait_until_ready().await.ok();
    loop {
        tokio::time::sleep(SWEEP).await;
        sweep();
    }
}

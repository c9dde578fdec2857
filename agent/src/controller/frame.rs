//! The frame that runs every kind of resource: it watches the objects, keeps them in a store, and makes a run of one when it has
//! changed, when something wakes it, or when its time has come. At most one run of an object at a time.
//!
//! I/O: API watches.

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::Client;
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::runtime::{Controller, PredicateConfig, WatchStreamExt as _};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::feeds::watch;

/// Any number of objects may run, since most of them wait. What they use has bounds of its own for each namespace, in
/// [`crate::rooms`].
const CONCURRENCY: u16 = 0;
/// The pause after a run that ended with an error, which none does.
const PAUSE: Duration = Duration::from_secs(1);

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

    /// Digests what of an object requests a run when it changes. What the agent itself writes is not part of it.
    fn form(object: &Self::Object) -> u64;

    /// Hears each event of the watch, after the store has it.
    fn event(&self, event: &Event<Self::Object>);

    /// Hears of each object whose form is new.
    fn changed(&self, object: &Self::Object);

    /// Makes one run of an object, and returns when the next one is due.
    fn run(self: Arc<Self>, object: Arc<Self::Object>) -> BoxFuture<'static, Action>;

    /// Hears that a run has ended.
    fn ran(&self);
}

/// What feeds one kind.
pub(super) struct Feed<K: kube::Resource<DynamicType = ()> + Clone + 'static> {
    pub store: Store<K>,
    pub writer: Writer<K>,
    /// Objects that run for another reason than a change.
    pub wakes: Vec<BoxStream<'static, ObjectRef<K>>>,
}

/// Runs a kind until the token is cancelled, and then until the runs that go on have ended.
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

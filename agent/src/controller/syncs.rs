//! The kind `Sync` in the frame: what requests a run, and when the current run is superseded. I/O: API watches.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use tokio::sync::mpsc::UnboundedReceiver;

use super::agent::Agent;
use super::feeds::{moved, received};
use super::frame::{self, Feed, Kind};
use super::sync_run::{self, form, name};
use crate::api::Sync;
use crate::server::Health;
use crate::sync_ref::SyncRef;

/// The kind `Sync`.
struct Syncs {
    agent: Arc<Agent>,
    health: Health,
}

/// Runs the Syncs until the process ends.
pub(super) async fn run(
    agent: &Arc<Agent>,
    namespaces: &[String],
    writer: Writer<Sync>,
    woken: UnboundedReceiver<SyncRef>,
    health: Health,
) {
    let woken = received(woken).map(|sync| ObjectRef::new(sync.name()).within(sync.namespace()));
    let cluster = &agent.services.cluster;
    let feed = Feed { store: cluster.syncs.clone(), writer, wakes: vec![woken.boxed(), moved(agent)] };
    let kind = Arc::new(Syncs { agent: agent.clone(), health });
    frame::run(kind, &cluster.clients.own(), namespaces, feed, agent.stop.clone()).await;
}

impl Kind for Syncs {
    type Object = Sync;

    fn form(sync: &Sync) -> u64 {
        form(sync)
    }

    fn event(&self, event: &Event<Sync>) {
        match event {
            Event::Apply(sync) | Event::InitApply(sync) => {
                self.agent.take_checks(sync);
                self.agent.runs.supersede(&name(sync), Some(form(sync)));
            }
            Event::Delete(sync) => self.agent.runs.supersede(&name(sync), None),
            Event::Init | Event::InitDone => {}
        }
    }

    fn changed(&self, _: &Sync) {}

    fn run(self: Arc<Self>, sync: Arc<Sync>) -> BoxFuture<'static, Action> {
        Box::pin(async move { sync_run::run(sync, &self.agent).await })
    }

    fn ran(&self) {
        self.health.beat();
    }
}

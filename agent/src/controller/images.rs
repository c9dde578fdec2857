//! The kind `ImageUpdate` in the frame: what requests a pass, and what is forgotten when one is gone. I/O: API watches.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{StreamExt as _, stream};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::agent::Agent;
use super::feeds::{mirrors, received};
use super::frame::{self, Feed, Kind};
use super::memory::Memories;
use super::updates::{Updates, name, others};
use super::{hooks, image_run};
use crate::api::{ImageUpdate, names};
use crate::calls::Calls;
use crate::shares::Shares;
use crate::subject::Subject;

/// ImageUpdates of one namespace that run at the same time.
const PASSES: u32 = 4;

/// Runs the ImageUpdates until the process ends.
pub(super) async fn run(
    agent: &Arc<Agent>,
    namespaces: &[String],
    writer: Writer<ImageUpdate>,
    called: UnboundedReceiver<Subject>,
    reviews: UnboundedSender<Subject>,
) {
    let (changed, changes) = unbounded_channel();
    let kind = Arc::new(Updates {
        agent: agent.clone(),
        memories: Memories::default(),
        calls: Calls::default(),
        passes: Shares::new(PASSES),
        changed,
    });
    let found = agent.clone();
    // Two ImageUpdates of a namespace may edit the same line of a file.
    let siblings = received(changes)
        .flat_map(move |update| stream::iter(others(&found, &update)))
        .map(|update| ObjectRef::from_obj(&*update));
    let all = agent.updates.clone();
    // A reverted version is noticed at once. A pass without news contacts no server.
    let moved = mirrors(agent.services.sources.moved())
        .flat_map(move |_| stream::iter(all.state()))
        .map(|update| ObjectRef::from_obj(&*update));
    let answers = kind.clone();
    let calls = received(called).filter_map(move |call| {
        let update = hooks::called(&answers.agent.services, &reviews, call);
        update.iter().for_each(|update| answers.calls.note(update));
        std::future::ready(update.map(|update| ObjectRef::new(&update.name).within(&update.namespace)))
    });
    let wakes = vec![siblings.boxed(), moved.boxed(), calls.boxed()];
    let feed = Feed { store: agent.updates.clone(), writer, wakes };
    let swept = kind.clone();
    let client = agent.services.cluster.clients.own();
    let passes = frame::run(kind, &client, namespaces, feed, agent.stop.clone());
    let sweeps = frame::sweeps(&agent.updates, || swept.sweep());
    tokio::select! { () = passes => {} () = sweeps => {} }
}

impl Kind for Updates {
    type Object = ImageUpdate;

    fn form(update: &ImageUpdate) -> u64 {
        frame::form(update, &[names::RECONCILE_AT, names::UNBAN])
    }

    fn event(&self, event: &Event<ImageUpdate>) {
        match event {
            Event::Delete(update) => {
                self.forget(&name(update));
                self.changed(update);
            }
            Event::InitDone => self.sweep(),
            Event::Apply(_) | Event::InitApply(_) | Event::Init => {}
        }
    }

    fn changed(&self, update: &ImageUpdate) {
        // The receiver ends with the process.
        let _ = self.changed.send(name(update));
    }

    fn run(self: Arc<Self>, update: Arc<ImageUpdate>) -> BoxFuture<'static, Action> {
        Box::pin(async move { image_run::run(update, &self).await })
    }

    fn ran(&self) {}
}

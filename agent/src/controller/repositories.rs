//! The kind `Repository` in the frame: what requests a pass, and what is forgotten when one is gone. I/O: API watches.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{StreamExt as _, stream};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use tokio::sync::mpsc::UnboundedReceiver;

use super::agent::Agent;
use super::feeds::{mirrors, received};
use super::frame::{self, Feed, Kind};
use super::memory::Memories;
use super::repository_run;
use super::repository_state::{Repositories, name};
use crate::api::{Repository, names};
use crate::calls::Calls;
use crate::shares::Shares;
use crate::subject::Subject;

/// Repositories of one namespace that run at the same time.
const PASSES: u32 = 2;

/// Runs the Repositories until the process ends.
pub(super) async fn run(
    agent: &Arc<Agent>,
    namespaces: &[String],
    writer: Writer<Repository>,
    called: UnboundedReceiver<Subject>,
) {
    let kind = Arc::new(Repositories {
        agent: agent.clone(),
        memories: Memories::default(),
        calls: Calls::default(),
        passes: Shares::new(PASSES),
    });
    // A base that moved: the previews of its pull requests are made again.
    let all = agent.repositories.clone();
    let moved = mirrors(agent.services.sources.moved())
        .flat_map(move |_| stream::iter(all.state()))
        .map(|repository| ObjectRef::from_obj(&*repository));
    let noted = kind.clone();
    let calls = received(called).map(move |name| {
        noted.calls.note(&name);
        ObjectRef::new(&name.name).within(&name.namespace)
    });
    let wakes = vec![moved.boxed(), calls.boxed()];
    let feed = Feed { store: agent.repositories.clone(), writer, wakes };
    let swept = kind.clone();
    let client = agent.services.cluster.clients.own();
    let passes = frame::run(kind, &client, namespaces, feed, agent.stop.clone());
    let sweeps = frame::sweeps(&agent.repositories, || swept.sweep());
    tokio::select! { () = passes => {} () = sweeps => {} }
}

impl Kind for Repositories {
    type Object = Repository;

    fn form(repository: &Repository) -> u64 {
        frame::form(repository, &[names::RECONCILE_AT])
    }

    fn event(&self, event: &Event<Repository>) {
        match event {
            Event::Delete(repository) => self.forget(&name(repository)),
            Event::InitDone => self.sweep(),
            Event::Apply(_) | Event::InitApply(_) | Event::Init => {}
        }
    }

    fn changed(&self, _: &Repository) {}

    fn run(self: Arc<Self>, repository: Arc<Repository>) -> BoxFuture<'static, Action> {
        Box::pin(async move { repository_run::run(repository, &self).await })
    }

    fn ran(&self) {}
}

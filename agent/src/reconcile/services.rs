//! The long-lived parts of the agent, of which the composers pass each stage what it needs. Stages do not import it. No I/O.

use std::sync::Arc;

use kube::runtime::reflector::Store;
use tokio::sync::mpsc;

use super::peers::Peers;
use crate::api::Approval;
use crate::calls::Calls;
use crate::cluster::Cluster;
use crate::cluster::secrets::Secrets;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::render::outside::Outside;
use crate::render::renderer::Renderer;
use crate::render::store::Renders;
use crate::report::alert::{Alerts, Now};
use crate::report::audit::Audit;
use crate::report::events::Events;
use crate::rooms::Rooms;
use crate::source::Sources;
use crate::sync_ref::SyncRef;

/// Shared by all runs of one process.
pub struct Services {
    pub cluster: Cluster,
    /// What the installation allows its tenants.
    pub policy: Policy,
    pub sources: Arc<Sources>,
    pub renders: Arc<Renders>,
    pub renderer: Renderer,
    /// What a render may fetch from other servers.
    pub outside: Outside,
    pub secrets: Arc<Secrets>,
    pub approvals: Store<Approval>,
    pub peers: Peers,
    /// Webhook calls for Syncs.
    pub calls: Calls<SyncRef>,
    /// The share of each namespace in runs, memory and requests.
    pub rooms: Rooms,
    pub alerts: Alerts,
    /// The record of audit events, if the API server sends them.
    pub audit: Option<Arc<Audit>>,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    /// Requests a run of a Sync.
    pub wake: mpsc::UnboundedSender<SyncRef>,
    /// False if other Syncs do not run in this process, as for `holdfast plan`.
    pub together: bool,
}

impl Services {
    /// The parts for plans that must leave no trace, with a copy of the live view: see [`Cluster::aside`]. Limits are their own, so
    /// that no run of a Sync waits for them.
    #[must_use]
    pub fn aside(&self, of: impl Fn(&SyncRef) -> bool) -> Self {
        // No receiver is left, so no run is started.
        let (wake, _) = mpsc::unbounded_channel();
        let cluster = self.cluster.aside(of);
        Self {
            alerts: Alerts::new(cluster.uid.clone(), cluster.syncs.clone(), Arc::new(Now::read)),
            cluster,
            policy: self.policy.clone(),
            sources: self.sources.clone(),
            renders: self.renders.clone(),
            renderer: self.renderer.clone(),
            outside: self.outside.clone(),
            secrets: self.secrets.clone(),
            approvals: self.approvals.clone(),
            peers: Peers::default(),
            calls: Calls::default(),
            rooms: Rooms::default(),
            audit: self.audit.clone(),
            events: self.events.clone(),
            metrics: self.metrics.clone(),
            wake,
            together: false,
        }
    }

    /// Requests a run of a Sync.
    pub fn wake(&self, sync: SyncRef) {
        // The receiver ends with the process.
        let _ = self.wake.send(sync);
    }
}

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
use crate::report::alert::Alerts;
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
    /// Requests a run of a Sync.
    pub fn wake(&self, sync: SyncRef) {
        // The receiver ends with the process.
        let _ = self.wake.send(sync);
    }
}

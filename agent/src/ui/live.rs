//! What the pages read: the resources of Holdfast as the watches have them, and the live view of the objects. No I/O.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::watch;

use crate::api::{Approval, ImageUpdate, Sync};
use crate::cluster::view::View;
use crate::report::events::Events;
use crate::sync_ref::SyncRef;

/// Approvals that are shown of one Sync.
const APPROVALS: usize = 10;

/// Where the pages come from: `None` while the agent starts, or waits for the Lease.
pub type Offered = watch::Receiver<Option<Arc<Live>>>;

/// The source of all view values: of the agent, or of `holdfast ui`.
pub struct Live {
    pub syncs: Store<Sync>,
    pub approvals: Store<Approval>,
    pub updates: Store<ImageUpdate>,
    /// The objects of the Syncs. `holdfast ui` has none.
    pub view: Option<Arc<View>>,
    /// How long the API server has been silent.
    pub silence: Arc<dyn Fn() -> Duration + Send + std::marker::Sync>,
    /// Where it is recorded who did something by the hand of the agent.
    pub events: Option<Events>,
}

impl Live {
    /// The Sync, if it exists.
    pub fn sync(&self, name: &SyncRef) -> Option<Arc<Sync>> {
        self.syncs.get(&ObjectRef::new(name.name()).within(name.namespace()))
    }

    /// The Approvals of a Sync, the newest first.
    pub fn approvals(&self, sync: &SyncRef) -> Vec<Arc<Approval>> {
        let mut all = self.approvals.state();
        all.retain(|approval| {
            approval.spec.sync == sync.name() && approval.namespace().as_deref() == Some(sync.namespace())
        });
        all.sort_by_key(|approval| std::cmp::Reverse(approval.metadata.creation_timestamp.clone()));
        all.truncate(APPROVALS);
        all
    }
}

/// The name of a Sync.
pub fn name(sync: &Sync) -> SyncRef {
    SyncRef::new(sync.namespace().unwrap_or_default(), sync.name_any())
}

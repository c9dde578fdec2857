//! What the pages read: the resources of Holdfast as the watches have them, and the live view of the objects. No I/O.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast_diff::mask::Masks;
use holdfast_diff::object::{Manifest, ObjectId};
use kube::ResourceExt as _;
use kube::runtime::reflector::{ObjectRef, Store};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::api::{Approval, ImageUpdate, Repository, Sync};
use crate::cluster::discovery::Discovery;
use crate::cluster::view::View;
use crate::report::events::Events;
use crate::sync_ref::SyncRef;

/// Approvals that are shown of one Sync.
const APPROVALS: usize = 10;

/// Where the pages come from: `None` while the agent starts, or waits for the Lease.
pub type Offered = watch::Receiver<Option<Arc<Live>>>;

/// What is remembered of the last render of each Sync.
pub trait Renders: Send + std::marker::Sync {
    /// The manifest of an object.
    fn desired(&self, sync: SyncRef, object: ObjectId) -> BoxFuture<'_, Desired>;

    /// A window of the objects that differ from their manifests, or that left the source. `None` during a run.
    fn changed(&self, sync: SyncRef, skip: usize, take: usize) -> BoxFuture<'_, Option<Changed>>;
}

/// What is remembered of one object.
#[derive(Clone, Debug)]
pub enum Desired {
    /// A run of the Sync goes on, so it is not known what of the object is secret.
    Busy,
    Known {
        manifest: Option<Box<Manifest>>,
        /// True if the API server has confirmed that the live object satisfies the manifest.
        is_satisfied: bool,
        /// Texts that no page may show.
        masks: Arc<Masks>,
    },
}

/// A window of the objects that a plan would change.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// Objects in all windows.
    pub total: usize,
    /// In the order of the render, then those that left the source, without a manifest.
    pub objects: Vec<(ObjectId, Option<Manifest>)>,
    pub masks: Arc<Masks>,
}

/// What a pass over the pull requests of a Repository shows of each open one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pull {
    pub number: i64,
    pub title: String,
    pub url: String,
    pub author: String,
    pub is_draft: bool,
    /// The preview, as the comment has it.
    pub text: String,
}

/// The pull requests of each Repository, as of the last pass. Bounded by what a pass remembers.
#[derive(Default)]
pub struct Pulls(Mutex<BTreeMap<Named, Arc<Vec<Pull>>>>);

/// The namespace and the name of a Repository.
type Named = (String, String);

impl Pulls {
    /// Keeps the pull requests of a Repository.
    pub fn keep(&self, repository: Named, pulls: Vec<Pull>) {
        self.0.lock().insert(repository, Arc::new(pulls));
    }

    /// Forgets a Repository.
    pub fn forget(&self, repository: &Named) {
        self.0.lock().remove(repository);
    }

    /// The pull requests of a Repository.
    pub fn of(&self, repository: &Named) -> Arc<Vec<Pull>> {
        self.0.lock().get(repository).cloned().unwrap_or_default()
    }
}

/// The source of all view values: of the agent, or of `holdfast ui`.
pub struct Live {
    pub syncs: Store<Sync>,
    pub approvals: Store<Approval>,
    pub updates: Store<ImageUpdate>,
    pub repositories: Store<Repository>,
    pub pulls: Arc<Pulls>,
    /// The kinds that the API server serves.
    pub discovery: Arc<Discovery>,
    /// What the agent remembers of renders. `holdfast ui` remembers nothing.
    pub renders: Option<Arc<dyn Renders>>,
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

//! What all reconciles share, and what is remembered of each Sync between two of them.
//!
//! Everything in [`Memory`] can be made again from git and the cluster. No I/O.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;
use kube::Client;
use kube::runtime::reflector::Store;

use crate::api::{Approval, ApprovalSpec, SyncStatus};
use crate::cluster::Cluster;
use crate::cluster::secrets::Secrets;
use crate::metrics::Metrics;
use crate::report::events::Events;
use crate::source::{Checkout, Sources};
use crate::sync_ref::SyncRef;

/// Shared by all reconciles.
pub struct Context {
    pub client: Client,
    pub cluster: Cluster,
    pub sources: Sources,
    pub secrets: Secrets,
    pub approvals: Store<Approval>,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    pub allow_file: bool,
    pub memories: Memories,
}

impl Context {
    /// The approvals and rejections that name a Sync, the oldest first.
    pub fn approvals(&self, sync: &SyncRef) -> Vec<ApprovalSpec> {
        let mut found: Vec<_> = self
            .approvals
            .state()
            .into_iter()
            .filter(|approval| {
                approval.metadata.namespace.as_deref() == Some(sync.namespace()) && approval.spec.sync == sync.name()
            })
            .collect();
        found.sort_by_key(|approval| approval.metadata.creation_timestamp.as_ref().map(|time| time.0));
        found.into_iter().map(|approval| approval.spec.clone()).collect()
    }
}

/// What is remembered of one Sync.
#[derive(Default)]
pub struct Memory {
    pub checkout: Option<Checkout>,
    pub rendered: Option<Rendered>,
    /// The status as it was written last; the watch may not have brought it yet.
    pub status: Option<SyncStatus>,
    /// The value of `holdfast.dev/reconcile-at` that was answered last.
    pub asked: Option<String>,
    /// Failures in a row, for the backoff.
    pub failures: u32,
    /// When the secret, the source or the cluster was asked last because of an interval.
    pub polled: Option<Instant>,
}

/// A render that was applied without a mistake.
pub struct Rendered {
    pub tree: String,
    pub generation: i64,
    /// What every object must satisfy.
    pub objects: Vec<(ObjectId, Digest)>,
}

/// The memories of all Syncs.
#[derive(Default)]
pub struct Memories(Mutex<HashMap<SyncRef, Arc<tokio::sync::Mutex<Memory>>>>);

impl Memories {
    pub fn of(&self, sync: &SyncRef) -> Arc<tokio::sync::Mutex<Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(sync.clone()).or_default().clone()
    }

    pub fn forget(&self, sync: &SyncRef) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(sync);
    }
}

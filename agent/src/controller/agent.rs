//! The state that all controllers share, and what is forgotten when an object is gone. No I/O.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use kube::runtime::reflector::Store;
use tokio_util::sync::CancellationToken;

use super::memory::{Memories, Memory, Runs};
use crate::api::{ImageUpdate, Repository, Sync};
use crate::forge::Session;
use crate::forge::review::Client;
use crate::image::Images;
use crate::reconcile::claims;
use crate::reconcile::dependencies::Dependencies;
use crate::reconcile::services::Services;
use crate::report::audit::ChangeSender;
use crate::server::hooks::Hooks;
use crate::subject::Subject;
use crate::sync_ref::SyncRef;
use crate::ui::Pulls;

/// Shared by the controllers.
pub struct Agent {
    pub services: Services,
    pub images: Images,
    pub updates: Store<ImageUpdate>,
    /// The logins at forges, with their limits.
    pub session: Arc<Session>,
    /// The pull requests of others.
    pub reviews: Client,
    pub repositories: Store<Repository>,
    /// The pull requests that the web UI shows.
    pub pulls: Arc<Pulls>,
    /// The memory of each Sync.
    pub memories: Memories<SyncRef, Memory>,
    /// The current runs of Syncs.
    pub runs: Runs,
    /// Which objects take webhook calls.
    pub hooks: Hooks,
    /// Announces each audit event, which may arrive half a minute after the change.
    pub audited: ChangeSender,
    /// Cancelled when the process ends.
    pub stop: CancellationToken,
}

impl Agent {
    /// Loads the health checks of a Sync when its watch event arrives, so that its objects are judged by them from the start. Its
    /// run reports invalid checks.
    pub fn take_checks(&self, sync: &Sync) {
        if let Some(owner) = claims::name(sync) {
            let _ = self.services.cluster.view.judges.take(&owner, sync);
        }
    }

    /// Requests a run of every Sync that depends on this one.
    pub fn wake_dependents(&self, sync: &SyncRef) {
        let Services { cluster, policy, .. } = &self.services;
        let dependencies = Dependencies { syncs: &cluster.syncs, policy };
        dependencies.waiting(sync).into_iter().for_each(|waiting| self.services.wake(waiting));
    }

    /// Forgets Syncs that are gone and own nothing, and caches that were not used for a while.
    pub fn sweep(&self) {
        let (now, Services { cluster, peers, calls, .. }) = (Instant::now(), &self.services);
        cluster.clients.sweep(now);
        cluster.accounts.sweep(now);
        cluster.watches.sweep(now);
        cluster.view.sweep(|sync| cluster.exists(sync));
        let names = self.memories.names().into_iter().chain(peers.names()).chain(calls.open());
        let gone: HashSet<SyncRef> = names.filter(|sync| !cluster.exists(sync)).collect();
        gone.iter().for_each(|sync| self.forget(sync));
    }

    /// Forgets a Sync that is gone.
    pub fn forget(&self, sync: &SyncRef) {
        let Services { cluster, secrets, alerts, metrics, peers, calls, .. } = &self.services;
        cluster.view.disclaim(sync);
        cluster.watches.forget(sync);
        let subject = Subject::from(sync);
        secrets.release(&subject, &[]);
        alerts.forget(sync);
        metrics.forget(sync);
        self.memories.forget(sync);
        peers.forget(sync);
        calls.take(sync);
        self.hooks.remove(&subject);
    }

    /// Forgets an ImageUpdate that is gone.
    pub fn forget_update(&self, update: &Subject) {
        let Services { secrets, alerts, metrics, .. } = &self.services;
        secrets.release(update, &[]);
        metrics.forget_image_update(update);
        alerts.forget_update(update);
        self.hooks.remove(update);
    }

    /// Forgets a Repository that is gone.
    pub fn forget_repository(&self, repository: &Subject) {
        self.services.secrets.release(repository, &[]);
        self.hooks.remove(repository);
        self.pulls.forget(&(repository.namespace.clone(), repository.name.clone()));
    }
}

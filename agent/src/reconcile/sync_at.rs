//! A Sync as one run sees it: its spec, its name, its status and the time. Pure.

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::api::{DriftMode, Snooze, Sync, SyncStatus, names};
use crate::report::drift;
use crate::sync_ref::SyncRef;

/// One Sync at the time of one run.
#[derive(Clone, Copy)]
pub struct SyncAt<'a> {
    pub sync: &'a Sync,
    pub owner: &'a SyncRef,
    /// The status before the run.
    pub status: &'a SyncStatus,
    /// The start of the run.
    pub now: Timestamp,
}

impl<'a> SyncAt<'a> {
    /// The namespace for namespaced objects that do not set one.
    pub fn target_namespace(&self) -> &'a str {
        self.sync.spec.target_namespace.as_deref().unwrap_or(self.owner.namespace())
    }

    /// Why the Sync is suspended now; `None` if it is not.
    pub fn suspended(&self) -> Option<String> {
        self.sync.spec.suspend.as_ref()?.holds(self.now)
    }

    /// True if drift is reported and not corrected.
    pub fn only_reports_drift(&self) -> bool {
        self.sync.spec.drift.mode == DriftMode::Report
    }

    /// The value of `holdfast.dev/reconcile-at`, which requests a run that contacts the source.
    pub fn reconcile_at(&self) -> Option<&'a String> {
        self.sync.annotations().get(names::RECONCILE_AT)
    }

    /// The snooze that covers drift of an object now.
    pub fn snooze(&self, object: &ObjectId) -> Option<&'a Snooze> {
        self.sync.spec.drift.snooze.iter().find(|snooze| {
            let Snooze { kind, group, namespace, name, until, reason: _ } = snooze;
            *kind == object.kind.kind
                && group.as_ref().is_none_or(|group| *group == object.kind.group)
                && namespace.as_ref().is_none_or(|namespace| **namespace == *object.namespace)
                && **name == *object.name
                && *until > self.now
        })
    }

    /// True if an object satisfied this manifest before: the live view verified it, the whole tree was applied, or the status
    /// reports drift of the object from this manifest.
    pub fn was_applied(
        &self,
        tree: &str,
        object: &ObjectId,
        manifest: Digest,
        verified: Option<Digest>,
    ) -> bool {
        let applied = self.status.revision.as_ref().and_then(|revision| revision.tree.as_deref());
        let by_tree =
            applied == Some(tree) && self.status.observed_generation == self.sync.metadata.generation;
        by_tree || verified == Some(manifest) || {
            let mut objects = self.status.drift.iter().flat_map(|drift| &drift.objects);
            let text = manifest.to_string();
            objects
                .any(|reported| reported.manifest.as_deref() == Some(&text) && drift::is_of(reported, object))
        }
    }
}

//! The metrics of a Sync, from the findings of a run. I/O: none.

use super::Findings;
use crate::api::{SyncStatus, conditions};
use crate::metrics::{Metrics, SyncVerdict};
use crate::sync_ref::SyncRef;

impl Metrics {
    /// Sets the metrics of a Sync.
    pub fn sync(&self, sync: &SyncRef, status: &SyncStatus, findings: &Findings, drifts: u64) {
        let is = |kind| conditions::is_true(&status.conditions, kind);
        let verdict = SyncVerdict {
            ready: is(conditions::READY),
            drifted: is(conditions::DRIFTED),
            awaiting_approval: is(conditions::AWAITING_APPROVAL),
            objects: findings.live.objects.as_ref().map_or(0, |objects| objects.total),
            drifts,
        };
        self.verdict(sync, &verdict);
    }
}

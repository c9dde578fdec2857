//! The findings of one run, in the order of the stages. The composer fills it; the status, Events, metrics and alerts
//! are made from it. Pure.

use std::time::Duration;

use holdfast_diff::health::{Health, Status};
use holdfast_diff::mask::Masks;
use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{Change, PlanId};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::drift::{self, Drift};
use super::{Failure, NewValue};
use crate::api::{
    ChartStatus, CommitNote, CompletedJob, DriftObject, DriftState, DriftStatus, RemoteStatus, Sync, names,
};
use crate::gate::Waiting;
use crate::sync_ref::SyncRef;

/// Everything that one run found.
#[derive(Debug)]
pub struct Findings {
    pub started: Started,
    /// The revision that the stage `source` returned; `None` if the run ended before.
    pub seen: Option<Seen>,
    pub rendered: Rendered,
    pub gated: Gated,
    /// The plan of which the stage `apply` wrote something.
    pub done: Option<Done>,
    pub live: Live,
    pub remarks: Remarks,
    pub ended: Ended,
    pub next: Next,
    /// The path of the webhook.
    pub webhook_path: NewValue<String>,
}

/// The Sync at the start of the run.
#[derive(Debug)]
pub struct Started {
    pub now: Timestamp,
    pub generation: i64,
    /// The value of `holdfast.dev/reconcile-at`.
    pub asked: Option<String>,
    pub wait_for_health: bool,
    pub health_timeout: Duration,
    /// The time after which a wait is reported as a timeout.
    pub timeout: Duration,
    /// Who can approve a plan, and how. The id of the plan follows in the message.
    pub approve: String,
}

/// A revision for the status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// `main@sha1:<40 hex>`
    pub revision: String,
    /// `main@1a2b3c4`
    pub short: String,
    /// The id of the git tree below the path.
    pub tree: String,
    /// The author and the subject of the commit.
    pub commit: Option<CommitNote>,
}

/// What the stage `render` read beside the tree, if the run rendered everything again.
#[derive(Debug, Default)]
pub struct Rendered {
    pub chart: NewValue<ChartStatus>,
    pub remotes: Option<Vec<RemoteStatus>>,
}

/// The decision of the gate.
#[derive(Debug, Default)]
pub struct Gated {
    /// The changes that wait for an Approval.
    pub waiting: Option<Waiting>,
    /// The name of the Approval that the run has used.
    pub approval: Option<String>,
    /// What to do if nothing can be approved.
    pub instead: Option<String>,
}

/// A plan that was applied, completely or in part.
#[derive(Clone, Debug)]
pub struct Done {
    pub id: PlanId,
    pub changes: Vec<Change>,
}

/// The objects in the cluster after the run.
#[derive(Debug, Default)]
pub struct Live {
    /// Objects that differ or were corrected; `None` if nothing was compared.
    pub drift: Option<Drift>,
    pub objects: Option<Objects>,
    /// Jobs that have succeeded; `None` if that is not known.
    pub completed: Option<Vec<CompletedJob>>,
}

/// The number of objects of a Sync, and those that are not healthy.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    pub total: usize,
    pub unhealthy: Vec<(ObjectId, Health)>,
}

/// Remarks that do not block the sync. Each is `None` if the run did not get that far.
#[derive(Debug, Default)]
pub struct Remarks {
    /// Problems in the repository.
    pub warnings: Option<Vec<String>>,
    /// Objects that left Git and are not removed.
    pub notes: Option<Vec<String>>,
}

/// Why a run did not do everything. All are `None` if it did.
#[derive(Debug, Default)]
pub struct Ended {
    pub failure: Option<Failure>,
    /// The reason of the suspension, and its end if there is one.
    pub suspended: Option<String>,
    /// What the run waits for without an error.
    pub waits: Option<String>,
}

/// When the Sync runs again, if that is sooner than usual.
#[derive(Debug, Default)]
pub struct Next {
    /// True if no watch event ends the wait.
    pub again: bool,
    /// The latest time of the next run.
    pub within: Option<Duration>,
}

impl Findings {
    /// Creates the findings of a run that has just started.
    pub fn of(sync: &Sync, owner: &SyncRef, now: Timestamp) -> Self {
        Self {
            started: Started::of(sync, owner, now),
            seen: None,
            rendered: Rendered::default(),
            gated: Gated::default(),
            done: None,
            live: Live::default(),
            remarks: Remarks::default(),
            ended: Ended::default(),
            next: Next::default(),
            webhook_path: NewValue::Unchanged,
        }
    }

    /// True if nothing is wrong except that objects are not healthy yet.
    pub fn on_the_way(&self) -> bool {
        let objects = self.live.objects.as_ref();
        let unhealthy = objects.map(|objects| objects.unhealthy.as_slice()).unwrap_or_default();
        self.is_well()
            && !unhealthy.is_empty()
            && unhealthy.iter().all(|(_, health)| health.status == Status::InProgress)
    }

    /// True if nothing is wrong, apart from the health of objects.
    pub fn is_well(&self) -> bool {
        self.is_complete() && self.live.differing().next().is_none()
    }

    /// True if everything in Git was applied.
    pub fn is_complete(&self) -> bool {
        let Ended { failure, suspended, waits } = &self.ended;
        failure.is_none() && suspended.is_none() && waits.is_none() && self.gated.waiting.is_none()
    }

    /// Masks secret texts in messages of servers and renderers, which can quote them.
    pub fn hide(&mut self, masks: &Masks) {
        if masks.is_empty() {
            return;
        }
        let hide = |text: &mut String| *text = masks.hide(text).into_owned();
        if let Some(Failure { message, causes, .. }) = &mut self.ended.failure {
            hide(message);
            causes.iter_mut().for_each(|cause| {
                hide(&mut cause.text);
                cause.places.iter_mut().for_each(hide);
            });
        }
        self.ended.waits.iter_mut().for_each(hide);
        self.remarks.warnings.iter_mut().flatten().for_each(hide);
        let unhealthy = self.live.objects.iter_mut().flat_map(|objects| &mut objects.unhealthy);
        unhealthy.for_each(|(_, health)| hide(&mut health.message));
    }
}

impl Started {
    fn of(sync: &Sync, owner: &SyncRef, now: Timestamp) -> Self {
        Self {
            now,
            generation: sync.metadata.generation.unwrap_or_default(),
            asked: sync.annotations().get(names::RECONCILE_AT).cloned(),
            wait_for_health: sync.spec.wait_for_health(),
            health_timeout: sync.spec.health_timeout(),
            timeout: sync.spec.timeout(),
            approve: format!(
                "Users with the right to create approvals.holdfast.dev in namespace {0} can approve it with: holdfast approve -n {0} {1}",
                owner.namespace(),
                owner.name()
            ),
        }
    }
}

impl Live {
    /// Returns the objects that differ from Git, without snoozed drift and added fields.
    pub fn differing(&self) -> impl Iterator<Item = &DriftObject> {
        let left = self.drift.iter().flat_map(|drift| &drift.left);
        left.filter(|object| object.state != DriftState::Snoozed && !drift::is_unmanaged(object))
    }

    /// Returns the corrected objects.
    pub fn corrected(&self) -> &[DriftObject] {
        self.drift.as_ref().map_or(&[], |drift| &drift.corrected)
    }

    /// The number of objects with drift that was not reported before.
    pub fn drifts(&self, before: Option<&DriftStatus>) -> u64 {
        let was_reported = |object: &DriftObject| {
            before.iter().flat_map(|drift| &drift.objects).any(|reported| drift::is_same(reported, object))
        };
        let left =
            self.drift.iter().flat_map(|drift| &drift.left).filter(|object| !was_reported(object)).count();
        (left + self.corrected().len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn findings() -> Findings {
        let sync = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": "a"},
            "spec": {"source": {"git": {"url": "https://git.example.com/a"}}}});
        let sync: Sync = serde_json::from_value(sync).expect("a Sync");
        Findings::of(&sync, &SyncRef::new("team", "a"), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_run_is_complete_unless_it_failed_waits_or_is_suspended() {
        assert!(findings().is_complete());
        let ends = [
            Ended { failure: Some(Failure::user("source", "NotFound", "no")), ..Ended::default() },
            Ended { suspended: Some("by spec.suspend".to_owned()), ..Ended::default() },
            Ended { waits: Some("wave 2".to_owned()), ..Ended::default() },
        ];
        for ended in ends {
            let found = Findings { ended, ..findings() };
            assert!(!found.is_complete() && !found.is_well());
        }
    }

    #[test]
    fn masked_texts_are_in_no_message() {
        let mut found = findings();
        let mut masks = Masks::default();
        masks.add("hunter2-hunter2");
        found.ended.failure = Some(Failure::user("apply", "Invalid", "value hunter2-hunter2 is refused"));
        found.ended.waits = Some("waits for hunter2-hunter2".to_owned());
        found.remarks.warnings = Some(vec!["hunter2-hunter2".to_owned()]);
        found.hide(&masks);
        let failure = found.ended.failure.map(|failure| failure.message).unwrap_or_default();
        let texts = [
            failure,
            found.ended.waits.unwrap_or_default(),
            found.remarks.warnings.unwrap_or_default().join(""),
        ];
        assert!(texts.iter().all(|text| !text.contains("hunter2")), "{texts:?}");
    }
}

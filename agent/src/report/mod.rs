//! Converts findings to status, Events, log lines and alerts. Never fails a sync.
//!
//! Decides what is reported; leaves writing to `write` and `events`. The decisions are pure.

pub mod alert;
pub mod approvals;
pub mod audit;
pub mod changes;
pub mod drift;
pub mod events;
mod gauges;
pub mod progress;
pub mod status;
pub mod tell;
pub mod updates;
pub mod write;

use holdfast_diff::causes::{self, Cause, Mistake};
use holdfast_diff::health::{Health, Status};
use holdfast_diff::mask::Masks;
use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{Change, PlanId};
use jiff::Timestamp;
use kube::ResourceExt as _;

use self::drift::Drift;
use crate::api::{
    ChartStatus, CommitNote, CompletedJob, DriftObject, DriftState, DriftStatus, RemoteStatus, Sync, names,
};
use crate::error::{Class, StageError};
use crate::gate::Waiting;
use crate::sync_ref::SyncRef;

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

/// A stage that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{stage}: {message}")]
pub struct Failure {
    pub stage: &'static str,
    pub class: Class,
    pub reason: &'static str,
    pub message: String,
    /// All mistakes by cause, if the message does not name all of them.
    pub causes: Vec<Cause>,
    /// The cause that failures of other Syncs may share, such as the host of their repositories.
    pub common: Option<String>,
}

/// The number of objects of a Sync, and those that are not healthy.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    pub total: usize,
    pub unhealthy: Vec<(ObjectId, Health)>,
}

/// A plan that was applied, completely or in part.
#[derive(Clone, Debug)]
pub struct Done {
    pub id: PlanId,
    pub changes: Vec<Change>,
}

/// Everything that one reconcile found.
#[derive(Debug)]
pub struct Findings {
    pub generation: i64,
    /// The value of `holdfast.dev/reconcile-at` at the start of the run.
    pub asked: Option<String>,
    pub now: Timestamp,
    pub seen: Option<Seen>,
    pub failure: Option<Failure>,
    /// The reason of the suspension, and its end if there is one.
    pub suspended: Option<String>,
    /// What the run waits for without an error.
    pub waits: Option<String>,
    /// True if no watch event ends the wait.
    pub again: bool,
    /// The latest time of the next run, if it is sooner than usual.
    pub next: Option<std::time::Duration>,
    pub waiting: Option<Waiting>,
    /// The name of the Approval that this run has used.
    pub approval: Option<String>,
    pub done: Option<Done>,
    /// Objects that differ or were corrected; `None` if nothing was compared.
    pub drift: Option<Drift>,
    pub objects: Option<Objects>,
    /// Jobs that have done their work; `None` if that is not known.
    /// The chart, if all was rendered anew.
    pub chart: Option<Option<ChartStatus>>,
    /// What was rendered of elsewhere, if all was rendered anew.
    pub remotes: Option<Vec<RemoteStatus>>,
    pub completed: Option<Vec<CompletedJob>>,
    /// The path of the webhook, if it was read.
    pub webhook_path: Option<Option<String>>,
    /// Problems in the repository that do not block the sync; `None` if they were not checked.
    pub warnings: Option<Vec<String>>,
    /// Notes on objects that left Git and are not removed; `None` if they were not checked.
    pub notes: Option<Vec<String>>,
    pub wait_for_health: bool,
    pub health_timeout: std::time::Duration,
    /// The time after which a wait is reported as a timeout.
    pub timeout: std::time::Duration,
    /// Says who can approve, and how. The id of the plan follows in the message.
    pub approve: String,
    /// Says what to do if nothing can be approved.
    pub instead: Option<String>,
}

impl Findings {
    /// Creates empty findings.
    pub fn of(sync: &Sync, owner: &SyncRef, now: Timestamp) -> Self {
        Self {
            generation: sync.metadata.generation.unwrap_or_default(),
            asked: sync.annotations().get(names::RECONCILE_AT).cloned(),
            now,
            seen: None,
            failure: None,
            suspended: None,
            waits: None,
            again: false,
            next: None,
            waiting: None,
            approval: None,
            done: None,
            drift: None,
            objects: None,
            chart: None,
            remotes: None,
            completed: None,
            webhook_path: None,
            warnings: None,
            notes: None,
            wait_for_health: sync.spec.wait_for_health(),
            health_timeout: sync.spec.health_timeout(),
            timeout: sync.spec.timeout(),
            instead: None,
            approve: format!(
                "Users with the right to create approvals.holdfast.dev in namespace {0} can approve it with: holdfast approve -n {0} {1}",
                owner.namespace(),
                owner.name()
            ),
        }
    }
}

impl Findings {
    /// True if nothing is wrong except that objects are not healthy yet.
    pub fn on_the_way(&self) -> bool {
        let unhealthy = self.objects.as_ref().map(|objects| objects.unhealthy.as_slice()).unwrap_or_default();
        self.is_well()
            && !unhealthy.is_empty()
            && unhealthy.iter().all(|(_, health)| health.status == Status::InProgress)
    }

    /// Returns the objects that differ from Git, without snoozed drift and added fields.
    pub fn differing(&self) -> impl Iterator<Item = &DriftObject> {
        let left = self.drift.iter().flat_map(|drift| &drift.left);
        left.filter(|object| object.state != DriftState::Snoozed && !drift::is_unmanaged(object))
    }

    /// Masks secret texts in messages of servers and renderers, which can quote them.
    pub fn hide(&mut self, masks: &Masks) {
        if masks.is_empty() {
            return;
        }
        let hide = |text: &mut String| *text = masks.hide(text).into_owned();
        if let Some(Failure { message, causes, .. }) = &mut self.failure {
            hide(message);
            causes.iter_mut().for_each(|cause| {
                hide(&mut cause.text);
                cause.places.iter_mut().for_each(hide);
            });
        }
        self.waits.iter_mut().for_each(hide);
        self.warnings.iter_mut().flatten().for_each(hide);
        let unhealthy = self.objects.iter_mut().flat_map(|objects| &mut objects.unhealthy);
        unhealthy.for_each(|(_, health)| hide(&mut health.message));
    }

    /// Returns the corrected objects.
    pub fn corrected(&self) -> &[DriftObject] {
        self.drift.as_ref().map_or(&[], |drift| &drift.corrected)
    }

    /// The number of objects with new drift.
    pub fn drifts(&self, before: Option<&DriftStatus>) -> u64 {
        let was_reported = |object: &DriftObject| {
            before.iter().flat_map(|drift| &drift.objects).any(|reported| drift::is_same(reported, object))
        };
        let left =
            self.drift.iter().flat_map(|drift| &drift.left).filter(|object| !was_reported(object)).count();
        (left + self.corrected().len()) as u64
    }

    /// True if nothing is wrong, apart from the health of objects.
    pub fn is_well(&self) -> bool {
        self.failure.is_none()
            && self.waits.is_none()
            && self.waiting.is_none()
            && self.differing().next().is_none()
            && self.suspended.is_none()
    }
}

impl Failure {
    /// Converts the error of a stage.
    pub fn of(stage: &'static str, error: &impl StageError) -> Self {
        let (mistakes, more) = error.mistakes();
        let message = match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        };
        let failure = Self::new(stage, error.class(), error.name(), message);
        let failure = Self { common: error.common_cause(), ..failure };
        if causes::summary(&mistakes, more).1 { failure } else { failure.with(&mistakes) }
    }

    /// A failure whose message names only some of its mistakes.
    #[must_use]
    pub fn with(self, mistakes: &[Mistake]) -> Self {
        let message = format!("{}; `holdfast status NAME` lists all of them", self.message);
        Self { message, causes: causes::group(mistakes), ..self }
    }

    pub fn new(stage: &'static str, class: Class, reason: &'static str, message: impl Into<String>) -> Self {
        Self { stage, class, reason, message: message.into(), causes: Vec::new(), common: None }
    }

    pub fn transient(stage: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(stage, Class::Transient, reason, message)
    }

    pub fn user(stage: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(stage, Class::User, reason, message)
    }

    pub fn internal(stage: &'static str, message: impl Into<String>) -> Self {
        Self::new(stage, Class::Internal, "InternalError", message)
    }
}

//! The stage `apply`: carries out what the gate approved.
//!
//! Before the first write, the use of an Approval is recorded, the marks of the set are extended, and drift is written to the
//! status for Alerts. If an object of the plan has changed since it was compared, nothing is written, and the plan is made again.
//! Leaves the writes to [`crate::cluster::apply`]. I/O: API writes.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{Change, Operation, PlanId};
use tokio::sync::mpsc::UnboundedSender;

use super::approvals::{Approvals, Noted};
use super::drift::Reported;
use super::drift::announce::{Announcer, announce};
use super::gate::{self, Decided};
use super::limits::{Limits, SUPERSEDED};
use super::lingering;
use super::observe::hide;
use super::past::Past;
use super::plan::Basis;
use super::rendered_commit::RenderedCommit;
use super::source::Follows;
use super::sync_at::SyncAt;
use crate::cluster::Cluster;
use crate::cluster::apply::{self, Failed, Until};
use crate::cluster::outcome::Outcome as Written;
use crate::cluster::parent;
use crate::cluster::refusal::{ObjectError, chain};
use crate::cluster::requests::Requests;
use crate::error::{Class, StageError};
use crate::gate::{ApprovedPlan, Decision, Set, Waiting};
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::report::Failure;
use crate::source::Sources;
use crate::sync_ref::SyncRef;

/// Maximum number of consecutive plans that are made again because an object has changed. After that the plan is applied without
/// the object: each write is guarded too.
const REPLANS: u8 = 3;

/// What the stage needs.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    pub cluster: &'a Cluster,
    pub requests: &'a Requests,
    pub approvals: Approvals<'a>,
    pub announcer: Announcer<'a>,
    /// The commit that is applied, if the source may have a newer one.
    pub commit: Option<Commit<'a>>,
    pub limits: &'a Limits,
    pub metrics: &'a Metrics,
    pub progress: &'a Progress,
}

/// A commit that is applied until a newer one supersedes it.
#[derive(Clone, Copy)]
pub struct Commit<'a> {
    pub sources: &'a Sources,
    pub follows: &'a Follows,
    pub read: &'a RenderedCommit,
    pub wake: &'a UnboundedSender<SyncRef>,
}

/// The outcome of a plan.
pub struct Outcome {
    pub plan: PlanId,
    pub done: Vec<Change>,
    pub errors: Vec<ObjectError>,
    /// Why the rest was not tried yet.
    pub waits: Option<String>,
    /// True if no watch event ends that wait, so that the run must be repeated.
    pub again: bool,
    /// The changes that wait for an Approval.
    pub waiting: Option<Waiting>,
    /// The Approval that the plan used.
    pub approval: Option<String>,
    /// Drift whose correction was tried.
    pub attempted: Reported,
    /// The dependency that withholds what is not drift.
    pub not_ready: Option<gate::Error>,
    /// Why the use of an Approval could not be recorded.
    pub not_noted: Option<gate::Error>,
    /// Why nothing was applied.
    pub stopped: Option<Error>,
    pub basis: Basis,
}

/// Why nothing is applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot write the ApplySet annotations of the Sync: {0}")]
    NotMarked(String),
    #[error("{0} has changed since the plan was made")]
    Moved(ObjectId),
}

/// Applies the approved changes. A newer commit or a change of the Sync ends the apply between two waves.
pub async fn apply(
    parts: Parts<'_>,
    at: SyncAt<'_>,
    decided: Decided,
    set: Set,
    revision: &str,
    past: &mut Past,
) -> Outcome {
    let Decided { decision, not_ready, basis } = decided;
    let Noted { decision, begun, failure } = parts.approvals.note(decision, set, revision).await;
    let Decision { approved, waiting, used: _ } = decision;
    let mut outcome = Outcome {
        plan: approved.plan().id.clone(),
        done: Vec::new(),
        errors: Vec::new(),
        waits: None,
        again: false,
        waiting,
        approval: begun.as_ref().map(|begun| begun.name().to_owned()),
        attempted: Reported::new(),
        not_ready,
        not_noted: failure,
        stopped: None,
        basis,
    };
    outcome.stopped = prepare(parts, at, set, &approved, &mut outcome, past).await.err();
    if outcome.stopped.is_some() {
        return outcome;
    }
    write(parts, at, approved, &mut outcome).await;
    let settled = parts.approvals.settle(begun, &outcome.done).await;
    outcome.not_noted = outcome.not_noted.or(settled.err());
    outcome
}

/// Writes the marks and the drift, and checks that no object of the plan has changed.
async fn prepare(
    Parts { cluster, announcer, .. }: Parts<'_>,
    at: SyncAt<'_>,
    set: Set,
    approved: &ApprovedPlan,
    outcome: &mut Outcome,
    past: &mut Past,
) -> Result<(), Error> {
    let changes = &approved.plan().changes;
    if !set.ending {
        let (client, members) = (cluster.clients.own(), outcome.basis.set.members());
        let marked = parent::mark(&client, cluster, at.sync, at.owner, members).await;
        marked.map_err(|error| Error::NotMarked(chain(&error)))?;
    }
    outcome.attempted = announce(announcer, at, past, &outcome.basis.drift.drifted, changes).await;
    match changes.iter().find(|change| cluster.view.moved(at.owner, change)) {
        Some(moved) if past.replans < REPLANS => {
            past.replans += 1;
            Err(Error::Moved(moved.object.clone()))
        }
        _ => {
            past.replans = 0;
            Ok(())
        }
    }
}

/// Writes and removes objects.
async fn write(parts: Parts<'_>, at: SyncAt<'_>, approved: ApprovedPlan, outcome: &mut Outcome) {
    let Parts { cluster, requests, commit, limits, metrics, progress, .. } = parts;
    let superseded = || -> BoxFuture<'_, bool> {
        async move {
            limits.is_superseded()
                || match commit {
                    Some(commit) => commit.is_superseded(at).await,
                    None => false,
                }
        }
        .boxed()
    };
    let until = Until { superseded, ended: || limits.reached(), progress };
    let set = &outcome.basis.set;
    let waiting = outcome.waiting.iter().flat_map(|waiting| &waiting.plan.changes);
    let waiting = waiting.filter(|change| change.operation == Operation::Delete);
    let failed = Failed {
        objects: set.errors.iter().filter_map(|error| error.id.clone()).collect(),
        wave: set.failed_wave,
        lingering: lingering::awaited(at, set),
        waiting: waiting.map(|change| change.object.clone()).collect(),
    };
    let kinds = &outcome.basis.kinds;
    let written = apply::apply(cluster, requests, at.owner, approved, kinds, failed, until).await;
    let Written { done, mut errors, waits, again } = written;
    errors.iter_mut().for_each(|error| error.stage = "apply");
    hide(&set.masks, &mut errors);
    done.iter().for_each(|change| metrics.change(change.operation.word(), "ok"));
    errors.iter().for_each(|_| metrics.change("any", "error"));
    (outcome.done, outcome.errors, outcome.waits, outcome.again) = (done, errors, waits, again);
}

/// Removes kinds and namespaces without members from the marks of a Sync.
pub async fn unmark(cluster: &Cluster, at: SyncAt<'_>, past: &mut Past) -> Result<(), Error> {
    let left = past.former.left(cluster, at.owner);
    if left.is_nothing() {
        return Ok(());
    }
    let forgotten = parent::forget(&cluster.clients.own(), at.sync, at.owner, &left).await;
    forgotten.map_err(|error| Error::NotMarked(chain(&error)))?;
    past.former.kinds.retain(|kind| !left.kinds.contains(kind));
    past.former.places.retain(|place| !left.places.contains(place));
    Ok(())
}

impl Commit<'_> {
    /// True if the source has a newer commit. Then a run for it is requested.
    async fn is_superseded(&self, at: SyncAt<'_>) -> bool {
        let is_newer = self.follows.is_newer(self.sources, at, self.read).await;
        if is_newer {
            // The receiver ends with the process.
            let _ = self.wake.send(at.owner.clone());
        }
        is_newer
    }
}

impl StageError for Error {
    fn class(&self) -> Class {
        Class::Transient
    }

    fn name(&self) -> &'static str {
        match self {
            Self::NotMarked(_) => "Unreachable",
            Self::Moved(_) => SUPERSEDED,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of("apply", &error)
    }
}

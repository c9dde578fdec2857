//! One run of one Sync, for the composers: it passes each stage the parts of the agent that the stage needs, within a span and a
//! timer of the stage's name. Stages do not import it. No I/O of its own.

use tracing::{Instrument as _, info_span};

use super::acting::{self, Acting};
use super::apply::{self, Commit, Outcome};
use super::approvals::Approvals;
use super::claims::Claims;
use super::dependencies::Dependencies;
use super::drift::announce::Announcer;
use super::drift::users::Users;
use super::gate::{self, Decided, Rules};
use super::inputs::Gather;
use super::limits::Limits;
use super::observe::{self, Observed};
use super::past::Past;
use super::peers::Ended;
use super::plan::{self, Planned};
use super::recall;
use super::render::{self, ManifestSet, Rendered};
use super::services::Services;
use super::source::{self, Source};
use super::sync_at::SyncAt;
use crate::cluster::Cluster;
use crate::cluster::judges::JudgeError;
use crate::cluster::requests::Requests;
use crate::error::Class;
use crate::gate::Set;
use crate::local;
use crate::progress::Progress;
use crate::report::{Failure, Findings, Seen};
use crate::rooms;
use crate::shares::Share;
use crate::sync_ref::SyncRef;

/// One run of one Sync.
pub struct Run<'a> {
    pub services: &'a Services,
    pub at: SyncAt<'a>,
    pub limits: Limits,
    pub progress: Progress,
}

impl<'a> Run<'a> {
    /// Checks what needs no I/O: the identity, the references, and the health and ignore rules. The outer error stops the run.
    /// The inner error is an invalid rule: the run goes on without it and reports it at its end.
    pub fn admit(&self) -> Result<Result<(), Failure>, Failure> {
        self.acting().identity()?;
        self.dependencies().allow(self.at)?;
        let judged = self.services.cluster.view.judges.take(self.at.owner, self.at.sync);
        Ok(judged.map_err(|error| match &error {
            JudgeError::HealthCheckInvalid(_) => {
                Failure::user("health", "HealthCheckInvalid", error.to_string())
            }
            JudgeError::IgnoreRuleInvalid(_) => Failure::user("plan", "IgnoreRuleInvalid", error.to_string()),
        }))
    }

    /// The identity of the run.
    pub fn acting(&self) -> Acting<'_> {
        let Services { cluster, policy, .. } = self.services;
        Acting { cluster, policy, at: self.at }
    }

    /// What the stage `source` needs.
    pub fn source(&self) -> source::Parts<'_> {
        let Services { sources, secrets, policy, cluster, peers, calls, metrics, .. } = self.services;
        let (view, progress) = (&*cluster.view, &self.progress);
        source::Parts { sources, secrets, policy, view, peers, calls, metrics, progress }
    }

    /// What gathering the inputs of a render needs.
    pub fn inputs(&self) -> Gather<'_> {
        let Services { secrets, cluster, outside, policy, .. } = self.services;
        Gather { secrets, discovery: &cluster.discovery, outside, policy, progress: &self.progress }
    }

    /// What the stage `render` needs.
    pub fn render(&self) -> render::Parts<'_> {
        let Services { sources, renders, renderer, policy, cluster, peers, rooms, metrics, .. } =
            self.services;
        render::Parts {
            sources,
            inputs: self.inputs(),
            renders,
            renderer,
            policy,
            view: &cluster.view,
            peers,
            runs: &rooms.runs,
            metrics,
            progress: &self.progress,
        }
    }

    /// Renders the revision that was applied before a restart. Returns a warning if that is not possible. `seen` is `None` for a
    /// working tree, which has no revision.
    pub async fn recall(&self, seen: Option<&Seen>, past: &mut Past) -> Option<String> {
        let cluster = &self.services.cluster;
        Box::pin(recall::recall(self.render(), cluster, self.at, seen, past)).await
    }

    /// Reserves memory for a render in the share of the Sync's namespace, and waits until there is enough. Drift has a share of
    /// its own.
    pub async fn room(&self, manifests: &ManifestSet) -> Share {
        self.progress.begin(
            "observe",
            "waiting for memory: other Syncs of this namespace are being compared with the cluster",
        );
        let rooms = &self.services.rooms;
        let rooms = if manifests.part_of.is_some() { &rooms.drift } else { &rooms.whole };
        let bytes = manifests.manifests.iter().map(|manifest| rooms::size(&manifest.value)).sum();
        rooms.take_many(self.at.owner.namespace(), rooms::units(bytes)).await
    }

    /// Returns the client of the run, limited by the share of the Sync's namespace. Drift has a share of its own.
    pub async fn requests(&self, manifests: &ManifestSet) -> Result<Requests, acting::Error> {
        let rooms = &self.services.rooms;
        let share = if manifests.part_of.is_some() { &rooms.drift_requests } else { &rooms.requests };
        Ok(self.acting().requests().await?.within(share, self.at.owner.namespace()))
    }

    /// The stage `observe`.
    pub async fn observe(
        &self,
        requests: &Requests,
        (revision, tree): (&str, &str),
        manifests: ManifestSet,
        past: &Past,
    ) -> Result<Observed, observe::Error> {
        let _timer = self.services.metrics.stage("observe");
        let Services { cluster, policy, .. } = self.services;
        let shortened = self.limits.shortened.as_ref();
        let progress = &self.progress;
        let parts = observe::Parts { cluster, policy, claims: self.claims(), requests, progress, shortened };
        let span = info_span!("observe", sync = %self.at.owner);
        let is_whole = manifests.part_of.is_none();
        let observed =
            observe::observe(parts, self.at, (revision, tree), manifests, past).instrument(span).await?;
        if is_whole && observed.is_complete() {
            self.wake(self.services.peers.reached(self.at.owner, revision));
        }
        Ok(observed)
    }

    /// The stage `plan`. Records what it verified in the live view and in `past`.
    pub fn plan(&self, seen: &Seen, observed: Observed, past: &mut Past) -> Planned {
        let Cluster { uid, view, .. } = &self.services.cluster;
        let _span = info_span!("plan", sync = %self.at.owner).entered();
        let plan = || local::work(|| plan::plan(self.at, uid, seen, observed, past));
        let mut planned = self.timed("plan", plan);
        plan::record(self.at, &mut planned.basis, view, past);
        planned
    }

    /// Removes the changes from a plan that the identity has no right to make.
    pub async fn rights(&self, requests: &Requests, planned: Planned) -> Result<Planned, plan::Error> {
        self.progress.begin("plan", "checking the rights of the Sync");
        let span = info_span!("plan", sync = %self.at.owner);
        plan::rights(requests, &self.services.cluster.uid, planned).instrument(span).await
    }

    /// Removes the objects from a plan that the API server would not create, for a plan that is shown and not applied.
    pub async fn creations(&self, requests: &Requests, planned: Planned) -> Planned {
        plan::creations(requests, &self.services.cluster.uid, planned).await
    }

    /// Describes the set to the gate.
    pub fn set(&self, empty: bool, ending: bool) -> Set {
        Set { owned: self.services.cluster.view.count(self.at.owner), empty, ending }
    }

    /// Whether the dependencies of the Sync are ready.
    pub fn ready(&self, seen: &Seen) -> Result<(), gate::Error> {
        self.dependencies().ready(self.at, self.claims(), seen)
    }

    /// The stage `gate`.
    pub fn gate(&self, planned: Planned, set: Set, ready: Result<(), gate::Error>) -> Decided {
        let (at, cluster) = (self.at, &self.services.cluster.uid);
        let (policy, now) = (at.sync.spec.approval, at.now);
        let approvals = &self.approvals().given();
        if ready.is_err() {
            self.services.cluster.view.disclaim_absent(at.owner);
        }
        let _span = info_span!("gate", sync = %at.owner, plan = %planned.plan.id).entered();
        self.timed("gate", || gate::gate(planned, Rules { cluster, policy, set, approvals, ready, now }))
    }

    /// The stage `apply`.
    pub async fn apply(
        &self,
        requests: &Requests,
        commit: Option<(&Source, &Rendered)>,
        decided: Decided,
        set: Set,
        past: &mut Past,
    ) -> Outcome {
        let Services { cluster, sources, metrics, wake, alerts, audit, .. } = self.services;
        let _timer = metrics.stage("apply");
        let revision = commit.map(|(_, rendered)| rendered.seen.revision.as_str()).unwrap_or_default();
        let commit = commit.and_then(|(source, rendered)| {
            let follows = source.follows.as_ref()?;
            Some(Commit { sources, follows, read: &rendered.read, wake })
        });
        let parts = apply::Parts {
            cluster,
            requests,
            approvals: self.approvals(),
            announcer: Announcer { alerts, users: Users { cluster, audit: audit.as_deref() } },
            commit,
            limits: &self.limits,
            metrics,
            progress: &self.progress,
        };
        let plan = &decided.decision.approved.plan().id;
        let span = info_span!("apply", sync = %self.at.owner, %plan);
        apply::apply(parts, self.at, decided, set, revision, past).instrument(span).await
    }

    /// Wakes the Syncs that wait for this one and need not wait any more. A transient failure says nothing about the objects that
    /// this Sync wants.
    pub fn wake_peers(&self, found: &Findings) {
        let (owner, peers) = (self.at.owner, &self.services.peers);
        let class = found.ended.failure.as_ref().map(|failure| failure.class);
        if class.is_none_or(|class| class == Class::User)
            && let Some(seen) = &found.seen
        {
            self.wake(peers.reached(owner, &seen.revision));
        }
        let is_not_rendered = found.ended.failure.as_ref().is_some_and(|failure| failure.stage == "render");
        let how = match &found.seen {
            _ if class == Some(Class::User) || found.ended.suspended.is_some() => Ended::Stopped,
            Some(seen) if is_not_rendered => {
                Ended::NotRendered { revision: seen.revision.clone(), since: self.at.now }
            }
            _ => Ended::Working,
        };
        self.wake(peers.ended(owner, how));
    }

    fn wake(&self, syncs: Vec<SyncRef>) {
        syncs.into_iter().for_each(|sync| self.services.wake(sync));
    }

    /// The dependencies among Syncs.
    pub fn dependencies(&self) -> Dependencies<'a> {
        let Services { cluster, policy, .. } = self.services;
        Dependencies { syncs: &cluster.syncs, policy }
    }

    /// The Approvals of the Sync.
    pub fn approvals(&self) -> Approvals<'_> {
        let Services { approvals, cluster, policy, .. } = self.services;
        Approvals { store: approvals, cluster, policy, at: self.at }
    }

    /// Runs work and times it as a stage.
    pub fn timed<T>(&self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let _timer = self.services.metrics.stage(stage);
        work()
    }

    fn claims(&self) -> Claims<'a> {
        let Services { cluster, peers, policy, together, .. } = self.services;
        Claims { syncs: &cluster.syncs, peers, policy, together: *together }
    }
}

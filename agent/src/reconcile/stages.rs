//! What each stage needs, brought to it: the pipeline is in `reconcile`, the work is in the stages.
//!
//! I/O: through the stages.

use std::collections::HashSet;
use std::time::Duration;

use futures::FutureExt as _;
use holdfast_diff::digest::Digest;
use holdfast_diff::fields;
use holdfast_diff::health::Status as Health;
use holdfast_diff::object::{Manifest, ObjectId};
use holdfast_diff::plan::{self, Plan, Seen as State};
use kube::ResourceExt as _;
use tokio::sync::SemaphorePermit;
use tracing::instrument;

use super::Run;
use super::jobs::is_completed;
use crate::api::{DriftMode, Sync, names};
use crate::cluster::apply::{self, Failed, Kinds, Outcome};
use crate::cluster::entry::Entry;
use crate::cluster::observe;
use crate::cluster::parent;
use crate::cluster::refusal::{ObjectError, chain};
use crate::cluster::requests::Requests;
use crate::cluster::resolve::{self, Desired};
use crate::cluster::rights;
use crate::context::{Memory, ROOM};
use crate::gate::{self, ApprovedPlan, Decision};
use crate::render;
use crate::report::{Failure, Objects, Seen};
use crate::source::{Credential, Folder, GitRef, Location};

/// What `source` found.
pub struct Source {
    pub seen: Seen,
    folder: Folder,
    location: Location,
    reference: GitRef,
    /// Git could not be asked; this is what it said last.
    pub trouble: Option<Failure>,
}

/// Why nothing is done now, if the Sync is suspended.
pub fn suspended(run: &Run<'_>) -> Option<String> {
    let suspend = run.sync.spec.suspend.as_ref()?;
    match suspend.until {
        Some(until) if until <= run.now => None,
        Some(until) => Some(format!("suspended until {until}: {}", suspend.reason)),
        None => Some(format!("suspended: {}", suspend.reason)),
    }
}

/// Takes the health checks that the Sync brings.
pub fn checks(run: &Run<'_>) -> Result<(), Failure> {
    let taken = run.context.cluster.view.judges.take(run.owner, run.sync);
    taken.map_err(|error| Failure::user("health", "HealthCheckInvalid", error))
}

/// Asks git, at most once an interval for all Syncs of a repository.
#[instrument(name = "source", skip_all, fields(sync = %run.owner))]
pub async fn source(run: &Run<'_>, memory: &mut Memory) -> Result<Source, Failure> {
    let timer = run.context.metrics.stage("source");
    let spec = &run.sync.spec;
    let git = &spec.source.git;
    let credential = match &git.secret_ref {
        Some(secret) => {
            let data = run.context.secrets.read(run.owner, &secret.name).await;
            let data =
                data.map_err(|error| Failure::user("source", "SecretUnreadable", error.to_string()))?;
            Some(Credential::from_secret(&data).map_err(|error| Failure::of("source", &error))?)
        }
        None => None,
    };
    run.context.secrets.release(run.owner, git.secret_ref.as_ref().map(|secret| secret.name.as_str()));
    let location = Location::parse(&git.url, credential).map_err(|error| Failure::of("source", &error))?;
    let asked = run.sync.annotations().get(names::RECONCILE_AT).cloned();
    let max_age = if asked == memory.asked { spec.interval() } else { Duration::ZERO };
    run.context.memories.uses(run.owner, location.mirror());
    let reference = reference(git.reference.as_ref());
    let answer = run.context.sources.checkout(&location, &reference, max_age, spec.timeout()).await;
    memory.asked = asked;
    let trouble = match answer {
        Ok(checkout) => {
            memory.checkout = Some(checkout);
            None
        }
        Err(error) => Some(Failure::of("source", &error)),
    };
    drop(timer);
    let (checkout, trouble) = match (&memory.checkout, trouble) {
        (Some(checkout), trouble) if checkout.is_of(&location, &reference) => (checkout, trouble),
        (_, Some(failure)) => return Err(failure),
        (_, None) => return Err(Failure::internal("source", "the checkout is of another repository")),
    };
    let path = spec.path.as_deref().unwrap_or_default();
    let folder = checkout.folder(path).map_err(|error| Failure::of("source", &error))?;
    let seen = Seen {
        revision: checkout.revision().to_string(),
        short: checkout.revision().short(),
        tree: folder.id().clone(),
    };
    Ok(Source { seen, folder, location, reference, trouble })
}

fn reference(git: Option<&crate::api::GitRef>) -> GitRef {
    let Some(git) = git else { return GitRef::default() };
    let crate::api::GitRef { branch, tag, semver, name, commit } = git.clone();
    let chosen = [
        commit.map(GitRef::Commit),
        name.map(GitRef::Name),
        semver.map(GitRef::Semver),
        tag.map(GitRef::Tag),
        branch.map(GitRef::Branch),
    ];
    chosen.into_iter().flatten().next().unwrap_or_default()
}

/// True if git, the Sync and every live object are as they were when they were seen to agree: nothing is asked.
pub fn unchanged(run: &Run<'_>, source: &Source, memory: &Memory) -> bool {
    memory.rendered.as_ref().is_some_and(|rendered| {
        let is_done = |object: &ObjectId, manifest| is_completed(run.status, object, manifest);
        rendered.is_of(&source.seen.tree, run.sync)
            && !rendered.objects.is_empty()
            && run.context.cluster.view.all_satisfied(run.owner, &rendered.objects, is_done)
    })
}

/// Reads and renders the files of the folder.
#[instrument(name = "render", skip_all)]
pub async fn render(run: &Run<'_>, source: &Source) -> Result<Vec<Manifest>, Failure> {
    let _timer = run.context.metrics.stage("render");
    let folder = source.folder.clone();
    let rendered = tokio::task::spawn_blocking(move || {
        let mut files = Vec::new();
        for file in folder.files(render::reads).map_err(|error| Failure::of("source", &error))? {
            let bytes = folder.read(&file).map_err(|error| Failure::of("source", &error))?;
            files.push(render::File { path: file.path, bytes });
        }
        render::render(&files).map_err(|error| Failure::of("render", &error))
    });
    let set = rendered.await.map_err(|error| Failure::internal("render", error.to_string()))??;
    Ok(set.manifests)
}

/// Waits until there is room for so many objects, and holds it.
pub async fn room<'a>(run: &Run<'a>, objects: usize) -> Result<SemaphorePermit<'a>, Failure> {
    let wanted = u32::try_from(objects).map_or(ROOM, |objects| objects.min(ROOM));
    let room = run.context.room.acquire_many(wanted).await;
    room.map_err(|error| Failure::internal("observe", error.to_string()))
}

/// What there is of what is desired.
pub struct Observed {
    requests: Requests,
    /// What every desired object must satisfy.
    pub desired: Vec<(ObjectId, Digest)>,
    seen: observe::Observed,
    /// What nothing can be said about.
    pub errors: Vec<ObjectError>,
    /// Why some objects are not looked at yet.
    pub waits: Option<String>,
}

/// Looks at every object that is desired or owned.
#[instrument(name = "observe", skip_all, fields(sync = %run.owner))]
pub async fn observe(run: &Run<'_>, manifests: Vec<Manifest>, revision: &str) -> Result<Observed, Failure> {
    let _timer = run.context.metrics.stage("observe");
    let (context, spec) = (run.context, &run.sync.spec);
    let cluster = &context.cluster;
    let requests = cluster
        .requests(run.owner, spec.service_account_name.as_deref())
        .map_err(|error| Failure::internal("observe", error.to_string()))?;
    let namespace = spec.target_namespace.as_deref().unwrap_or(run.owner.namespace());
    let (desired, mut errors) = resolve::resolve(&cluster.discovery, run.owner, namespace, manifests).await;
    let names: Vec<ObjectId> = desired.iter().map(|desired| desired.object.clone()).collect();
    let digests = desired.iter().map(|desired| (desired.object.clone(), desired.digest)).collect();
    let (former, mut unknown) = parent::former_kinds(cluster, run.sync, &names).await;
    errors.append(&mut unknown);
    let is_done = |desired: &Desired| is_completed(run.status, &desired.object, desired.digest);
    let mut seen = observe::observe(cluster, &requests, run.owner, desired, &former, is_done).await;
    errors.append(&mut seen.errors);
    // While another Sync of the same source has not looked at this revision, what it owns may be on its way to us.
    let moving = |error: &ObjectError| error.reason == observe::OWNED_BY_ANOTHER;
    let mut waits = None;
    if errors.iter().any(moving) {
        waits = context
            .behind(run.sync, run.owner, revision)
            .map(|other| format!("waits for Sync {other} to look at {revision} too"));
        if waits.is_some() {
            errors.retain(|error| !moving(error));
        }
    }
    Ok(Observed { requests, desired: digests, seen, errors, waits })
}

/// Writes what the Sync must say of its set before anything is applied that it does not cover.
pub async fn mark(run: &Run<'_>, observed: &Observed) -> Result<(), Failure> {
    let names: Vec<&ObjectId> = observed.desired.iter().map(|(object, _)| object).collect();
    parent::mark(&run.context.client, &run.context.cluster, run.sync, run.owner, &names)
        .await
        .map_err(|error| Failure::transient("apply", "Unreachable", chain(&error)))
}

/// A plan, and what is needed to carry it out.
pub struct Planned {
    pub plan: Plan,
    pub kinds: Kinds,
    /// This very tree was applied wholly before, so what differs now is drift.
    pub drift: bool,
    /// Why what left git is not in the plan yet.
    pub waits: Option<String>,
}

/// Plans what would make the cluster what git says. With anything unknown, nothing is removed.
#[instrument(name = "plan", skip_all, fields(sync = %run.owner))]
pub fn plan(run: &Run<'_>, Seen { tree, revision, .. }: &Seen, observed: &mut Observed) -> Planned {
    let _timer = run.context.metrics.stage("plan");
    let view = &run.context.cluster.view;
    let set = run.owner.applyset();
    let mut kinds = Kinds::new();
    let mut changes = Vec::new();
    for (Desired { object, kind, served, manifest, digest }, state) in
        std::mem::take(&mut observed.seen.objects)
    {
        if served {
            kinds.insert(object.clone(), kind.clone());
        }
        let live = match &state {
            State::Exists { live, .. } => fields::fingerprint(live, &kind.api_version()),
            State::Absent | State::Unchanged => None,
        };
        match plan::desired(&manifest, &object, &set, state) {
            Some(change) if !(only_reported(run) && change.only_ownership()) => {
                let risk = observed.risk(&object);
                changes.push(change.with_risk(risk));
            }
            _ => {
                if let Some(live) = live {
                    view.note_satisfied(&object, digest, live);
                }
            }
        }
    }
    let surplus = observed.surplus();
    let mut waits = None;
    if !surplus.is_empty() && observed.errors.is_empty() {
        waits = run.context.behind(run.sync, run.owner, revision).map(|other| {
            format!("nothing is removed before Sync {other} has looked at {revision} too: an object may have moved to it")
        });
        if waits.is_none() {
            for (object, entry) in surplus {
                let keep = match (run.sync.spec.prune, entry.keep) {
                    (_, true) => Some("holdfast.dev/prune: Disabled"),
                    (false, _) => Some("prune is off"),
                    (true, false) => None,
                };
                kinds.insert(object.clone(), entry.kind.clone());
                let risk = observed.risk(&object);
                let (version, uid) = (entry.kind.api_version(), entry.uid.to_string());
                let removed = plan::removed(object, version, uid, entry.stage, keep);
                changes.push(removed.with_risk(risk));
            }
        }
    }
    let plan = Plan::new(&run.context.cluster.uid, changes);
    let applied = run.status.revision.as_ref().and_then(|revision| revision.tree.as_ref());
    let drift = !plan.is_empty()
        && applied.is_some_and(|applied| applied == tree)
        && run.status.observed_generation == run.sync.metadata.generation;
    Planned { plan, kinds, drift, waits }
}

pub fn only_reported(run: &Run<'_>) -> bool {
    run.sync.spec.drift.mode == DriftMode::Report
}

/// What may be done now.
#[instrument(name = "gate", skip_all, fields(sync = %run.owner, plan = %plan.id))]
pub fn gate(run: &Run<'_>, plan: Plan, empty: bool, ending: bool) -> Decision {
    let _timer = run.context.metrics.stage("gate");
    let context = run.context;
    let set = gate::Set { owned: context.cluster.view.count(run.owner), empty, ending };
    let approvals = context.approvals(run.owner);
    gate::decide(&context.cluster.uid, plan, run.sync.spec.approval, set, &approvals, run.now)
}

/// Finds out what the identity of a Sync may not do, before anything is written. The agent itself is told by the API server.
#[instrument(name = "plan", skip_all, fields(sync = %run.owner))]
pub async fn rights(
    run: &Run<'_>,
    observed: &mut Observed,
    plan: Plan,
    kinds: &Kinds,
) -> Result<Plan, Failure> {
    let Some(name) = run.sync.spec.service_account_name.as_deref().filter(|_| !plan.is_empty()) else {
        return Ok(plan);
    };
    let user = format!("system:serviceaccount:{}:{name}", run.owner.namespace());
    let missing = rights::missing(observed.requests.client(), &user, &plan.changes, kinds).await;
    let missing = missing.map_err(|error| Failure::transient("plan", "Unreachable", chain(&error)))?;
    let (refused, errors): (HashSet<ObjectId>, Vec<ObjectError>) = missing.into_iter().unzip();
    observed.errors.extend(errors);
    Ok(plan.split(&run.context.cluster.uid, |change| !refused.contains(&change.object)).0)
}

/// Carries out what was approved. A newer revision, or a changed Sync, ends it between two waves.
#[instrument(name = "apply", skip_all, fields(sync = %run.owner, plan = %approved.plan().id))]
pub async fn apply(
    run: &Run<'_>,
    source: Option<&Source>,
    observed: &Observed,
    approved: ApprovedPlan,
    kinds: &Kinds,
) -> Outcome {
    let _timer = run.context.metrics.stage("apply");
    let cluster = &run.context.cluster;
    let superseded = || is_superseded(run, source).boxed();
    let objects = observed.errors.iter().filter_map(|error| error.id.clone()).collect();
    let failed = Failed { objects, wave: observed.seen.failed_wave };
    let outcome =
        apply::apply(cluster, &observed.requests, run.owner, approved, kinds, failed, superseded).await;
    for change in &outcome.done {
        run.context.metrics.change(change.operation.word(), "ok");
    }
    for _ in &outcome.errors {
        run.context.metrics.change("any", "error");
    }
    outcome
}

/// True if the agent ends, or if there is something newer to be applied, which then is asked for.
async fn is_superseded(run: &Run<'_>, source: Option<&Source>) -> bool {
    let asked = |sync: &Sync| sync.annotations().get(names::RECONCILE_AT).cloned();
    let changed = run.context.cluster.sync(run.owner).is_none_or(|newest| {
        newest.metadata.generation != run.sync.metadata.generation || asked(&newest) != asked(run.sync)
    });
    let newer = match source {
        Some(source) => is_newer(run, source).await,
        None => false,
    };
    if changed || newer {
        run.context.wake(run.owner.clone());
    }
    changed || newer || run.context.stop.is_cancelled()
}

/// True if git has another tree than the one that is being applied. Asked at most once an interval.
async fn is_newer(run: &Run<'_>, Source { seen, location, reference, .. }: &Source) -> bool {
    let spec = &run.sync.spec;
    let checkout = run.context.sources.checkout(location, reference, spec.interval(), spec.timeout()).await;
    let path = spec.path.as_deref().unwrap_or_default();
    checkout
        .ok()
        .and_then(|checkout| checkout.folder(path).ok())
        .is_some_and(|folder| *folder.id() != seen.tree)
}

/// What is being deleted and must be gone before it can be applied again.
pub fn ending(observed: &Observed) -> Option<String> {
    let (object, how) = observed.seen.ending.first()?;
    let more = observed.seen.ending.len() - 1;
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Some(format!("{object} is being deleted {how}{more}"))
}

impl Observed {
    /// Why more would go than an object itself, if it were deleted.
    pub fn risk(&self, object: &ObjectId) -> Option<String> {
        self.seen.risks.get(object).cloned()
    }

    /// What is ours and not desired any more.
    pub fn surplus(&mut self) -> Vec<(ObjectId, Entry)> {
        std::mem::take(&mut self.seen.surplus)
    }
}

/// How the objects of a Sync are, out of the live view.
pub fn health(run: &Run<'_>) -> Objects {
    let view = &run.context.cluster.view;
    let total = view.count(run.owner);
    let unhealthy = view.members_that(run.owner, |_, entry| entry.health.status != Health::Current);
    let unhealthy = unhealthy.into_iter().map(|(object, entry)| (object, entry.health)).collect();
    Objects { total, unhealthy }
}

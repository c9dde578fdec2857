//! What each stage needs, brought to it: the pipeline is in `reconcile`, the work is in the stages.
//!
//! I/O: through the stages.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use holdfast_diff::digest::Digest;
use holdfast_diff::mask::Masks;
use holdfast_diff::object::{Manifest, ObjectId};
use holdfast_diff::plan::{self, Change, Operation, Plan, Seen as State, SeenAt};
use kube::ResourceExt as _;
use tracing::instrument;

use super::drift;
use super::inputs;
use super::jobs::is_completed;
use super::leftovers::{self, Leftovers, Past};
use super::lingering;
use super::mistakes;
use super::source::{Source, is_newer};
use super::{Run, acting, bounds};
use crate::api::{ChartStatus, DriftMode, IgnoreRule, Sync, names};
use crate::cluster::apply::{self, Failed, Kinds, Outcome, Until};
use crate::cluster::contest::ActsAs;
use crate::cluster::entry::{self, Entry};
use crate::cluster::judges::JudgeError;
use crate::cluster::observe::{self, Scope, What};
use crate::cluster::parent::{self, Former, Unseen};
use crate::cluster::refusal::{ObjectError, chain};
use crate::cluster::requests::Requests;
use crate::cluster::resolve::{self, Desired};
use crate::cluster::rights;
use crate::cluster::view::{Differing, Differs};
use crate::context::Behind;
use crate::gate::{self, ApprovedPlan, Decision, Waiting};
use crate::local;
use crate::memory::{Memory, Rendered};
use crate::render::Fruit;
use crate::render::kept::Kept;
use crate::report::{Failure, Seen};
use crate::rooms;
use crate::shares::Share;
use crate::sync_ref::SyncRef;

/// Why nothing is done now, if the Sync is suspended.
pub fn suspended(run: &Run<'_>) -> Option<String> {
    run.sync.spec.suspend.as_ref()?.holds(run.now)
}

/// Takes what the Sync says about how its objects are judged.
pub fn checks(run: &Run<'_>) -> Result<(), Failure> {
    let taken = run.context.cluster.view.judges.take(run.owner, run.sync);
    taken.map_err(|error| match &error {
        JudgeError::HealthCheckInvalid(_) => Failure::user("health", "HealthCheckInvalid", error.to_string()),
        JudgeError::IgnoreRuleInvalid(_) => Failure::user("plan", "IgnoreRuleInvalid", error.to_string()),
    })
}

/// Notes the revision that a run works on, and whether the last verdict is about another one.
pub fn note_revision(run: &Run<'_>, seen: &Seen) {
    let before = run.status.revision.as_ref();
    let news = before.is_none_or(|before| before.tree.as_deref() != Some(&seen.tree));
    run.progress.revision(&seen.revision, &seen.short, news);
}

/// What differs from git now and did not when it was looked at, as positions in the render of this tree. `None` if that is
/// not known.
pub fn differing(run: &Run<'_>, tree: &str, memory: &Memory) -> Option<Differing> {
    let rendered = memory.rendered.as_ref()?;
    if !rendered.is_of(tree, run.sync) {
        return None;
    }
    let is_done = |object: &ObjectId, manifest| is_completed(run.status, object, manifest);
    let mut differing = run.context.cluster.view.differing(run.owner, &rendered.objects, is_done);
    differing.manifests.retain(|(at, seen)| {
        let (object, _) = &rendered.objects[*at];
        memory.drift.is_news(object, *seen, run.now)
    });
    Some(differing)
}

/// True if git, the Sync and every live object are as they were when they were looked at: nothing is asked.
pub fn unchanged(run: &Run<'_>, source: &Source, memory: &Memory) -> bool {
    differing(run, &source.seen.tree, memory).is_some_and(|differing| differing.is_nothing())
}

/// What is to be looked at.
pub struct Rendering {
    pub manifests: Vec<Manifest>,
    /// All that git says, if the manifests are only what differs of it.
    pub part_of: Option<Arc<Vec<(ObjectId, Digest)>>>,
    /// What is odd and stops nothing.
    pub warnings: Vec<String>,
    /// The chart, if this is all, and it is not in git.
    pub chart: Option<Option<ChartStatus>>,
    /// What must not be shown of the manifests, and of what they replace.
    pub masks: Arc<Masks>,
}

impl Rendering {
    /// All that git says. `before` are the masks of the render before: a value that is replaced may be one of them.
    pub fn whole(fruit: Fruit, before: &Masks) -> Self {
        let Fruit { manifests, warnings, volatile: _, chart, remotes: _, mut masks } = fruit;
        manifests.iter().for_each(|manifest| masks.add_secret(&manifest.value));
        if !masks.is_full_with(before) {
            masks.extend(before);
        }
        Self { manifests, part_of: None, warnings, chart: Some(chart), masks: Arc::new(masks) }
    }

    /// True if git says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.part_of.as_ref().map_or(self.manifests.is_empty(), |all| all.is_empty())
    }
}

/// What differs of a render that is known; or else all of it.
pub fn render(run: &Run<'_>, source: &mut Source, memory: &mut Memory) -> Result<Rendering, Failure> {
    if let (Some(differing), Some(rendered)) = (differing(run, &source.seen.tree, memory), &memory.rendered) {
        let positions: Vec<usize> = differing.manifests.iter().map(|(at, _)| *at).collect();
        let part_of = Some(rendered.objects.clone());
        return match rendered.kept.get(&positions) {
            Ok(manifests) => {
                let masks = memory.masks.clone();
                Ok(Rendering { manifests, part_of, warnings: Vec::new(), chart: None, masks })
            }
            Err(error) => Err(Failure::internal("render", error.to_string())),
        };
    }
    let missing = || Failure::internal("render", "nothing was rendered");
    let fruit = source.fresh.take().ok_or_else(missing)??;
    let kept: Vec<IgnoreRule> = fruit.volatile.iter().map(inputs::kept).collect();
    run.context.cluster.view.judges.take_volatile(run.owner, run.sync, &kept);
    let rendering = Rendering::whole(fruit, &memory.masks);
    memory.masks = rendering.masks.clone();
    Ok(rendering)
}

/// Waits until the namespace of a Sync has room for what was rendered, and holds it. What drifted needs none of the room of
/// what is new.
pub async fn room(run: &Run<'_>, rendering: &Rendering) -> Result<Share, Failure> {
    let rooms = &run.context.rooms;
    let rooms = if rendering.part_of.is_some() { &rooms.drift } else { &rooms.whole };
    let bytes = rendering.manifests.iter().map(|manifest| rooms::size(&manifest.value)).sum();
    Ok(rooms.take_many(run.owner.namespace(), rooms::units(bytes)).await)
}

/// What there is of what is desired.
pub struct Observed {
    requests: Requests,
    /// What every desired object must satisfy.
    pub desired: Arc<Vec<(ObjectId, Digest)>>,
    /// The manifests, if these are all.
    pub kept: Option<Kept>,
    /// What git had before of objects, and may be live.
    leftovers: Leftovers,
    /// What is amiss in git and stops nothing, if all of it was looked at.
    pub warnings: Option<Vec<String>>,
    pub(super) seen: observe::Observed,
    /// What nothing can be said about.
    pub errors: Vec<ObjectError>,
    /// Why some objects are not looked at yet.
    pub waits: Option<String>,
    /// What must not be shown.
    masks: Arc<Masks>,
}

/// The namespace of objects that name none.
pub fn namespace<'a>(run: &'a Run<'_>) -> &'a str {
    run.sync.spec.target_namespace.as_deref().unwrap_or(run.owner.namespace())
}

/// Looks at every object that is desired or owned.
#[instrument(name = "observe", skip_all, fields(sync = %run.owner))]
pub async fn observe(
    run: &Run<'_>,
    rendering: Rendering,
    past: Past<'_>,
    revision: &str,
) -> Result<Observed, Failure> {
    let _timer = run.context.metrics.stage("observe");
    run.progress.begin("observe", "reading what the cluster serves");
    let context = run.context;
    let cluster = &context.cluster;
    let requests = acting::requests(run).await?;
    let lane =
        if rendering.part_of.is_some() { &context.rooms.drift_requests } else { &context.rooms.requests };
    let requests = requests.within(lane, run.owner.namespace());
    let namespace = namespace(run);
    let Rendering { manifests, part_of, warnings: mut odd, chart: _, masks } = rendering;
    let scope = if part_of.is_none() { Scope::Whole } else { Scope::Part };
    let rules = cluster.view.judges.rules(run.owner);
    let (found, mut errors) =
        resolve::resolve(&cluster.discovery, run.owner, namespace, rules, manifests).await;
    let mut found = bounds::within(&context.policy, found, &mut errors);
    let leftovers = local::work(|| past.add(run, &mut found, scope == Scope::Whole));
    let all = || found.iter().map(|desired| (desired.object.clone(), desired.digest)).collect();
    let desired = part_of.unwrap_or_else(|| Arc::new(all()));
    let mut kept = None;
    let (mut former, mut unknown, mut places) = (Vec::new(), Vec::new(), Vec::new());
    let mut warnings = None;
    if scope == Scope::Whole {
        let names: Vec<ObjectId> = desired.iter().map(|(object, _)| object.clone()).collect();
        (former, unknown) = parent::former_kinds(cluster, run.sync, &names).await;
        places = parent::places(run.sync, run.owner);
        odd.extend(bounds::former(&context.policy, &mut former));
        let packed = local::work(|| Kept::of(found.iter().map(Desired::in_git)));
        let shortened = run.limits.shortened.iter().cloned().collect();
        warnings = Some([shortened, odd, mistakes::mistakes(run, &found)].concat());
        kept = Some(packed.map_err(|error| Failure::internal("render", error.to_string()))?);
    }
    let is_done = |desired: &Desired| is_completed(run.status, &desired.object, desired.digest);
    let acts_as = |sync: &SyncRef| context.acts_as(sync);
    // A person who plans cannot ask in the name of others.
    let acts_as: Option<ActsAs<'_>> = if context.together { Some(&acts_as) } else { None };
    let progress = &run.progress;
    let what =
        What { desired: found, all: &desired, scope, kinds: &former, places: &places, acts_as, progress };
    let mut seen = observe::observe(cluster, &requests, run.owner, what, is_done).await;
    errors.append(&mut seen.errors);
    seen.unseen.append(&mut unknown);
    if let Some(warnings) = &mut warnings {
        let unseen = seen.unseen.iter();
        warnings.extend(
            unseen.map(|Unseen { said, .. }| format!("objects that left git may still be there: {said}")),
        );
        warnings.extend(past.unmarked(run, &requests, &desired).await);
    }
    // While another Sync of the same source has not looked at this revision, what it owns may be on its way to us.
    let moving = |error: &ObjectError| error.reason == observe::OWNED_BY_ANOTHER;
    let mut waits = None;
    if errors.iter().any(moving) {
        waits = context
            .behind(run.sync, run.owner, revision, run.now)
            .map(|behind| format!("waits for Sync {} to reconcile {revision} too", behind.sync));
        if waits.is_some() {
            errors.retain(|error| !moving(error));
        }
    }
    hide(&masks, &mut errors);
    Ok(Observed { requests, desired, kept, leftovers, warnings, seen, errors, waits, masks })
}

/// Takes out of the API server's words what must not be shown: it quotes values that it refuses.
fn hide(masks: &Masks, errors: &mut [ObjectError]) {
    for error in errors.iter_mut().filter(|_| !masks.is_empty()) {
        error.message = masks.hide(&error.message).into_owned();
    }
}

/// Writes what the Sync must say of its set before anything is applied that it does not cover.
pub async fn mark(run: &Run<'_>, observed: &Observed) -> Result<(), Failure> {
    let observe::Observed { hidden, unseen, .. } = &observed.seen;
    let desired = observed.desired.iter().map(|(object, _)| object);
    let members = parent::Members {
        desired: desired.filter(|object| !hidden.contains(*object)).collect(),
        complete: unseen.is_empty() && observed.errors.is_empty(),
    };
    parent::mark(&run.context.client, &run.context.cluster, run.sync, run.owner, members)
        .await
        .map_err(|error| unmarked(&error))
}

/// Takes what is not needed any more out of what the Sync says of its set.
pub async fn unmark(run: &Run<'_>, memory: &mut Memory) -> Result<(), Failure> {
    let left = memory.former.left(&run.context.cluster, run.owner);
    if left.is_nothing() {
        return Ok(());
    }
    let forgotten = parent::forget(&run.context.client, run.sync, run.owner, &left).await;
    forgotten.map_err(|error| unmarked(&error))?;
    memory.former.kinds.retain(|kind| !left.kinds.contains(kind));
    memory.former.places.retain(|place| !left.places.contains(place));
    Ok(())
}

fn unmarked(error: &kube::Error) -> Failure {
    Failure::transient("apply", "Unreachable", format!("cannot note what the set holds: {}", chain(error)))
}

/// A plan, and what is needed to carry it out.
pub struct Planned {
    pub plan: Plan,
    pub kinds: Kinds,
    /// The objects that satisfied their manifests before, so what differs now is drift; with the fields that we own of them.
    pub drifted: BTreeMap<ObjectId, Differs>,
    /// What left git and stays in objects that were observed, since controllers own it too.
    pub kept: BTreeMap<ObjectId, Option<Change>>,
    /// What drifted, and cannot be put back since the API server refuses it.
    pub refused: Vec<Change>,
    /// Why what left git is not in the plan yet.
    pub waits: Option<String>,
    /// When to look again, if nothing tells before that something is to be removed.
    pub next: Option<Duration>,
}

/// Plans what would make the cluster what git says. With anything unknown, nothing is removed.
#[instrument(name = "plan", skip_all, fields(sync = %run.owner))]
pub fn plan(run: &Run<'_>, Seen { tree, revision, .. }: &Seen, observed: &mut Observed) -> Planned {
    let _timer = run.context.metrics.stage("plan");
    let view = &run.context.cluster.view;
    let set = run.owner.applyset();
    let mut kinds = Kinds::new();
    let mut changes = Vec::new();
    let (mut drifted, mut kept) = (BTreeMap::new(), BTreeMap::new());
    for (Desired { object, kind, served, manifest, digest, nulls, .. }, state) in
        std::mem::take(&mut observed.seen.objects)
    {
        if served {
            kinds.insert(object.clone(), kind.clone());
        }
        let was_applied = drift::was_applied(run, tree, &object, digest);
        let mut owned = None;
        let (live, whole, seen) = match &state {
            State::Exists { live, settled, .. } => {
                let stays = plan::kept(&manifest, &object, &observed.masks, live, &settled.kept);
                owned = (stays.is_some() || nulls.is_some()).then(|| entry::whole(live));
                kept.insert(object.clone(), stays);
                let fingerprint = entry::fingerprint(live, &kind.api_version());
                let whole = was_applied.then(|| view.note_left(&object, live));
                let seen = SeenAt { version: entry::version(live), live: fingerprint, whole };
                (fingerprint, whole, Some(seen))
            }
            State::Absent | State::Unchanged => (None, None, None),
        };
        match plan::desired(&manifest, &object, &set, &observed.masks, state) {
            Some(change) if !(only_reported(run) && change.only_ownership()) => {
                // What is kept is told apart.
                let is_told = change.only_marks() || (owned.is_some() && change.only_ownership());
                if was_applied && !is_told {
                    drifted.insert(
                        object.clone(),
                        view.differs(&object, Differs { manifest: digest, live, whole }),
                    );
                }
                let (risk, foreign) = observed.risk(&object);
                let change = change.with_risk(risk, foreign);
                changes.push(change.satisfying(digest, nulls.is_some()).seen_at(seen));
            }
            _ => {
                if let Some(live) = live {
                    view.note_satisfied(&object, digest, live);
                }
                if let Some(owned) = owned {
                    view.note_owned(&object, owned);
                }
            }
        }
    }
    changes.extend(releases(observed, &mut kinds));
    let surplus = observed.surplus();
    let (mut waits, mut next) = (None, lingering::next(run, observed));
    if !surplus.is_empty() && observed.errors.is_empty() {
        if let Some(Behind { sync, left }) = run.context.behind(run.sync, run.owner, revision, run.now) {
            waits = Some(format!(
                "nothing is removed before Sync {sync} has reconciled {revision} too: an object may have moved to it"
            ));
            next = Some(next.map_or(left, |next| next.min(left)));
        } else {
            let keep = (!run.sync.spec.prune).then_some("prune is off");
            changes.extend(removals(observed, surplus, keep, &mut kinds));
        }
    }
    let refused = drift::refused(run, tree, observed, &mut drifted);
    let plan = Plan::new(&run.context.cluster.uid, changes);
    Planned { plan, kinds, drifted, kept, refused, waits, next }
}

/// Plans the removal of what is ours and not desired any more. `keep` says why all of it stays, if it does.
pub fn removals(
    observed: &Observed,
    surplus: Vec<(ObjectId, Entry)>,
    keep: Option<&str>,
    kinds: &mut Kinds,
) -> Vec<Change> {
    let removal = |(object, entry): (ObjectId, Entry)| {
        kinds.insert(object.clone(), entry.kind.clone());
        let held = observed.seen.held.get(&object).map(String::as_str);
        let keep = keep.or(entry.kept()).or(held);
        let (risk, foreign) = observed.risk(&object);
        let (version, uid) = (entry.kind.api_version(), entry.uid.to_string());
        plan::removed(object, version, uid, entry.stage, keep).with_risk(risk, foreign)
    };
    surplus.into_iter().map(removal).collect()
}

/// Plans to let go what git wants to be left alone and kept, before it leaves git: then its live form must say so.
fn releases(observed: &mut Observed, kinds: &mut Kinds) -> Vec<Change> {
    let release = |(object, entry, mark): (ObjectId, Entry, String)| {
        kinds.insert(object.clone(), entry.kind.clone());
        let (version, uid) = (entry.kind.api_version(), entry.uid.to_string());
        let mut change = plan::removed(object, version, uid, entry.stage, Some(&mark));
        change.reason = format!("left alone and kept: {mark}");
        change
    };
    std::mem::take(&mut observed.seen.released).into_iter().map(release).collect()
}

pub fn only_reported(run: &Run<'_>) -> bool {
    run.sync.spec.drift.mode == DriftMode::Report
}

/// What the gate must know of the set of a Sync.
pub fn set(run: &Run<'_>, empty: bool, ending: bool) -> gate::Set {
    gate::Set { owned: run.context.cluster.view.count(run.owner), empty, ending }
}

/// What may be done now.
#[instrument(name = "gate", skip_all, fields(sync = %run.owner, plan = %plan.id))]
pub fn gate(run: &Run<'_>, plan: Plan, set: gate::Set) -> Decision {
    let _timer = run.context.metrics.stage("gate");
    let context = run.context;
    let approvals = context.approvals(run.owner);
    gate::decide(&context.cluster.uid, plan, run.sync.spec.approval, set, &approvals, run.now)
}

/// Finds out what the identity of a Sync may not do, before anything is written, and splits it off. The agent itself is told by
/// the API server.
#[instrument(name = "plan", skip_all, fields(sync = %run.owner))]
pub async fn rights(
    run: &Run<'_>,
    observed: &mut Observed,
    plan: Plan,
    kinds: &Kinds,
) -> Result<(Plan, Vec<Change>), Failure> {
    let user = observed.requests.identity().user();
    run.progress.begin("plan", "checking the rights of the Sync");
    let Some(user) = user.filter(|_| !plan.is_empty()) else { return Ok((plan, Vec::new())) };
    let missing = rights::missing(observed.requests.client(), &user, &plan.changes, kinds).await;
    let missing = missing.map_err(|error| Failure::transient("plan", "Unreachable", chain(&error)))?;
    let (refused, errors): (HashSet<ObjectId>, Vec<ObjectError>) = missing.into_iter().unzip();
    observed.errors.extend(errors.into_iter().map(|error| error.at("plan")));
    let (plan, lacking) = plan.split(&run.context.cluster.uid, |change| !refused.contains(&change.object));
    Ok((plan, lacking.changes))
}

/// Carries out what was approved. A newer revision, or a changed Sync, ends it between two waves.
#[instrument(name = "apply", skip_all, fields(sync = %run.owner, plan = %approved.plan().id))]
pub async fn apply(
    run: &Run<'_>,
    source: Option<&Source>,
    observed: &Observed,
    approved: ApprovedPlan,
    waiting: Option<&Waiting>,
    kinds: &Kinds,
) -> Outcome {
    let _timer = run.context.metrics.stage("apply");
    let cluster = &run.context.cluster;
    let until = Until {
        superseded: || is_superseded(run, source).boxed(),
        ended: || run.limits.reached(),
        progress: &run.progress,
    };
    let objects = observed.errors.iter().filter_map(|error| error.id.clone()).collect();
    let lingering = lingering::awaited(run, observed);
    let waiting = waiting.into_iter().flat_map(|waiting| &waiting.plan.changes);
    let waiting = waiting.filter(|change| change.operation == Operation::Delete);
    let waiting = waiting.map(|change| change.object.clone()).collect();
    let failed = Failed { objects, wave: observed.seen.failed_wave, lingering, waiting };
    let mut outcome =
        apply::apply(cluster, &observed.requests, run.owner, approved, kinds, failed, until).await;
    outcome.errors.iter_mut().for_each(|error| error.stage = "apply");
    hide(&observed.masks, &mut outcome.errors);
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

/// Keeps what was rendered for the next run, if everything about it is known.
pub fn keep(run: &Run<'_>, memory: &mut Memory, source: &Source, observed: Observed, known: bool) {
    if observed.kept.is_some() {
        memory.former = observed.former(run);
    }
    // What may be there is looked for again, unless a right is missing.
    let known = known && observed.unseen().iter().all(|unseen| unseen.forbidden);
    let Observed { desired, kept, leftovers, .. } = observed;
    leftovers::keep(run, memory, leftovers, &desired);
    let newest = match kept {
        Some(kept) => Some(Rendered::of(&source.seen.tree, run.sync, desired, kept)),
        None => memory.rendered.take(),
    };
    (memory.rendered, memory.earlier) = if known { (newest, None) } else { (None, newest) };
}

impl Observed {
    /// Why more would go than an object itself, if it were deleted, and whether data that is not of the Sync would.
    pub fn risk(&self, object: &ObjectId) -> (Option<String>, bool) {
        (self.seen.risks.get(object).cloned(), self.seen.foreign.contains(object))
    }

    /// Where objects that left git cannot be seen.
    pub fn unseen(&self) -> &[Unseen] {
        &self.seen.unseen
    }

    /// What the Sync names of its set without need, unless members are left that are to be removed.
    pub fn former(&self, run: &Run<'_>) -> Former {
        let unseen = [&self.seen.unseen[..], &self.seen.blind].concat();
        Former::of(run.sync, run.owner, self.desired.iter().map(|(object, _)| object), &unseen)
    }

    /// What exists and cannot become what is desired.
    pub fn take_refused(&mut self) -> Vec<(Desired, serde_json::Value)> {
        std::mem::take(&mut self.seen.refused)
    }

    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// What is ours and not desired any more.
    pub fn surplus(&mut self) -> Vec<(ObjectId, Entry)> {
        std::mem::take(&mut self.seen.surplus)
    }
}

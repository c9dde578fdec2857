//! The two plans of a Sync for a merge: one for the base, and one for the merge.
//!
//! They are made by the functions that make the agent's own plans, and nothing is written. I/O: through the stages.

use std::path::Path;
use std::sync::Arc;

use holdfast_diff::budget::Limits;
use holdfast_diff::causes::{self, Mistake};
use holdfast_diff::mask::Masks;
use holdfast_diff::plan::Plan;

use super::effect::Effect;
use super::mentions::Mentions;
use super::preview::{At, Planned, SyncResult, Waits};
use crate::api::Sync;
use crate::cluster::refusal::ObjectError;
use crate::error::StageError;
use crate::reconcile::past::{DesiredSet, Past, State};
use crate::reconcile::plan as stage;
use crate::reconcile::render::ManifestSet;
use crate::reconcile::{Run, inputs};
use crate::render::ask::TreePlace;
use crate::render::order::{Attempt, Order};
use crate::render::outside::Outside;
use crate::render::reads::Reads;
use crate::render::{Inputs, RenderOutput};
use crate::report::{Failure, NewValue, Seen};
use crate::source::{CommitFiles, CommitId, MergedTree, OpenMirror, SourceError};

/// The warning if the base cannot be rendered.
const NO_BASE: &str = "the base cannot be rendered, so drift is not separated from what the merge changes";

/// One of the two commits that are compared.
pub struct Commit<'a> {
    /// The repository that holds it.
    pub folder: &'a Path,
    pub id: CommitId,
    /// The name of the commit in messages.
    pub name: String,
}

impl<'a> Commit<'a> {
    pub fn base(tree: &'a MergedTree, name: &str) -> Self {
        Self { folder: tree.folder(), id: tree.base, name: name.to_owned() }
    }

    pub fn merge(tree: &'a MergedTree, base: &str, head: &str) -> Self {
        Self { folder: tree.folder(), id: tree.merge, name: format!("merge of {head} into {base}") }
    }

    pub fn files(&self) -> Result<CommitFiles, SourceError> {
        OpenMirror::open(self.folder)?.files(&self.name, &self.id.to_string())
    }

    /// The clean path of the folder that a Sync names.
    pub fn path(&self, path: Option<&str>) -> Result<String, SourceError> {
        let mirror = OpenMirror::open(self.folder)?;
        mirror.folder(&self.name, &self.id.to_string(), path.unwrap_or_default())
    }

    /// Creates the order to render a folder of this commit for a Sync.
    pub fn order(&self, sync: &Sync, folder: String, inputs: Inputs, outside: &Outside) -> Order {
        Order {
            place: self.place(),
            changed: Vec::new(),
            folder,
            options: sync.spec.render.clone().unwrap_or_default(),
            inputs: Arc::new(inputs),
            limits: Limits::default(),
            time: sync.spec.timeout(),
            charts: outside.charts.is_some(),
            remotes: outside.remotes.is_some(),
        }
    }

    fn place(&self) -> TreePlace {
        TreePlace { mirror: self.folder.to_path_buf(), commit: self.id.to_string(), name: self.name.clone() }
    }

    fn seen(&self) -> Seen {
        let short = self.id.to_string().get(..7).unwrap_or_default().to_owned();
        Seen {
            revision: format!("{}@sha1:{}", self.name, self.id),
            short: format!("{}@{short}", self.name),
            ..Seen::default()
        }
    }
}

/// The render of a Sync at one commit.
pub struct Side {
    reads: Reads,
    pub end: Result<RenderOutput, Vec<String>>,
}

impl Side {
    /// Takes the result of a render.
    pub fn of(Attempt { reads, end, missing: _ }: Attempt) -> Self {
        let end = end.map(|(output, _)| output).map_err(|error| {
            let (mistakes, more) = error.mistakes();
            grouped(&mistakes, more, &error)
        });
        Self { reads, end }
    }

    pub fn failed(errors: Vec<String>) -> Self {
        Self { reads: Reads::default(), end: Err(errors) }
    }

    /// True if the files that were read here are the same in another commit.
    pub fn is_same_at(&self, files: &CommitFiles) -> bool {
        !self.reads.is_empty() && self.reads.matches(files).is_some()
    }

    fn masks(&self) -> Option<&Masks> {
        self.end.as_ref().ok().map(|output| &output.masks)
    }
}

/// Renders what a Sync reads of a commit.
pub async fn render(run: &Run<'_>, commit: &Commit<'_>) -> Side {
    let (at, services) = (run.at, run.services);
    let path = at.sync.spec.path.as_deref();
    let found = commit.path(path).and_then(|folder| Ok((folder, commit.files()?)));
    let (folder, files) = match found {
        Ok(found) => found,
        Err(error) => return Side::failed(vec![error.to_string()]),
    };
    let is_chart = inputs::is_chart(at.sync, &files, &folder);
    let inputs = match inputs::inputs(run.inputs(), at, is_chart).await {
        Ok(inputs) => inputs,
        Err(error) => return Side::failed(described(&Failure::of("render", &error))),
    };
    let mut order = commit.order(at.sync, folder, inputs, &services.outside);
    order.time = order.time.min(services.policy.max_timeout);
    Side::of(services.renderer.render(order, &services.outside, at.owner.namespace()).await)
}

/// Both renders of a Sync. A secret of one of them is masked in both.
pub struct Sides {
    pub base: Result<RenderOutput, Vec<String>>,
    pub merge: Result<RenderOutput, Vec<String>>,
    pub masks: Masks,
    pub mentions: Mentions,
}

impl Sides {
    /// Each render with its commit.
    pub fn of((base, of_base): (Side, &Commit<'_>), (merge, of_merge): (Side, &Commit<'_>)) -> Self {
        let mentions = Mentions::of((&of_base.name, of_base.id), (&of_merge.name, of_merge.id));
        let mut masks = Masks::default();
        [&base, &merge].into_iter().filter_map(|side| side.masks()).for_each(|more| masks.extend(more));
        for output in [&base.end, &merge.end].into_iter().flatten() {
            output.manifests.iter().for_each(|manifest| masks.add_secret(&manifest.value));
        }
        Self { base: base.end, merge: merge.end, masks, mentions }
    }

    /// The result if the merge cannot be rendered, so that nothing can be planned.
    pub fn failure(&self) -> Option<SyncResult> {
        let errors = self.merge.as_ref().err()?;
        let is_old = self.base.as_ref().is_err_and(|base| self.mentions.are_same(base, errors));
        let at = if is_old { At::Base } else { At::Merge };
        Some(SyncResult::Failed { at, errors: errors.clone() })
    }
}

/// The results of the stages for one side.
#[derive(Default)]
pub struct Found {
    plan: Option<Plan>,
    waiting: Option<Box<Waits>>,
    errors: Vec<String>,
    warnings: Vec<String>,
    masks: Arc<Masks>,
    /// The desired set, with which the next plan is compared.
    past: Past,
}

/// Claims the objects that a Sync would own after the merge, so that an object which moves between two Syncs is planned as a move.
pub async fn claim(run: &Run<'_>, commit: &Commit<'_>, sides: &Sides) {
    let Ok(output) = &sides.merge else { return };
    let manifests = manifests(output, &sides.masks);
    // The result is not used: the objects are observed again after all Syncs have claimed theirs.
    if let Ok(requests) = run.requests(&manifests).await {
        let seen = commit.seen();
        let _ = run.observe(&requests, (&seen.revision, &seen.tree), manifests, &Past::default()).await;
    }
}

/// Plans one side. The set of the side `before` counts as the previous one.
async fn plan(
    run: &Run<'_>,
    commit: &Commit<'_>,
    output: &RenderOutput,
    masks: &Masks,
    before: Option<&Found>,
) -> Found {
    let none = Past::default();
    let past = before.map_or(&none, |before| &before.past);
    match Box::pin(planned(run, commit, output, masks, past)).await {
        Ok(found) => found,
        Err(failure) => Found { errors: described(&failure), ..Found::default() },
    }
}

async fn planned(
    run: &Run<'_>,
    commit: &Commit<'_>,
    output: &RenderOutput,
    masks: &Masks,
    past: &Past,
) -> Result<Found, Failure> {
    // As the agent does, the preview goes on after an invalid rule.
    let rule = run.admit()?.err();
    let manifests = manifests(output, masks);
    let (empty, seen, at) = (manifests.is_empty(), commit.seen(), run.at);
    let requests = run.requests(&manifests).await?;
    let observed = run.observe(&requests, (&seen.revision, &seen.tree), manifests, past).await?;
    // Nothing is recorded as verified in the live view: the commit is not applied.
    let planned = stage::plan(at, &run.services.cluster.uid, &seen, observed, past);
    let planned = run.rights(&requests, planned).await?;
    let planned = run.creations(&requests, planned).await;
    let plan = planned.plan.clone();
    let decided = run.gate(planned, run.set(empty, false), Ok(()));
    let waiting = decided.decision.waiting.map(|waiting| {
        Box::new(Waits {
            id: Some(waiting.plan.id.clone()),
            changes: waiting.held(),
            later: waiting.later,
            rejected: waiting.rejected,
        })
    });
    let set = decided.basis.set;
    let desired = set.kept.map(|kept| DesiredSet::new(&seen.tree, at.sync, set.desired, kept));
    let mistakes: Vec<Mistake> = set.errors.iter().map(ObjectError::mistake).collect();
    let mut errors = causes::all(&mistakes);
    errors.extend(rule.iter().flat_map(described));
    Ok(Found {
        plan: Some(plan),
        waiting,
        errors,
        warnings: set.warnings.unwrap_or_default(),
        masks: set.masks,
        past: Past { state: desired.map(State::Failing).unwrap_or_default(), ..Past::default() },
    })
}

/// Computes the result of a Sync from both plans.
fn result(run: &Run<'_>, mentions: &Mentions, base: Result<Found, Vec<String>>, merge: Found) -> SyncResult {
    let cluster = &run.services.cluster.uid;
    let Found { plan, waiting, errors, warnings, masks, past: _ } = merge;
    let Some(then) = plan else { return SyncResult::Failed { at: At::Merge, errors } };
    let (base, mut first) = match base {
        Ok(base) if base.plan.is_some() => (base, Vec::new()),
        Ok(Found { errors, .. }) | Err(errors) => {
            (Found { errors, ..Found::default() }, vec![NO_BASE.to_owned()])
        }
    };
    let now = base.plan.unwrap_or_else(|| Plan::new(cluster, Vec::new()));
    let is_old = |error: &String| mentions.is_in(&base.errors, error);
    let (old, new): (Vec<String>, Vec<String>) = errors.into_iter().partition(is_old);
    let old = old.into_iter().map(|error| format!("{error} (at the base too)"));
    first.extend(warnings.into_iter().filter(|warning| !mentions.is_in(&base.warnings, warning)));
    SyncResult::Planned(Planned {
        id: then.id.clone(),
        effect: Effect::of(cluster, &now, &then, &masks),
        waiting,
        errors: new.into_iter().chain(old).collect(),
        warnings: first,
    })
}

/// Returns the manifests to compare with the cluster. They are copied, since a render is used more than once.
fn manifests(output: &RenderOutput, masks: &Masks) -> ManifestSet {
    ManifestSet {
        manifests: output.manifests.clone(),
        part_of: None,
        warnings: output.warnings.clone(),
        volatile: output.volatile.iter().map(inputs::kept).collect(),
        chart: NewValue::Unchanged,
        masks: Arc::new(masks.clone()),
    }
}

/// The message of a failure, or its causes if it has any.
fn described(failure: &Failure) -> Vec<String> {
    if failure.causes.is_empty() {
        return vec![failure.message.clone()];
    }
    failure.causes.iter().flat_map(causes::whole).collect()
}

/// The mistakes of an error, or its message if it has none.
fn grouped(mistakes: &[Mistake], more: usize, error: &dyn StageError) -> Vec<String> {
    let mut all = causes::all(mistakes);
    if all.is_empty() {
        all.push(error.to_string());
    }
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all
}

impl Sides {
    /// Plans the merge, after all Syncs have claimed their objects, and compares it with the plan of the base.
    pub async fn planned(
        &self,
        run: &Run<'_>,
        merge: &Commit<'_>,
        base: Result<Found, Vec<String>>,
    ) -> SyncResult {
        let Ok(output) = &self.merge else {
            return self.failure().unwrap_or(SyncResult::Failed { at: At::Merge, errors: Vec::new() });
        };
        let merge = plan(run, merge, output, &self.masks, base.as_ref().ok()).await;
        result(run, &self.mentions, base, merge)
    }

    /// Plans the base.
    pub async fn base(&self, run: &Run<'_>, base: &Commit<'_>) -> Result<Found, Vec<String>> {
        match &self.base {
            Ok(output) => Ok(plan(run, base, output, &self.masks, None).await),
            Err(errors) => Err(errors.clone()),
        }
    }
}

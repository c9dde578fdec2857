//! The plan that the agent would make next for a Sync, as `holdfast plan` shows it. I/O: as the stages of the
//! pipeline; the terminal.

use std::path::Path;
use std::slice;
use std::sync::Arc;

use anyhow::bail;
use holdfast_diff::causes;
use holdfast_diff::plan::Plan;
use holdfast_diff::text::{self, Colour};
use serde_json::{Value, json};

use crate::api::{DriftObject, DriftState};
use crate::cli::{files, print};
use crate::cluster::refusal::ObjectError;
use crate::gate::Waiting;
use crate::reconcile::past::Past;
use crate::reconcile::plan::Basis;
use crate::reconcile::render::{self, ManifestSet, Manifests};
use crate::reconcile::trees::MirrorTrees;
use crate::reconcile::{Run, drift, inputs, source};
use crate::render::RenderOutput;
use crate::render::order::render_here;
use crate::report::{self, Failure, Seen};

/// The next plan of a Sync, and the changes that the gate would approve.
pub(super) struct Preview {
    pub plan: Plan,
    seen: Seen,
    basis: Basis,
    waiting: Option<Waiting>,
    /// The dependency that is not ready. Until it is, only drift is corrected.
    not_ready: Option<String>,
    /// Drift that cannot be corrected, and drift that is not corrected for now.
    refused: Vec<DriftObject>,
    left: Vec<DriftObject>,
    /// Why fields that left the source are kept.
    kept: Vec<String>,
}

/// Runs the stages up to the gate, for the source of a Sync or for a working tree.
pub(super) async fn preview(run: &Run<'_>, tree: Option<&Path>, past: &mut Past) -> anyhow::Result<Preview> {
    let at = run.at;
    let (manifests, seen) = manifests(run, tree, past).await?;
    let empty = manifests.is_empty();
    let requests = run.requests(&manifests).await.map_err(Failure::from)?;
    let observed =
        run.observe(&requests, (&seen.revision, &seen.tree), manifests, past).await.map_err(Failure::from)?;
    let planned = run.plan(&seen, observed, past);
    let planned = run.rights(&requests, planned).await.map_err(Failure::from)?;
    let planned = run.creations(&requests, planned).await;
    let plan = planned.plan.clone();
    let decided = run.gate(planned, run.set(empty, false), run.ready(&seen));
    let basis = decided.basis;
    let refused = drift::reported(at, &basis.drift.drifted, &basis.drift.refused);
    let kept = basis.drift.kept.values().flatten();
    let kept = kept.map(|change| format!("{}: {}", change.object, report::drift::why_kept(change)));
    Ok(Preview {
        plan,
        seen,
        waiting: decided.decision.waiting,
        not_ready: decided.not_ready.map(|error| Failure::from(error).message),
        refused: refused.into_iter().map(|(_, reported)| reported).collect(),
        left: basis.drift.left.values().map(|left| left.reported.clone()).collect(),
        kept: kept.collect(),
        basis,
    })
}

/// Returns the manifests of the source, or of a working tree instead.
async fn manifests(
    run: &Run<'_>,
    tree: Option<&Path>,
    past: &mut Past,
) -> anyhow::Result<(ManifestSet, Seen)> {
    let (manifests, seen, unknown) = if let Some(tree) = tree {
        let manifests = ManifestSet::whole(working_tree(run, tree).await?, &past.masks);
        (manifests, Seen::default(), run.recall(None, past).await)
    } else {
        let mut source = source::source(run.source(), run.at, past).await.map_err(Failure::from)?;
        if let Some(trouble) = source.trouble.take() {
            return Err(Failure::from(trouble).into());
        }
        let mut rendered =
            render::render(run.render(), run.at, &source, past).await.map_err(Failure::from)?;
        let unknown = run.recall(Some(&rendered.seen), past).await;
        match rendered.take().map_err(Failure::from)? {
            Manifests::Changed(manifests) => (manifests, rendered.seen, unknown),
            Manifests::Unchanged => (ManifestSet::default(), rendered.seen, unknown),
        }
    };
    if let Some(unknown) = unknown {
        print::say(format_args!("warning: {unknown}"));
    }
    Ok((manifests, seen))
}

/// Renders a working tree as the agent would render a commit.
async fn working_tree(run: &Run<'_>, tree: &Path) -> anyhow::Result<RenderOutput> {
    let disk = files::Disk::new(tree)?;
    let folder = disk.folder(run.at.sync.spec.path.as_deref())?;
    let is_chart = inputs::is_chart(run.at.sync, &disk, &folder);
    let inputs = inputs::inputs(run.inputs(), run.at, is_chart).await;
    let inputs = Arc::new(inputs.map_err(|error| Failure::of("render", &error))?);
    let options = run.at.sync.spec.render.clone().unwrap_or_default();
    let trees = Arc::new(MirrorTrees::default());
    let rendered =
        render_here(Arc::new(disk), folder, options, inputs.clone(), &run.services.outside, trees).await?;
    Ok(rendered.output(inputs.keys()?.as_ref())?.0)
}

impl Preview {
    /// Returns the plan as JSON.
    pub fn json(&self) -> Value {
        let Self { plan, seen, basis, waiting, not_ready, refused, left, kept } = self;
        let errors: Vec<String> = basis.set.errors.iter().map(ToString::to_string).collect();
        let waiting = waiting.as_ref();
        let waiting = waiting.map(|waiting| json!({"planId": waiting.plan.id, "reasons": waiting.held()}));
        json!({
            "id": plan.id,
            "revision": seen.revision,
            "summary": report::changes::summary(&plan.changes),
            "drift": !basis.drift.drifted.is_empty(),
            "kept": kept,
            "refused": refused,
            "snoozed": self.snoozed(),
            "left": left,
            "notReady": not_ready,
            "changes": plan.changes,
            "waiting": waiting,
            "waits": basis.waits.as_ref().or(basis.set.waits.as_ref()),
            "errors": errors,
        })
    }

    /// Prints the plan as text.
    pub fn print(&self) -> anyhow::Result<()> {
        let Self { plan, seen: _, basis, waiting, not_ready, refused, left, kept: _ } = self;
        if plan.is_empty() && !basis.set.errors.is_empty() {
            print::line("no changes can be planned before the errors are corrected");
        } else {
            print::written(&text::plan(plan, colour()))?;
        }
        let mut paragraph = |text: String| {
            print::line("");
            print::line(text);
        };
        for reported in refused {
            paragraph(format!("cannot be corrected: {}", report::drift::describe(slice::from_ref(reported))));
        }
        for reported in left.iter().filter(|reported| reported.state != DriftState::Snoozed) {
            let what = report::drift::describe(slice::from_ref(reported));
            paragraph(format!("drift that is only reported (spec.drift.mode): {what}"));
        }
        self.snoozed().into_iter().for_each(&mut paragraph);
        if let Some(waits) = basis.waits.as_ref().or(basis.set.waits.as_ref()) {
            paragraph(waits.clone());
        }
        if let Some(not_ready) = not_ready {
            paragraph(format!("only drift is corrected until a dependency is ready: {not_ready}"));
        }
        if let Some(waiting) = waiting {
            paragraph(format!("waits for an Approval of plan {}:", waiting.plan.id));
            waiting.held().iter().for_each(|held| print::line(format_args!("  {held}")));
        }
        Ok(())
    }

    /// Prints which fields are kept although they left the source. Fails if objects could not be planned, and names all of them.
    pub fn complain(&self) -> anyhow::Result<()> {
        self.kept.iter().for_each(print::say);
        let errors = &self.basis.set.errors;
        if errors.is_empty() {
            return Ok(());
        }
        let mistakes: Vec<_> = errors.iter().map(ObjectError::mistake).collect();
        causes::all(&mistakes).iter().for_each(print::say);
        bail!("{} of the objects cannot be planned", errors.len());
    }

    fn snoozed(&self) -> Vec<String> {
        let snoozed = self.left.iter().filter(|reported| reported.state == DriftState::Snoozed);
        let note = |reported: &DriftObject| reported.note.clone().unwrap_or_default();
        snoozed.map(|reported| format!("{} is {}", report::drift::id(reported), note(reported))).collect()
    }
}

fn colour() -> Colour {
    if print::is_coloured() { Colour::Always } else { Colour::Never }
}

//! The pipeline: one line for each stage.
//!
//! Each stage is a function of values in a module of its name, with an error type of its own. This module, [`finalize`], the command
//! line, previews and the image loop compose them. This one knows only their order: a test replaces the stages by values
//! ([`stages::Stages`]). I/O: through the stages.

pub mod acting;
pub mod apply;
pub mod approvals;
pub mod bounds;
pub mod claims;
pub mod dependencies;
pub mod drift;
pub mod finalize;
pub mod gate;
pub mod ignored;
pub mod inputs;
pub mod jobs;
pub mod leftovers;
pub mod limits;
pub mod lingering;
pub mod mistakes;
pub mod observe;
pub mod past;
pub mod peers;
pub mod plan;
pub mod recall;
pub mod remotes;
pub mod render;
pub mod rendered_commit;
pub mod report;
pub mod run;
pub mod services;
pub mod source;
mod stages;
pub mod sync_at;
pub mod trees;

use self::limits::is_superseded;
use self::past::Past;
pub use self::run::Run;
use self::stages::{RunStages, Stages};
use crate::report::{Failure, Findings};

/// Runs the pipeline once, and returns what it found.
pub async fn reconcile(run: &Run<'_>, past: &mut Past) -> Findings {
    let mut found = Findings::of(run.at.sync, run.at.owner, run.at.now);
    if let Err(failure) = Box::pin(pipeline(&mut RunStages { run, past }, &mut found)).await {
        found.ended.failure = Some(run.acting().explain(failure).await);
    }
    if found.ended.failure.as_ref().is_some_and(is_superseded) {
        return found;
    }
    run.wake_peers(&found);
    run.progress.begin("observe", "comparing fields of other managers with the cluster");
    // What is not compared in time is compared by the next run.
    let _ = run.limits.run("observe", report::compare_others(run.acting(), past, &mut found)).await;
    report::afterwards(run.acting(), run.approvals(), past, &mut found).await;
    found
}

/// The pipeline of one run. Returns why the run did not do everything.
async fn pipeline<S: Stages>(stages: &mut S, found: &mut Findings) -> Result<(), Failure> {
    found.ended.suspended = stages.suspended();
    if found.ended.suspended.is_some() {
        return Ok(());
    }
    let checks = stages.admit()?;
    let source = stages.source().await?;
    let mut rendered = stages.render(&source).await?;
    let Some(manifests) = stages.to_compare(&mut rendered, found)? else {
        let reported = stages.unchanged(source, found);
        stages.unmark().await?;
        return reported.and(checks);
    };
    let observed = stages.observe(&rendered, manifests).await?;
    let planned = stages.plan(&rendered, observed).await?;
    let decided = stages.gate(&rendered, planned);
    let outcome = stages.apply(&source, &rendered, decided).await;
    let reported = stages.report(source, &rendered, outcome, found);
    let unmarked = stages.unmark().await;
    reported.and(unmarked).and(checks)
}

#[cfg(test)]
mod tests;

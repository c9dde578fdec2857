//! The pipeline: one line for each stage.
//!
//! Each stage is a function of values in a module of its name, with an error type of its own. This module, [`finalize`], the command
//! line and the image loop compose them. I/O: through the stages.

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
pub mod sync_at;
pub mod trees;

use self::limits::is_superseded;
use self::past::Past;
use self::render::Manifests;
pub use self::run::Run;
use crate::report::{Failure, Findings};

/// Runs the pipeline once, and returns what it found.
pub async fn reconcile(run: &Run<'_>, past: &mut Past) -> Findings {
    let mut found = Findings::of(run.at.sync, run.at.owner, run.at.now);
    if let Err(failure) = Box::pin(pipeline(run, past, &mut found)).await {
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

async fn pipeline(run: &Run<'_>, past: &mut Past, found: &mut Findings) -> Result<(), Failure> {
    let (at, limits, cluster) = (run.at, &run.limits, &run.services.cluster);
    found.ended.suspended = at.suspended();
    if found.ended.suspended.is_some() {
        return Ok(());
    }
    let checks = run.admit()?;
    let mut source = limits.wait("source", source::source(run.source(), at, past)).await?;
    let mut rendered = limits.wait("render", render::render(run.render(), at, &source, past)).await?;
    let seen = rendered.seen.clone();
    found.seen = Some(seen.clone());
    let manifests = rendered.take()?;
    found.rendered.remotes = Some(rendered.remotes());
    let Manifests::Changed(mut manifests) = manifests else {
        let reported = report::unchanged(found, source.trouble);
        apply::unmark(cluster, at, past).await?;
        return reported.and(checks);
    };
    manifests.warnings.extend(limits.run("render", run.recall(Some(&seen), past)).await?);
    let _room = limits.run("observe", run.room(&manifests)).await?;
    let about = report::About::new(at, &seen, &mut source, &mut manifests);
    let requests = limits.wait("observe", run.requests(&manifests)).await?;
    let observed = limits.wait("observe", run.observe(&requests, &seen.revision, manifests, past)).await?;
    let planned = run.plan(&seen, observed, past);
    let planned = limits.wait("plan", run.rights(&requests, planned)).await?;
    let set = run.set(about.is_empty, false);
    let decided = run.gate(planned, set, run.ready(&seen));
    let outcome = run.apply(&requests, Some((&source, &rendered)), decided, set, past).await;
    let reported = report::report(about, &cluster.view, run.acting().is_agent(), outcome, past, found);
    let unmarked = apply::unmark(cluster, at, past).await.map_err(Failure::from);
    reported.and(unmarked).and(checks)
}

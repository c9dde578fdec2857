//! Other Syncs that must be Ready first. No I/O: their status comes by the watch.

use std::collections::BTreeMap;

use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::Plan;

use super::Run;
use crate::api::{Sync, conditions};
use crate::cluster::view::Differs;
use crate::report::{Failure, Seen};

/// Refuses a Sync that refers to one of another namespace, unless the installation allows it. Whether there is such a Sync is
/// not looked up.
pub fn allowed(run: &Run<'_>) -> Result<(), Failure> {
    let own = run.owner.namespace();
    let mut others = run.sync.spec.depends_on.iter().map(|dependency| dependency.of(own));
    let Some(other) = others.find(|other| !run.context.policy.allows_reference(own, other.namespace()))
    else {
        return Ok(());
    };
    let message = format!(
        "spec.dependsOn names Sync {other} of another namespace, which this installation does not allow; remove it, or start the agent with --allow-cross-namespace-refs"
    );
    Err(Failure::user("source", "CrossNamespaceRefused", message))
}

/// Leaves in a plan what may go ahead while other Syncs are not ready, and says which are not: drift is put back all the same.
pub fn hold(
    run: &Run<'_>,
    seen: &Seen,
    plan: Plan,
    drifted: &BTreeMap<ObjectId, Differs>,
) -> (Plan, Result<(), Failure>) {
    match ready(run, seen) {
        Ok(()) => (plan, Ok(())),
        Err(failure) => {
            let (drift, _) =
                plan.split(&run.context.cluster.uid, |change| drifted.contains_key(&change.object));
            (drift, Err(failure))
        }
    }
}

/// Waits for other Syncs without asking anything: their status comes by the watch, and those of the same source must have
/// come to the same revision.
fn ready(run: &Run<'_>, seen: &Seen) -> Result<(), Failure> {
    let context = run.context;
    for dependency in &run.sync.spec.depends_on {
        let other = dependency.of(run.owner.namespace());
        if let Some(circle) = context.circle(run.owner, &other) {
            let message = format!("dependsOn goes in a circle, so nothing can begin: {circle}; take one out");
            return Err(Failure::user("source", "DependencyCircle", message));
        }
        let why = match context.cluster.sync(&other) {
            None => {
                let message = format!(
                    "waits for Sync {other}, which does not exist; create it, or correct spec.dependsOn"
                );
                return Err(Failure::transient("source", "DependencyNotFound", message));
            }
            Some(sync) if !is_ready(&sync) => "which is not ready".to_owned(),
            Some(sync) if sync.spec.source == run.sync.spec.source && context.together => {
                if context.memories.is_ready_at(&other, &seen.revision) {
                    continue;
                }
                format!("which is not ready at {} yet", seen.short)
            }
            Some(_) => continue,
        };
        return Err(Failure::transient(
            "source",
            "DependencyNotReady",
            format!("waits for Sync {other}, {why}"),
        ));
    }
    Ok(())
}

fn is_ready(sync: &Sync) -> bool {
    sync.status.as_ref().is_some_and(|status| {
        status.observed_generation == sync.metadata.generation
            && conditions::is_true(&status.conditions, conditions::READY)
    })
}

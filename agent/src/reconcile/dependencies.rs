//! Other Syncs that must be Ready first. No I/O: their status comes by the watch.

use super::Run;
use crate::api::{Sync, conditions};
use crate::report::{Failure, Seen};

/// Waits for other Syncs without asking anything: their status comes by the watch, and those of the same source must have
/// come to the same revision.
pub fn ready(run: &Run<'_>, seen: &Seen) -> Result<(), Failure> {
    let context = run.context;
    for dependency in &run.sync.spec.depends_on {
        let other = dependency.of(run.owner.namespace());
        if let Some(circle) = context.circle(run.owner, &other) {
            let message = format!("dependsOn goes in a circle, so nothing can begin: {circle}; take one out");
            return Err(Failure::user("source", "DependencyCircle", message));
        }
        let why = match context.cluster.sync(&other) {
            None => "which does not exist".to_owned(),
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

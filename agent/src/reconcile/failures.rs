//! What the errors of a run become: one failure, which the report tells. Pure.

use super::Run;
use crate::cluster::refusal::ObjectError;
use crate::error::Class;
use crate::report::Failure;

/// Errors of objects that a message names.
const NAMED_ERRORS: usize = 10;

/// The folder has no manifests: more often a mistake than a wish.
pub fn empty(run: &Run<'_>) -> Failure {
    let owned = run.context.cluster.view.count(run.owner);
    let path = run.sync.spec.path.as_deref().unwrap_or("./");
    let message = format!(
        "no manifests below {path}; nothing was pruned ({owned} objects stay); correct spec.path, or approve the plan that removes them"
    );
    Failure { stage: "render", class: Class::User, reason: "NoManifests", message }
}

/// All errors of objects as one failure; trouble with git if there are none.
pub fn failure(errors: &[ObjectError], trouble: Option<Failure>) -> Result<(), Failure> {
    let Some(first) = errors.first() else { return trouble.map_or(Ok(()), Err) };
    let class = if errors.iter().all(|error| error.class == Class::Transient) {
        Class::Transient
    } else {
        Class::User
    };
    let mut parts: Vec<String> = errors.iter().take(NAMED_ERRORS).map(ToString::to_string).collect();
    if errors.len() > NAMED_ERRORS {
        parts.push(format!("and {} more", errors.len() - NAMED_ERRORS));
    }
    Err(Failure { stage: "apply", class, reason: first.reason, message: parts.join("; ") })
}

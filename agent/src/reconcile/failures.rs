//! What the errors of a run become: one failure, which the report tells. Pure.

use holdfast_diff::causes::{self, Mistake};

use super::Run;
use crate::cluster::refusal::ObjectError;
use crate::error::Class;
use crate::report::Failure;

/// The folder has no manifests: more often a mistake than a wish.
pub fn empty(run: &Run<'_>) -> Failure {
    let owned = run.context.cluster.view.count(run.owner);
    let path = run.sync.spec.path.as_deref().unwrap_or("./");
    let message = format!(
        "no manifests below {path}; nothing was pruned ({owned} objects stay); correct spec.path, or approve the plan that removes them"
    );
    Failure::user("render", "NoManifests", message)
}

/// All errors of objects as one failure; trouble with git if there are none.
pub fn failure(errors: &[ObjectError], trouble: Option<Failure>) -> Result<(), Failure> {
    let Some(first) = errors.first() else { return trouble.map_or(Ok(()), Err) };
    let class = if errors.iter().all(|error| error.class == Class::Transient) {
        Class::Transient
    } else {
        Class::User
    };
    let mistakes: Vec<Mistake> = errors.iter().map(ObjectError::mistake).collect();
    let (message, is_whole) = causes::summary(&mistakes, 0);
    let failure = Failure::new(first.stage, class, first.reason, message);
    Err(if is_whole { failure } else { failure.with(&mistakes) })
}

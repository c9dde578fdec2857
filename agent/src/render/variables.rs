//! `spec.render.substitute`: variables are filled in after everything else.
//!
//! Leaves the syntax to `holdfast_diff::substitute`. Pure, beside the files that it is given.

use std::collections::BTreeMap;

use holdfast_diff::budget::Resource;
use holdfast_diff::files::Files;
use holdfast_diff::object::Origin;
use holdfast_diff::substitute::{self, Mode, Options, SubstituteError};
use holdfast_diff::weight;

use super::{Object, RenderError};
use crate::api::{Substitute, SubstituteMode};

/// Bytes of memory that variables may add to all objects together, counted roughly.
const GROWTH: usize = 64 * 1024 * 1024;

/// Fills in the variables of all objects; all that is wrong is told at once.
pub fn fill(
    files: &dyn Files,
    objects: &mut [Object],
    options: &Substitute,
    vars: &BTreeMap<String, String>,
) -> Result<(), RenderError> {
    let mode = match options.mode {
        SubstituteMode::Strict => Mode::Strict,
        SubstituteMode::Declared => Mode::Declared,
    };
    let mut errors = Vec::new();
    let mut added = 0_usize;
    for Object { value, origin } in objects {
        let before = weight::bytes(value);
        if let Err(mistakes) = substitute::substitute(value, &Options { vars, mode }) {
            let told = |mistake: SubstituteError| {
                let line = line(files, origin, &mistake.variable).unwrap_or(origin.line);
                format!("{}:{line}: {mistake}", origin.file)
            };
            errors.extend(mistakes.into_iter().map(told));
        }
        let grown = weight::bytes(value).saturating_sub(before);
        added = added.saturating_add(grown);
        if added > GROWTH {
            return Err(RenderError::of(vec![format!(
                "{origin}: variables add more than {GROWTH} bytes to all objects together: shorten them, or use them less often"
            )]));
        }
        let spent = files.spend(Resource::Memory, grown);
        spent.map_err(|error| RenderError::of(vec![format!("{origin}: {error}")]))?;
    }
    if errors.is_empty() { Ok(()) } else { Err(RenderError::of(errors)) }
}

/// The line of an object's file on which a variable stands, if it is written there.
fn line(files: &dyn Files, origin: &Origin, variable: &str) -> Option<u32> {
    let bytes = files.read(&origin.file).ok()??;
    let text = str::from_utf8(&bytes).ok()?;
    let before = usize::try_from(origin.line).ok()?.checked_sub(1)?;
    let written = format!("${{{variable}");
    let after = text.lines().skip(before).position(|line| line.contains(&written))?;
    u32::try_from(before + after + 1).ok()
}

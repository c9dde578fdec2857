//! Parses a file for editing.
//!
//! Pure.

use std::sync::Arc;

use super::problem::{Cause, Problem};
use crate::yaml::{Document, read};

/// Returns the documents of a file, or its first problem.
pub(super) fn documents<'t>(file: &Arc<str>, text: &'t [u8]) -> Result<Vec<Document<'t>>, Problem> {
    let problem = |line, cause| Problem { file: file.clone(), line, image: None, cause };
    if let Some(line) = conflict(text) {
        return Err(problem(line, Cause::Conflict));
    }
    let (documents, errors) = read(file, text);
    match errors.into_iter().next() {
        Some(error) => Err(problem(error.line, Cause::Unreadable(error.problem))),
        None => Ok(documents),
    }
}

/// Returns the line at which Git marked a merge conflict.
fn conflict(text: &[u8]) -> Option<u32> {
    let mut lines = text.split(|byte| *byte == b'\n').enumerate();
    let (number, _) = lines.find(|(_, line)| line.starts_with(b"<<<<<<< "))?;
    let is_closed = lines.any(|(_, line)| line.starts_with(b">>>>>>> "));
    is_closed.then(|| u32::try_from(number + 1).unwrap_or(u32::MAX))
}

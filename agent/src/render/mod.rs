//! From the files of a folder in git to manifests. All errors are reported at once, each with file and line.
//!
//! Knows neither git nor a cluster: files come in as bytes. Pure.

pub mod helm;
pub mod kept;
pub mod plain;

use holdfast_diff::object::Manifest;

use crate::error::{Class, StageError};

/// A file of the config repository: its path from the root of the tree, and its bytes.
#[derive(Clone, Debug)]
pub struct File {
    pub path: String,
    pub bytes: Vec<u8>,
}

/// The objects of a folder, in the order of files.
#[derive(Debug, Default)]
pub struct ManifestSet {
    pub manifests: Vec<Manifest>,
}

/// Everything that is wrong in the files, so that it can be mended in one go.
#[derive(Debug, thiserror::Error)]
#[error("{} in git: {}", count(.errors.len()), .errors.join("; "))]
pub struct RenderError {
    /// Each starts with `file:line`.
    pub errors: Vec<String>,
}

fn count(errors: usize) -> String {
    if errors == 1 { "1 mistake".to_owned() } else { format!("{errors} mistakes") }
}

impl StageError for RenderError {
    fn class(&self) -> Class {
        Class::User
    }

    fn name(&self) -> &'static str {
        "RenderFailed"
    }
}

/// True if the renderer reads a file of this name.
pub fn reads(path: &str) -> bool {
    plain::reads(path)
}

/// Renders the files of a folder, of which [`reads`] is true.
pub fn render(files: &[File]) -> Result<ManifestSet, RenderError> {
    plain::render(files)
}

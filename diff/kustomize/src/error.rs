//! Errors of a kustomization, with their place and what to do.
//!
//! Pure.

use std::fmt;

use holdfast_documents::object::Origin;
use holdfast_documents::yaml::YamlError;

/// One error, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct KustomizeError {
    /// Path from the root of the tree; empty if the error belongs to no file.
    pub file: String,
    /// Counts from 1; 0 if the error is about the whole file.
    pub line: u32,
    pub message: String,
}

impl fmt::Display for KustomizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => f.write_str(&self.message),
            (file, 0) => write!(f, "{file}: {}", self.message),
            (file, line) => write!(f, "{file}:{line}: {}", self.message),
        }
    }
}

impl KustomizeError {
    pub fn at(origin: &Origin, message: impl Into<String>) -> Self {
        Self { file: origin.file.to_string(), line: origin.line, message: message.into() }
    }

    pub fn in_file(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, message: message.into() }
    }

    /// Creates the error for a mistake in a YAML text.
    pub fn in_yaml(error: &YamlError) -> Self {
        Self { file: error.file.to_string(), line: error.line, message: error.problem.to_string() }
    }

    /// Creates an error without a place, which a caller adds with [`KustomizeError::or_at`].
    pub fn new(message: impl Into<String>) -> Self {
        Self { file: String::new(), line: 0, message: message.into() }
    }

    /// Adds a place, unless there is one.
    #[must_use]
    pub fn or_at(self, origin: &Origin) -> Self {
        if self.file.is_empty() { Self::at(origin, self.message) } else { self }
    }
}

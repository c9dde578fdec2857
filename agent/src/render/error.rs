//! The errors of a render: all mistakes in the files at once, or one error that ended the render. Pure.

use holdfast_diff::budget::Exceeded;
use holdfast_diff::causes::{self, Mistake};
use holdfast_diff::files::FilesError;
use holdfast_diff::mask::Masks;
use serde::{Deserialize, Serialize};

use super::error_name::Name;
use crate::error::{Class, StageError};

/// All mistakes in the files, so that they can be corrected at once; or another error that ended a render.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{}{}", head(*.cause, .errors.len() + .more), said(.errors, *.more))]
pub struct RenderError {
    /// Each starts with `file:line`, if it is in Git.
    pub errors: Vec<String>,
    /// How many more there are.
    more: usize,
    class: Class,
    name: Name,
    cause: Cause,
    /// The cause that errors of other Syncs may share.
    #[serde(default)]
    common: Option<String>,
}

/// The kind of an error of a render.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Cause {
    /// A mistake in the files.
    Git,
    /// The tree itself cannot be read.
    Source,
    /// A limit, or a defect.
    Outside,
}

fn head(cause: Cause, errors: usize) -> String {
    if cause == Cause::Git { count(errors) } else { String::new() }
}

/// The mistakes, grouped by their causes if there are many.
fn said(errors: &[String], more: usize) -> String {
    causes::summary(&read(errors), more).0
}

fn read(errors: &[String]) -> Vec<Mistake> {
    errors.iter().map(|error| Mistake::read(error)).collect()
}

/// Maximum number of mistakes: a bad file may have as many as it has bytes.
const REPORTED: usize = 1000;

fn count(errors: usize) -> String {
    if errors == 1 { "1 error in Git: ".to_owned() } else { format!("{errors} errors in Git: ") }
}

impl RenderError {
    pub fn of(mut errors: Vec<String>) -> Self {
        let more = errors.len().saturating_sub(REPORTED);
        errors.truncate(REPORTED);
        Self { errors, more, class: Class::User, name: Name("RenderFailed"), cause: Cause::Git, common: None }
    }

    /// Creates an error that is not caused by Git alone.
    pub fn outside(class: Class, name: &'static str, said: String) -> Self {
        Self { errors: vec![said], more: 0, class, name: Name(name), cause: Cause::Outside, common: None }
    }

    /// A defect of Holdfast, or of the machine.
    pub fn internal(said: &str) -> Self {
        Self::outside(Class::Internal, "RenderFault", said.to_owned())
    }

    /// Creates the error of a tree that cannot be read.
    pub fn of_source(error: &dyn StageError) -> Self {
        Self {
            errors: vec![error.to_string()],
            more: 0,
            class: error.class(),
            name: Name(error.name()),
            cause: Cause::Source,
            common: error.common_cause(),
        }
    }

    /// The same text, if an error outside is the reason.
    #[must_use]
    pub fn because_of(self, trouble: &Self) -> Self {
        Self {
            class: trouble.class,
            name: trouble.name,
            cause: Cause::Outside,
            common: trouble.common.clone(),
            ..self
        }
    }

    /// A base in another repository that cannot be read.
    pub fn of_remote(error: &dyn StageError) -> Self {
        Self::of_stage(format!("remote base: {error}"), error)
    }

    /// Creates the error of something that a kustomization or chart refers to.
    pub fn of_stage(said: String, error: &dyn StageError) -> Self {
        Self {
            errors: vec![said],
            more: 0,
            class: error.class(),
            name: Name(error.name()),
            cause: Cause::Git,
            common: error.common_cause(),
        }
    }

    /// Returns the stage that failed.
    pub fn stage(&self) -> &'static str {
        if self.cause == Cause::Source { "source" } else { "render" }
    }

    /// The same without secret texts, which a message can quote.
    pub(super) fn hiding(self, masks: &Masks) -> Self {
        self.rewritten(|error| masks.hide(error).into_owned())
    }

    /// The same with other texts.
    pub(super) fn rewritten(self, text: impl Fn(&str) -> String) -> Self {
        Self { errors: self.errors.iter().map(|error| text(error)).collect(), ..self }
    }
}

impl From<Exceeded> for RenderError {
    fn from(exceeded: Exceeded) -> Self {
        Self::of(vec![exceeded.to_string()])
    }
}

impl From<FilesError> for RenderError {
    fn from(error: FilesError) -> Self {
        Self::of(vec![error.to_string()])
    }
}

impl StageError for RenderError {
    fn class(&self) -> Class {
        self.class
    }

    fn name(&self) -> &'static str {
        self.name.0
    }

    fn common_cause(&self) -> Option<String> {
        self.common.clone()
    }

    fn mistakes(&self) -> (Vec<Mistake>, usize) {
        (read(&self.errors), self.more)
    }
}

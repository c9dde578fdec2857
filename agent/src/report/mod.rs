//! Converts findings to status, Events, log lines and alerts. Never fails a sync.
//!
//! Decides what is reported; leaves writing to `write` and `events`. The decisions are pure.

pub mod alert;
pub mod approvals;
pub mod audit;
pub mod changes;
pub mod drift;
pub mod events;
pub mod findings;
mod gauges;
pub mod new_value;
pub mod progress;
pub mod status;
pub mod tell;
pub mod updates;
pub mod write;

use holdfast_diff::causes::{self, Cause, Mistake};

pub use self::findings::{Done, Findings, Objects, Seen};
pub use self::new_value::NewValue;
use crate::error::{Class, StageError};

/// A stage that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{stage}: {message}")]
pub struct Failure {
    pub stage: &'static str,
    pub class: Class,
    pub reason: &'static str,
    pub message: String,
    /// All mistakes by cause, if the message does not name all of them.
    pub causes: Vec<Cause>,
    /// The cause that failures of other Syncs may share, such as the host of their repositories.
    pub common: Option<String>,
}

impl Failure {
    /// Converts the error of a stage.
    pub fn of(stage: &'static str, error: &impl StageError) -> Self {
        let (mistakes, more) = error.mistakes();
        let message = match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        };
        let failure = Self::new(stage, error.class(), error.name(), message);
        let failure = Self { common: error.common_cause(), ..failure };
        if causes::summary(&mistakes, more).1 { failure } else { failure.with(&mistakes) }
    }

    /// A failure whose message names only some of its mistakes.
    #[must_use]
    pub fn with(self, mistakes: &[Mistake]) -> Self {
        let message = format!("{}; `holdfast status NAME` lists all of them", self.message);
        Self { message, causes: causes::group(mistakes), ..self }
    }

    pub fn new(stage: &'static str, class: Class, reason: &'static str, message: impl Into<String>) -> Self {
        Self { stage, class, reason, message: message.into(), causes: Vec::new(), common: None }
    }

    pub fn transient(stage: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(stage, Class::Transient, reason, message)
    }

    pub fn user(stage: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(stage, Class::User, reason, message)
    }

    pub fn internal(stage: &'static str, message: impl Into<String>) -> Self {
        Self::new(stage, Class::Internal, "InternalError", message)
    }
}

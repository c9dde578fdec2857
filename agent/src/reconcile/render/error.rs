//! Why the stage `render` returns no manifests. Pure.

use std::sync::Arc;

use super::super::inputs;
use crate::error::{Class, StageError};
use crate::render::RenderError;
use crate::render::kept::KeptError;
use crate::report::Failure;
use crate::source::SourceError;

/// Why there are no manifests.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Inputs(#[from] inputs::Error),
    #[error(transparent)]
    Render(Arc<RenderError>),
    #[error(transparent)]
    Kept(#[from] KeptError),
    #[error("a task of the render has ended: {0}")]
    Task(#[from] tokio::task::JoinError),
    #[error("nothing was rendered")]
    Nothing,
}

impl StageError for Error {
    fn class(&self) -> Class {
        match self {
            Self::Source(error) => error.class(),
            Self::Inputs(error) => error.class(),
            Self::Render(error) => error.class(),
            Self::Kept(_) | Self::Task(_) | Self::Nothing => Class::Internal,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Source(error) => error.name(),
            Self::Inputs(error) => error.name(),
            Self::Render(error) => error.name(),
            Self::Kept(_) | Self::Task(_) | Self::Nothing => "InternalError",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Inputs(error) => error.hint(),
            Self::Source(_) | Self::Render(_) | Self::Kept(_) | Self::Task(_) | Self::Nothing => None,
        }
    }

    fn common_cause(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.common_cause(),
            Self::Inputs(error) => error.common_cause(),
            Self::Render(error) => error.common_cause(),
            Self::Kept(_) | Self::Task(_) | Self::Nothing => None,
        }
    }

    fn mistakes(&self) -> (Vec<holdfast_diff::causes::Mistake>, usize) {
        match self {
            Self::Source(error) => error.mistakes(),
            Self::Inputs(error) => error.mistakes(),
            Self::Render(error) => error.mistakes(),
            Self::Kept(_) | Self::Task(_) | Self::Nothing => (Vec::new(), 0),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let stage = match &error {
            Error::Source(_) => "source",
            Error::Render(error) => error.stage(),
            Error::Inputs(_) | Error::Kept(_) | Error::Task(_) | Error::Nothing => "render",
        };
        Self::of(stage, &error)
    }
}

//! What the agent sends to a worker, and what comes back. Pure.

use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::mask::Masks;
use holdfast_diff::object::Manifest;
use serde::{Deserialize, Serialize};

use crate::api::ChartStatus;
use crate::render::ask::ReadRemote;
use crate::render::ask::{Answer, Ask};
use crate::render::helm::Volatile;
use crate::render::order::{Attempt, Order};
use crate::render::reads::Reads;
use crate::render::{Keep, RenderError, RenderOutput};

/// A render to be made.
#[derive(Serialize)]
pub struct Sent<'a> {
    pub order: &'a Order,
    pub given: &'a [(Digest, Arc<Answer>)],
    /// Of a processor.
    pub seconds: u64,
}

/// The same where it is received.
#[derive(Deserialize)]
pub struct Received {
    pub order: Order,
    pub given: Vec<(Digest, Arc<Answer>)>,
    pub seconds: u64,
}

/// The last message, after one message for each manifest.
#[derive(Serialize, Deserialize)]
pub struct Done {
    pub reads: Reads,
    pub end: Result<Beside, RenderError>,
    pub missing: Option<Ask>,
    /// True if the worker may serve again.
    pub stays: bool,
}

/// The result of a render, without the manifests.
#[derive(Serialize, Deserialize)]
pub struct Beside {
    warnings: Vec<String>,
    volatile: Vec<Volatile>,
    chart: Option<ChartStatus>,
    remotes: Vec<ReadRemote>,
    masks: Masks,
    keep: Keep,
}

impl Beside {
    /// Splits the result of a render.
    pub fn of(output: RenderOutput, keep: Keep) -> (Self, Vec<Manifest>) {
        let RenderOutput { manifests, warnings, volatile, chart, remotes, masks } = output;
        (Self { warnings, volatile, chart, remotes, masks, keep }, manifests)
    }

    fn with(self, manifests: Vec<Manifest>) -> (RenderOutput, Keep) {
        let Self { warnings, volatile, chart, remotes, masks, keep } = self;
        (RenderOutput { manifests, warnings, volatile, chart, remotes, masks }, keep)
    }
}

/// The messages of a worker: manifests, and that it is done.
#[derive(Default)]
pub struct Replies {
    pub manifests: Vec<Vec<u8>>,
    pub done: Vec<u8>,
}

impl Replies {
    /// Returns the result, and whether the worker may serve again.
    pub fn read(self) -> Result<(Attempt, bool), RenderError> {
        let odd = |error: serde_json::Error| RenderError::internal(&format!("a worker's answer: {error}"));
        let Done { reads, end, missing, stays } = serde_json::from_slice(&self.done).map_err(odd)?;
        let end = match end {
            Ok(beside) => {
                let mut manifests = Vec::with_capacity(self.manifests.len());
                for bytes in self.manifests {
                    manifests.push(serde_json::from_slice(&bytes).map_err(odd)?);
                }
                Ok(beside.with(manifests))
            }
            Err(error) => Err(error),
        };
        Ok((Attempt { reads, end, missing }, stays))
    }
}

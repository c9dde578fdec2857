//! `holdfast render-worker`: the process in which an agent renders. Not for users. I/O: pipes, disk reads.

use std::process::ExitCode;

use clap::Args;

use crate::reconcile::trees::MirrorTrees;
use crate::render::worker;

/// What a worker may use
#[derive(Args, Debug)]
pub struct RenderWorker {
    /// Bytes of memory
    memory: u64,
}

impl RenderWorker {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        worker::serve(self.memory, &MirrorTrees::default())?;
        Ok(ExitCode::SUCCESS)
    }
}

//! What the last render read of a commit, with which a newer commit is compared. I/O: reads files of a commit.

use std::sync::Arc;

use holdfast_diff::digest::Digest;
use jiff::Timestamp;

use super::sync_at::SyncAt;
use crate::api::CommitNote;
use crate::render::RenderError;
use crate::render::ask::ReadRemote;
use crate::render::reads::Reads;
use crate::source::{Checkout, CommitFiles};

/// A rendered commit, and what the render read of it.
#[derive(Clone)]
pub struct RenderedCommit {
    pub commit: String,
    pub note: Option<CommitNote>,
    pub generation: Option<i64>,
    /// Digest of everything that a render depends on beside the files.
    pub options: Digest,
    pub reads: Arc<Reads>,
    /// What was read from other repositories and web servers.
    pub remotes: Vec<ReadRemote>,
    /// When the files of web servers were compared last.
    pub compared: Timestamp,
    /// Digest of everything that was read, and of what the Sync refers to.
    pub tree: String,
    /// Why the commit cannot be rendered, if another try would only use as much memory or time again.
    pub failure: Option<Arc<RenderError>>,
}

impl RenderedCommit {
    /// True if this is the commit of a checkout, rendered for the current generation of the Sync.
    pub fn is_of(&self, at: SyncAt<'_>, checkout: &Checkout) -> bool {
        self.commit == checkout.revision().commit && self.generation == at.sync.metadata.generation
    }

    /// True if another commit differs in the files that were read of this one.
    pub fn differs_at(&self, files: &CommitFiles) -> bool {
        files.revision().commit != self.commit && self.reads.matches(files).is_none()
    }
}

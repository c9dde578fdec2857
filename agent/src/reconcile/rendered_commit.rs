//! A commit as far as the last render read it, with which a newer commit is compared. No I/O but the files of a commit.

use std::sync::Arc;

use holdfast_diff::digest::Digest;
use jiff::Timestamp;

use super::sync_at::SyncAt;
use crate::api::CommitNote;
use crate::render::RenderError;
use crate::render::ask::ReadRemote;
use crate::render::reads::Reads;
use crate::source::{Checkout, CommitFiles};

/// A commit as far as a Sync reads it.
#[derive(Clone)]
pub struct RenderedCommit {
    pub commit: String,
    pub note: Option<CommitNote>,
    pub generation: Option<i64>,
    /// Names everything that a render depends on beside the files.
    pub options: Digest,
    pub reads: Arc<Reads>,
    /// What was read of other repositories.
    pub remotes: Vec<ReadRemote>,
    /// When the files of web servers among them were compared last.
    pub compared: Timestamp,
    /// Names what was read, and what the Sync refers to.
    pub tree: String,
    /// Why it cannot be rendered, if another try would only use as much memory or time again.
    pub failure: Option<Arc<RenderError>>,
}

impl RenderedCommit {
    /// True if it is this commit, read for the Sync as it is now.
    pub fn is_of(&self, at: SyncAt<'_>, checkout: &Checkout) -> bool {
        self.commit == checkout.revision().commit && self.generation == at.sync.metadata.generation
    }

    /// True if another commit differs in what was read of this one.
    pub fn differs_at(&self, files: &CommitFiles) -> bool {
        files.revision().commit != self.commit && self.reads.matches(files).is_none()
    }
}

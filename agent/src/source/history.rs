//! What a walk back through history reads of one commit: the version of a file, and the parents. I/O: disk reads of the mirror.

use super::{Checkout, CommitId, SourceError};

impl Checkout {
    /// The id of the content of a file in this commit; `None` if the commit does not have it.
    pub fn version(&self, path: &str) -> Result<Option<String>, SourceError> {
        Ok(self.tree.find(path)?.map(|(_, entry)| entry.id.to_string()))
    }

    /// The parents of this commit, the first one first. They need not be in the mirror.
    pub fn parents(&self) -> Result<Vec<CommitId>, SourceError> {
        Ok(self.tree.parents()?.into_iter().map(CommitId).collect())
    }
}

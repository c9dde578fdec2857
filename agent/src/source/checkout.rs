//! A commit of a mirror, as readers use it. I/O: none, but for the files of the mirror.

use std::path::Path;

use super::{CommitFiles, CommitId, GitRef, Location, MirrorId, Revision, SourceError, Tree};

/// A commit of a repository.
#[derive(Clone)]
pub struct Checkout {
    pub(super) mirror: MirrorId,
    pub(super) reference: GitRef,
    pub(super) tree: Tree,
}

impl Checkout {
    pub fn revision(&self) -> &Revision {
        &self.tree.revision
    }

    /// Lets the mirror be fetched afresh: something of it cannot be read.
    pub fn mark_broken(&self) {
        self.tree.repository.note_broken();
    }

    /// The folder of the mirror that it is in, which stays as long as this does.
    pub fn mirror_folder(&self) -> &Path {
        self.tree.repository.folder()
    }

    pub fn id(&self) -> CommitId {
        CommitId(self.tree.commit)
    }

    /// Who made the commit, as `Name <address>`, and the first line of its message.
    pub fn commit(&self) -> Option<(String, String)> {
        self.tree.commit()
    }

    /// The clean path of the folder that a Sync names.
    pub fn folder(&self, path: &str) -> Result<String, SourceError> {
        self.tree.folder(path)
    }

    /// The id of the root of its tree.
    pub fn tree(&self) -> String {
        self.tree.root.to_string()
    }

    /// The mirror that it is of.
    pub fn mirror(&self) -> MirrorId {
        self.mirror
    }

    /// The files of the commit.
    pub fn files(&self) -> CommitFiles {
        CommitFiles::new(self.tree.clone())
    }

    /// True if it is of this repository and ref.
    pub fn is_of(&self, location: &Location, reference: &GitRef) -> bool {
        self.mirror == location.mirror() && self.reference == *reference
    }
}

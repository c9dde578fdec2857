//! A commit of a mirror, as renderers read it. I/O: disk reads of the mirror.

use std::path::Path;

use gix::ObjectId;

use super::{CommitFiles, CommitId, GitRef, Location, MirrorId, Revision, SourceError, Tree};

/// A commit of a repository.
#[derive(Clone)]
pub struct Checkout {
    pub(super) mirror: MirrorId,
    pub(super) reference: GitRef,
    /// The object that the ref names: the commit, or a tag of it.
    pub(super) target: ObjectId,
    pub(super) tree: Tree,
}

impl Checkout {
    pub fn revision(&self) -> &Revision {
        &self.tree.revision
    }

    /// Marks the mirror as damaged because an object could not be read, so that it is fetched again.
    pub fn mark_broken(&self) {
        self.tree.repository.note_broken();
    }

    /// The folder of the mirror, which exists until the checkout is dropped.
    pub fn mirror_folder(&self) -> &Path {
        self.tree.repository.folder()
    }

    pub fn id(&self) -> CommitId {
        CommitId(self.tree.commit)
    }

    /// Returns the author of the commit, as `Name <address>`, and the first line of its message.
    pub fn commit(&self) -> Option<(String, String)> {
        self.tree.commit()
    }

    /// Returns the normalised path of the folder that a Sync names.
    pub fn folder(&self, path: &str) -> Result<String, SourceError> {
        self.tree.folder(path)
    }

    /// Returns the id of the root tree.
    pub fn tree(&self) -> String {
        self.tree.root.to_string()
    }

    /// Returns the id of the mirror.
    pub fn mirror(&self) -> MirrorId {
        self.mirror
    }

    /// Returns the files of the commit.
    pub fn files(&self) -> CommitFiles {
        CommitFiles::new(self.tree.clone())
    }

    /// True if the commit is of this repository and ref.
    pub fn is_of(&self, location: &Location, reference: &GitRef) -> bool {
        self.mirror == location.mirror() && self.reference == *reference
    }
}

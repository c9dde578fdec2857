//! A mirror that another process fetches and this process only reads. I/O: disk reads.

use std::path::Path;
use std::sync::Arc;

use gix::ObjectId;

use super::repository::{self, Repository};
use super::{CommitFiles, Revision, SourceError, Tree};

/// A mirror that is open for reading only.
pub struct OpenMirror(Arc<Repository>);

impl OpenMirror {
    /// Opens the mirror in a folder.
    pub fn open(folder: &Path) -> Result<Self, SourceError> {
        repository::open_to_read(folder).map(Self)
    }

    /// Returns the files of a commit. `name` is the name of the commit in messages.
    pub fn files(&self, name: &str, commit: &str) -> Result<CommitFiles, SourceError> {
        self.tree(name, commit).map(CommitFiles::new)
    }

    /// Returns the normalised path of a folder of a commit.
    pub fn folder(&self, name: &str, commit: &str, path: &str) -> Result<String, SourceError> {
        self.tree(name, commit)?.folder(path)
    }

    fn tree(&self, name: &str, commit: &str) -> Result<Tree, SourceError> {
        let found = ObjectId::from_hex(commit.as_bytes()).ok().and_then(|id| self.0.peel(id));
        let revision = Revision { name: name.to_owned(), commit: commit.to_owned() };
        let Some((commit, root)) = found else {
            let said = format!("there is no commit {commit} in the mirror");
            return Err(SourceError::Git { url: revision.to_string(), said });
        };
        Ok(Tree { repository: self.0.clone(), commit, root, revision })
    }
}

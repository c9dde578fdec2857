//! The tree of a commit as the renderer sees it.
//!
//! The first error is kept as it is for the caller. I/O: disk reads of the mirror.

use std::sync::{Arc, Mutex, PoisonError};

use gix::objs::tree::EntryKind;
use holdfast_diff::files::{Entry, FileKind, Files, FilesError, Place, Version, Versioned};

use super::tree::{Tree, below};
use super::{Revision, SourceError};

/// The files of a commit.
pub struct CommitFiles {
    tree: Tree,
    trouble: Mutex<Option<SourceError>>,
}

impl CommitFiles {
    pub fn new(tree: Tree) -> Self {
        Self { tree, trouble: Mutex::default() }
    }

    pub fn revision(&self) -> &Revision {
        self.tree.revision()
    }

    /// The first thing that could not be read.
    pub fn trouble(&self) -> Option<SourceError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn told<T>(&self, result: Result<T, SourceError>) -> Result<T, FilesError> {
        result.map_err(|error| {
            let said = FilesError(error.to_string());
            self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            said
        })
    }

    fn entries(&self, path: &str) -> Result<Option<Vec<Entry>>, SourceError> {
        let Some((real, folder)) = self.tree.find(path)? else { return Ok(None) };
        if folder.kind != EntryKind::Tree {
            return Ok(None);
        }
        let mut found = Vec::new();
        for (name, entry) in self.tree.entries(folder.id, path)?.iter() {
            let entry = self.tree.entry(&below(&real, name), *entry)?;
            found.push(Entry { name: name.to_string(), kind: kind(entry.kind) });
        }
        Ok(Some(found))
    }

    fn bytes(&self, path: &str) -> Result<Option<Arc<[u8]>>, SourceError> {
        match self.tree.find(path)? {
            Some((real, entry)) if entry.kind != EntryKind::Tree => {
                Ok(Some(self.tree.blob(&real, entry.id)?.into()))
            }
            _ => Ok(None),
        }
    }
}

fn kind(kind: EntryKind) -> FileKind {
    if kind == EntryKind::Tree { FileKind::Folder } else { FileKind::File }
}

impl Files for CommitFiles {
    fn resolve(&self, path: &str) -> Result<Option<Place>, FilesError> {
        let found = self.told(self.tree.find(path))?;
        Ok(found.map(|(path, entry)| Place { path, kind: kind(entry.kind) }))
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        self.told(self.bytes(path))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        self.told(self.entries(path))
    }
}

impl Versioned for CommitFiles {
    fn version(&self, path: &str) -> Result<Option<Version>, FilesError> {
        let found = self.told(self.tree.find(path))?;
        Ok(found.and_then(|(_, entry)| entry.id.as_slice().try_into().ok().map(Version)))
    }
}

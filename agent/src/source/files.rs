//! The files of a commit, for the renderer.
//!
//! Keeps the first error for the caller. I/O: disk reads of the mirror.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gix::objs::tree::EntryKind as TreeEntry;
use holdfast_diff::files::{
    Entry, EntryKind, FileKind, Files, FilesError, Resolved, Version, Versioned, check_content,
};
use parking_lot::Mutex;

use super::folders::Entries;
use super::tree::{Tree, below};
use super::{Revision, SourceError};

/// Maximum number of entries that one [`CommitFiles`] reads, including repetitions. Git stores equal folders only once,
/// so a small repository can contain more paths than can be visited.
const LIMIT: usize = 1_000_000;
/// Cost of a symlink in entries, since it can lead through other symlinks.
const LINK: usize = 20;

/// The files of a commit.
pub struct CommitFiles {
    tree: Tree,
    /// Number of entries that were read.
    read: AtomicUsize,
    trouble: Mutex<Option<SourceError>>,
}

impl CommitFiles {
    pub fn new(tree: Tree) -> Self {
        Self { tree, read: AtomicUsize::default(), trouble: Mutex::default() }
    }

    pub fn revision(&self) -> &Revision {
        self.tree.revision()
    }

    /// Returns the first error.
    pub fn trouble(&self) -> Option<SourceError> {
        self.trouble.lock().take()
    }

    /// Records the first error, which [`Self::trouble`] returns.
    fn noted<T>(&self, result: Result<T, SourceError>) -> Result<T, FilesError> {
        result.map_err(|error| {
            let said = FilesError(error.to_string());
            self.trouble.lock().get_or_insert(error);
            said
        })
    }

    fn entries(&self, path: &str) -> Result<Option<Vec<Entry>>, SourceError> {
        let Some((real, folder)) = self.tree.find(path)? else { return Ok(None) };
        if folder.kind != TreeEntry::Tree {
            return Ok(None);
        }
        let entries = self.tree.entries(folder.id, path)?;
        self.count(&entries)?;
        let mut found = Vec::with_capacity(entries.len());
        for (name, entry) in entries.iter() {
            let kind = match self.tree.entry(&below(&real, name), *entry) {
                Ok(entry) => kind(entry.kind).into(),
                Err(_) if entry.kind == TreeEntry::Commit => EntryKind::Submodule,
                Err(error) if is_dangling(&error) => EntryKind::Dangling,
                Err(error) => return Err(error),
            };
            found.push(Entry { name: name.to_string(), kind });
        }
        Ok(Some(found))
    }

    fn count(&self, entries: &Entries) -> Result<(), SourceError> {
        let links = entries.iter().filter(|(_, entry)| entry.kind == TreeEntry::Link).count();
        let more = 1 + entries.len() + links * LINK;
        if self.read.fetch_add(more, Ordering::Relaxed) > LIMIT {
            let revision = self.tree.revision().to_string();
            return Err(SourceError::TooManyEntries { revision, limit: LIMIT });
        }
        Ok(())
    }

    fn bytes(&self, path: &str) -> Result<Option<Arc<[u8]>>, SourceError> {
        match self.tree.find(path)? {
            Some((real, entry)) if entry.kind != TreeEntry::Tree => {
                let bytes = self.tree.blob(&real, entry.id)?;
                check_content(path, &bytes).map_err(|error| SourceError::Lfs { said: error.0 })?;
                Ok(Some(bytes.into()))
            }
            _ => Ok(None),
        }
    }
}

/// True if only the target of a symlink cannot be read.
fn is_dangling(error: &SourceError) -> bool {
    use SourceError::{BadSymlink, Submodule, SymlinkEscapes};
    matches!(error, BadSymlink { .. } | SymlinkEscapes { .. } | Submodule { .. })
}

fn kind(kind: TreeEntry) -> FileKind {
    if kind == TreeEntry::Tree { FileKind::Folder } else { FileKind::File }
}

impl Files for CommitFiles {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        let found = self.noted(self.tree.find(path))?;
        Ok(found.map(|(path, entry)| Resolved { path, kind: kind(entry.kind) }))
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        self.noted(self.bytes(path))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        self.noted(self.entries(path))
    }
}

impl Versioned for CommitFiles {
    fn version(&self, path: &str) -> Result<Option<Version>, FilesError> {
        let found = self.noted(self.tree.find(path))?;
        Ok(found.and_then(|(_, entry)| entry.id.as_slice().try_into().ok().map(Version)))
    }
}

//! The files of a folder as a renderer sees them, for tests of renderers. I/O: reads files.

use std::path::PathBuf;
use std::sync::Arc;

use holdfast_diff::files::{Entry, EntryKind, FileKind, Files, FilesError, Resolved};
use holdfast_kustomize::Host;

/// The files below a folder, which must be a path without symlinks.
pub struct Disk {
    pub root: PathBuf,
}

impl Host for Disk {}

impl Files for Disk {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        let Ok(real) = self.root.join(path).canonicalize() else { return Ok(None) };
        let Ok(inside) = real.strip_prefix(&self.root) else {
            return Err(FilesError(format!("{path} leads out of the repository")));
        };
        let kind = if real.is_dir() { FileKind::Folder } else { FileKind::File };
        Ok(Some(Resolved { path: inside.to_string_lossy().into_owned(), kind }))
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        Ok(std::fs::read(self.root.join(path)).ok().map(Into::into))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        let Ok(entries) = std::fs::read_dir(self.root.join(path)) else { return Ok(None) };
        let entry = |entry: std::fs::DirEntry| {
            let kind = if entry.path().is_dir() { EntryKind::Folder } else { EntryKind::File };
            Entry { name: entry.file_name().to_string_lossy().into_owned(), kind }
        };
        let mut entries: Vec<_> = entries.flatten().map(entry).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(entries))
    }
}

//! The files of a repository as a renderer reads them. Leaves their source to the caller.
//!
//! Paths are normalised, relative to the root of the tree, with `/` between names; the root itself is empty. Pure.

pub mod name;

use std::sync::Arc;

use crate::budget::{Budget, Exceeded, Resource};

/// Maximum depth of nested folders.
pub const MAX_DEPTH: usize = 64;
/// Maximum number of entries that one walk through folders visits.
pub const MAX_VISITS: usize = 100_000;

/// The kind of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    File,
    Folder,
}

/// A path after all symlinks are followed, and its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub path: String,
    pub kind: FileKind,
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub kind: EntryKind,
}

/// The kind of an entry of a folder, after symlinks are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Folder,
    /// A Git submodule, which is not read. Reading below it is an error.
    Submodule,
    /// A symlink without a target in the tree. Following it is an error.
    Dangling,
}

impl From<FileKind> for EntryKind {
    fn from(kind: FileKind) -> Self {
        match kind {
            FileKind::File => Self::File,
            FileKind::Folder => Self::Folder,
        }
    }
}

/// A file that cannot be read: a symlink out of the tree, a file that is too large, a wrong key. A missing file is not
/// an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FilesError(pub String);

impl From<Exceeded> for FilesError {
    fn from(exceeded: Exceeded) -> Self {
        Self(exceeded.to_string())
    }
}

/// The files of one tree.
pub trait Files {
    /// Resolves the symlinks of a path; `None` if it does not exist.
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError>;

    /// Returns the bytes of the file at a path; `None` if there is no file.
    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError>;

    /// Returns the entries of a folder, in the order of names, with symlinks followed; `None` if there is no folder. An
    /// entry that cannot be read is not an error here, since it may not be needed.
    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError>;

    /// Returns the budget of the render that reads these files; `None` if nothing is counted.
    fn budget(&self) -> Option<&Budget> {
        None
    }

    /// Counts an amount before it is used.
    ///
    /// # Errors
    /// Fails if the limit would be exceeded.
    fn spend(&self, resource: Resource, amount: usize) -> Result<(), Exceeded> {
        self.budget().map_or(Ok(()), |budget| budget.take(resource, amount))
    }
}

/// Files whose content has an id, as in Git: the same id is the same content.
pub trait Versioned: Files {
    /// Returns the id of the content at a path, including everything below it; `None` if nothing exists there.
    fn version(&self, path: &str) -> Result<Option<Version>, FilesError>;
}

/// The id of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub [u8; 20]);

/// The first bytes of a pointer of Git LFS, and its maximum length. (git-lfs, "Git LFS Specification")
const POINTERS: [&[u8]; 2] =
    [b"version https://git-lfs.github.com/spec/v1\n", b"version https://hawser.github.com/spec/v1\n"];
const POINTER: usize = 1024;

/// Refuses a file whose content is in Git LFS, since Git only has a pointer.
pub fn check_content(path: &str, bytes: &[u8]) -> Result<(), FilesError> {
    if bytes.len() < POINTER && POINTERS.iter().any(|pointer| bytes.starts_with(pointer)) {
        return Err(FilesError(format!(
            "{path} is a pointer of Git LFS, whose content is not in the repository; LFS is not read: commit the file \
             itself (git lfs untrack, then git add --renormalize)"
        )));
    }
    Ok(())
}

/// Resolves a path relative to a folder, without `.` and `..`; `None` if it leads above the root.
pub fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Returns the number of names in a path.
pub fn depth(path: &str) -> usize {
    path.split('/').filter(|name| !name.is_empty()).count()
}

/// Counts the entries that a walk visits, so that it ends for every tree: folders in a cycle of symlinks, or equal
/// folders inside one another, which a few objects can form with more paths than can be visited.
#[derive(Default)]
pub struct Walk(usize);

impl Walk {
    /// Visits the entry at a path.
    pub fn visit(&mut self, path: &str) -> Result<(), FilesError> {
        if depth(path) > MAX_DEPTH {
            return Err(FilesError(format!(
                "{path} is nested deeper than {MAX_DEPTH} folders; check for a symlink to a folder above it"
            )));
        }
        if self.0 == MAX_VISITS {
            return Err(FilesError(format!(
                "more than {MAX_VISITS} entries, the last of them {path}; set the path to a smaller folder"
            )));
        }
        self.0 += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, MAX_VISITS, Walk, check_content, join};

    #[test]
    fn a_walk_ends() {
        let mut walk = Walk::default();
        assert_eq!(walk.visit(&"a/".repeat(MAX_DEPTH)), Ok(()));
        assert!(walk.visit(&"a/".repeat(MAX_DEPTH + 1)).is_err());
        assert_eq!((1..MAX_VISITS).find(|_| walk.visit("a").is_err()), None);
        assert!(walk.visit("a").is_err());
    }

    #[test]
    fn a_pointer_of_lfs_is_known() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
        let error = check_content("a/b.yaml", pointer).map_err(|error| error.0);
        assert!(error.is_err_and(|error| error.contains("a/b.yaml") && error.contains("Git LFS")));
        let long = [&pointer[..], &[b'a'; 1024]].concat();
        for text in [&long[..], b"version: 1\n", b"", b" version https://git-lfs.github.com/spec/v1\n"] {
            assert_eq!(check_content("a", text), Ok(()));
        }
    }

    #[test]
    fn no_path_climbs_above_the_root() {
        assert_eq!(join("", "./a//b/../c/"), Some("a/c".to_owned()));
        assert_eq!(join("a/b", "../../c"), Some("c".to_owned()));
        assert_eq!(join("a", "../../c"), None);
        assert_eq!(join("", ".."), None);
    }
}

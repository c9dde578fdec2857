//! The files of a repository as a renderer sees them: whose they are, and from where they come, is the caller's business.
//!
//! Paths are clean, from the root of the tree, with `/` between names; the root itself is empty. Pure.

use std::sync::Arc;

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    File,
    Folder,
}

/// A path once all symlinks are followed, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    pub kind: FileKind,
}

/// What a folder holds, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub kind: FileKind,
}

/// A file that cannot be read: a symlink out of the tree, a file that is too large, a key that does not fit. What does not
/// exist is no error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FilesError(pub String);

/// The files of one tree.
pub trait Files {
    /// Where a path leads; `None` if nothing is there.
    fn resolve(&self, path: &str) -> Result<Option<Place>, FilesError>;

    /// The bytes of the file at a path; `None` if there is no file.
    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError>;

    /// What a folder holds, in the order of names, symlinks followed; `None` if there is no folder.
    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError>;
}

/// Files whose content has a name, as git gives it: the same name is the same content.
pub trait Versioned: Files {
    /// The name of what stands at a path, all that is below it included; `None` if nothing is there.
    fn version(&self, path: &str) -> Result<Option<Version>, FilesError>;
}

/// The name of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub [u8; 20]);

/// A path as seen from a folder, without `.` and `..`; `None` if it climbs above the root.
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

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn no_path_climbs_above_the_root() {
        assert_eq!(join("", "./a//b/../c/"), Some("a/c".to_owned()));
        assert_eq!(join("a/b", "../../c"), Some("c".to_owned()));
        assert_eq!(join("a", "../../c"), None);
        assert_eq!(join("", ".."), None);
    }
}

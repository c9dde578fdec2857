//! The tree of a commit, read from the object database: nothing is checked out, and nothing outside of it can be read.
//!
//! I/O: disk reads of the mirror.

use std::collections::HashSet;
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::tree::EntryKind;

use super::mirror::Repository;
use super::{Revision, SourceError};

/// The largest file that is read.
const FILE_LIMIT: u64 = 50 * 1024 * 1024;
/// How many symlinks may lead to one another.
const LINKS: usize = 20;

/// The root of a commit's tree.
#[derive(Clone)]
pub struct Tree {
    pub(super) repository: Arc<Repository>,
    pub(super) root: ObjectId,
    pub(super) revision: Revision,
}

/// A folder of a commit. Its id changes when anything below it does.
#[derive(Clone)]
pub struct Folder {
    tree: Tree,
    path: String,
    id: ObjectId,
}

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// From the root of the tree.
    pub path: String,
    id: ObjectId,
}

/// What stands at a path.
#[derive(Clone, Copy)]
struct Entry {
    kind: EntryKind,
    id: ObjectId,
}

impl Tree {
    /// Who made the commit, as `Name <address>`, and the first line of its message.
    pub fn commit(&self) -> Option<(String, String)> {
        let repo = self.repository.git.to_thread_local();
        let id = ObjectId::from_hex(self.revision.commit.as_bytes()).ok()?;
        let commit = repo.find_object(id).ok()?.try_into_commit().ok()?;
        let author = commit.author().ok()?;
        let subject = commit.message_raw_sloppy().to_string();
        let subject = subject.lines().next().unwrap_or_default().to_owned();
        Some((format!("{} <{}>", author.name, author.email), subject))
    }

    /// The folder at a path that a Sync names. Symlinks inside the tree are followed.
    pub fn folder(&self, path: &str) -> Result<Folder, SourceError> {
        if path.starts_with('/') && path != "/" {
            return Err(SourceError::PathEscapes { path: path.to_owned() });
        }
        let clean = normalise("", path).ok_or_else(|| SourceError::PathEscapes { path: path.to_owned() })?;
        let shown = || if path.is_empty() { "./".to_owned() } else { path.to_owned() };
        let missing = || SourceError::PathNotFound { path: shown(), revision: self.revision.to_string() };
        let (clean, entry) = self.resolve(&clean, LINKS)?.ok_or_else(missing)?;
        if entry.kind != EntryKind::Tree {
            return Err(SourceError::PathNotFolder { path: shown(), revision: self.revision.to_string() });
        }
        Ok(Folder { tree: self.clone(), path: clean, id: entry.id })
    }

    /// What stands at a clean path, with the path that symlinks led to.
    fn resolve(&self, path: &str, links: usize) -> Result<Option<(String, Entry)>, SourceError> {
        let mut at = Entry { kind: EntryKind::Tree, id: self.root };
        let mut walked = String::new();
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        while let Some(part) = parts.next() {
            if at.kind != EntryKind::Tree {
                return Ok(None);
            }
            let Some(next) = self.entries(at.id, &walked)?.into_iter().find(|(name, _)| name == part) else {
                return Ok(None);
            };
            let here = join(&walked, part);
            if next.1.kind == EntryKind::Link {
                let target = self.target(&here, next.1.id, links)?;
                let rest = parts.collect::<Vec<_>>().join("/");
                return self.resolve(&join(&target, &rest), links - 1);
            }
            at = next.1;
            walked = here;
        }
        Ok(Some((walked, at)))
    }

    /// The clean path that a symlink leads to.
    fn target(&self, link: &str, id: ObjectId, links: usize) -> Result<String, SourceError> {
        let bytes = self.blob(link, id)?;
        let target = String::from_utf8_lossy(&bytes).into_owned();
        if links == 0 {
            let why = "is a symlink in a circle";
            return Err(SourceError::BadSymlink { link: link.to_owned(), target, why });
        }
        let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
        let inside = if target.starts_with('/') { None } else { normalise(folder, &target) };
        inside.ok_or_else(|| SourceError::SymlinkEscapes { link: link.to_owned(), target })
    }

    fn entries(&self, id: ObjectId, path: &str) -> Result<Vec<(String, Entry)>, SourceError> {
        let repo = self.repository.git.to_thread_local();
        let tree = repo.find_tree(id).map_err(|error| self.unreadable(path, &error))?;
        let mut found = Vec::new();
        for entry in tree.iter() {
            let entry = entry.map_err(|error| self.unreadable(path, &error))?;
            let name = entry.filename().to_string();
            found.push((name, Entry { kind: entry.mode().kind(), id: entry.object_id() }));
        }
        Ok(found)
    }

    fn blob(&self, path: &str, id: ObjectId) -> Result<Vec<u8>, SourceError> {
        let repo = self.repository.git.to_thread_local();
        let size = repo.find_header(id).map_err(|error| self.unreadable(path, &error))?.size();
        if size > FILE_LIMIT {
            return Err(SourceError::FileTooLarge { path: path.to_owned(), size, limit: FILE_LIMIT });
        }
        let object = repo.find_object(id).map_err(|error| self.unreadable(path, &error))?;
        Ok(object.detach().data)
    }

    fn unreadable(&self, path: &str, error: &dyn std::fmt::Display) -> SourceError {
        SourceError::Git {
            url: self.revision.to_string(),
            said: format!("cannot read {path} in the mirror: {error}"),
        }
    }
}

impl Folder {
    /// The id of the git tree.
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    /// All files below the folder for whose path `wanted` is true, in the order of paths. Symlinks are followed inside
    /// the tree; one that leads out of it is an error.
    pub fn files(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<File>, SourceError> {
        let mut found = Vec::new();
        let mut open = vec![(self.path.clone(), self.id)];
        let mut seen = HashSet::new();
        while let Some((path, id)) = open.pop() {
            for (name, entry) in self.tree.entries(id, &path)? {
                let here = join(&path, &name);
                match entry.kind {
                    EntryKind::Tree => open.push((here, entry.id)),
                    EntryKind::Blob | EntryKind::BlobExecutable => {
                        if wanted(&here) {
                            found.push(File { path: here, id: entry.id });
                        }
                    }
                    EntryKind::Link => {
                        let target = self.tree.target(&here, entry.id, LINKS)?;
                        match self.tree.resolve(&target, LINKS - 1)? {
                            Some((_, led)) if led.kind == EntryKind::Tree => {
                                // A folder that is linked twice is read twice, but never inside itself.
                                if !seen.insert((here.clone(), led.id))
                                    || seen.len() > 1000
                                    || inside(&here, &target)
                                {
                                    let why = "contains the symlink itself";
                                    return Err(SourceError::BadSymlink { link: here, target, why });
                                }
                                open.push((here, led.id));
                            }
                            Some((_, led)) => {
                                if wanted(&here) {
                                    found.push(File { path: here, id: led.id });
                                }
                            }
                            None => {
                                return Err(SourceError::BadSymlink {
                                    link: here,
                                    target,
                                    why: "does not exist",
                                });
                            }
                        }
                    }
                    EntryKind::Commit => return Err(SourceError::Submodule { path: here }),
                }
            }
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    pub fn read(&self, file: &File) -> Result<Vec<u8>, SourceError> {
        self.tree.blob(&file.path, file.id)
    }
}

/// True if a path is below a folder, or is it.
fn inside(path: &str, folder: &str) -> bool {
    folder.is_empty() || path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn join(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

/// A path as seen from a folder, without `.` and `..`; `None` if it climbs above the root.
fn normalise(folder: &str, path: &str) -> Option<String> {
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
    use super::{inside, normalise};

    #[test]
    fn no_path_climbs_above_the_root() {
        assert_eq!(normalise("", "./a//b/../c/"), Some("a/c".to_owned()));
        assert_eq!(normalise("a/b", "../../c"), Some("c".to_owned()));
        assert_eq!(normalise("a", "../../c"), None);
        assert_eq!(normalise("", ".."), None);
    }

    #[test]
    fn inside_is_by_whole_names() {
        assert!(inside("a/b", "a") && inside("a", "a") && inside("x", ""));
        assert!(!inside("ab/c", "a"));
    }
}

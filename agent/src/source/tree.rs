//! The tree of a commit, read from the object database: nothing is checked out, and nothing outside the tree can be
//! read.
//!
//! Entries of folders are cached by the ids of the folders, for all commits of a mirror. I/O: disk reads of the
//! mirror.

use std::sync::Arc;

use gix::ObjectId;
use gix::objs::Kind;
use gix::objs::tree::EntryKind;
use holdfast_diff::files::{MAX_DEPTH, depth, join};

use super::folders::{self, BadFolder, Entries, Entry};
use super::repository::Repository;
use super::{Revision, SourceError};

/// Maximum size of a file.
const FILE_LIMIT: u64 = 50 * 1024 * 1024;
/// Maximum number of symlinks that lead to one another.
const LINKS: usize = 20;
/// Maximum size of a folder and of a commit, in bytes.
const FOLDER_LIMIT: u64 = 16 * 1024 * 1024;
/// Maximum length of the target of a symlink in bytes, as on Linux.
const LINK_LIMIT: u64 = 4096;

/// The root of a commit's tree.
#[derive(Clone)]
pub struct Tree {
    pub(super) repository: Arc<Repository>,
    pub(super) commit: ObjectId,
    pub(super) root: ObjectId,
    pub(super) revision: Revision,
}

impl Tree {
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// Returns the author of the commit, as `Name <address>`, and the first line of its message.
    pub fn commit(&self) -> Option<(String, String)> {
        let repo = self.repository.git.to_thread_local();
        let commit = repo.find_object(self.commit).ok()?.try_into_commit().ok()?;
        let author = commit.author().ok()?;
        let subject = commit.message_raw_sloppy().to_string();
        let subject = subject.lines().next().unwrap_or_default().to_owned();
        Some((format!("{} <{}>", author.name, author.email), subject))
    }

    /// Returns the ids of the parent commits, which need not be in the mirror.
    pub(super) fn parents(&self) -> Result<Vec<ObjectId>, SourceError> {
        let repo = self.repository.git.to_thread_local();
        let object = repo.find_object(self.commit).map_err(|error| self.unreadable("the commit", &error))?;
        let commit = object.try_into_commit().map_err(|error| self.unreadable("the commit", &error))?;
        Ok(commit.parent_ids().map(gix::Id::detach).collect())
    }

    /// Returns the normalised path of the folder that a Sync names. Symlinks inside the tree are followed.
    pub fn folder(&self, path: &str) -> Result<String, SourceError> {
        if path.starts_with('/') && path != "/" {
            return Err(SourceError::PathEscapes { path: path.to_owned() });
        }
        let clean = join("", path).ok_or_else(|| SourceError::PathEscapes { path: path.to_owned() })?;
        let shown = || if path.is_empty() { "./".to_owned() } else { path.to_owned() };
        let missing = || SourceError::PathNotFound { path: shown(), revision: self.revision.to_string() };
        let (clean, entry) = self.find(&clean)?.ok_or_else(missing)?;
        if entry.kind != EntryKind::Tree {
            return Err(SourceError::PathNotFolder { path: shown(), revision: self.revision.to_string() });
        }
        Ok(clean)
    }

    /// Returns the entry at a normalised path, and the path after symlinks were followed.
    pub(super) fn find(&self, path: &str) -> Result<Option<(String, Entry)>, SourceError> {
        self.follow(path, LINKS)
    }

    fn follow(&self, path: &str, links: usize) -> Result<Option<(String, Entry)>, SourceError> {
        if depth(path) > MAX_DEPTH {
            return Err(SourceError::TooDeep { path: path.to_owned(), limit: MAX_DEPTH });
        }
        let mut at = Entry { kind: EntryKind::Tree, id: self.root };
        let mut walked = String::new();
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        while let Some(part) = parts.next() {
            if at.kind != EntryKind::Tree {
                return Ok(None);
            }
            let entries = self.entries(at.id, &walked)?;
            let Ok(found) = entries.binary_search_by(|(name, _)| (**name).cmp(part)) else {
                return Ok(None);
            };
            let next = entries[found].1;
            let here = below(&walked, part);
            if next.kind == EntryKind::Link {
                let target = self.target(&here, next.id, links)?;
                let rest = parts.collect::<Vec<_>>().join("/");
                let found = self.follow(&below(&target, &rest), links - 1)?;
                if found.is_none() && rest.is_empty() {
                    return Err(SourceError::BadSymlink { link: here, target, why: "does not exist" });
                }
                return Ok(found);
            }
            if next.kind == EntryKind::Commit {
                return Err(SourceError::Submodule { path: here });
            }
            at = next;
            walked = here;
        }
        Ok(Some((walked, at)))
    }

    /// Returns the normalised path of the target of a symlink.
    fn target(&self, link: &str, id: ObjectId, links: usize) -> Result<String, SourceError> {
        let bytes = self.object(link, id, Kind::Blob, LINK_LIMIT)?;
        let target = String::from_utf8_lossy(&bytes).into_owned();
        if links == 0 {
            let why = "is a symlink in a cycle";
            return Err(SourceError::BadSymlink { link: link.to_owned(), target, why });
        }
        let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
        let inside = if target.starts_with('/') { None } else { join(folder, &target) };
        inside.ok_or_else(|| SourceError::SymlinkEscapes { link: link.to_owned(), target })
    }

    /// Returns the entries of a folder in the commit. Symlinks are not followed.
    pub(super) fn entries(&self, id: ObjectId, path: &str) -> Result<Entries, SourceError> {
        if let Some(known) = self.repository.folders.get(id) {
            return Ok(known);
        }
        let bytes = self.object(path, id, Kind::Tree, FOLDER_LIMIT)?;
        let found = folders::read(&bytes).map_err(|bad| self.refused(path, bad))?;
        self.repository.folders.put(id, &found);
        Ok(found)
    }

    /// Returns the target of an entry, following symlinks. An entry below a symlinked folder is never that folder
    /// itself.
    pub(super) fn entry(&self, here: &str, entry: Entry) -> Result<Entry, SourceError> {
        match entry.kind {
            EntryKind::Commit => Err(SourceError::Submodule { path: here.to_owned() }),
            EntryKind::Link => {
                let target = self.target(here, entry.id, LINKS)?;
                let bad =
                    |why| SourceError::BadSymlink { link: here.to_owned(), target: target.clone(), why };
                match self.follow(&target, LINKS - 1)? {
                    Some((real, led)) if led.kind == EntryKind::Tree && inside(here, &real) => {
                        Err(bad("contains the symlink itself"))
                    }
                    Some((_, led)) => Ok(led),
                    None => Err(bad("does not exist")),
                }
            }
            _ => Ok(entry),
        }
    }

    pub(super) fn blob(&self, path: &str, id: ObjectId) -> Result<Vec<u8>, SourceError> {
        self.object(path, id, Kind::Blob, FILE_LIMIT)
    }

    /// Returns the bytes of a commit or a tag.
    pub(super) fn raw(&self, id: ObjectId, kind: Kind) -> Result<Vec<u8>, SourceError> {
        self.object(&format!("the {kind}"), id, kind, FOLDER_LIMIT)
    }

    /// Returns the bytes of an object. The size is checked before the object is unpacked.
    fn object(&self, path: &str, id: ObjectId, kind: Kind, limit: u64) -> Result<Vec<u8>, SourceError> {
        let repo = self.repository.git.to_thread_local();
        let header = repo.find_header(id).map_err(|error| self.unreadable(path, &error))?;
        if header.kind() != kind {
            let why = format!("an object of it is a {}, not a {kind}", header.kind());
            return Err(self.bad_tree(path, why));
        }
        if header.size() > limit {
            return Err(SourceError::FileTooLarge { path: path.to_owned(), size: header.size(), limit });
        }
        let object = repo.find_object(id).map_err(|error| self.unreadable(path, &error))?;
        Ok(object.detach().data)
    }

    fn refused(&self, path: &str, bad: BadFolder) -> SourceError {
        match bad {
            BadFolder::Entry { name, why } => {
                SourceError::BadEntry { entry: below(path, &name), revision: self.revision.to_string(), why }
            }
            BadFolder::Tree(why) => self.bad_tree(path, why.to_owned()),
        }
    }

    fn bad_tree(&self, path: &str, why: String) -> SourceError {
        let folder = if path.is_empty() { "./" } else { path }.to_owned();
        SourceError::BadTree { folder, revision: self.revision.to_string(), why }
    }

    pub(super) fn unreadable(&self, path: &str, error: &dyn std::fmt::Display) -> SourceError {
        // Whatever the cause, a new mirror does not have it.
        self.repository.note_broken();
        SourceError::Git {
            url: self.revision.to_string(),
            said: format!("cannot read {path} in the mirror: {error}"),
        }
    }
}

/// True if a path is the folder or below it.
fn inside(path: &str, folder: &str) -> bool {
    folder.is_empty() || path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

pub(super) fn below(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn inside_is_by_whole_names() {
        assert!(inside("a/b", "a") && inside("a", "a") && inside("x", ""));
        assert!(!inside("ab/c", "a"));
    }
}

//! Builds a new commit from another one by changing files: new blobs, their trees, and the commit.
//!
//! Nothing is checked out or written: the new objects stay in memory until they are pushed. The same arguments always give the same
//! commit, so an interrupted push can be repeated. I/O: disk reads of the mirror.

use std::sync::Arc;

use gix::ObjectId;
use gix::objs::Kind;
use gix::objs::tree::EntryKind;
use jiff::Timestamp;

use super::others::Graft;
use super::pack::Objects;
use super::sign::{SignError, Signer};
use super::slot::{ID, SlotKind, find, with};
use super::tree::{Tree, below};
use super::{Checkout, SourceError};
use crate::error::{Class, StageError};

/// The content of a commit.
#[derive(Clone)]
pub struct NewCommit {
    /// The commit whose files are changed.
    pub base: Checkout,
    /// Existing files, by normalised paths without symlinks, and their new content. Their modes stay unchanged.
    pub changes: Vec<(String, Vec<u8>)>,
    /// Further entries that differ from the base.
    pub grafts: Vec<Graft>,
    pub author: Person,
    pub committer: Person,
    pub message: String,
    pub signer: Option<Arc<Signer>>,
}

/// The author or committer, and the time. Times are written in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub email: String,
    pub at: Timestamp,
}

/// Why a commit cannot be built.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{path} is not at {revision}; read the files again, and edit a file that exists")]
    NoFile { path: String, revision: String },
    #[error("{link} is a symlink, and {path} leads through it; edit its target")]
    Symlink { path: String, link: String },
    #[error("{path} is a folder or a submodule, not a file")]
    NotFile { path: String },
    #[error("{path} is changed twice in one commit")]
    Twice { path: String },
    #[error("{who} of the commit has no {what}; give it one")]
    Person { who: &'static str, what: &'static str },
    #[error("{branch} cannot be the name of a branch")]
    BadBranch { branch: String },
    #[error("{0}")]
    Sign(#[from] SignError),
    #[error("{0}")]
    Source(#[from] SourceError),
    #[error("cannot create the objects of the commit: {said}")]
    Object { said: String },
}

impl StageError for WriteError {
    fn class(&self) -> Class {
        match self {
            Self::Symlink { .. } | Self::Person { .. } | Self::BadBranch { .. } => Class::User,
            Self::Sign(error) => error.class(),
            Self::Source(error) => error.class(),
            Self::NoFile { .. } | Self::NotFile { .. } | Self::Twice { .. } | Self::Object { .. } => {
                Class::Internal
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::NoFile { .. } => "NoFile",
            Self::Symlink { .. } => "Symlink",
            Self::NotFile { .. } => "NotFile",
            Self::Twice { .. } => "ChangedTwice",
            Self::Person { .. } => "NoPerson",
            Self::BadBranch { .. } => "BadBranch",
            Self::Sign(error) => error.name(),
            Self::Source(error) => error.name(),
            Self::Object { .. } => "ObjectFailed",
        }
    }
}

/// A commit that no server has yet.
pub struct Built {
    pub id: ObjectId,
    pub root: ObjectId,
    pub objects: Objects,
}

/// Builds the objects of a commit.
pub fn build(commit: &NewCommit, parents: &[ObjectId]) -> Result<Built, WriteError> {
    let NewCommit { base, changes, grafts, author, committer, message, signer } = commit;
    let mut changes: Vec<Change<'_>> =
        changes.iter().map(|(path, content)| Change { path, rest: path, content }).collect();
    changes.sort_unstable_by_key(|change| change.path);
    if let Some(twice) = changes.windows(2).find(|pair| pair[0].path == pair[1].path) {
        return Err(WriteError::Twice { path: twice[0].path.to_owned() });
    }
    let mut writer = Writer { tree: &base.tree, objects: Objects::default() };
    let root = writer.folder(base.tree.root, "", &changes)?;
    let mut grafts: Vec<(&str, &Graft)> = grafts.iter().map(|graft| (graft.path.as_str(), graft)).collect();
    grafts.sort_unstable_by_key(|(path, _)| *path);
    let root = if grafts.is_empty() { root } else { writer.graft(Some(root), "", &grafts)? };
    let header = header(root, parents, author, committer)?;
    let text = text(&header, None, message);
    let text = match signer {
        Some(signer) => {
            let signature = signer.sign(text.as_bytes(), committer.at)?;
            self::text(&header, Some(&signature), message)
        }
        None => text,
    };
    let id = writer.add(Kind::Commit, text.into_bytes())?;
    Ok(Built { id, root, objects: writer.objects })
}

/// A changed file.
struct Change<'a> {
    path: &'a str,
    /// The rest of the path, below the current folder.
    rest: &'a str,
    content: &'a [u8],
}

impl Change<'_> {
    /// Returns the next name of the path.
    fn name(&self) -> &str {
        self.rest.split_once('/').map_or(self.rest, |(name, _)| name)
    }
}

struct Writer<'a> {
    tree: &'a Tree,
    objects: Objects,
}

impl Writer<'_> {
    fn add(&mut self, kind: Kind, data: Vec<u8>) -> Result<ObjectId, WriteError> {
        self.objects.add(kind, data).map_err(|error| WriteError::Object { said: error.to_string() })
    }

    /// Writes a folder with its changes, which are sorted. All other entries stay unchanged, byte for byte.
    fn folder(&mut self, id: ObjectId, path: &str, changes: &[Change<'_>]) -> Result<ObjectId, WriteError> {
        let mut data = self.data(id, path)?;
        let mut changed = false;
        for same in changes.chunk_by(|one, other| one.name() == other.name()) {
            let Some(first) = same.first() else { continue };
            let slot = find(&data, first.name().as_bytes()).ok_or_else(|| self.missing(first.path))?;
            let here = below(path, first.name());
            let old = slot.id(&data).ok_or_else(|| self.missing(first.path))?;
            let new = match slot.kind {
                SlotKind::Folder => self.entry(old, &here, same)?,
                SlotKind::File => self.file(old, same)?,
                SlotKind::Link => {
                    return Err(WriteError::Symlink { path: first.path.to_owned(), link: here });
                }
                SlotKind::Submodule => return Err(WriteError::NotFile { path: here }),
            };
            if new != old {
                data[slot.at..slot.at + ID].copy_from_slice(new.as_slice());
                changed = true;
            }
        }
        if changed { self.add(Kind::Tree, data) } else { Ok(id) }
    }

    /// Writes a folder with its grafts, which are sorted.
    fn graft(
        &mut self,
        id: Option<ObjectId>,
        path: &str,
        grafts: &[(&str, &Graft)],
    ) -> Result<ObjectId, WriteError> {
        let mut data = match id {
            Some(id) => self.data(id, path)?,
            None => Vec::new(),
        };
        let first = |rest: &str| rest.split_once('/').map_or(rest, |(name, _)| name).to_owned();
        for same in grafts.chunk_by(|one, other| first(one.0) == first(other.0)) {
            let Some((rest, graft)) = same.first() else { continue };
            let name = first(rest);
            let entry = if rest.contains('/') {
                let folder =
                    find(&data, name.as_bytes()).filter(|slot| matches!(slot.kind, SlotKind::Folder));
                let folder = folder.and_then(|slot| slot.id(&data));
                let inside: Vec<(&str, &Graft)> =
                    same.iter().filter_map(|(rest, graft)| Some((rest.split_once('/')?.1, *graft))).collect();
                let id = self.graft(folder, &below(path, &name), &inside)?;
                Some(("40000", id)).filter(|(_, id)| *id != ObjectId::empty_tree(gix::hash::Kind::Sha1))
            } else {
                graft.entry.map(|entry| (mode(entry.kind), entry.id))
            };
            data = with(&data, name.as_bytes(), entry).ok_or_else(|| self.missing(&graft.path))?;
        }
        self.add(Kind::Tree, data)
    }

    fn entry(&mut self, id: ObjectId, path: &str, changes: &[Change<'_>]) -> Result<ObjectId, WriteError> {
        let below: Option<Vec<Change<'_>>> = changes
            .iter()
            .map(|Change { path, rest, content }| {
                let (_, rest) = rest.split_once('/')?;
                Some(Change { path, rest, content })
            })
            .collect();
        match below {
            Some(below) => self.folder(id, path, &below),
            None => Err(WriteError::NotFile { path: path.to_owned() }),
        }
    }

    fn file(&mut self, old: ObjectId, changes: &[Change<'_>]) -> Result<ObjectId, WriteError> {
        match changes {
            [Change { rest, content, .. }] if !rest.contains('/') => {
                let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, Kind::Blob, content)
                    .map_err(|error| WriteError::Object { said: error.to_string() })?;
                if id == old { Ok(id) } else { self.add(Kind::Blob, content.to_vec()) }
            }
            [first, ..] => Err(self.missing(first.path)),
            [] => Err(WriteError::Object { said: "a file without a change".to_owned() }),
        }
    }

    fn data(&self, id: ObjectId, path: &str) -> Result<Vec<u8>, WriteError> {
        if let Some(new) = self.objects.get(id) {
            return Ok(new.to_vec());
        }
        let repo = self.tree.repository.git.to_thread_local();
        let tree = repo.find_tree(id).map_err(|error| self.tree.unreadable(path, &error))?;
        Ok(tree.detach().data)
    }

    fn missing(&self, path: &str) -> WriteError {
        WriteError::NoFile { path: path.to_owned(), revision: self.tree.revision.to_string() }
    }
}

/// Returns the mode of an entry as Git writes it.
fn mode(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Tree => "40000",
        EntryKind::Blob => "100644",
        EntryKind::BlobExecutable => "100755",
        EntryKind::Link => "120000",
        EntryKind::Commit => "160000",
    }
}

/// Returns the lines of a commit before its signature and message.
fn header(
    root: ObjectId,
    parents: &[ObjectId],
    author: &Person,
    committer: &Person,
) -> Result<String, WriteError> {
    let parents: Vec<String> = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    let parents = parents.concat();
    let (author, committer) = (person("the author", author)?, person("the committer", committer)?);
    Ok(format!("tree {root}\n{parents}author {author}\ncommitter {committer}\n"))
}

fn person(who: &'static str, Person { name, email, at }: &Person) -> Result<String, WriteError> {
    let (name, email) = (clean(name), clean(email));
    let missing = |what| Err(WriteError::Person { who, what });
    match (name.as_str(), email.as_str()) {
        ("", _) => missing("name"),
        (_, "") => missing("email"),
        // Git has no times before 1970.
        (name, email) => Ok(format!("{name} <{email}> {} +0000", at.as_second().max(0))),
    }
}

/// Returns a name for use in a commit: Git gives brackets and line breaks a meaning of their own.
fn clean(name: &str) -> String {
    let kept: String = name.chars().filter(|at| !at.is_control() && !['<', '>'].contains(at)).collect();
    kept.trim().to_owned()
}

/// Returns the commit: without the signature as it is signed, with the signature as it is stored.
fn text(header: &str, signature: Option<&str>, message: &str) -> String {
    let signature = match signature {
        // The lines after the first one are indented by a space.
        Some(signature) => format!("gpgsig {}\n", signature.trim_end().replace('\n', "\n ")),
        None => String::new(),
    };
    let message = message.replace('\0', "").replace("\r\n", "\n");
    format!("{header}{signature}\n{}\n", message.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn someone(name: &str, email: &str) -> Person {
        Person { name: name.to_owned(), email: email.to_owned(), at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn a_person_is_written_as_git_reads_it() {
        let check = |name: &str, email: &str, expected: Result<&str, &str>| {
            let found = person("the author", &someone(name, email)).map_err(|error| error.to_string());
            assert_eq!(found, expected.map(ToOwned::to_owned).map_err(ToOwned::to_owned), "{name}");
        };
        check("Ada", "ada@example.com", Ok("Ada <ada@example.com> 0 +0000"));
        check("Ada\n<x>", " <ada@example.com>\r\n", Ok("Adax <ada@example.com> 0 +0000"));
        check("Ünal ß", "u@example.com", Ok("Ünal ß <u@example.com> 0 +0000"));
        check(" ", "ada@example.com", Err("the author of the commit has no name; give it one"));
        check("Ada", "<>", Err("the author of the commit has no email; give it one"));
    }

    #[test]
    fn a_signature_is_set_in() {
        let signed = text("tree x\n", Some("-----BEGIN\na\n\nb\n-----END\n"), "Subject\r\n\r\nBody\0\n\n");
        assert_eq!(signed, "tree x\ngpgsig -----BEGIN\n a\n \n b\n -----END\n\nSubject\n\nBody\n");
        assert_eq!(text("tree x\n", None, "Subject"), "tree x\n\nSubject\n");
    }
}

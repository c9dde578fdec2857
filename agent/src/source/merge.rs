//! Merges two commits from Git objects: the result is the tree of a branch after a pull request is merged into it.
//!
//! The repository that is read is never written to: new objects go to a scratch repository, which has the other one as an alternate
//! and a configuration of its own, so that no merge driver or attribute of a clone is used. I/O: disk.

mod error;
mod place;

use std::collections::BTreeSet;
use std::path::Path;

use gix::ObjectId;
use gix::actor::Signature;
use gix::bstr::{BStr, ByteSlice as _};
use gix::merge::blob::builtin_driver::text::Labels;
use gix::merge::tree::TreatAsUnresolved;
use gix::objs::Commit;

pub use self::error::MergeError;
pub use self::place::CloneOnDisk;
use self::place::Scratch;
use super::{CommitFiles, CommitId, OpenMirror, SourceError};

/// Maximum number of files in conflict that are named.
const NAMED: usize = 100;

/// The outcome of a merge.
pub enum Merged {
    Clean(MergedTree),
    /// The files that both sides changed in different ways, sorted, and the number of further ones.
    Conflicts {
        files: Vec<String>,
        more: usize,
    },
}

/// The two commits to compare: the base and the merge. They can be read until this value is dropped.
pub struct MergedTree {
    scratch: Scratch,
    pub base: CommitId,
    /// The merge commit; the head if the base is its ancestor, and the base if the head is its ancestor.
    pub merge: CommitId,
}

impl MergedTree {
    /// The folder of the repository that holds both commits.
    pub fn folder(&self) -> &Path {
        self.scratch.folder()
    }

    /// The files of one of the commits. `name` is the name of the commit in messages.
    pub fn files(&self, name: &str, commit: CommitId) -> Result<CommitFiles, SourceError> {
        OpenMirror::open(self.folder())?.files(name, &commit.to_string())
    }

    /// True if the merge changes no file at all.
    pub fn is_nothing(&self) -> bool {
        self.base == self.merge
    }
}

/// Merges the head into the base. `ancestor` is their merge base if a forge has reported it, since a shallow repository may not have
/// it. Blocking.
pub fn merge(
    clone: &CloneOnDisk,
    base: CommitId,
    head: CommitId,
    ancestor: Option<CommitId>,
) -> Result<Merged, MergeError> {
    let scratch = Scratch::beside(clone)?;
    let repo = scratch.repository()?;
    let failed = |error: gix::Error| MergeError::Failed { said: error.to_string() };
    let ancestor = match ancestor {
        // A forge may say it late, after the head was rebased.
        Some(_) if is_parent(&repo, base.0, head.0) => Some(base.0),
        Some(ancestor) => Some(ancestor.0),
        None => ancestor_of(&repo, base.0, head.0)?,
    };
    let Some(ancestor) = ancestor else {
        return Err(MergeError::unrelated(repo.is_shallow().unwrap_or(false)));
    };
    // If one side is an ancestor of the other, no merge is needed.
    let known = if ancestor == base.0 {
        Some(head)
    } else if ancestor == head.0 {
        Some(base)
    } else {
        None
    };
    if let Some(merge) = known {
        return Ok(Merged::Clean(MergedTree { scratch, base, merge }));
    }
    let tree = |commit: ObjectId| {
        let found = repo.find_commit(commit).and_then(|commit| Ok(commit.tree_id()?.detach()));
        found.map_err(|error| MergeError::Unreadable { commit: commit.to_string(), said: error.to_string() })
    };
    let labels = Labels {
        ancestor: Some(BStr::new("ancestor")),
        current: Some(BStr::new("base")),
        other: Some(BStr::new("head")),
    };
    let options = repo.tree_merge_options().map_err(failed)?;
    let merged = repo.merge_trees(tree(ancestor)?, tree(base.0)?, tree(head.0)?, labels, options);
    let mut merged = merged.map_err(failed)?;
    let how = TreatAsUnresolved::git();
    let unresolved = merged.conflicts.iter().filter(|conflict| conflict.is_unresolved(how));
    let places = unresolved.flat_map(|conflict| [conflict.ours.location(), conflict.theirs.location()]);
    let files: BTreeSet<String> = places.map(|path| path.to_str_lossy().into_owned()).collect();
    if !files.is_empty() {
        let more = files.len().saturating_sub(NAMED);
        return Ok(Merged::Conflicts { files: files.into_iter().take(NAMED).collect(), more });
    }
    let root = merged.tree.write().map_err(failed)?.detach();
    let merge = commit(&repo, root, [base.0, head.0]).map_err(failed)?;
    drop(merged);
    drop(repo);
    Ok(Merged::Clean(MergedTree { scratch, base, merge: CommitId(merge) }))
}

/// True if one commit is a parent of the other.
fn is_parent(repo: &gix::Repository, parent: ObjectId, child: ObjectId) -> bool {
    repo.find_commit(child).is_ok_and(|child| child.parent_ids().any(|id| id.detach() == parent))
}

/// Returns the merge base of two commits. If there are several, it is the merge of them.
fn ancestor_of(
    repo: &gix::Repository,
    base: ObjectId,
    head: ObjectId,
) -> Result<Option<ObjectId>, MergeError> {
    let failed = |error: gix::Error| MergeError::Failed { said: error.to_string() };
    let ancestors = repo.merge_bases_many(base, &[head]).map_err(failed)?;
    let ancestors: Vec<ObjectId> = ancestors.into_iter().map(gix::Id::detach).collect();
    match ancestors.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        _ => {
            let options = repo.tree_merge_options().map_err(failed)?;
            let joined = repo.virtual_merge_base(ancestors, options).map_err(failed)?;
            Ok(Some(joined.commit_id.detach()))
        }
    }
}

/// Writes the commit of a merge. The same sides always give the same id.
fn commit(repo: &gix::Repository, tree: ObjectId, parents: [ObjectId; 2]) -> Result<ObjectId, gix::Error> {
    let signature = Signature {
        name: "holdfast".into(),
        email: "holdfast@localhost".into(),
        time: gix::date::Time::new(0, 0),
    };
    let commit = Commit {
        tree,
        parents: parents.into_iter().collect(),
        author: signature.clone(),
        committer: signature,
        encoding: None,
        message: "Preview of a merge".into(),
        extra_headers: Vec::new(),
    };
    Ok(repo.write_object(&commit)?.detach())
}

#[cfg(test)]
mod tests;

//! Commits of other authors on a branch since a given commit, compared with another base: files to take unchanged, and
//! files that both sides changed. I/O: disk reads of the mirror.

use gix::objs::tree::EntryKind;

use super::folders::Entry;
use super::three::{Three, roots};
use super::tree::Tree;
use super::{Checkout, SourceError};

/// An entry of a new commit that replaces the entry of its base at the same path. `None`: the entry is removed.
#[derive(Clone)]
pub struct Graft {
    pub(super) path: String,
    pub(super) entry: Option<Entry>,
}

impl Graft {
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// The changes of other authors.
#[derive(Default)]
pub struct Kept {
    /// Files and folders that are taken unchanged.
    pub grafts: Vec<Graft>,
    /// Files that both sides changed, or that are about to be edited.
    pub both: Vec<String>,
}

impl Checkout {
    /// Returns the changes from `ancestor` to this commit that are not in `base`. Files in `edited` are always listed
    /// in `both`.
    pub fn since(&self, ancestor: &Self, base: &Self, edited: &[String]) -> Result<Kept, SourceError> {
        let mut walk = Walk { tree: &self.tree, edited, kept: Kept::default() };
        walk.node("", roots([base, ancestor, self]))?;
        Ok(walk.kept)
    }
}

struct Walk<'a> {
    /// Trees of the mirror that contains all three commits.
    tree: &'a Tree,
    edited: &'a [String],
    kept: Kept,
}

impl Walk<'_> {
    fn node(&mut self, path: &str, sides: Three) -> Result<(), SourceError> {
        let [base, ancestor, theirs] = sides;
        if theirs == ancestor || theirs == base {
            return Ok(());
        }
        if base == ancestor && !self.holds_edited(path) {
            self.kept.grafts.push(Graft { path: path.to_owned(), entry: theirs });
            return Ok(());
        }
        if sides.iter().flatten().any(|entry| entry.kind != EntryKind::Tree) {
            self.kept.both.push(path.to_owned());
            return Ok(());
        }
        for (path, sides) in self.tree.children(path, sides)? {
            self.node(&path, sides)?;
        }
        Ok(())
    }

    /// True if an edited file is at the path or below it.
    fn holds_edited(&self, path: &str) -> bool {
        self.edited.iter().any(|edited| {
            path.is_empty()
                || edited.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

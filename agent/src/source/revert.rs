//! Reverts the changes between two commits in a later one, file by file. I/O: disk reads of the mirror.

use gix::objs::tree::EntryKind;

use super::folders::Entry;
use super::others::{Graft, Kept};
use super::three::{Three, roots};
use super::tree::Tree;
use super::{Checkout, SourceError};

impl Checkout {
    /// What differs from this commit in one where the files that changed from `good` to `failed` are as in `good` again. Only
    /// files that `is_wanted` accepts are reverted. Those that changed after `failed` are among those of both. All commits are of
    /// one mirror.
    pub fn reverted(
        &self,
        failed: &Self,
        good: &Self,
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Kept, SourceError> {
        let mut walk = Walk { tree: &self.tree, is_wanted, kept: Kept::default() };
        walk.node("", roots([self, failed, good]))?;
        Ok(walk.kept)
    }
}

struct Walk<'a> {
    tree: &'a Tree,
    is_wanted: &'a dyn Fn(&str) -> bool,
    kept: Kept,
}

impl Walk<'_> {
    fn node(&mut self, path: &str, sides: Three) -> Result<(), SourceError> {
        let [head, failed, good] = sides;
        if failed == good || head == good {
            return Ok(());
        }
        let is_folder = |entry: &Option<Entry>| entry.is_some_and(|entry| entry.kind == EntryKind::Tree);
        let is_file = |entry: &Option<Entry>| entry.is_some_and(|entry| entry.kind != EntryKind::Tree);
        if !sides.iter().any(is_folder) || sides.iter().any(is_file) {
            if (self.is_wanted)(path) {
                self.file(path, head == failed, good);
            }
            return Ok(());
        }
        for (path, sides) in self.tree.children(path, sides)? {
            self.node(&path, sides)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &str, is_untouched: bool, good: Option<Entry>) {
        if is_untouched {
            self.kept.grafts.push(Graft { path: path.to_owned(), entry: good });
        } else {
            self.kept.both.push(path.to_owned());
        }
    }
}

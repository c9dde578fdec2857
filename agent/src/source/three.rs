//! A walk through the trees of three commits at once. I/O: disk reads of the mirror.

use std::collections::BTreeSet;

use gix::objs::tree::EntryKind;
use holdfast_diff::files::{MAX_DEPTH, depth};

use super::folders::{Entries, Entry};
use super::tree::{Tree, below};
use super::{Checkout, SourceError};

/// What three commits have at one path.
pub(super) type Three = [Option<Entry>; 3];

/// The root folders of three commits.
pub(super) fn roots(commits: [&Checkout; 3]) -> Three {
    commits.map(|checkout| Some(Entry { kind: EntryKind::Tree, id: checkout.tree.root }))
}

impl Tree {
    /// What three commits have in a folder, by path, in order. A commit without the folder has nothing there.
    pub(super) fn children(&self, path: &str, sides: Three) -> Result<Vec<(String, Three)>, SourceError> {
        if depth(path) > MAX_DEPTH {
            return Err(SourceError::TooDeep { path: path.to_owned(), limit: MAX_DEPTH });
        }
        let mut lists: Vec<Option<Entries>> = Vec::new();
        for side in sides {
            lists.push(side.map(|folder| self.entries(folder.id, path)).transpose()?);
        }
        let all = lists.iter().flatten().flat_map(|list| list.iter());
        let names: BTreeSet<&str> = all.map(|(name, _)| &**name).collect();
        let found = |list: usize, name: &str| {
            let list = lists.get(list)?.as_ref()?;
            list.binary_search_by(|(known, _)| (**known).cmp(name)).ok().map(|at| list[at].1)
        };
        let child = |name: &str| (below(path, name), [0, 1, 2].map(|list| found(list, name)));
        Ok(names.into_iter().map(child).collect())
    }
}

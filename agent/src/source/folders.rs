//! The entries of the folders of a mirror, read once for all readers and cached by the ids of the folders.
//!
//! The bytes of a tree come from the client that pushed them, and servers need not check them. So names are checked
//! here: a name cannot lead out of its folder, be duplicated, or replace a file that Git itself uses. I/O: none, the
//! bytes are passed in.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use gix::ObjectId;
use gix::hash::Kind;
use gix::objs::TreeRefIter;
use gix::objs::tree::{EntryKind, EntryRef};
use holdfast_diff::files::name::{self, BadName};
use parking_lot::{Mutex, MutexGuard};

/// Maximum number of cached folder entries of one mirror.
const REMEMBERED: usize = 50_000;
/// Maximum number of cached folder entries of all mirrors. The mirror that has most loses its entries.
const ALL: usize = 200_000;
/// Maximum number of entries of one folder.
const ENTRIES: usize = 100_000;
/// The bits of a mode that contain the type of an entry.
const KIND: u16 = 0o170_000;

/// The object at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub kind: EntryKind,
    pub id: ObjectId,
}

/// The entries of a folder, by name.
pub(super) type Entries = Arc<[(Box<str>, Entry)]>;

/// Why a folder is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadFolder {
    /// The name of an entry, in a form that can be shown.
    Entry {
        name: String,
        why: BadName,
    },
    Tree(&'static str),
}

/// The cached folders of all mirrors. Each mirror only sees its own entries, so a guessed id returns nothing of another
/// mirror.
#[derive(Clone, Default)]
pub struct FolderCache(Arc<Mutex<Remembered>>);

#[derive(Default)]
struct Remembered {
    mirrors: HashMap<u64, (HashMap<ObjectId, Entries>, usize)>,
    /// The number of the next mirror.
    next: u64,
}

/// The cached folders of one mirror, by their ids.
pub struct Folders {
    cache: FolderCache,
    mirror: u64,
}

impl FolderCache {
    /// Returns an empty cache for a mirror that was just opened.
    pub fn repository(&self) -> Folders {
        let mut all = self.lock();
        all.next += 1;
        Folders { cache: self.clone(), mirror: all.next }
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock()
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        self.cache.lock().mirrors.remove(&self.mirror);
    }
}

impl Folders {
    pub(super) fn get(&self, id: ObjectId) -> Option<Entries> {
        self.cache.lock().mirrors.get(&self.mirror)?.0.get(&id).cloned()
    }

    pub(super) fn put(&self, id: ObjectId, entries: &Entries) {
        if entries.len() >= REMEMBERED {
            return;
        }
        let mut all = self.cache.lock();
        let own = all.mirrors.entry(self.mirror).or_default();
        if own.1 + entries.len() > REMEMBERED {
            *own = Default::default();
        }
        if own.0.insert(id, entries.clone()).is_none() {
            // An empty folder is counted too.
            own.1 += entries.len() + 1;
        }
        if all.mirrors.values().map(|(_, count)| count).sum::<usize>() > ALL
            && let Some((_, largest)) = all.mirrors.iter_mut().max_by_key(|(_, (_, count))| *count)
        {
            *largest = Default::default();
        }
    }
}

/// Reads the bytes of a tree. The entries are returned in the order of their names.
pub(super) fn read(tree: &[u8]) -> Result<Entries, BadFolder> {
    let mut found: Vec<(Box<str>, Entry)> = Vec::new();
    let mut before: Option<EntryRef<'_>> = None;
    for entry in TreeRefIter::from_bytes(tree, Kind::Sha1) {
        let entry = entry.map_err(|_| BadFolder::Tree("an entry of it cannot be read"))?;
        if before.is_some_and(|before| order(&before, &entry) != Ordering::Less) {
            return Err(BadFolder::Tree(
                "its entries are not sorted as Git sorts them, or one of them is duplicated",
            ));
        }
        if found.len() == ENTRIES {
            return Err(BadFolder::Tree("it has more than 100,000 entries"));
        }
        let bad = |why| BadFolder::Entry { name: name::shown(entry.filename), why };
        let text = name::check(entry.filename).map_err(bad)?;
        let kind = kind(&entry)?;
        if kind == EntryKind::Link {
            name::check_link(text).map_err(bad)?;
        }
        found.push((text.into(), Entry { kind, id: entry.oid.into() }));
        before = Some(entry);
    }
    found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    // A file and a folder of the same name need not be adjacent in Git's order.
    if found.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(BadFolder::Tree("one of its entries is duplicated"));
    }
    Ok(found.into())
}

/// Returns the type of an entry. gix reads every unknown mode as that of a submodule, so the mode is checked here.
fn kind(entry: &EntryRef<'_>) -> Result<EntryKind, BadFolder> {
    match entry.mode.value() & KIND {
        0o040_000 | 0o100_000 | 0o120_000 | 0o160_000 => Ok(entry.mode.kind()),
        _ => Err(BadFolder::Tree("one of its entries has a mode that Git does not have")),
    }
}

/// Git's order: folders are sorted as if their names ended with a slash.
fn order(one: &EntryRef<'_>, other: &EntryRef<'_>) -> Ordering {
    let key = |entry: &EntryRef<'_>| {
        let end: &[u8] = if entry.mode.is_tree() { b"/" } else { b"" };
        [entry.filename, end].concat()
    };
    key(one).cmp(&key(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let entry = |(mode, name): &(&str, &[u8])| [mode.as_bytes(), b" ", name, b"\0", &[7; 20]].concat();
        entries.iter().flat_map(entry).collect()
    }

    fn names(entries: &[(&str, &[u8])]) -> Result<Vec<String>, BadFolder> {
        Ok(read(&tree(entries))?.iter().map(|(name, _)| name.to_string()).collect())
    }

    #[test]
    fn a_valid_tree_is_read_in_the_order_of_its_names() {
        let entries: [(&str, &[u8]); 4] =
            [("100644", b"a.yaml"), ("40000", b"a"), ("120000", b"b"), ("160000", b"c")];
        assert_eq!(names(&entries), Ok(["a", "a.yaml", "b", "c"].map(ToOwned::to_owned).to_vec()));
        assert_eq!(names(&[]), Ok(Vec::new()));
        // Modes of old versions of git.
        assert!(names(&[("100664", b"a"), ("040000", b"b")]).is_ok());
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused_with_its_folder() {
        let names = ["", ".", "..", "/etc/passwd", "../../a", "a/b", "a\\b", ".git", ".GIT", "git~1", "a\nb"];
        for bad in names {
            let found = read(&tree(&[("100644", bad.as_bytes())]));
            assert!(matches!(found, Err(BadFolder::Entry { .. })), "{bad:?}: {found:?}");
        }
        assert!(matches!(read(&tree(&[("40000", b"\xff")])), Err(BadFolder::Entry { .. })));
        assert!(matches!(read(&tree(&[("120000", b".gitmodules")])), Err(BadFolder::Entry { .. })));
        assert!(read(&tree(&[("100644", b".gitmodules")])).is_ok());
    }

    #[test]
    fn a_tree_that_git_does_not_write_is_refused() {
        let check = |entries: &[(&str, &[u8])], part: &str| {
            let found = read(&tree(entries));
            assert!(
                matches!(found, Err(BadFolder::Tree(why)) if why.contains(part)),
                "{entries:?}: {found:?}"
            );
        };
        check(&[("100644", b"b"), ("100644", b"a")], "not sorted");
        check(&[("100644", b"a"), ("100644", b"a")], "not sorted");
        check(&[("40000", b"a"), ("100644", b"a.yaml")], "not sorted");
        check(&[("100644", b"a"), ("100644", b"a.yaml"), ("40000", b"a")], "duplicated");
        check(&[("0", b"a")], "mode");
        check(&[("20000", b"a")], "mode");
        let whole = tree(&[("100644", b"a")]);
        for cut in 1..whole.len() {
            assert!(matches!(read(&whole[..cut]), Err(BadFolder::Tree(_))), "{cut}");
        }
    }
}

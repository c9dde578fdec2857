//! The entries of the folders of a mirror, read once for all readers and cached by the ids of the folders.
//!
//! The bytes of a tree come from the client that pushed them, and servers need not check them. So names are checked here: a
//! name cannot lead out of its folder, occur twice, or stand for a file that Git itself would use. I/O: none, the bytes are
//! passed in.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use gix::ObjectId;
use gix::hash::Kind;
use gix::objs::TreeRefIter;
use gix::objs::tree::{EntryKind, EntryRef};
use holdfast_diff::files::name::{self, BadName};
use parking_lot::{Mutex, MutexGuard};

/// Entries of folders that are remembered of a mirror.
const REMEMBERED: usize = 50_000;
/// The same for all mirrors. The one that has most gives way.
const ALL: usize = 200_000;
/// The most entries of one folder.
const ENTRIES: usize = 100_000;
/// The bits of a mode that say what an entry is.
const KIND: u16 = 0o170_000;

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub kind: EntryKind,
    pub id: ObjectId,
}

/// What a folder holds, by name.
pub(super) type Entries = Arc<[(Box<str>, Entry)]>;

/// Why a folder is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadFolder {
    /// The name of an entry, as it can be shown.
    Entry {
        name: String,
        why: BadName,
    },
    Tree(&'static str),
}

/// What the folders of all mirrors hold, as far as they were read. Each mirror sees its own: an id that is guessed shows
/// nothing of another one's.
#[derive(Clone, Default)]
pub struct FolderCache(Arc<Mutex<Remembered>>);

#[derive(Default)]
struct Remembered {
    mirrors: HashMap<u64, (HashMap<ObjectId, Entries>, usize)>,
    /// The number of the next mirror.
    next: u64,
}

/// What the folders of one mirror hold, by their ids.
pub struct Folders {
    cache: FolderCache,
    mirror: u64,
}

impl FolderCache {
    /// Those of a mirror that was just opened.
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
            // An empty folder takes room too.
            own.1 += entries.len() + 1;
        }
        if all.mirrors.values().map(|(_, count)| count).sum::<usize>() > ALL
            && let Some((_, largest)) = all.mirrors.iter_mut().max_by_key(|(_, (_, count))| *count)
        {
            *largest = Default::default();
        }
    }
}

/// Reads the bytes of a tree. The entries come back in the order of their names.
pub(super) fn read(tree: &[u8]) -> Result<Entries, BadFolder> {
    let mut found: Vec<(Box<str>, Entry)> = Vec::new();
    let mut before: Option<EntryRef<'_>> = None;
    for entry in TreeRefIter::from_bytes(tree, Kind::Sha1) {
        let entry = entry.map_err(|_| BadFolder::Tree("an entry of it cannot be read"))?;
        if before.is_some_and(|before| order(&before, &entry) != Ordering::Less) {
            return Err(BadFolder::Tree("its entries are not in git's order, or one is there twice"));
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
    // A file and a folder of one name need not stand side by side in git's order.
    if found.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(BadFolder::Tree("one of its entries is there twice"));
    }
    Ok(found.into())
}

/// gix reads every mode that it does not know as that of a submodule.
fn kind(entry: &EntryRef<'_>) -> Result<EntryKind, BadFolder> {
    match entry.mode.value() & KIND {
        0o040_000 | 0o100_000 | 0o120_000 | 0o160_000 => Ok(entry.mode.kind()),
        _ => Err(BadFolder::Tree("an entry of it has a mode that git does not have")),
    }
}

/// git's order: folders sort as if their names ended with a slash.
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
        check(&[("100644", b"b"), ("100644", b"a")], "order");
        check(&[("100644", b"a"), ("100644", b"a")], "order");
        check(&[("40000", b"a"), ("100644", b"a.yaml")], "order");
        check(&[("100644", b"a"), ("100644", b"a.yaml"), ("40000", b"a")], "twice");
        check(&[("0", b"a")], "mode");
        check(&[("20000", b"a")], "mode");
        let whole = tree(&[("100644", b"a")]);
        for cut in 1..whole.len() {
            assert!(matches!(read(&whole[..cut]), Err(BadFolder::Tree(_))), "{cut}");
        }
    }
}

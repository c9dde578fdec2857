//! Finds the id of an entry in the bytes of a tree, so that only the id is changed. Pure.

use gix::ObjectId;

/// The length of an id in bytes.
pub const ID: usize = 20;

/// The position of the id of an entry in the bytes of a tree.
pub struct Slot {
    pub kind: SlotKind,
    /// The offset of the id.
    pub at: usize,
}

/// The type of an entry, by its mode.
pub enum SlotKind {
    Folder,
    File,
    Link,
    Submodule,
}

impl Slot {
    pub fn id(&self, tree: &[u8]) -> Option<ObjectId> {
        ObjectId::try_from(tree.get(self.at..self.at + ID)?).ok()
    }
}

/// Finds an entry in the bytes of a tree, which are a sequence of `mode SP name NUL id`.
pub fn find(tree: &[u8], name: &[u8]) -> Option<Slot> {
    let mut at = 0;
    while let Some(entry) = tree.get(at..).filter(|rest| !rest.is_empty()) {
        let space = memchr::memchr(b' ', entry)?;
        let end = memchr::memchr(0, entry)?;
        let slot = at + end + 1;
        if entry.get(space + 1..end)? == name {
            let kind = match entry.get(..space)? {
                b"40000" | b"040000" => SlotKind::Folder,
                b"120000" => SlotKind::Link,
                b"160000" => SlotKind::Submodule,
                _ => SlotKind::File,
            };
            return Some(Slot { kind, at: slot });
        }
        at = slot + ID;
    }
    None
}

/// Returns the bytes of a tree in which one entry is replaced, added or removed. All others stay unchanged.
pub fn with(tree: &[u8], name: &[u8], entry: Option<(&str, ObjectId)>) -> Option<Vec<u8>> {
    let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut at = 0;
    while let Some(rest) = tree.get(at..).filter(|rest| !rest.is_empty()) {
        let space = memchr::memchr(b' ', rest)?;
        let end = memchr::memchr(0, rest)?;
        let whole = rest.get(..end + 1 + ID)?;
        let known = rest.get(space + 1..end)?;
        if known != name {
            entries.push((order(known, rest.get(..space)?), whole.to_vec()));
        }
        at += whole.len();
    }
    if let Some((mode, id)) = entry {
        let bytes = [mode.as_bytes(), b" ", name, b"\0", id.as_slice()].concat();
        entries.push((order(name, mode.as_bytes()), bytes));
    }
    entries.sort();
    Some(entries.into_iter().flat_map(|(_, bytes)| bytes).collect())
}

/// Returns the sort key of Git: a folder is sorted as if its name ended with a slash.
fn order(name: &[u8], mode: &[u8]) -> Vec<u8> {
    let end: &[u8] = if matches!(mode, b"40000" | b"040000") { b"/" } else { b"" };
    [name, end].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_by_its_whole_name() {
        let mut tree = Vec::new();
        for (mode, name) in [("100755", "a"), ("40000", "a.b"), ("120000", "b"), ("160000", "c")] {
            tree.extend(format!("{mode} {name}\0").bytes());
            // An id can look like an entry.
            tree.extend(b"100644 x\0aaaaaaaaaaa");
        }
        let at = |name: &str| find(&tree, name.as_bytes()).map(|slot| slot.at);
        assert_eq!((at("a"), at("x"), at("")), (Some(9), None, None));
        assert!(matches!(find(&tree, b"a.b"), Some(Slot { kind: SlotKind::Folder, .. })));
        assert!(matches!(find(&tree, b"b"), Some(Slot { kind: SlotKind::Link, .. })));
        assert!(matches!(find(&tree, b"c"), Some(Slot { kind: SlotKind::Submodule, .. })));
        assert!(find(&tree[..15], b"b").is_none(), "a cut tree ends the search");
    }

    #[test]
    fn an_entry_is_put_where_git_has_it() {
        let id = ObjectId::null(gix::hash::Kind::Sha1);
        let mut tree = Vec::new();
        for (name, mode) in [("b", "40000"), ("a", "100644"), ("b.c", "100755"), ("b0", "100644")] {
            tree = with(&tree, name.as_bytes(), Some((mode, id))).unwrap_or_default();
        }
        let names = |tree: &[u8]| {
            let found = gix::objs::TreeRefIter::from_bytes(tree, gix::hash::Kind::Sha1);
            let names: Vec<String> =
                found.filter_map(Result::ok).map(|entry| entry.filename.to_string()).collect();
            names.join(" ")
        };
        assert_eq!(names(&tree), "a b.c b b0");
        assert_eq!(names(&with(&tree, b"b.c", None).unwrap_or_default()), "a b b0");
        assert_eq!(with(&tree, b"a", Some(("100644", id))), Some(tree));
    }
}

//! Where the id of an entry is in the bytes of a tree, so that it can be changed and all else stays as it is. Pure.

use gix::ObjectId;

/// The bytes of an id.
pub const ID: usize = 20;

/// Where the id of an entry is in the bytes of a tree.
pub struct Slot {
    pub kind: SlotKind,
    /// Where the id begins.
    pub at: usize,
}

/// What stands at an entry, by its mode.
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

/// Finds an entry in the bytes of a tree, which are `mode SP name NUL id`, one after the other.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_by_its_whole_name() {
        let mut tree = Vec::new();
        for (mode, name) in [("100755", "a"), ("40000", "a.b"), ("120000", "b"), ("160000", "c")] {
            tree.extend(format!("{mode} {name}\0").bytes());
            // An id may look like an entry.
            tree.extend(b"100644 x\0aaaaaaaaaaa");
        }
        let at = |name: &str| find(&tree, name.as_bytes()).map(|slot| slot.at);
        assert_eq!((at("a"), at("x"), at("")), (Some(9), None, None));
        assert!(matches!(find(&tree, b"a.b"), Some(Slot { kind: SlotKind::Folder, .. })));
        assert!(matches!(find(&tree, b"b"), Some(Slot { kind: SlotKind::Link, .. })));
        assert!(matches!(find(&tree, b"c"), Some(Slot { kind: SlotKind::Submodule, .. })));
        assert!(find(&tree[..15], b"b").is_none(), "a cut tree ends the search");
    }
}

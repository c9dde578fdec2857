//! How large a patch or a replacement may make an object: a few copies and moves could make one of any size.
//!
//! Pure.

use serde_json::Value;

use super::node::Node;

/// Levels of an object, as many as one that is read may have.
const DEEPEST: usize = 120;
/// Bytes of memory of an object, counted roughly: some times what an API server takes.
const HEAVIEST: usize = 32 * 1024 * 1024;
/// Bytes that a value takes beside its text.
const VALUE: usize = 32;
/// Bytes that a mapping or a list takes beside its values, however few they are.
const COLLECTION: usize = 640;

/// A value that holds others.
pub trait Tree {
    fn below(&self) -> impl Iterator<Item = &Self>;

    fn is_collection(&self) -> bool;

    /// Bytes of its own text, and of its keys.
    fn text(&self) -> usize;
}

/// Refuses a value that would stand too deep below so many levels.
pub fn depth(above: usize, value: &impl Tree) -> Result<(), String> {
    if above + levels(value) <= DEEPEST {
        return Ok(());
    }
    Err(format!("it would be nested deeper than {DEEPEST} levels: flatten it"))
}

/// What copies may still add to an object: counted when the first one is made.
#[derive(Default)]
pub struct Room(Option<usize>);

impl Room {
    /// Refuses a copy that would make the object too large.
    pub fn take<T: Tree>(&mut self, object: &T, copied: &T) -> Result<(), String> {
        let left = self.0.get_or_insert_with(|| HEAVIEST.saturating_sub(bytes(object)));
        *left = left.checked_sub(bytes(copied)).ok_or_else(too_heavy)?;
        Ok(())
    }
}

/// Refuses an object that has grown too large.
pub fn weight(object: &impl Tree) -> Result<(), String> {
    if bytes(object) <= HEAVIEST { Ok(()) } else { Err(too_heavy()) }
}

fn too_heavy() -> String {
    format!("the object would take more than {HEAVIEST} bytes: copy less")
}

fn levels(value: &impl Tree) -> usize {
    usize::from(value.is_collection()) + value.below().map(levels).max().unwrap_or(0)
}

fn bytes(value: &impl Tree) -> usize {
    let own = if value.is_collection() { COLLECTION } else { VALUE };
    own + value.text() + value.below().map(bytes).sum::<usize>()
}

impl Tree for Value {
    fn below(&self) -> impl Iterator<Item = &Self> {
        let fields = self.as_object().into_iter().flat_map(|map| map.values());
        fields.chain(self.as_array().into_iter().flatten())
    }

    fn is_collection(&self) -> bool {
        self.is_object() || self.is_array()
    }

    fn text(&self) -> usize {
        let keys: usize = self.as_object().into_iter().flat_map(|map| map.keys()).map(String::len).sum();
        keys + self.as_str().map_or(0, str::len)
    }
}

impl Tree for Node {
    fn below(&self) -> impl Iterator<Item = &Self> {
        let fields = self.as_map().into_iter().flat_map(|map| map.iter().map(|(_, value)| value));
        fields.chain(self.as_seq().into_iter().flatten())
    }

    fn is_collection(&self) -> bool {
        self.as_scalar().is_none()
    }

    fn text(&self) -> usize {
        let keys = self.as_map().into_iter().flat_map(|map| map.iter().map(|(key, _)| key.text.len()));
        keys.sum::<usize>() + self.as_scalar().map_or(0, |scalar| scalar.text.len())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::json;

    use crate::kustomize::json6902::{Operations, apply};
    use crate::kustomize::value::node;

    /// Runs a patch on a small object. Returns what is wrong.
    fn check(operations: &str) -> Option<String> {
        let operations = Operations::read("patch.yaml", operations).ok()?;
        let mut object = node(&json!({"kind": "ConfigMap", "data": {"a": {"b": "c"}}}));
        apply(&mut object, &operations).err().map(|error| error.message)
    }

    #[test]
    fn copies_of_copies_end_before_the_memory_does() {
        let mut patch = String::new();
        for at in 0..40 {
            let _ = writeln!(patch, "- {{op: copy, from: /data, path: /data/k{at}}}");
        }
        assert!(check(&patch).is_some_and(|said| said.contains("copy less")));
    }

    #[test]
    fn moves_into_one_another_end_before_the_stack_does() {
        let inner = "/x".repeat(50);
        let deep = "{x: ".repeat(50) + "1" + &"}".repeat(50);
        let mut patch = format!("- {{op: add, path: /a, value: {deep}}}\n");
        for (from, into) in [("a", "b"), ("b", "a")].into_iter().cycle().take(20) {
            let _ = writeln!(patch, "- {{op: add, path: /{into}, value: {deep}}}");
            let _ = writeln!(patch, "- {{op: move, from: /{from}, path: /{into}{inner}}}");
        }
        assert!(check(&patch).is_some_and(|said| said.contains("nested deeper")));
    }

    #[test]
    fn what_is_read_can_be_patched_in() {
        let deep = "{x: ".repeat(100) + "1" + &"}".repeat(100);
        assert_eq!(check(&format!("- {{op: add, path: /data/deep, value: {deep}}}")), None);
    }
}

//! Limits on how much a patch or a replacement may enlarge an object, and a step all of them: otherwise, a few copies
//! and moves could make objects of any size, and one value could be written into each of many.
//!
//! Pure.

use std::cell::Cell;

use super::error::KustomizeError;
use super::node::Node;
use holdfast_documents::budget::{Exceeded, Resource, WORK};
use holdfast_documents::weight::{Tree, bytes, levels};

/// Maximum depth of an object, as for an object that is read.
const DEEPEST: usize = 120;
/// Maximum memory of an object in bytes, estimated: several times what an API server accepts.
const HEAVIEST: usize = 32 * 1024 * 1024;

/// Refuses a value that would be nested too deeply below this number of levels.
pub fn depth(above: usize, value: &impl Tree) -> Result<(), String> {
    if above + levels(value) <= DEEPEST {
        return Ok(());
    }
    Err(format!("it would be nested deeper than {DEEPEST} levels: flatten it"))
}

/// The bytes that copies may still add to an object, counted when the first copy is made.
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

/// Maximum memory in bytes that one step may add to all resources together, estimated.
const GROWTH: usize = 64 * 1024 * 1024;
/// Maximum bytes of a name; the API server accepts at most 253.
const NAME: usize = 1024;

/// The bytes that a step adds to all resources together.
#[derive(Debug, Default)]
pub struct Growth(Cell<usize>);

impl Growth {
    /// Counts bytes before they are added.
    pub fn add(&self, bytes: usize) -> Result<(), String> {
        self.0.set(self.0.get().saturating_add(bytes));
        if self.0.get() <= GROWTH {
            return Ok(());
        }
        Err(format!(
            "the step would add more than {GROWTH} bytes to all objects together: change fewer objects, or less in each"
        ))
    }

    pub fn bytes(&self) -> usize {
        self.0.get()
    }
}

/// The work that one step may still do on all resources.
#[derive(Clone, Debug, Default)]
pub struct Work(Cell<usize>);

impl Work {
    /// Counts work before it is done: one unit for each resource or value that is visited.
    pub fn take(&self, amount: usize) -> Result<(), KustomizeError> {
        self.0.set(self.0.get().saturating_add(amount));
        if self.0.get() as u64 <= WORK {
            return Ok(());
        }
        Err(KustomizeError::new(Exceeded { resource: Resource::Work, limit: WORK }.to_string()))
    }

    /// Returns the work since the last call.
    pub fn done(&self) -> usize {
        self.0.take()
    }
}

/// Returns the work of changing a value of this size, whose parts are all visited.
pub fn effort(value: &impl Tree) -> usize {
    const PART: usize = 256;
    10 + bytes(value) / PART
}

/// Refuses a part of a name that is longer than any valid name, since it would be written to each object.
pub fn name(field: &str, text: &str) -> Result<(), String> {
    if text.len() <= NAME { Ok(()) } else { Err(format!("{field} is longer than {NAME} bytes: shorten it")) }
}

/// Refuses an object that has become too large.
pub fn weight(object: &impl Tree) -> Result<(), String> {
    if bytes(object) <= HEAVIEST { Ok(()) } else { Err(too_heavy()) }
}

fn too_heavy() -> String {
    format!("the object would take more than {HEAVIEST} bytes: copy less")
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

    use crate::json6902::{Operations, apply};
    use crate::value::node;

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

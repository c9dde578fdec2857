//! A node that was read, on its way into the collection around it. A type, no behaviour.

use super::super::node::Node;

/// A node, on its way into the collection around it.
#[derive(Debug)]
pub(super) struct Made {
    pub node: Node,
    /// How deep it nests.
    pub depth: usize,
    pub by_alias: bool,
}

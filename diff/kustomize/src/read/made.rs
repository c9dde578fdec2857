//! A node that was read and not yet added to its collection. A type, no behaviour.

use super::super::node::Node;

/// A node that was read and not yet added to its collection.
#[derive(Debug)]
pub(super) struct Made {
    pub node: Node,
    /// Its depth.
    pub depth: usize,
    pub by_alias: bool,
}

//! Finds the node of a path.
//!
//! Follows fields as the decoder does, but stops at aliases and merge keys, whose content is at another
//! place. Pure.

use crate::pointer::unescape;
use crate::yaml::scalar::{self, Scalar};
use crate::yaml::tree::{Content, NodeId, Tree};

/// The node of a path.
#[derive(Debug)]
pub(super) struct Found {
    pub id: NodeId,
    /// The line of the node, from 1.
    pub line: u32,
    /// The end of the preceding node: its key or the item before. `None` at the root.
    pub after: Option<usize>,
    /// True for the value of a key.
    pub keyed: bool,
    /// The collections that contain it.
    pub parents: Vec<NodeId>,
}

/// Why a path has no node that can be edited.
#[derive(Debug)]
pub(super) enum Miss {
    /// The node `at` holds no `segment`.
    Absent { at: NodeId, segment: String },
    /// The alias `at` has the value.
    Alias { at: NodeId },
    /// The value is merged in from `source`: a mapping, or an alias of one.
    Merged { at: NodeId, source: NodeId },
}

/// The setter of a field: the last one in the order of the text.
enum Setter {
    Own { key: NodeId, value: NodeId },
    Merge { source: NodeId },
}

/// Finds the node at an RFC 6901 path.
pub(super) fn find(tree: &Tree, path: &str) -> Result<Found, Miss> {
    let root = Found {
        id: Tree::ROOT,
        line: line_of(tree, Tree::ROOT),
        after: None,
        keyed: false,
        parents: Vec::new(),
    };
    let mut segments = path.split('/');
    if !segments.next().is_some_and(str::is_empty) {
        return Err(Miss::Absent { at: Tree::ROOT, segment: path.to_owned() });
    }
    let found = segments.try_fold(root, |found, raw| step(tree, found, &unescape(raw)))?;
    match tree.node(found.id).map(|node| &node.content) {
        Some(Content::Alias { .. }) => Err(Miss::Alias { at: found.id }),
        _ => Ok(found),
    }
}

pub(super) fn line_of(tree: &Tree, id: NodeId) -> u32 {
    tree.node(id).map_or(1, |node| node.line)
}

/// Enters one field or item.
fn step(tree: &Tree, found: Found, segment: &str) -> Result<Found, Miss> {
    let Found { id: at, after, mut parents, line: _, keyed: _ } = found;
    let absent = || Miss::Absent { at, segment: segment.to_owned() };
    parents.push(at);
    match tree.node(at).map(|node| &node.content) {
        Some(Content::Mapping(_)) => match setter(tree, at, segment) {
            Some(Setter::Own { key, value }) => {
                let line = if is_block(tree, value) { line_of(tree, key) } else { line_of(tree, value) };
                Ok(Found { id: value, line, after: end_of(tree, key), keyed: true, parents })
            }
            Some(Setter::Merge { source }) => Err(Miss::Merged { at, source }),
            None => Err(absent()),
        },
        Some(Content::Sequence(children)) => {
            let index = index(segment).ok_or_else(absent)?;
            let id = *children.get(index).ok_or_else(absent)?;
            let before = index.checked_sub(1).and_then(|before| children.get(before));
            // Only the indicators of its list precede a first item.
            let after = before.map_or(after, |before| end_of(tree, *before));
            Ok(Found { id, line: line_of(tree, id), after, keyed: false, parents })
        }
        Some(Content::Alias { .. }) => Err(Miss::Alias { at }),
        Some(Content::Scalar { .. }) | None => Err(absent()),
    }
}

/// Parses an index as in RFC 6901: digits without a leading zero.
fn index(segment: &str) -> Option<usize> {
    let digits = segment.bytes().all(|byte| byte.is_ascii_digit());
    let zero_led = segment.len() > 1 && segment.starts_with('0');
    if digits && !zero_led { segment.parse().ok() } else { None }
}

fn setter(tree: &Tree, mapping: NodeId, name: &str) -> Option<Setter> {
    let Content::Mapping(children) = &tree.node(tree.resolve(mapping))?.content else { return None };
    children.as_chunks::<2>().0.iter().rev().find_map(|[key, value]| {
        if is_merge(tree, *key) {
            return merged(tree, *value, name).map(|source| Setter::Merge { source });
        }
        (key_name(tree, *key)? == name).then_some(Setter::Own { key: *key, value: *value })
    })
}

/// Returns the mapping that sets the field, among those that a `<<` merges.
fn merged(tree: &Tree, value: NodeId, name: &str) -> Option<NodeId> {
    match &tree.node(value)?.content {
        Content::Sequence(items) => {
            items.iter().copied().find(|source| setter(tree, *source, name).is_some())
        }
        _ => setter(tree, value, name).map(|_| value),
    }
}

pub(super) fn is_merge(tree: &Tree, key: NodeId) -> bool {
    match tree.node(key).map(|node| &node.content) {
        Some(Content::Scalar { text, style, tag }) => {
            text == "<<" && scalar::is_merge(*style, tag.as_deref())
        }
        _ => false,
    }
}

/// Returns the name of a key in JSON: `yes` is `true`.
pub(super) fn key_name(tree: &Tree, key: NodeId) -> Option<String> {
    match &tree.node(tree.resolve(key))?.content {
        Content::Scalar { text, style, tag } => {
            scalar::resolve(text, *style, tag.as_deref()).and_then(Scalar::into_key).ok()
        }
        _ => None,
    }
}

fn is_block(tree: &Tree, id: NodeId) -> bool {
    use granit_parser::ScalarStyle::{Folded, Literal};
    matches!(tree.node(id).map(|node| &node.content), Some(Content::Scalar { style: Literal | Folded, .. }))
}

fn end_of(tree: &Tree, id: NodeId) -> Option<usize> {
    tree.node(id).map(|node| node.span.end)
}

//! Edits single scalars: only the bytes of the scalar change, and nothing else in the file.
//!
//! `find` finds the node of a path, `gap` the text before it, `quote` and `block` write the new text, and `proof` reads
//! the result again. `insert` adds a field after another one, and `leaf` lists the scalars in the order of the text.
//! Pure.

mod block;
mod error;
mod find;
mod gap;
mod insert;
mod leaf;
mod proof;
mod quote;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::ScalarStyle;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::place::Lines;
use super::tree::{Content, Node, NodeId, Tree};
use super::{Document, json_values, read};
use block::Block;
use find::{Found, Miss, find, line_of};
use gap::before;
use quote::{Surroundings, allows, as_read, inline};

pub use crate::pointer::child;
pub use error::{EditError, EditProblem};
pub use leaf::{Leaf, Role, leaves};

/// A new value of one scalar.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit<'a> {
    /// Number of the document, from 0, among those that [`read`] returns.
    pub document: usize,
    /// RFC 6901, from the root of the document. An index counts items as written.
    pub path: String,
    /// A string, a number, a bool or null.
    pub value: &'a Value,
}

/// A new field of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct NewField<'a> {
    /// As in [`Edit`].
    pub document: usize,
    /// The path of the mapping.
    pub mapping: String,
    /// The field of the mapping after which the new one is inserted: a scalar on its own line or lines.
    pub behind: &'a str,
    pub name: &'a str,
    pub value: &'a str,
}

/// Replaces scalars of a YAML or JSON file and returns the new bytes of the file.
///
/// A scalar keeps its style if the new value can be represented in it. One that already has its value is not
/// changed.
///
/// # Guarantees
/// When the result is parsed, each document equals the previous one except at the paths of the edits, where it has
/// their
/// values. All edits are made or none.
///
/// # Errors
/// Returns the first edit that cannot be made, with its line in the file and what to do.
pub fn edit(file: &str, text: &[u8], edits: &[Edit]) -> Result<Vec<u8>, EditError> {
    edit_with(file, text, edits, &[])
}

/// As [`edit`], and adds fields: several after the same one in the given order.
///
/// # Errors
/// As [`edit`]; also if a field already exists, or cannot be inserted after the other.
pub fn edit_with(file: &str, text: &[u8], edits: &[Edit], fields: &[NewField]) -> Result<Vec<u8>, EditError> {
    edit_repeated(file, text, edits, fields, &[])
}

/// As [`edit_with`], if aliases and merges repeat an edited scalar at other paths: `repeats` contains each of
/// them with its new value.
///
/// # Errors
/// As [`edit_with`].
pub fn edit_repeated(
    file: &str,
    text: &[u8],
    edits: &[Edit],
    fields: &[NewField],
    repeats: &[Edit],
) -> Result<Vec<u8>, EditError> {
    let file: Arc<str> = file.into();
    let (documents, errors) = read(&file, text);
    if let Some(error) = errors.into_iter().next() {
        return Err(EditError::Unreadable(error));
    }
    let mut editor = Editor { text, json: is_json(text), seen: HashSet::new(), patches: Vec::new() };
    for edit in edits {
        editor.edit(&documents, edit).map_err(|(line, problem)| {
            let (file, path) = (file.clone(), edit.path.clone());
            EditError::Refused { file, line, path, problem }
        })?;
    }
    for field in fields {
        editor.insert(&documents, field).map_err(|(line, problem)| {
            let (file, path) = (file.clone(), child(&field.mapping, field.name));
            EditError::Refused { file, line, path, problem }
        })?;
    }
    let after = apply(text, editor.patches);
    let expected: Vec<Edit> = edits.iter().chain(repeats).cloned().collect();
    proof::prove(&file, &documents, &expected, fields, &after)?;
    Ok(after)
}

/// Returns the line, from 1, of the value at a path, or of the alias or mapping that provides it.
pub fn line(document: &Document, path: &str) -> Option<u32> {
    let tree = &document.tree;
    match find(tree, path) {
        Ok(found) => Some(found.line),
        Err(Miss::Alias { at }) => Some(line_of(tree, at)),
        Err(Miss::Merged { source, .. }) => Some(line_of(tree, source)),
        Err(Miss::Absent { .. }) => None,
    }
}

/// A range of bytes and its replacement.
#[derive(Debug)]
struct Patch {
    range: Range<usize>,
    with: String,
}

/// A refusal and its line.
type Refusal = (u32, EditProblem);

struct Editor<'t> {
    text: &'t [u8],
    json: bool,
    seen: HashSet<(usize, NodeId)>,
    patches: Vec<Patch>,
}

impl Editor<'_> {
    fn edit(&mut self, documents: &[Document], edit: &Edit) -> Result<(), Refusal> {
        let document = document(documents, edit.document)?;
        let tree = &document.tree;
        let found = find(tree, &edit.path).map_err(|miss| self.refusal(tree, miss))?;
        if !self.seen.insert((edit.document, found.id)) {
            return Err((found.line, EditProblem::Twice));
        }
        if let Some(kind) = collection(edit.value) {
            return Err((found.line, EditProblem::NewCollection(kind)));
        }
        let current = document.value.pointer(&edit.path);
        if let Some(kind) = current.and_then(collection) {
            return Err((found.line, EditProblem::Collection(kind)));
        }
        if current == Some(&as_read(edit.value)) {
            return Ok(());
        }
        let node = tree.node(found.id).ok_or((found.line, EditProblem::Unwritable))?;
        let patches = self.write(tree, &found, node, edit.value).map_err(|problem| (found.line, problem))?;
        self.patches.extend(patches);
        Ok(())
    }

    fn write(
        &self,
        tree: &Tree,
        found: &Found,
        node: &Node,
        value: &Value,
    ) -> Result<Vec<Patch>, EditProblem> {
        let Content::Scalar { style, tag, .. } = &node.content else { return Err(EditProblem::Unwritable) };
        let tag = tag.as_deref();
        let with = inline(value, *style, tag, self.place(tree, found)).ok_or(EditProblem::Tag)?;
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        if !is_block && !node.span.is_empty() {
            return Ok(vec![Patch { range: node.span.clone(), with }]);
        }
        let gap = before(self.text, found, &node.span, is_block);
        if is_block {
            let head = gap.head.ok_or(EditProblem::Unwritable)?;
            let block = Block::read(self.text, head, &node.span).ok_or(EditProblem::Unwritable)?;
            let lines = match value {
                Value::String(string) if allows(string, *style, tag, value) => {
                    block.replace_block(self.text, string)
                }
                _ => None,
            };
            return Ok(lines.unwrap_or_else(|| block.replace_inline(with)));
        }
        let with = match (found.keyed && !gap.colon, self.place(tree, found)) {
            (false, _) => format!(" {with}"),
            // `{a}` is `{a: null}`
            (true, Surroundings::Flow) => format!(": {with}"),
            (true, _) => return Err(EditProblem::Unwritable),
        };
        Ok(vec![Patch { range: gap.end..gap.end, with }])
    }

    fn place(&self, tree: &Tree, found: &Found) -> Surroundings {
        let bracket = |id: &NodeId| {
            let start = tree.node(*id).and_then(|node| self.text.get(node.span.start));
            matches!(start, Some(b'{' | b'['))
        };
        match found.parents.iter().any(bracket) {
            _ if self.json => Surroundings::Json,
            true => Surroundings::Flow,
            false => Surroundings::Block,
        }
    }

    fn refusal(&self, tree: &Tree, miss: Miss) -> Refusal {
        match miss {
            Miss::Absent { at, segment } => (line_of(tree, at), EditProblem::Absent(segment)),
            Miss::Alias { at } => {
                let name = alias_name(tree, at).unwrap_or_default().to_owned();
                (line_of(tree, at), EditProblem::Alias { name, anchor: self.anchor_line(tree, at) })
            }
            Miss::Merged { at, source } => {
                (line_of(tree, at), EditProblem::Merged { anchor: self.anchor_line(tree, source) })
            }
        }
    }

    /// Returns the line of the anchor of an alias; for other nodes, their own line.
    fn anchor_line(&self, tree: &Tree, id: NodeId) -> u32 {
        let Some(name) = alias_name(tree, id) else { return line_of(tree, id) };
        let target = tree.resolve(id);
        let start = tree.node(target).map_or(0, |node| node.span.start);
        let before = self.text.get(..start).unwrap_or_default();
        let anchor = format!("&{name}");
        let found = before.windows(anchor.len()).rposition(|window| window == anchor.as_bytes());
        found.map_or_else(|| line_of(tree, target), |at| Lines::new(self.text).place(at).0)
    }
}

fn document<'d, 'a>(documents: &'d [Document<'a>], number: usize) -> Result<&'d Document<'a>, Refusal> {
    documents.get(number).ok_or_else(|| {
        let problem = EditProblem::NoDocument { wanted: number, held: documents.len() };
        (documents.last().map_or(1, |last| last.line), problem)
    })
}

fn alias_name<'t>(tree: &'t Tree, id: NodeId) -> Option<&'t str> {
    match tree.node(id).map(|node| &node.content) {
        Some(Content::Alias { name, .. }) => Some(name),
        _ => None,
    }
}

fn collection(value: &Value) -> Option<&'static str> {
    match value {
        Value::Object(_) => Some("a mapping"),
        Value::Array(_) => Some("a list"),
        _ => None,
    }
}

/// True for a file with one JSON collection, or a sequence of JSON objects.
fn is_json(text: &[u8]) -> bool {
    let text = str::from_utf8(text).unwrap_or_default();
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let is_list = || text.trim_start().starts_with('[') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    json_values(text, 0).is_some() || is_list()
}

/// Applies all patches; they do not overlap, since each scalar has its own bytes.
fn apply(text: &[u8], mut patches: Vec<Patch>) -> Vec<u8> {
    patches.sort_by_key(|patch| patch.range.start);
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for Patch { range, with } in patches {
        out.extend_from_slice(text.get(at..range.start).unwrap_or_default());
        out.extend_from_slice(with.as_bytes());
        at = range.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests;

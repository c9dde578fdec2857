//! Adds fields to a mapping: on a new line in a block, after a comma between brackets.
//!
//! A new field follows an existing one, and takes its indentation, quotes and line ending from it.
//! Pure.

use granit_parser::ScalarStyle;
use serde_json::Value;

use super::find::{Found, find};
use super::quote::{Surroundings, inline};
use super::{EditProblem, Editor, NewField, Patch, Refusal, document};
use crate::pointer::child;
use crate::yaml::Document;
use crate::yaml::tree::{Content, Node, NodeId, Tree};

impl Editor<'_> {
    pub(super) fn insert(&mut self, documents: &[Document], field: &NewField) -> Result<(), Refusal> {
        let NewField { document: number, mapping, behind, name, value } = field;
        let held = document(documents, *number)?;
        let tree = &held.tree;
        let found = find(tree, &child(mapping, behind)).map_err(|miss| self.refusal(tree, miss))?;
        if held.value.pointer(&child(mapping, name)).is_some() {
            return Err((found.line, EditProblem::Present));
        }
        let patch = self.field(tree, &found, name, value).ok_or((found.line, EditProblem::Unwritable))?;
        self.patches.push(patch);
        Ok(())
    }

    fn field(&self, tree: &Tree, found: &Found, name: &str, value: &str) -> Option<Patch> {
        let key = key_of(tree, found)?;
        let sibling = tree.node(found.id)?;
        let Content::Scalar { style, .. } = &sibling.content else { return None };
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) || sibling.span.is_empty() {
            return None;
        }
        let place = self.place(tree, found);
        let value = inline(&Value::from(value), *style, None, place)?;
        let name_style = match self.text.get(key.span.start) {
            Some(b'"') => ScalarStyle::DoubleQuoted,
            Some(b'\'') => ScalarStyle::SingleQuoted,
            _ => ScalarStyle::Plain,
        };
        let name = inline(&Value::from(name), name_style, None, place)?;
        match place {
            Surroundings::Block => self.in_block(key, sibling, &format!("{name}: {value}")),
            Surroundings::Flow | Surroundings::Json => self.in_brackets(key, sibling, &name, &value, place),
        }
    }

    /// Adds a line below the sibling, which may have a comment.
    fn in_block(&self, key: &Node, sibling: &Node, field: &str) -> Option<Patch> {
        let before = self.text.get(..key.span.start)?;
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let marks = before.get(line_start..)?;
        let marks = marks.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(marks);
        if !marks.iter().all(|byte| b" -".contains(byte)) {
            return None;
        }
        let rest = self.text.get(sibling.span.end..)?;
        let newline = rest.iter().position(|byte| *byte == b'\n');
        let line = rest.get(..newline.unwrap_or(rest.len()))?;
        let returned = line.ends_with(b"\r");
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_free = line.trim_ascii_start().first().is_none_or(|byte| *byte == b'#');
        if !is_free || line.contains(&b'\r') {
            return None;
        }
        let line_break = match newline {
            Some(_) if returned => "\r\n",
            None if self.text.windows(2).any(|pair| pair == b"\r\n") => "\r\n",
            _ => "\n",
        };
        let at = sibling.span.end + line.len();
        Some(Patch { range: at..at, with: format!("{line_break}{}{field}", " ".repeat(marks.len())) })
    }

    /// Adds the field after the sibling, with the same spaces. `None` before a comment, which
    /// would then belong to the new field.
    fn in_brackets(
        &self,
        key: &Node,
        sibling: &Node,
        name: &str,
        value: &str,
        place: Surroundings,
    ) -> Option<Patch> {
        let rest = self.text.get(sibling.span.end..)?;
        let behind = rest.iter().find(|byte| !b" \t,".contains(byte));
        if behind == Some(&b'#') {
            return None;
        }
        let colon = str::from_utf8(self.text.get(key.span.end..sibling.span.start)?).ok()?;
        let colon = if colon.trim() == ":" && !colon.contains('\n') { colon } else { ": " };
        let is_tight = place == Surroundings::Json && !colon.ends_with(' ');
        let colon = if place == Surroundings::Flow && !colon.ends_with(' ') { ": " } else { colon };
        let before = str::from_utf8(self.text.get(..key.span.start)?).ok()?;
        let bare = before.trim_end();
        let space = match before.get(bare.len()..)? {
            space if bare.ends_with(['{', ',']) && !space.is_empty() => space,
            _ if is_tight => "",
            _ => " ",
        };
        let at = sibling.span.end;
        Some(Patch { range: at..at, with: format!(",{space}{name}{colon}{value}") })
    }
}

/// Returns the key of a value.
fn key_of<'t, 'a>(tree: &'t Tree<'a>, found: &Found) -> Option<&'t Node<'a>> {
    let mapping: NodeId = *found.parents.last()?;
    let Content::Mapping(children) = &tree.node(mapping)?.content else { return None };
    let [key, _] = children.as_chunks::<2>().0.iter().find(|[_, value]| *value == found.id)?;
    tree.node(*key)
}

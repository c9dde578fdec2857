//! Writes a text of YAML anew with other values, as kustomize does: comments, quotes and flow collections stay, spaces and
//! line ends become those of go-yaml.
//!
//! Leaves how one scalar is written to `scalar`. What it does not write as the original does, it does not write at all.
//! Pure.

mod scalar;

use std::collections::BTreeMap;

use super::super::matcher::inner;
use crate::node::{Map, Node, Scalar};
use holdfast_documents::yaml::{Content, Duplicates, NodeId, Tree, read_first};

/// What is never written anew: aliases, anchors, tags, `<<` and keys in a form of their own.
const KEPT: [&str; 14] =
    [": &", "- &", ": *", "- *", "<<:", ": !", "- !", "[&", "[*", "{&", "{*", ", *", ", &", "? "];

/// The text with the values of `after`; None where the layout of the original is not certain.
pub(super) fn written(text: &str, after: &Node, new: &Node) -> Option<String> {
    let text = &text.replace("\r\n", "\n");
    if KEPT.iter().any(|kept| text.contains(kept)) || text.contains(['\t', '\r']) {
        return None;
    }
    let document = read_first("", text.as_bytes(), Duplicates::LastWins).ok()??;
    let root = Some(Tree::ROOT);
    let mut writer =
        Writer { text, tree: &document.tree, new, out: String::new(), cursor: 0, indents: BTreeMap::new() };
    match after {
        Node::Map(_) | Node::Seq(_) if !writer.is_flow(root) => writer.block(root, after, 0, false)?,
        _ => return None,
    }
    writer.last_comments()?;
    // The original cuts the last line end off, also that of a block.
    is_faithful(text, &writer.out, after).then(|| writer.out.trim().to_owned())
}

/// True if all comments are there, and the values are those that were to be written. A tag that does not fit its text, as
/// the original writes it, is not read.
fn is_faithful(text: &str, written: &str, after: &Node) -> bool {
    let mut comments = text.lines().map(str::trim).filter(|line| line.starts_with('#'));
    comments.all(|comment| written.contains(comment))
        && (written.contains(" !!") || inner(written).as_ref() == Some(after))
}

struct Writer<'a> {
    text: &'a str,
    tree: &'a Tree<'a>,
    /// What was put in: a collection of it takes nothing from what stood there.
    new: &'a Node,
    out: String,
    /// Where the text starts whose comments are still to be written.
    cursor: usize,
    /// The indentations of the entries that are open, by their columns in the text.
    indents: BTreeMap<usize, usize>,
}

/// What the lines before a line are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Nothing,
    Comment,
    /// A comment of the entry before, with its indentation.
    Foot(usize),
}

impl<'a> Writer<'a> {
    /// The node of the text at this place, if it is a collection of the same kind as what is written there.
    fn children(&self, id: Option<NodeId>, node: &Node) -> &'a [NodeId] {
        match (id.and_then(|id| self.tree.node(id)).map(|found| &found.content), node) {
            (Some(Content::Mapping(children)), Node::Map(_))
            | (Some(Content::Sequence(children)), Node::Seq(_)) => children,
            _ => &[],
        }
    }

    fn start(&self, id: Option<NodeId>) -> Option<usize> {
        Some(self.tree.node(id?)?.span.start)
    }

    /// True for a collection that was put in.
    fn is_new(&self, node: &Node) -> bool {
        !matches!(node, Node::Scalar(_)) && !item_is_empty(node) && node == self.new
    }

    fn is_flow(&self, id: Option<NodeId>) -> bool {
        self.start(id)
            .and_then(|start| self.text.get(start..))
            .is_some_and(|rest| rest.starts_with(['{', '[']))
            && id
                .and_then(|id| self.tree.node(id))
                .is_some_and(|node| matches!(node.content, Content::Mapping(_) | Content::Sequence(_)))
    }

    /// A collection in block style; its first entry stands on the line that is there, if `goes_on`.
    fn block(&mut self, id: Option<NodeId>, node: &Node, indent: usize, goes_on: bool) -> Option<()> {
        let children = self.children(id, node);
        match node {
            Node::Map(map) => {
                let pairs = children.as_chunks::<2>().0;
                for (at, (key, value)) in map.iter().enumerate() {
                    let [name, child] =
                        pairs.get(at).map_or([None, None], |[name, child]| [Some(*name), Some(*child)]);
                    self.line(name, indent, goes_on && at == 0, false)?;
                    self.key(name, key, false)?;
                    self.value(child, value, indent, indent)?;
                }
            }
            Node::Seq(items) => {
                for (at, item) in items.iter().enumerate() {
                    let child = children.get(at).copied();
                    self.line(child, indent, goes_on && at == 0, true)?;
                    self.out.push('-');
                    let is_collection = !matches!(item, Node::Scalar(_)) && !item_is_empty(item);
                    if is_collection && (self.is_new(item) || !self.is_flow(child)) {
                        self.out.push(' ');
                        self.block(child, item, indent + 2, true)?;
                    } else {
                        self.value(child, item, indent, indent)?;
                    }
                }
            }
            Node::Scalar(_) => return None,
        }
        Some(())
    }

    /// Begins the line of an entry, below the comments before it.
    fn line(&mut self, id: Option<NodeId>, indent: usize, goes_on: bool, is_item: bool) -> Option<()> {
        let before = self.out.len();
        if let Some(start) = self.start(id) {
            let column = column(self.text, start, is_item);
            self.comments(start, column, indent)?;
            self.indents.split_off(&column);
            self.indents.insert(column, indent);
        }
        if goes_on {
            return (self.out.len() == before).then_some(());
        }
        self.end_line();
        self.out.extend(std::iter::repeat_n(' ', indent));
        Some(())
    }

    fn end_line(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
    }

    fn key(&mut self, id: Option<NodeId>, key: &Scalar, in_flow: bool) -> Option<()> {
        let written = self.scalar(id, key, 0, in_flow)?;
        if written.contains('\n') || written.is_empty() {
            return None;
        }
        self.out.push_str(&written);
        self.out.push(':');
        if let Some(old) = id.and_then(|id| self.tree.node(id)) {
            self.skip(old.span.end);
        }
        Some(())
    }

    /// What stands behind a key, or behind the mark of an item.
    fn value(&mut self, id: Option<NodeId>, node: &Node, indent: usize, list: usize) -> Option<()> {
        if self.is_new(node) {
            if let Some(old) = id.and_then(|id| self.tree.node(id)) {
                self.skip(old.span.end);
            }
            return self.block(
                None,
                node,
                if matches!(node, Node::Seq(_)) { list } else { indent + 2 },
                false,
            );
        }
        if matches!(node, Node::Scalar(_)) || self.is_flow(id) || item_is_empty(node) {
            let written = self.flow(id, node, indent + 2)?;
            if !written.is_empty() {
                self.out.push(' ');
                self.out.push_str(&written);
            }
            let end = id.and_then(|id| self.tree.node(id)).map(|node| node.span.end);
            return end.map_or(Some(()), |end| self.line_comment(end, written.contains('\n')));
        }
        if self.start(id).is_some() && !self.children(id, node).is_empty() {
            self.line_comment(self.cursor, false)?;
        } else if let Some(old) = id.and_then(|id| self.tree.node(id)) {
            self.skip(old.span.end);
        }
        let indent = if matches!(node, Node::Seq(_)) { list } else { indent + 2 };
        self.block(id, node, indent, false)
    }

    /// A value on one line, but for a text of several lines.
    fn flow(&self, id: Option<NodeId>, node: &Node, indent: usize) -> Option<String> {
        let children = self.children(id, node);
        let slice = id.and_then(|id| self.tree.node(id)).and_then(|old| self.text.get(old.span.clone()));
        match node {
            Node::Scalar(scalar) => self.scalar(id, scalar, indent, false),
            _ if slice.is_some_and(|slice| slice.contains('#')) => None,
            Node::Map(map) => self.flow_map(children, map),
            Node::Seq(items) => {
                let mut parts = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    parts.push(self.flow_item(children.get(at).copied(), item)?);
                }
                Some(format!("[{}]", parts.join(", ")))
            }
        }
    }

    fn flow_map(&self, children: &[NodeId], map: &Map) -> Option<String> {
        let pairs = children.as_chunks::<2>().0;
        let mut parts = Vec::with_capacity(map.len());
        for (at, (key, value)) in map.iter().enumerate() {
            let [name, child] =
                pairs.get(at).map_or([None, None], |[name, child]| [Some(*name), Some(*child)]);
            let key = self.scalar(name, key, 0, true)?;
            let value = self.flow_item(child, value)?;
            parts.push(format!("{key}: {value}").trim_end().to_owned());
        }
        Some(format!("{{{}}}", parts.join(", ")))
    }

    fn flow_item(&self, id: Option<NodeId>, node: &Node) -> Option<String> {
        let written = match node {
            Node::Scalar(scalar) => self.scalar(id, scalar, 0, true)?,
            _ => self.flow(id, node, 0)?,
        };
        (!written.contains('\n') && !written.is_empty()).then_some(written)
    }

    fn scalar(&self, id: Option<NodeId>, new: &Scalar, indent: usize, in_flow: bool) -> Option<String> {
        scalar::written(self.text, id.and_then(|id| self.tree.node(id)), new, indent, in_flow)
    }

    /// Writes the comment at the end of the line of a value.
    fn line_comment(&mut self, end: usize, is_long: bool) -> Option<()> {
        self.skip(end);
        let rest = self.text.get(self.cursor..)?;
        if is_long || rest.is_empty() {
            return Some(());
        }
        let line = rest.split('\n').next().unwrap_or_default();
        if let Some(at) = line.find('#')
            && line[..at].trim_matches([' ', ':', '-']).is_empty()
        {
            self.out.push(' ');
            self.out.push_str(line[at..].trim_end());
            self.skip(self.cursor + line.len());
        }
        Some(())
    }

    /// Writes the comments on lines of their own before what stands at a column, and a blank line behind those that have
    /// one. Comments that are indented more belong to an entry before them.
    fn comments(&mut self, until: usize, column: usize, indent: usize) -> Option<()> {
        let between = self.text.get(self.cursor.min(until)..until)?;
        let is_end = until == self.text.len();
        let mut lines = between.split('\n').peekable();
        let mut behind = Behind::Nothing;
        while let Some(line) = lines.next() {
            let comment = line.trim();
            let is_blank = comment.is_empty() && lines.peek().is_some();
            let at = line.len() - line.trim_start().len();
            let outer = Some(at).filter(|at| *at > column).and_then(|at| self.indents.get(&at)).copied();
            if comment.starts_with('#') {
                if behind == Behind::Foot(indent) && outer.is_none() {
                    self.out.push('\n');
                }
                self.end_line();
                self.out.extend(std::iter::repeat_n(' ', outer.unwrap_or(indent)));
                self.out.push_str(comment);
                self.out.push('\n');
                behind = outer.map_or(Behind::Comment, Behind::Foot);
            } else if is_blank && (behind == Behind::Comment || (is_end && behind != Behind::Nothing)) {
                self.out.push('\n');
                behind = Behind::Nothing;
            }
        }
        if behind == Behind::Foot(indent) && !is_end {
            self.out.push('\n');
        }
        self.skip(until);
        Some(())
    }

    /// Writes the comments behind the last value, below a blank line if there is one.
    fn last_comments(&mut self) -> Option<()> {
        let rest = self.text.get(self.cursor..)?;
        if let Some(comment) = rest.find('#') {
            let before = &self.text[..self.cursor + comment];
            if before[before.trim_end().len()..].matches('\n').count() > 1 {
                self.end_line();
                self.out.push('\n');
            }
        }
        self.comments(self.text.len(), 0, 0)
    }

    fn skip(&mut self, to: usize) {
        self.cursor = self.cursor.max(to);
    }
}

/// The column of an entry: that of its mark, if it is an item.
fn column(text: &str, start: usize, is_item: bool) -> usize {
    let line = text[..start].rfind('\n').map_or(0, |end| end + 1);
    let before = &text[line..start];
    if is_item { before.trim_end().len().saturating_sub(1) } else { before.len() }
}

fn item_is_empty(node: &Node) -> bool {
    match node {
        Node::Map(map) => map.is_empty(),
        Node::Seq(items) => items.is_empty(),
        Node::Scalar(_) => false,
    }
}

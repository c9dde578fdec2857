//! The tree of one YAML document: its nodes as written, each with its range of bytes.
//!
//! Nothing is resolved here: scalars keep their text, aliases refer to their anchors. `decode` computes
//! the value; an edit finds the bytes to replace. Pure.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, ScalarStyle, Span, Tag};

/// The index of a node in its tree.
pub type NodeId = usize;

/// One document. The root is node 0; an empty tree is an empty document.
#[derive(Clone, Debug, Default)]
pub struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// The range of the node in the file. Empty at the end of an omitted node (`key:`).
    pub span: Range<usize>,
    /// The line, from 1, on which it starts.
    pub line: u32,
    pub content: Content<'a>,
}

#[derive(Clone, Debug)]
pub enum Content<'a> {
    Scalar {
        text: Cow<'a, str>,
        style: ScalarStyle,
        tag: Option<Cow<'a, Tag>>,
    },
    Sequence(Vec<NodeId>),
    /// Keys and values alternately.
    Mapping(Vec<NodeId>),
    Alias {
        name: String,
        /// `None` if no anchor of this name precedes it.
        target: Option<NodeId>,
    },
}

impl<'a> Tree<'a> {
    pub const ROOT: NodeId = 0;

    pub fn node(&self, id: NodeId) -> Option<&Node<'a>> {
        self.nodes.get(id)
    }

    /// Returns the node of a value: `id` itself, or the target of its alias.
    pub fn resolve(&self, id: NodeId) -> NodeId {
        match self.node(id).map(|node| &node.content) {
            Some(Content::Alias { target: Some(target), .. }) => *target,
            _ => id,
        }
    }

    /// Returns the nodes of key and value of `key` in the mapping `id`; merged keys are not searched.
    pub fn entry(&self, id: NodeId, key: &str) -> Option<(NodeId, NodeId)> {
        let Content::Mapping(children) = &self.node(self.resolve(id))?.content else { return None };
        children.as_chunks::<2>().0.iter().rev().find_map(|[name, value]| {
            match &self.node(self.resolve(*name))?.content {
                Content::Scalar { text, .. } if text == key => Some((*name, *value)),
                _ => None,
            }
        })
    }

    /// Returns the node of the item `index` of the sequence `id`.
    pub fn item(&self, id: NodeId, index: usize) -> Option<NodeId> {
        match &self.node(self.resolve(id))?.content {
            Content::Sequence(children) => children.get(index).copied(),
            _ => None,
        }
    }
}

/// Returns the text of a scalar without the line break that a block has for the parser, but not for go-yaml, if the
/// file ends in its last line without one.
pub fn cut_break<'t>(text: &'t str, style: ScalarStyle, file: &str, span: &Span) -> &'t str {
    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    if !is_block || file.trim_end_matches([' ', '\t']).ends_with(['\n', '\r']) {
        return text;
    }
    let is_last = span.byte_range().is_some_and(|range| range.end >= file.len());
    text.strip_suffix('\n').filter(|_| is_last).unwrap_or(text)
}

/// Builds a tree from the events of the parser, without recursion.
pub(super) struct Builder<'a> {
    text: &'a str,
    /// The position of `text` in the file: the byte, and the number of preceding lines.
    base: usize,
    base_line: u32,
    tree: Tree<'a>,
    open: Vec<NodeId>,
    anchors: HashMap<usize, NodeId>,
}

impl<'a> Builder<'a> {
    pub fn new(text: &'a str, base: usize, base_line: u32) -> Self {
        Self { text, base, base_line, tree: Tree::default(), open: Vec::new(), anchors: HashMap::new() }
    }

    pub fn finish(self) -> Tree<'a> {
        self.tree
    }

    pub fn event(&mut self, event: Event<'a>, span: Span) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let cut = cut_break(&text, style, self.text, &span).len();
                let text = if cut < text.len() { Cow::Owned(text[..cut].to_owned()) } else { text };
                self.add(Content::Scalar { text, style, tag }, span, anchor);
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Content::Sequence(Vec::new()), span, anchor),
            Event::MappingStart(_, anchor, _) => self.begin(Content::Mapping(Vec::new()), span, anchor),
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).copied();
                self.add(Content::Alias { name: self.alias_name(span), target }, span, 0);
            }
            Event::UnresolvedAlias(name) => {
                self.add(Content::Alias { name: name.into_owned(), target: None }, span, 0);
            }
            _ => {}
        }
    }

    fn alias_name(&self, span: Span) -> String {
        span.slice(self.text).unwrap_or_default().trim_start_matches('*').to_owned()
    }

    fn begin(&mut self, content: Content<'a>, span: Span, anchor: usize) {
        let id = self.add(content, span, anchor);
        self.open.push(id);
    }

    fn end(&mut self, span: Span) {
        let end = span.byte_range().map_or(self.base, |range| self.base + range.end);
        let closed = self.open.pop();
        if let Some(node) = closed.and_then(|id| self.tree.nodes.get_mut(id)) {
            node.span.end = end.max(node.span.start);
        }
    }

    fn add(&mut self, content: Content<'a>, span: Span, anchor: usize) -> NodeId {
        let id = self.tree.nodes.len();
        let range = span.byte_range().unwrap_or_default();
        let line = u32::try_from(span.start.line()).unwrap_or(u32::MAX);
        let line = self.base_line.saturating_add(line);
        let span = self.base + range.start..self.base + range.end;
        self.tree.nodes.push(Node { span, line, content });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        let parent = self.open.last().and_then(|open| self.tree.nodes.get_mut(*open));
        if let Some(Content::Sequence(children) | Content::Mapping(children)) = parent.map(|p| &mut p.content)
        {
            children.push(id);
        }
        id
    }
}

//! From the events of the YAML parser to the nodes of one document, without a list of events in between.
//!
//! Aliases become copies of what they stand for. Leaves `<<` to `merge_keys` and what scalars mean to `scalar`. Pure.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, Tag as YamlTag, options};

use super::super::error::KustomizeError;
use super::super::node::{Map, Node, Scalar, Style, Tag};
use super::super::value::scalar_value;
use super::documents::Document;
use super::merge_keys::merge;
use crate::yaml::error::syntax;
use crate::yaml::tree::cut_break;

/// The deepest nesting that is read, which is what the readers of JSON behind this can read.
const MAX_DEPTH: usize = 120;

/// Whether a key may be set twice in a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    Unique,
    Any,
}

/// Reads a document: its node and the line of its first token. None if it has no token.
pub(super) fn build(
    file: &str,
    document: Document<'_>,
    keys: Keys,
) -> Result<Option<(Node, u32)>, KustomizeError> {
    let options = options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let Document { text, lines_before } = document;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder::new(text, keys);
    let line = |at: usize| lines_before.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
    let fail = |at, message| Err(KustomizeError { file: file.to_owned(), line: line(at), message });
    let is_blank = |(_, line): &(usize, &str)| line.trim().is_empty() || line.trim_start().starts_with('#');
    if let Some((at, "...")) = text.lines().map(str::trim_end).enumerate().find(|line| !is_blank(line)) {
        return fail(at + 1, "`...` ends a document that has not begun: remove the line".to_owned());
    }
    while let Some(event) = parser.next_event() {
        match event {
            Ok((Event::DocumentEnd, _)) => break,
            Ok((event, span)) => {
                if let Err(message) = builder.event(event, span) {
                    return fail(span.start.line(), message);
                }
            }
            Err(error) => {
                let message = syntax(error.kind(), MAX_DEPTH).to_string();
                return fail(error.marker().line(), message);
            }
        }
    }
    Ok(builder.root.map(|node| (node, line(builder.first_line))))
}

/// What is wrong, without its place.
type Message = String;

struct Builder<'a> {
    text: &'a str,
    keys: Keys,
    open: Vec<Open>,
    root: Option<Node>,
    first_line: usize,
    anchors: HashMap<usize, Anchored>,
    /// How many brackets are open.
    flow: usize,
    /// Nodes made so far, and how many of them by aliases.
    made: usize,
    aliased: usize,
}

/// A collection whose end is still to come.
struct Open {
    content: Content,
    /// True between brackets.
    in_flow: bool,
    anchor: usize,
    /// What was made before it.
    made: usize,
    /// How deep its content nests.
    depth: usize,
}

enum Content {
    Seq(Vec<Node>),
    Map { map: Map, key: Option<Scalar>, merged: Option<Added> },
}

/// A node on its way into the collection around it.
pub(super) struct Added {
    pub node: Node,
    depth: usize,
    pub by_alias: bool,
}

struct Anchored {
    node: Node,
    size: usize,
    depth: usize,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, keys: Keys) -> Self {
        let (open, anchors) = (Vec::new(), HashMap::new());
        Self { text, keys, open, root: None, first_line: 0, anchors, flow: 0, made: 0, aliased: 0 }
    }

    fn event(&mut self, event: Event<'a>, span: Span) -> Result<(), Message> {
        if self.first_line == 0 && !matches!(event, Event::StreamStart | Event::DocumentStart(..)) {
            self.first_line = span.start.line();
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                // the parser has a `~` for what has no text
                let is_missing =
                    style == ScalarStyle::Plain && span.byte_range().is_some_and(|range| range.is_empty());
                let text = if is_missing { "" } else { cut_break(&text, style, self.text, &span) };
                let mut scalar = scalar(text, style, tag.as_deref())?;
                if is_missing && scalar.is_null() && self.flow > 0 {
                    scalar.style = Style::Quoted;
                }
                let node = Node::Scalar(scalar);
                self.made += 1;
                self.remember(anchor, &node, 1, 0);
                self.add(Added { node, depth: 0, by_alias: false })
            }
            Event::SequenceStart(style, anchor, _) => self.begin(Content::Seq(Vec::new()), style, anchor),
            Event::MappingStart(style, anchor, _) => {
                self.begin(Content::Map { map: Map::default(), key: None, merged: None }, style, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(id) => self.alias(id, span),
            Event::UnresolvedAlias(name) => Err(format!(
                "no anchor `&{name}` stands before this alias: define it, or quote the text if `*` belongs to it"
            )),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, content: Content, style: StructureStyle, anchor: usize) -> Result<(), Message> {
        if matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. })) {
            return Err(not_a_key(if matches!(content, Content::Seq(_)) { "list" } else { "mapping" }));
        }
        let in_flow = style == StructureStyle::Flow;
        self.flow += usize::from(in_flow);
        self.open.push(Open { content, in_flow, anchor, made: self.made, depth: 0 });
        self.made += 1;
        self.check_depth(0)
    }

    fn end(&mut self) -> Result<(), Message> {
        let Some(Open { content, in_flow, anchor, made, depth }) = self.open.pop() else { return Ok(()) };
        self.flow -= usize::from(in_flow);
        let node = match content {
            Content::Seq(items) => Node::Seq(items),
            Content::Map { map, merged, .. } => {
                if self.keys == Keys::Unique {
                    check_keys(&map)?;
                }
                match merged {
                    Some(merged) => merge(map, merged)?.into(),
                    None => map.into(),
                }
            }
        };
        self.remember(anchor, &node, self.made - made, depth + 1);
        self.add(Added { node, depth: depth + 1, by_alias: false })
    }

    /// Puts a copy of what an alias stands for in its place.
    fn alias(&mut self, id: usize, span: Span) -> Result<(), Message> {
        let name = || span.slice(self.text).unwrap_or_default().trim_start_matches('*');
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(format!("the anchor `&{}` contains itself: remove the alias", name()));
        };
        self.made += anchored.size;
        self.aliased += anchored.size;
        if self.aliased > 100 && self.made > 1000 && share(self.aliased, self.made) > allowed(self.made) {
            return Err("aliases make up too much of the document: write out what they stand for".to_owned());
        }
        let added = Added { node: anchored.node.clone(), depth: anchored.depth, by_alias: true };
        self.add(added)
    }

    fn remember(&mut self, anchor: usize, node: &Node, size: usize, depth: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), size, depth });
        }
    }

    fn add(&mut self, added: Added) -> Result<(), Message> {
        self.check_depth(added.depth)?;
        let Some(open) = self.open.last_mut() else {
            self.root = Some(added.node);
            return Ok(());
        };
        open.depth = open.depth.max(added.depth);
        match &mut open.content {
            Content::Seq(items) => items.push(added.node),
            Content::Map { map, key, merged } => match key.take() {
                None => match added.node {
                    Node::Scalar(scalar) => *key = Some(scalar),
                    Node::Map(_) => return Err(not_a_key("mapping")),
                    Node::Seq(_) => return Err(not_a_key("list")),
                },
                Some(key) if key.tag == Tag::Merge => {
                    if merged.replace(added).is_some() {
                        return Err(
                            "the key `<<` is already set: give one of the two a list of both".to_owned()
                        );
                    }
                }
                Some(key) => map.push(key, added.node),
            },
        }
        Ok(())
    }

    fn check_depth(&self, depth: usize) -> Result<(), Message> {
        if self.open.len() + depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels: flatten it"));
        }
        Ok(())
    }
}

fn not_a_key(what: &str) -> Message {
    format!(
        "a {what} cannot be a key: if this is a template (`{{{{ ... }}}}`), render it first or quote it; otherwise \
         write a plain key"
    )
}

/// A key counts as set twice by its text alone, whatever its type.
fn check_keys(map: &Map) -> Result<(), Message> {
    let mut seen = HashSet::new();
    let twice = if map.len() <= 16 {
        let keys = || map.iter().map(|(key, _)| key);
        keys().enumerate().find(|(at, key)| keys().take(*at).any(|other| other.text == key.text))
    } else {
        map.iter().map(|(key, _)| key).enumerate().find(|(_, key)| !seen.insert(&key.text))
    };
    match twice {
        Some((_, key)) => Err(format!(
            "the key `{}` is set twice in the mapping that ends here: remove one of the two",
            key.text
        )),
        None => Ok(()),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&YamlTag>) -> Result<Scalar, Message> {
    let name = tag.map(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:").unwrap_or_default());
    let tag = match (name.as_deref(), tag) {
        (None, _) => None,
        // `! text`: as if no tag were there
        (Some(""), Some(tag)) if tag.original() == "!" => None,
        (Some("int"), _) => Some(Tag::Int),
        (Some("float"), _) => Some(Tag::Float),
        (Some("bool"), _) => Some(Tag::Bool),
        (Some("null"), _) => Some(Tag::Null),
        (Some("timestamp"), _) => Some(Tag::Timestamp),
        (Some("binary"), _) => Some(Tag::Binary),
        (Some("merge"), _) => Some(Tag::Merge),
        _ => Some(Tag::Str),
    };
    match tag {
        None if style == ScalarStyle::Plain => Ok(Scalar::plain(text)),
        None => {
            let style = if style == ScalarStyle::Folded { Style::Folded } else { Style::Quoted };
            Ok(Scalar { text: text.into(), tag: Tag::Str, style })
        }
        Some(tag) => {
            let scalar = Scalar { text: text.into(), tag, style: Style::Plain };
            scalar_value(&scalar).map_err(|error| error.message)?;
            Ok(scalar)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// The share of a document's nodes that may come out of aliases, by go-yaml's rule: nearly all of a small document, a tenth
/// of a large one.
fn allowed(made: usize) -> f64 {
    const LOW: usize = 400_000;
    const HIGH: usize = 4_000_000;
    match made {
        ..=LOW => 0.99,
        HIGH.. => 0.10,
        _ => 0.99 - 0.89 * share(made - LOW, HIGH - LOW),
    }
}

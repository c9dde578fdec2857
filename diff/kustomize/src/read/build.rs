//! Builds nodes: scalars by their style and tag, anchors and aliases, mappings without duplicate keys.
//!
//! Leaves `<<` to `merge_keys` and the types of scalars to `scalar`. Pure.

use std::collections::{HashMap, HashSet};

use smol_str::SmolStr;

use super::super::node::{Map, Node, Scalar, Style as Written, Tag};
use super::super::value::scalar_value;
use super::made::Made;
use super::merge_keys::merge;
use holdfast_documents::budget::Copies;
use holdfast_documents::weight;

/// Whether a key may be set twice in a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    Unique,
    Any,
}

/// The style of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// In quotes, or in a block that keeps its lines.
    Quoted,
    /// In a block whose lines are joined.
    Folded,
    /// An omitted value between brackets.
    NothingInBrackets,
}

/// A collection that is still open.
pub(super) struct Opened<'a> {
    anchor: Option<&'a str>,
    /// Number of nodes before it.
    made: usize,
}

/// The entries of a mapping.
#[derive(Default)]
pub(super) struct Entries {
    map: Map,
    merged: Option<Made>,
    depth: usize,
    /// The keys, if there are many.
    seen: HashSet<SmolStr>,
}

/// Number of keys from which a set is faster than a linear search.
const MANY_KEYS: usize = 16;

/// A message without its place.
type Message = String;

pub(super) struct Maker<'a> {
    keys: Keys,
    /// By name; `None` while the anchor is still open.
    anchors: HashMap<&'a str, Option<Anchored>>,
    /// Number of nodes so far, and how many of them come from aliases.
    made: usize,
    aliased: usize,
    /// What copies may still use: an anchor keeps one, and each alias creates one.
    copies: &'a Copies,
}

struct Anchored {
    node: Node,
    size: usize,
    depth: usize,
    /// Bytes of memory.
    weight: usize,
}

impl<'a> Maker<'a> {
    pub fn new(keys: Keys, copies: &'a Copies) -> Self {
        Self { keys, anchors: HashMap::new(), made: 0, aliased: 0, copies }
    }

    /// Creates a scalar; the tag has no prefix `tag:yaml.org,2002:`.
    #[expect(clippy::unused_self, reason = "all that is made is made here")]
    pub fn scalar(&self, text: &str, style: Style, tag: Option<&str>) -> Result<Scalar, Message> {
        let tag = match tag {
            // `! text` is treated as if there were no tag.
            None | Some("!") => None,
            Some("int") => Some(Tag::Int),
            Some("float") => Some(Tag::Float),
            Some("bool") => Some(Tag::Bool),
            Some("null") => Some(Tag::Null),
            Some("timestamp") => Some(Tag::Timestamp),
            Some("binary") => Some(Tag::Binary),
            Some("merge") => Some(Tag::Merge),
            Some(_) => Some(Tag::Str),
        };
        match (tag, style) {
            (None, Style::Plain) => Ok(Scalar::plain(text)),
            (None, Style::Quoted) => Ok(Scalar { text: text.into(), tag: Tag::Str, style: Written::Quoted }),
            (None, Style::Folded) => Ok(Scalar { text: text.into(), tag: Tag::Str, style: Written::Folded }),
            (None, Style::NothingInBrackets) => {
                Ok(Scalar { text: text.into(), tag: Tag::Null, style: Written::Quoted })
            }
            (Some(tag), _) => {
                let scalar = Scalar { text: text.into(), tag, style: Written::Plain };
                scalar_value(&scalar).map_err(|error| error.message)?;
                Ok(scalar)
            }
        }
    }

    pub fn leaf(&mut self, scalar: Scalar, anchor: Option<&'a str>) -> Result<Made, Message> {
        let opened = self.open(anchor);
        self.close(Node::Scalar(scalar), 0, &opened)
    }

    /// Begins a collection: an alias of its anchor inside it would contain itself.
    pub fn open(&mut self, anchor: Option<&'a str>) -> Opened<'a> {
        if let Some(name) = anchor {
            self.anchors.insert(name, None);
        }
        let made = self.made;
        self.made += 1;
        Opened { anchor, made }
    }

    pub fn list(&mut self, items: Vec<Node>, depth: usize, opened: &Opened<'a>) -> Result<Made, Message> {
        self.close(Node::Seq(items), depth + 1, opened)
    }

    /// Checks a key before its value is read.
    pub fn check(&self, entries: &mut Entries, key: &Scalar) -> Result<(), Message> {
        if self.keys == Keys::Unique { entries.check(&key.text) } else { Ok(()) }
    }

    pub fn mapping(&mut self, entries: Entries, opened: &Opened<'a>) -> Result<Made, Message> {
        let Entries { map, merged, depth, .. } = entries;
        let map = match merged {
            Some(merged) => merge(map, merged)?,
            None => map,
        };
        self.close(map.into(), depth + 1, opened)
    }

    fn close(&mut self, node: Node, depth: usize, opened: &Opened<'a>) -> Result<Made, Message> {
        if let Some(name) = opened.anchor {
            let size = self.made - opened.made;
            let weight = weight::bytes(&node);
            self.copy(weight)?;
            self.anchors.insert(name, Some(Anchored { node: node.clone(), size, depth, weight }));
        }
        Ok(Made { node, depth, by_alias: false })
    }

    /// Counts a copy before it is made.
    fn copy(&self, weight: usize) -> Result<(), Message> {
        if self.copies.take(weight) { Ok(()) } else { Err(too_much()) }
    }

    /// Returns a copy of the target of an alias.
    pub fn alias(&mut self, name: &str) -> Result<Made, Message> {
        match self.anchors.get(name) {
            None => Err(format!(
                "no anchor `&{name}` is defined before this alias: define it, or quote the text if `*` belongs to it"
            )),
            Some(None) => Err(format!("the anchor `&{name}` contains itself: remove the alias")),
            Some(Some(Anchored { node, size, depth, weight })) => {
                self.made += size;
                self.aliased += size;
                let is_too_much = self.aliased > 100
                    && self.made > 1000
                    && share(self.aliased, self.made) > allowed(self.made);
                if is_too_much || !self.copies.take(*weight) {
                    return Err(too_much());
                }
                Ok(Made { node: node.clone(), depth: *depth, by_alias: true })
            }
        }
    }
}

fn too_much() -> Message {
    "aliases make up too much of the document: replace them with their values".to_owned()
}

impl Entries {
    /// Checks that a key is not set yet. Keys are equal if their texts are, whatever their types.
    fn check(&mut self, key: &SmolStr) -> Result<(), Message> {
        let is_new = if self.map.len() < MANY_KEYS {
            !self.map.contains(key)
        } else {
            if self.seen.is_empty() {
                self.seen.extend(self.map.iter().map(|(key, _)| key.text.clone()));
            }
            self.seen.insert(key.clone())
        };
        if is_new { Ok(()) } else { Err(format!("the key `{key}` is set twice: remove one of the two")) }
    }

    /// Adds an entry, with the comment that is the schema of its value.
    pub fn push(&mut self, mut key: Scalar, value: Made, schema: Option<SmolStr>) -> Result<(), Message> {
        if key.is_null() && key.text.is_empty() {
            // Kustomize writes a key without a text in quotes.
            key = Scalar { text: key.text, tag: Tag::Str, style: Written::Quoted };
        }
        self.depth = self.depth.max(value.depth);
        if key.tag != Tag::Merge {
            // Kustomize also removes a quoted `<<`, without merging it.
            if key.text != "<<" {
                let schema = schema.map(|schema| (key.text.clone(), schema));
                self.map.push(key, value.node);
                schema.into_iter().for_each(|(key, schema)| self.map.set_schema(key, schema));
            }
            return Ok(());
        }
        match self.merged.replace(value) {
            None => Ok(()),
            Some(_) => Err("the key `<<` is already set: give one of the two a list of both".to_owned()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// Returns the fraction of the nodes of a document that may come from aliases, by the rule of go-yaml: nearly all of a
/// small document, a tenth of a large one.
fn allowed(made: usize) -> f64 {
    const LOW: usize = 400_000;
    const HIGH: usize = 4_000_000;
    match made {
        ..=LOW => 0.99,
        HIGH.. => 0.10,
        _ => 0.99 - 0.89 * share(made - LOW, HIGH - LOW),
    }
}

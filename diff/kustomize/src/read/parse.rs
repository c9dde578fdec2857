//! Parses a text into the nodes of its first document, as go-yaml v3 does, which follows libyaml: indentation
//! is mostly ignored between quotes and brackets.
//!
//! There are no tokens or events: the parser creates nodes directly. Leaves texts to `plain`, `quoted` and
//! `block`, collections to `collection` and `flow`, and the creation of nodes to `build`. Pure.

mod block;
mod collection;
mod comments;
mod cursor;
mod flow;
mod plain;
mod properties;
mod quoted;

use super::super::node::{Node, Scalar, Style as Written};
use super::build::{Keys, Maker, Style};
use super::made::Made;
use cursor::Cursor;
use properties::Properties;

use holdfast_documents::budget::Copies;

/// An error, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fail {
    pub line: u32,
    pub message: String,
}

fn fail<T>(line: u32, message: impl Into<String>) -> Result<T, Fail> {
    Err(Fail { line, message: message.into() })
}

/// Maximum length of a key without `?`, in characters.
const LONGEST_KEY: usize = 1024;

/// Maximum nesting, which is the limit of the JSON readers that follow.
const MAX_DEPTH: usize = 120;

/// Parses the first document of a text. `None` if it has no token.
pub(super) fn parse(
    text: &str,
    lines_before: u32,
    keys: Keys,
    copies: &Copies,
) -> Result<Option<Parsed>, Fail> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let cursor = Cursor::new(text, lines_before.saturating_add(1));
    let mut parser = Parser { cursor, maker: Maker::new(keys, copies), depth: 0 };
    let cursor = &mut parser.cursor;
    cursor.next();
    if cursor.is_end() {
        return Ok(None);
    }
    if cursor.byte(0) == b'%' && cursor.column() == 0 {
        return cursor.fail("a directive is not allowed here: remove the line");
    }
    if cursor.is_document_mark() && cursor.byte(0) == b'-' {
        cursor.at += 3;
        cursor.key_allowed = false;
        cursor.next();
        if cursor.is_over() {
            return Ok(None);
        }
    }
    let line = cursor.line;
    let made = parser.node(-1, Indentless::No)?;
    let unread = parser.behind()?;
    Ok(Some(Parsed { node: made.node, line, unread }))
}

/// A document.
pub(super) struct Parsed {
    pub node: Node,
    /// The line of its first token.
    pub line: u32,
    /// The line of the content after it that is not read.
    pub unread: Option<u32>,
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    maker: Maker<'a>,
    /// Number of open collections.
    depth: usize,
}

/// Whether a list may start at the indentation of the mapping that contains it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Indentless {
    Yes,
    No,
}

/// The position of a node that may be a key.
#[derive(Clone, Copy)]
struct Start {
    at: usize,
    line: u32,
    column: i32,
    /// False if no key can start here.
    possible: bool,
}

/// A text or an alias.
enum Leaf {
    Key(Scalar),
    Value(Made),
}

impl<'a> Parser<'a> {
    /// Parses the node at the cursor, in a collection that is indented by `around`.
    fn node(&mut self, around: i32, indentless: Indentless) -> Result<Made, Fail> {
        let mut start = self.start();
        // Properties on a line of their own belong to the node, properties before a key to the key.
        let (mut outer, mut inner) = (Properties::default(), self.properties()?);
        if !inner.is_empty() && self.cursor.line > start.line {
            let column = self.cursor.column();
            let is_list = column == around && indentless == Indentless::Yes && self.cursor.is_indicator(b'-');
            if self.cursor.is_over() || column < around || (column == around && !is_list) {
                return self.empty(&inner);
            }
            start = self.start();
            outer = inner;
            inner = self.properties()?;
        }
        let column = self.cursor.column();
        match self.cursor.byte(0) {
            b'-' if self.cursor.is_gap(1) => {
                self.must_allow_key("a list item is not allowed here: put it on a line of its own")?;
                self.list(column, column <= around, &outer)
            }
            b'?' if self.cursor.is_gap(1) => {
                self.must_allow_key("a key is not allowed here: put it on a line of its own")?;
                self.mapping(column, None, &outer)
            }
            b'|' | b'>' => {
                let properties = self.joined(outer, inner)?;
                self.block(around, &properties)
            }
            b'{' | b'[' => {
                let properties = self.joined(outer, inner)?;
                let made = self.brackets(&properties)?;
                if self.is_key(start)? { self.cursor.fail(not_a_key(&made.node)) } else { Ok(made) }
            }
            _ => match self.leaf(start, around, &outer, inner)? {
                Leaf::Key(key) => self.mapping(start.column, Some(key), &outer),
                Leaf::Value(made) => Ok(made),
            },
        }
    }

    fn must_allow_key(&self, message: &str) -> Result<(), Fail> {
        if self.cursor.key_allowed { Ok(()) } else { self.cursor.fail(message) }
    }

    fn start(&self) -> Start {
        let Cursor { at, line, key_allowed, .. } = self.cursor;
        Start { at, line, column: self.cursor.column(), possible: key_allowed }
    }

    /// Parses a text that is not a block, or an alias, and returns whether it is a key.
    fn leaf(
        &mut self,
        start: Start,
        around: i32,
        outer: &Properties<'a>,
        inner: Properties<'a>,
    ) -> Result<Leaf, Fail> {
        let cursor = &mut self.cursor;
        let line = cursor.line;
        let (text, style) = match cursor.byte(0) {
            b'*' => return self.alias(start, outer, &inner),
            b'"' | b'\'' => {
                cursor.key_allowed = false;
                (quoted::quoted(cursor)?, Style::Quoted)
            }
            _ if plain::can_start(cursor) => (plain::plain(cursor, around)?, Style::Plain),
            _ if inner.is_empty() => return self.nothing(),
            _ => return self.empty_leaf(start, &inner),
        };
        let is_key = self.is_key(start)?;
        let properties = if is_key { inner } else { self.joined(outer.clone(), inner)? };
        let scalar = self.maker.scalar(&text, style, properties.tag.as_deref());
        let mut scalar = scalar.or_else(|message| fail(line, message))?;
        if self.cursor.flow > 0 && style == Style::Plain && scalar.is_null() {
            scalar.style = Written::Bracketed;
        }
        let made = self.leaf_of(scalar, &properties)?;
        match (is_key, made.node) {
            (true, Node::Scalar(key)) => Ok(Leaf::Key(key)),
            (_, node) => Ok(Leaf::Value(Made { node, ..made })),
        }
    }

    fn alias(&mut self, start: Start, outer: &Properties<'a>, inner: &Properties<'a>) -> Result<Leaf, Fail> {
        self.cursor.key_allowed = false;
        let name = self.name()?;
        let made = self.maker.alias(name).or_else(|message| self.cursor.fail(message))?;
        let is_key = self.is_key(start)?;
        if !inner.is_empty() || (!is_key && !outer.is_empty()) {
            return self.cursor.fail("an alias has no anchor and no tag of its own: remove them");
        }
        match (is_key, made.node) {
            (true, Node::Scalar(key)) => Ok(Leaf::Key(key)),
            (true, node) => self.cursor.fail(not_a_key(&node)),
            (false, node) => Ok(Leaf::Value(Made { node, ..made })),
        }
    }

    /// True if a `:` follows, so that the node is a key.
    fn is_key(&mut self, start: Start) -> Result<bool, Fail> {
        let cursor = &mut self.cursor;
        // After a text that ended with its line.
        if cursor.flow == 0 && cursor.key_allowed {
            return Ok(false);
        }
        while cursor.is_blank(0) {
            cursor.at += 1;
        }
        if cursor.byte(0) != b':' || (cursor.flow == 0 && !cursor.is_gap(1)) {
            return Ok(false);
        }
        let key = cursor.slice(start.at, cursor.at);
        let is_short = key.len() <= LONGEST_KEY || key.chars().count() <= LONGEST_KEY;
        if start.possible && start.line == cursor.line && is_short {
            return Ok(true);
        }
        if cursor.flow > 0 {
            return Ok(false);
        }
        cursor.fail("a second `: ` is not allowed here: quote the value, or put the key on a line of its own")
    }

    /// Returns the empty node of an anchor or a tag without a value.
    fn empty(&mut self, properties: &Properties<'a>) -> Result<Made, Fail> {
        let style = if self.cursor.flow > 0 { Style::NothingInBrackets } else { Style::Plain };
        let scalar = self.maker.scalar("", style, properties.tag.as_deref());
        let scalar = scalar.or_else(|message| self.cursor.fail(message))?;
        self.leaf_of(scalar, properties)
    }

    fn leaf_of(&mut self, scalar: Scalar, properties: &Properties<'a>) -> Result<Made, Fail> {
        self.maker.leaf(scalar, properties.anchor).or_else(|message| self.cursor.fail(message))
    }

    /// A node that only has an anchor or a tag may be a key.
    fn empty_leaf(&mut self, start: Start, properties: &Properties<'a>) -> Result<Leaf, Fail> {
        let is_key = self.is_key(start)?;
        let made = self.empty(properties)?;
        match made.node {
            Node::Scalar(key) if is_key => Ok(Leaf::Key(key)),
            node => Ok(Leaf::Value(Made { node, ..made })),
        }
    }

    fn nothing(&self) -> Result<Leaf, Fail> {
        let cursor = &self.cursor;
        match cursor.byte(0) {
            _ if cursor.is_over() => cursor.fail("the document ends here, where a value is expected: add it"),
            b'\t' => cursor.fail("a tab cannot indent: use spaces"),
            b':' => cursor.fail("a `:` without a key before it: add the key, or quote the text"),
            b',' | b']' | b'}' => cursor.fail("a value is missing here: add it, or quote the text"),
            byte => cursor.fail(format!("a plain value cannot start with `{}`: quote it", char::from(byte))),
        }
    }

    /// Parses what follows the document, as far as kustomize does: invalid content is an error.
    fn behind(&mut self) -> Result<Option<u32>, Fail> {
        self.cursor.next();
        let (byte, is_alone) = (self.cursor.byte(0), self.cursor.is_gap(1));
        let line = self.cursor.line;
        match byte {
            _ if self.cursor.is_over() => return Ok(None),
            b'-' | b'?' if is_alone => self.must_allow_key("a list item is not allowed here: align it")?,
            b'|' | b'>' => block::block(&mut self.cursor, -1).map(drop)?,
            b':' | b'{' | b'[' | b'}' | b']' | b',' => {}
            _ => {
                let start = self.start();
                let properties = self.properties()?;
                let is_text = properties.is_empty() && byte != b'*';
                if is_text {
                    self.leaf(start, -1, &Properties::default(), properties).map(drop)?;
                }
            }
        }
        Ok(Some(line))
    }

    /// Enters a collection.
    fn enter(&mut self) -> Result<(), Fail> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.cursor.fail(format!("nested deeper than {MAX_DEPTH} levels: flatten it"));
        }
        Ok(())
    }

    /// Leaves a collection, whose depth is checked.
    fn leave(&mut self, made: Made) -> Result<Made, Fail> {
        self.depth -= 1;
        if self.depth + made.depth > MAX_DEPTH {
            return self.cursor.fail(format!("nested deeper than {MAX_DEPTH} levels: flatten it"));
        }
        Ok(made)
    }
}

fn not_a_key(node: &Node) -> String {
    format!(
        "{} cannot be a key: if this is a template (`{{{{ ... }}}}`), render it first or quote it; otherwise write a \
         plain key",
        node.describe()
    )
}

//! Mappings and lists by indentation.
//!
//! Pure.

use super::super::super::node::{Node, Scalar};
use super::super::build::{Entries, Style};
use super::super::made::Made;
use super::comments::AtKey;
use super::properties::Properties;
use super::{Fail, Indentless, Leaf, Parser, not_a_key};

impl<'a> Parser<'a> {
    /// Reads a mapping that is indented by `indent`, whose first key is read up to its `:`, or starts with `?`.
    pub(super) fn mapping(
        &mut self,
        indent: i32,
        first: Option<Scalar>,
        properties: &Properties<'a>,
    ) -> Result<Made, Fail> {
        self.enter()?;
        let opened = self.maker.open(properties.anchor);
        let mut entries = Entries::default();
        let mut next = Some(match first {
            Some(key) => key,
            None => self.long_key(indent)?,
        });
        let (mut is_first, mut behind_collection) = (true, false);
        while let Some(key) = next {
            self.maker.check(&mut entries, &key).or_else(|message| self.cursor.fail(message))?;
            let start = self.cursor.line_start + usize::try_from(indent).unwrap_or_default();
            let above = self.cursor.above(start, is_first, behind_collection);
            let (value, behind) = self.value_of(indent)?;
            let last = self.cursor.behind(self.cursor.at, false);
            let is_bracketed = self.cursor.is_behind_bracket();
            (is_first, behind_collection) = (false, !is_bracketed && value.node.as_scalar().is_none());
            let schema = AtKey { above, behind, last }.schema(&value);
            let line = self.cursor.line;
            entries.push(key, value, schema).or_else(|message| super::fail(line, message))?;
            next = self.key(indent)?;
        }
        let made = self.maker.mapping(entries, &opened).or_else(|message| self.cursor.fail(message))?;
        self.leave(made)
    }

    /// Reads the value behind the `:` at the cursor, and the comment behind the `:`; what has no `:` has no value.
    fn value_of(&mut self, indent: i32) -> Result<(Made, Option<&'a str>), Fail> {
        if !self.cursor.is_indicator(b':') {
            return Ok((self.empty(&Properties::default())?, None));
        }
        // behind a key that took a line of its own, another one can start
        let is_own_line = self.cursor.key_allowed && self.cursor.column() == indent;
        self.cursor.at += 1;
        self.cursor.key_allowed = is_own_line;
        let behind = self.cursor.behind(self.cursor.at, false);
        Ok((self.content(indent, Indentless::Yes)?, behind))
    }

    /// Reads what stands behind an indicator: a node, or nothing if what comes next is not indented deeper.
    fn content(&mut self, indent: i32, indentless: Indentless) -> Result<Made, Fail> {
        self.cursor.next();
        let column = self.cursor.column();
        let is_list = column == indent && indentless == Indentless::Yes && self.cursor.is_indicator(b'-');
        // a text in a block can start as far left as the key that it belongs to
        let can_start =
            column > indent || (column == indent && (is_list || matches!(self.cursor.byte(0), b'|' | b'>')));
        if self.cursor.is_over() || !can_start {
            return self.empty(&Properties::default());
        }
        self.node(indent, indentless)
    }

    /// Reads the next key of a mapping, up to its `:`. None if the mapping ends before it.
    fn key(&mut self, indent: i32) -> Result<Option<Scalar>, Fail> {
        self.cursor.next();
        if self.cursor.is_over() || self.cursor.column() < indent {
            return Ok(None);
        }
        let misplaced = "expected a key here: align this line with the keys of its mapping";
        if self.cursor.column() > indent || !self.cursor.key_allowed {
            return self.cursor.fail(misplaced);
        }
        if self.cursor.is_indicator(b'?') {
            return self.long_key(indent).map(Some);
        }
        if self.cursor.is_indicator(b'-') || self.cursor.is_indicator(b':') {
            return self.cursor.fail(misplaced);
        }
        let start = self.start();
        let properties = self.properties()?;
        let no_key = "this is not `key: value`: add `: ` after the key, or quote or indent the text";
        if self.cursor.line > start.line {
            return super::fail(start.line, no_key);
        }
        if matches!(self.cursor.byte(0), b'{' | b'[') {
            let made = self.brackets(&properties)?;
            return super::fail(start.line, not_a_key(&made.node));
        }
        if matches!(self.cursor.byte(0), b'|' | b'>') {
            return super::fail(start.line, no_key);
        }
        match self.leaf(start, indent, &Properties::default(), properties)? {
            Leaf::Key(key) => Ok(Some(key)),
            Leaf::Value(_) => super::fail(start.line, no_key),
        }
    }

    /// Reads a key behind a `?`, up to its `:` on another line.
    fn long_key(&mut self, indent: i32) -> Result<Scalar, Fail> {
        self.cursor.at += 1;
        self.cursor.key_allowed = true;
        let made = self.content(indent, Indentless::Yes)?;
        let Node::Scalar(key) = made.node else { return self.cursor.fail(not_a_key(&made.node)) };
        self.cursor.next();
        let has_value = !self.cursor.is_over() && self.cursor.column() == indent;
        if has_value || self.cursor.is_over() || self.cursor.column() < indent {
            return Ok(key);
        }
        self.cursor.fail("expected a key here: align this line with the keys of its mapping")
    }

    /// Reads a list, at whose first `-` the cursor stands.
    pub(super) fn list(
        &mut self,
        indent: i32,
        is_indentless: bool,
        properties: &Properties<'a>,
    ) -> Result<Made, Fail> {
        self.enter()?;
        let opened = self.maker.open(properties.anchor);
        let (mut items, mut depth) = (Vec::new(), 0);
        loop {
            self.cursor.at += 1;
            self.cursor.key_allowed = true;
            let Made { node, depth: below, .. } = self.content(indent, Indentless::No)?;
            items.push(node);
            depth = depth.max(below);
            self.cursor.next();
            if self.cursor.is_over() || self.cursor.column() < indent {
                break;
            }
            let is_next = self.cursor.column() == indent && self.cursor.is_indicator(b'-');
            if !is_next && is_indentless {
                break;
            }
            if !is_next || !self.cursor.key_allowed {
                return self
                    .cursor
                    .fail("expected a list item here: align the `-` with the other items of its list");
            }
        }
        let made = self.maker.list(items, depth, &opened).or_else(|message| self.cursor.fail(message))?;
        self.leave(made)
    }

    /// Reads a text in a block.
    pub(super) fn block(&mut self, around: i32, properties: &Properties<'a>) -> Result<Made, Fail> {
        let line = self.cursor.line;
        let style = if self.cursor.byte(0) == b'|' { Style::Quoted } else { Style::Folded };
        let text = super::block::block(&mut self.cursor, around)?;
        let scalar = self.maker.scalar(&text, style, properties.tag.as_deref());
        let scalar = scalar.or_else(|message| super::fail(line, message))?;
        self.leaf_of(scalar, properties)
    }
}

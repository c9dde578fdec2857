//! Mappings and lists between brackets.
//!
//! Pure.

use smol_str::SmolStr;

use super::super::super::node::{Node, Scalar};
use super::super::build::Entries;
use super::super::made::Made;
use super::comments::AtKey;
use super::properties::Properties;
use super::{Fail, Leaf, Parser, not_a_key};

/// What stands between two commas.
enum Item {
    Value(Made),
    Pair(Scalar, Made, Option<SmolStr>),
}

impl<'a> Parser<'a> {
    /// Reads what is between brackets, at whose opening one the cursor stands.
    pub(super) fn brackets(&mut self, properties: &Properties<'a>) -> Result<Made, Fail> {
        self.enter()?;
        let opened = self.maker.open(properties.anchor);
        let is_list = self.cursor.byte(0) == b'[';
        let close = if is_list { b']' } else { b'}' };
        self.cursor.at += 1;
        self.cursor.flow += 1;
        let (mut items, mut depth, mut entries) = (Vec::new(), 0, Entries::default());
        while let Some(item) = self.item(close)? {
            match item {
                Item::Pair(key, value, schema) if !is_list => self.push(&mut entries, key, value, schema)?,
                Item::Pair(key, value, schema) => {
                    let opened = self.maker.open(None);
                    let mut pair = Entries::default();
                    self.push(&mut pair, key, value, schema)?;
                    let made =
                        self.maker.mapping(pair, &opened).or_else(|message| self.cursor.fail(message))?;
                    depth = depth.max(made.depth);
                    items.push(made.node);
                }
                Item::Value(made) if is_list => {
                    depth = depth.max(made.depth);
                    items.push(made.node);
                }
                Item::Value(Made { node: Node::Scalar(key), .. }) => {
                    let value = self.empty(&Properties::default())?;
                    self.push(&mut entries, key, value, None)?;
                }
                Item::Value(made) => return self.cursor.fail(not_a_key(&made.node)),
            }
        }
        self.cursor.flow -= 1;
        self.cursor.key_allowed = false;
        let made = if is_list {
            self.maker.list(items, depth, &opened).or_else(|message| self.cursor.fail(message))?
        } else {
            self.maker.mapping(entries, &opened).or_else(|message| self.cursor.fail(message))?
        };
        self.leave(made)
    }

    fn push(
        &self,
        entries: &mut Entries,
        key: Scalar,
        value: Made,
        schema: Option<SmolStr>,
    ) -> Result<(), Fail> {
        let checked = self.maker.check(entries, &key).and_then(|()| entries.push(key, value, schema));
        checked.or_else(|message| self.cursor.fail(message))
    }

    /// Reads what comes next, and the comma behind it. None at the closing bracket, behind which the cursor is then.
    fn item(&mut self, close: u8) -> Result<Option<Item>, Fail> {
        self.cursor.key_allowed = true;
        self.cursor.next();
        let unclosed = || format!("a `{}` is never closed: add `{0}`", char::from(close));
        if self.cursor.is_over() {
            return self.cursor.fail(unclosed());
        }
        if self.cursor.byte(0) == close {
            self.cursor.at += 1;
            return Ok(None);
        }
        let item = self.one(close)?;
        self.cursor.next();
        match self.cursor.byte(0) {
            b',' => self.cursor.at += 1,
            byte if byte == close => {}
            _ if self.cursor.is_over() => return self.cursor.fail(unclosed()),
            _ => {
                return self.cursor.fail(format!(
                    "expected `,` or `{}` here: add it, or quote the text",
                    char::from(close)
                ));
            }
        }
        Ok(Some(item))
    }

    fn one(&mut self, close: u8) -> Result<Item, Fail> {
        if self.cursor.byte(0) == b'?' {
            self.cursor.at += 1;
            self.cursor.key_allowed = false;
            self.cursor.next();
            let is_empty = matches!(self.cursor.byte(0), b':' | b',') || self.cursor.byte(0) == close;
            let key = if is_empty { self.empty(&Properties::default())? } else { self.flow_node()? };
            let Node::Scalar(key) = key.node else { return self.cursor.fail(not_a_key(&key.node)) };
            self.cursor.next();
            return self.pair(key, None, close);
        }
        let start = self.start();
        let properties = self.properties()?;
        if matches!(self.cursor.byte(0), b'[' | b'{') {
            let made = self.brackets(&properties)?;
            return if self.is_key(start)? {
                self.cursor.fail(not_a_key(&made.node))
            } else {
                Ok(Item::Value(made))
            };
        }
        match self.leaf(start, -1, &Properties::default(), properties)? {
            Leaf::Key(key) => self.pair(key, self.cursor.above(start.at, true, false), close),
            Leaf::Value(made) => Ok(Item::Value(made)),
        }
    }

    /// Reads the value behind a key, which may be missing.
    fn pair(&mut self, key: Scalar, above: Option<&'a str>, close: u8) -> Result<Item, Fail> {
        if self.cursor.byte(0) != b':' {
            return Ok(Item::Pair(key, self.empty(&Properties::default())?, None));
        }
        self.cursor.at += 1;
        self.cursor.key_allowed = false;
        let behind = self.cursor.behind(self.cursor.at, false);
        self.cursor.next();
        let is_empty = self.cursor.byte(0) == b',' || self.cursor.byte(0) == close;
        let value = if is_empty { self.empty(&Properties::default())? } else { self.flow_node()? };
        let last = self.cursor.behind(self.cursor.at, true);
        let schema = AtKey { above, behind, last }.schema(&value);
        Ok(Item::Pair(key, value, schema))
    }

    /// Reads a node that is no key.
    fn flow_node(&mut self) -> Result<Made, Fail> {
        let start = super::Start { possible: false, ..self.start() };
        let properties = self.properties()?;
        if matches!(self.cursor.byte(0), b'[' | b'{') {
            return self.brackets(&properties);
        }
        match self.leaf(start, -1, &Properties::default(), properties)? {
            Leaf::Value(made) => Ok(made),
            Leaf::Key(_) => self.cursor.fail("a second `: ` is not allowed here: quote the value"),
        }
    }
}

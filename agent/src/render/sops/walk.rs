//! Goes through the values of a file in their order: decrypts those that are encrypted, and sums all up in
//! the MAC.
//!
//! Knows no format: a value is a place in the text. Pure.

use std::ops::Range;

use sha2::{Digest as _, Sha512};

use super::enc::{self, Cipher};
use super::error::ValueProblem;
use super::metadata::Rule;
use super::scalar::Scalar;

/// What the MAC of only the encrypted values starts with, so that it never equals that of all: SHA-256 of
/// "sops".
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b,
    0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// A part of a file, and the bytes it stands in.
pub(super) struct Node {
    pub span: Range<usize>,
    pub content: Content,
}

pub(super) enum Content {
    Leaf(Scalar),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// What becomes of the text.
pub(super) enum Change {
    /// A value takes the place of its encrypted form.
    Value { span: Range<usize>, value: Scalar },
    /// An item of a list was a comment. A list of nothing else is then empty: `emptied` on its first item.
    Comment { span: Range<usize>, text: super::scalar::Secret, kept_before: Option<usize>, emptied: bool },
}

/// Where a value is that cannot be read, and why.
pub(super) struct Problem {
    pub at: usize,
    pub path: String,
    pub what: ValueProblem,
}

/// One walk, through one file.
pub(super) struct Walk<'a> {
    cipher: &'a Cipher,
    rule: &'a Rule,
    only_encrypted: bool,
    hash: Sha512,
    path: Vec<String>,
    changes: Vec<Change>,
}

impl<'a> Walk<'a> {
    pub fn new(cipher: &'a Cipher, rule: &'a Rule, only_encrypted: bool) -> Self {
        let mut hash = Sha512::new();
        if only_encrypted {
            hash.update(ONLY_ENCRYPTED);
        }
        Self { cipher, rule, only_encrypted, hash, path: Vec::new(), changes: Vec::new() }
    }

    /// What is to change, and the MAC.
    pub fn finish(self) -> (Vec<Change>, String) {
        let mac = hex::encode_upper(self.hash.finalize());
        (self.changes, mac)
    }

    pub fn node(&mut self, node: &Node) -> Result<(), Problem> {
        match &node.content {
            Content::Map(entries) => {
                for (key, value) in entries {
                    self.path.push(key.clone());
                    self.node(value)?;
                    self.path.pop();
                }
                Ok(())
            }
            Content::List(items) => self.list(items),
            Content::Leaf(value) => match self.leaf(&node.span, value)? {
                None => Ok(()),
                Some(Scalar::Comment(_)) => Err(self.problem(node.span.start, ValueProblem::Comment)),
                Some(value) => {
                    self.changes.push(Change::Value { span: node.span.clone(), value });
                    Ok(())
                }
            },
        }
    }

    fn list(&mut self, items: &[Node]) -> Result<(), Problem> {
        let (mut kept_before, mut comments) = (None, Vec::new());
        for item in items {
            let span = item.span.clone();
            if let Content::Leaf(value) = &item.content {
                match self.leaf(&span, value)? {
                    Some(Scalar::Comment(text)) => {
                        comments.push(Change::Comment { span, text, kept_before, emptied: false });
                        continue;
                    }
                    Some(value) => self.changes.push(Change::Value { span: span.clone(), value }),
                    None => {}
                }
            } else {
                self.node(item)?;
            }
            kept_before = Some(span.end);
        }
        if let (None, Some(Change::Comment { emptied, .. })) = (kept_before, comments.first_mut()) {
            *emptied = true;
        }
        self.changes.extend(comments);
        Ok(())
    }

    /// Adds a value to the MAC, and gives it back if it was encrypted.
    fn leaf(&mut self, span: &Range<usize>, value: &Scalar) -> Result<Option<Scalar>, Problem> {
        if matches!(value, Scalar::Null) {
            return Ok(None);
        }
        if !self.rule.encrypts(&self.path, value) {
            if !self.only_encrypted {
                self.hash.update(&*value.hashed());
            }
            return Ok(None);
        }
        let Scalar::Text(text) = value else { return Err(self.problem(span.start, ValueProblem::Plain)) };
        // What is empty is not encrypted.
        if text.is_empty() {
            return Ok(None);
        }
        if !enc::is_encrypted(text) {
            return Err(self.problem(span.start, ValueProblem::Plain));
        }
        let opened = self.cipher.open(text, &enc::place(&self.path));
        let opened = opened.map_err(|problem| self.problem(span.start, problem))?;
        self.hash.update(&*opened.hashed());
        Ok(Some(opened))
    }

    fn problem(&self, at: usize, what: ValueProblem) -> Problem {
        Problem { at, path: self.path.join("."), what }
    }
}

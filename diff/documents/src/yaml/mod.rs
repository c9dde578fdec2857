//! Reads manifests in the dialect of kubectl: YAML 1.1 as in go-yaml v2.
//!
//! [`read`] returns the values of the documents of a file, [`manifests`] returns objects. Both continue after a
//! mistake, so that one run reports all of them. In cases that kubectl accepts, this reader is strict: a duplicate
//! key is an error. Pure.

mod decode;
pub mod edit;
pub mod error;
mod manifest;
pub mod near;
pub mod number;
pub mod place;
mod resolved;
mod scalar;
pub mod tree;
pub mod utf16;
mod write;

use std::sync::Arc;

use granit_parser::{Event, Parser, options};
use serde::de::IgnoredAny;
use serde_json::Value;

pub use error::{YamlError, YamlProblem};
pub use manifest::describe;
pub use manifest::{
    ManifestError, ManifestProblem, is_api_version, manifest, manifests, manifests_of_program,
};
pub use tree::{Content, Node, NodeId, Tree};
pub use write::{Quotes, write_scalar, write_to_read};
pub use write::{write, write_shown};

pub use decode::Duplicates;
use decode::{Finding, MAX_DEPTH, decode};
use place::Lines;

use crate::budget::Copies;

/// A document of a file.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    pub value: Value,
    /// The line, from 1, of the document's first token.
    pub line: u32,
    /// The nodes as written, for lines and edits.
    pub tree: Tree<'a>,
}

/// Reads all documents of a YAML or JSON file that are not empty.
///
/// A document with a mistake is left out and its mistakes are returned, in the order of the text: the
/// documents are only complete if there are none.
pub fn read<'a>(file: &str, text: &'a [u8]) -> (Vec<Document<'a>>, Vec<YamlError>) {
    read_with(file, text, Extent::All, Duplicates::Refuse)
}

/// Reads the first document of a file, as kustomize does for its own files. `None` if it is empty.
pub fn read_first<'a>(
    file: &str,
    text: &'a [u8],
    duplicates: Duplicates,
) -> Result<Option<Document<'a>>, YamlError> {
    let (documents, errors) = read_with(file, text, Extent::First, duplicates);
    match errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(documents.into_iter().next()),
    }
}

/// Maximum number of values and keys of one file, all documents together: several times that of the largest files of
/// definitions.
const MAX_NODES: usize = 4_000_000;

/// The part of a file that is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    All,
    First,
}

fn read_with<'a>(
    file: &str,
    text: &'a [u8],
    extent: Extent,
    duplicates: Duplicates,
) -> (Vec<Document<'a>>, Vec<YamlError>) {
    let Read { documents, errors, lost: _ } = read_noting(file, text, extent, duplicates);
    (documents, errors)
}

/// The content of a file.
struct Read<'a> {
    documents: Vec<Document<'a>>,
    errors: Vec<YamlError>,
    /// Values that are lost without being a mistake.
    lost: Vec<YamlError>,
}

fn read_noting<'a>(file: &str, text: &'a [u8], extent: Extent, duplicates: Duplicates) -> Read<'a> {
    let lines = Lines::new(text);
    let mut reading = Reading {
        lines: &lines,
        extent,
        duplicates,
        copies: Copies::default(),
        nodes: 0,
        documents: Vec::new(),
        findings: Vec::new(),
        lost: Vec::new(),
    };
    match check_text(text) {
        Ok(text) => reading.parts(text),
        Err(finding) => reading.findings.push(finding),
    }
    let Reading { documents, mut findings, lost, .. } = reading;
    findings.sort_by_key(|(at, _)| *at);
    let file: Arc<str> = file.into();
    let error = |(at, problem)| {
        let (line, column) = lines.place(at);
        YamlError { file: file.clone(), line, column, problem }
    };
    Read {
        documents,
        errors: findings.into_iter().map(error).collect(),
        lost: lost.into_iter().map(error).collect(),
    }
}

/// Returns the text if it is UTF-8 without characters that YAML forbids.
pub fn check_text(text: &[u8]) -> Result<&str, (usize, YamlProblem)> {
    if text.starts_with(&[0xFF, 0xFE]) || text.starts_with(&[0xFE, 0xFF]) {
        return Err((0, YamlProblem::Utf16));
    }
    let text = str::from_utf8(text).map_err(|error| (error.valid_up_to(), YamlProblem::Encoding))?;
    let forbidden = |c: &(usize, char)| match c.1 {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\u{FFFE}' | '\u{FFFF}' => true,
        other => other.is_control(),
    };
    match text.char_indices().find(forbidden) {
        Some((at, c)) => Err((at, YamlProblem::Control(c))),
        None => Ok(text),
    }
}

struct Reading<'l, 'a> {
    lines: &'l Lines<'l>,
    extent: Extent,
    duplicates: Duplicates,
    copies: Copies,
    /// Number of nodes that were read, of all documents.
    nodes: usize,
    documents: Vec<Document<'a>>,
    findings: Vec<Finding>,
    lost: Vec<Finding>,
}

impl<'a> Reading<'_, 'a> {
    /// Reads the text as a sequence of JSON values, or else as one YAML stream.
    fn parts(&mut self, text: &'a str) {
        let start = if text.starts_with(MARK) { MARK.len_utf8() } else { 0 };
        let mut from = start;
        if let Some(ends) = json_values(text, start) {
            for end in ends {
                self.stream(&text[from..end], from);
                if self.extent == Extent::First {
                    return;
                }
                from = end;
            }
            return;
        }
        for mark in byte_order_marks(text, start) {
            self.stream(&text[from..mark], from);
            from = mark + MARK.len_utf8();
            if self.extent == Extent::First && !(self.documents.is_empty() && self.findings.is_empty()) {
                return;
            }
        }
        self.stream(&text[from..], from);
    }

    fn stream(&mut self, text: &'a str, base: usize) {
        let options = options! {
            emit_comments: false,
            emit_unresolved_aliases: true,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        let mut parser = Parser::new_from_str_with_options(text, options);
        let base_line = self.lines.place(base).0.saturating_sub(1);
        let new_builder = || tree::Builder::new(text, base, base_line);
        let mut builder = new_builder();
        while let Some(event) = parser.next_event() {
            match event {
                Ok((Event::DocumentStart(..), _)) => builder = new_builder(),
                Ok((Event::DocumentEnd, _)) => {
                    let done = std::mem::replace(&mut builder, new_builder());
                    self.document(done.finish());
                    if self.extent == Extent::First {
                        return;
                    }
                }
                Ok((event, span)) => {
                    self.nodes += 1;
                    if self.nodes > MAX_NODES {
                        let at = base + span.byte_range().map_or(0, |range| range.start);
                        self.findings.push((at, YamlProblem::TooMany(MAX_NODES)));
                        return;
                    }
                    builder.event(event, span);
                }
                Err(error) => {
                    let at = error.marker().byte_offset().unwrap_or(0);
                    self.findings.push((base + at, error::syntax(error.kind(), MAX_DEPTH)));
                    if self.extent == Extent::First || !matches!(parser.proceed_next_document(), Ok(true)) {
                        return;
                    }
                }
            }
        }
    }

    fn document(&mut self, tree: Tree<'a>) {
        match decode(&tree, self.lines, self.duplicates, &self.copies, &mut self.lost) {
            Ok(Value::Null) => {}
            Ok(value) => {
                let start = tree.node(Tree::ROOT).map_or(0, |node| node.span.start);
                let (line, _) = self.lines.place(start);
                self.documents.push(Document { value, line, tree });
            }
            Err(findings) => self.findings.extend(findings),
        }
    }
}

/// The byte order mark, which can be at the start of a file that was appended to another one.
const MARK: char = '\u{FEFF}';

/// Returns the positions of byte order marks at the beginning of a document, after its separator.
fn byte_order_marks(text: &str, start: usize) -> Vec<usize> {
    let begins = |at: &usize| {
        let before = text.get(start..*at).unwrap_or_default();
        let line = before.strip_suffix('\n').map(|before| before.rsplit('\n').next().unwrap_or_default());
        line.is_some_and(|line| line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty()))
    };
    text.match_indices(MARK).map(|(at, _)| at).filter(|at| *at > start && begins(at)).collect()
}

/// Returns the ends of the JSON values of a text, if it contains nothing else: YAML has no form for several
/// values in a row.
fn json_values(text: &str, start: usize) -> Option<Vec<usize>> {
    let text = text.get(start..)?;
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut ends = Vec::new();
    while let Some(value) = values.next() {
        value.ok()?;
        ends.push(start + values.byte_offset());
    }
    Some(ends)
}

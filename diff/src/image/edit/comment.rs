//! Comments that contain a marker, and the scalars that they belong to.
//!
//! A comment belongs to the scalar before it on its line, to the one whose key or dash is there, or, on
//! a line of its own, to the item or the value that begins on the next line. go-yaml v3 attaches comments
//! in the same way, and also accepts a comment after a key whose value begins below. Pure.

use std::ops::Range;

use super::problem::Cause;
use crate::yaml::edit::{Leaf, Role};

/// Every marker contains this.
pub(super) const SIGN: &str = "$imagepolicy";

/// A comment that contains [`SIGN`].
#[derive(Debug)]
pub(super) struct Comment<'t> {
    /// The position of its `#`.
    pub at: usize,
    /// The text without the leading `#` and spaces.
    pub text: &'t str,
    /// True if nothing precedes it on its line.
    pub is_alone: bool,
    /// Length in bytes, with its `#`.
    length: usize,
    /// The last leaf before it that exists in the text, and the one after it.
    before: Option<usize>,
    behind: Option<usize>,
}

/// Returns the comments of a text between its leaves.
pub(super) fn comments<'t>(text: &'t str, leaves: &[Leaf]) -> Vec<Comment<'t>> {
    let mut comments = Vec::new();
    let (mut from, mut before) = (0, None);
    let written = leaves.iter().enumerate().filter(|(_, leaf)| !leaf.span.is_empty());
    let ends = written.map(|(at, leaf)| (Some(at), leaf.span.clone()));
    for (behind, span) in ends.chain([(None, text.len()..text.len())]) {
        let mut at = from;
        while let Some(start) = text.get(at..span.start).and_then(|gap| gap.find('#')).map(|start| at + start)
        {
            let first = text.get(..start).and_then(|before| before.chars().next_back());
            if !first.is_none_or(|c| c.is_whitespace() || c == '\u{FEFF}') {
                at = start + 1;
                continue;
            }
            let rest = text.get(start..).unwrap_or_default();
            let comment = rest.lines().next().unwrap_or_default();
            at = start + comment.len();
            if comment.contains(SIGN) {
                let is_alone =
                    line_before(text, start).trim_matches(['\u{FEFF}', ' ', '\t', '\r']).is_empty();
                let text = comment.trim_start_matches('#').trim();
                comments.push(Comment { at: start, text, is_alone, length: comment.len(), before, behind });
            }
        }
        (from, before) = (span.end.max(from), behind);
    }
    comments
}

impl Comment<'_> {
    /// Returns the leaf that the comment belongs to.
    pub fn leaf(&self, text: &str, leaves: &[Leaf]) -> Result<usize, Cause> {
        let found = if self.is_alone { self.below(text, leaves) } else { self.beside(text, leaves) };
        let (at, leaf) = found.and_then(|at| Some((at, leaves.get(at)?))).ok_or(Cause::Misplaced)?;
        match leaf.role {
            Role::Value(_) | Role::Alias { target: Some(_), path: Some(_) } => Ok(at),
            Role::Alias { .. } => Err(Cause::AliasOfMany),
            Role::Merged => Err(Cause::Merged),
            Role::Key(_) => Err(Cause::Misplaced),
        }
    }

    fn beside(&self, text: &str, leaves: &[Leaf]) -> Option<usize> {
        let line = line_before(text, self.at);
        let line_start = self.at - line.len();
        let before = self.before.and_then(|at| Some((at, leaves.get(at)?)));
        let Some((at, leaf)) = before.filter(|(_, leaf)| !leaf.is_block && leaf.span.end >= line_start)
        else {
            return self.behind_marks(text, leaves, line_start..self.at + self.length);
        };
        let marks = text.get(leaf.span.end..self.at)?;
        let Role::Key(path) = &leaf.role else {
            return marks.trim_matches([' ', '\t', ',']).is_empty().then_some(at);
        };
        let is_its_value = match (leaves.get(at + 1).map(|leaf| &leaf.role), path) {
            (Some(Role::Value(value)), Some(path)) => value == path,
            (Some(Role::Alias { .. }), _) => true,
            _ => false,
        };
        (is_its_value && !marks.contains([']', '}'])).then_some(at + 1)
    }

    /// Handles a comment after only a dash, an anchor or similar: the item is empty, or begins below.
    fn behind_marks(&self, text: &str, leaves: &[Leaf], line: Range<usize>) -> Option<usize> {
        let first = self.before.map_or(0, |before| before + 1);
        let is_here = |leaf: &Leaf| line.start <= leaf.span.start && leaf.span.start <= line.end;
        let left_out =
            (first..self.behind.unwrap_or(leaves.len())).find(|at| leaves.get(*at).is_some_and(is_here));
        let marks = text.get(line.start..self.at)?;
        match left_out {
            Some(at) => Some(at),
            None if marks.contains([']', '}', ',']) => None,
            None => self.next(text, leaves).filter(|(_, marks)| !marks.contains(&"-")).map(|(at, _)| at),
        }
    }

    fn below(&self, text: &str, leaves: &[Leaf]) -> Option<usize> {
        self.next(text, leaves).map(|(at, _)| at)
    }

    /// Returns the leaf that begins the next line which is more than a comment, and the indicators before it.
    fn next<'t>(&self, text: &'t str, leaves: &[Leaf]) -> Option<(usize, Vec<&'t str>)> {
        let behind = self.behind?;
        let leaf = leaves.get(behind)?;
        let between = text.get(self.at..leaf.span.start)?;
        let is_silent = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
        let mut lines = between.lines().skip_while(is_silent);
        let first = lines.next().unwrap_or_default();
        let first = if leaf.is_block { first.split(['|', '>']).next().unwrap_or_default() } else { first };
        let marks: Vec<&str> = first.split_whitespace().collect();
        let is_mark = |word: &&str| *word == "-" || word.starts_with(['&', '!']);
        let is_next = leaf.is_block || lines.next().is_none();
        (is_next && marks.iter().all(is_mark)).then_some((behind, marks))
    }
}

fn line_before(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    before.rsplit('\n').next().unwrap_or_default()
}

//! Comments that hold a marker, and the scalars that they stand beside.
//!
//! A comment belongs to the scalar before it on its line, to the one whose key or dash stands there, or, on a
//! line of its own, to the item or the value that begins the next line. That is where go-yaml v3 hangs comments
//! on values, and it also takes the comment behind a key whose value begins below. Pure.

use super::problem::Cause;
use crate::yaml::edit::{Leaf, Role};

/// What every marker holds.
pub(super) const SIGN: &str = "$imagepolicy";

/// A comment with [`SIGN`] in it.
#[derive(Debug)]
pub(super) struct Comment<'t> {
    /// Of its `#`.
    pub at: usize,
    /// Without the `#` before it and spaces.
    pub text: &'t str,
    /// Nothing stands before it on its line.
    pub is_alone: bool,
    /// The leaf before it that is not left out, and the one behind it.
    before: Option<usize>,
    behind: Option<usize>,
}

/// The comments of a text between its leaves.
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
                comments.push(Comment { at: start, text, is_alone, before, behind });
            }
        }
        (from, before) = (span.end.max(from), behind);
    }
    comments
}

impl Comment<'_> {
    /// The leaf that it stands beside.
    pub fn leaf(&self, text: &str, leaves: &[Leaf]) -> Result<usize, Cause> {
        let found = if self.is_alone { self.below(text, leaves) } else { self.beside(text, leaves) };
        let (at, leaf) = found.and_then(|at| Some((at, leaves.get(at)?))).ok_or(Cause::Misplaced)?;
        match leaf.role {
            Role::Value(_) => Ok(at),
            Role::Alias => Err(Cause::Alias),
            Role::Merged => Err(Cause::Merged),
            Role::Key(_) => Err(Cause::Misplaced),
        }
    }

    fn beside(&self, text: &str, leaves: &[Leaf]) -> Option<usize> {
        let after = self.before.map_or(0, |before| before + 1);
        let line = line_before(text, self.at);
        let before = self.before.and_then(|at| leaves.get(at));
        let same_line = before.filter(|leaf| leaf.span.end + line.len() >= self.at);
        let marks = same_line.map_or(Some(line), |leaf| text.get(leaf.span.end..self.at))?;
        match same_line.map(|leaf| &leaf.role) {
            Some(Role::Key(path)) => {
                let leaf = leaves.get(after)?;
                let is_its_value = match (&leaf.role, path) {
                    (Role::Value(value), Some(path)) => value == path,
                    (Role::Alias, _) => true,
                    _ => false,
                };
                (is_its_value && !marks.contains([']', '}'])).then_some(after)
            }
            Some(_) => self.before.filter(|_| marks.trim_matches([' ', '\t', ',']).is_empty()),
            None => (!marks.contains([']', '}', ','])).then_some(after),
        }
    }

    fn below(&self, text: &str, leaves: &[Leaf]) -> Option<usize> {
        let leaf = leaves.get(self.behind?)?;
        let between = text.get(self.at..leaf.span.start)?;
        let is_silent = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
        let mut marks = between.lines().skip_while(is_silent);
        let first = marks.next().unwrap_or_default();
        let first = if leaf.is_block { first.split(['|', '>']).next().unwrap_or_default() } else { first };
        let is_mark = |word: &str| word == "-" || word.starts_with(['&', '!']);
        let ends = leaf.is_block || marks.next().is_none();
        (ends && first.split_whitespace().all(is_mark)).then_some(self.behind?)
    }
}

fn line_before(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    before.rsplit('\n').next().unwrap_or_default()
}

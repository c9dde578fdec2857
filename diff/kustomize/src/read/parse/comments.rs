//! Comments that a merge reads as schemas: at the end of the line of a key or of a value in brackets, or on the lines directly
//! above a key.
//!
//! Leaves what they mean to `schema`. Pure.

use smol_str::SmolStr;

use super::super::super::node::Node;
use super::super::super::schema::is_schema;
use super::super::made::Made;
use super::cursor::{Cursor, Remark};

/// The comments at a key, of which the first that counts is that of the value.
#[derive(Default)]
pub(super) struct AtKey<'a> {
    pub above: Option<&'a str>,
    /// Behind the key.
    pub behind: Option<&'a str>,
    /// Behind the value.
    pub last: Option<&'a str>,
}

impl<'a> Cursor<'a> {
    /// Reads the comment at the cursor, up to the end of its line.
    pub fn remark(&mut self) {
        let (start, column) = (self.at, self.column());
        let is_alone = self.slice(self.line_start, start).trim_matches([' ', '\t', '-']).is_empty();
        self.rest_of_line();
        let end = self.at;
        let before = self.remark.filter(|before| before.is_alone && is_alone);
        let run = before.filter(|before| is_next_line(self.slice(before.end, start)));
        self.remark = Some(match run {
            Some(run) => Remark { end, ..run },
            None => Remark { start, end, column, is_alone },
        });
    }

    /// The comment above a key that starts at a place of this line. That of the first key can have blank lines below it, and
    /// one that is indented deeper belongs to a collection before it.
    pub fn above(&self, key: usize, is_first: bool, behind_collection: bool) -> Option<&'a str> {
        let Remark { start, end, column, is_alone } = self.remark?;
        let indent = i32::try_from(key.checked_sub(self.line_start)?).ok()?;
        let between = self.slice(end, key);
        let is_blank = end <= key && between.bytes().all(|byte| byte.is_ascii_whitespace());
        let is_near = is_first || is_next_line(between);
        let is_own = column <= indent || !behind_collection;
        (is_alone && is_blank && is_near && is_own).then(|| self.slice(start, end))
    }

    /// True behind a closing bracket and blanks.
    pub fn is_behind_bracket(&self) -> bool {
        self.slice(0, self.at).trim_end_matches([' ', '\t']).ends_with([']', '}'])
    }

    /// The comment at the end of this line, if nothing else is left on it but perhaps a comma.
    pub fn behind(&self, from: usize, comma: bool) -> Option<&'a str> {
        let rest = self.text.get(from..)?;
        let blanks = [' ', '\t'];
        let rest = rest.trim_start_matches(blanks);
        let rest =
            if comma { rest.strip_prefix(',').unwrap_or(rest).trim_start_matches(blanks) } else { rest };
        rest.starts_with('#').then(|| rest.lines().next()).flatten()
    }
}

impl AtKey<'_> {
    /// The comment that is the schema of the value.
    pub fn schema(self, value: &Made) -> Option<SmolStr> {
        let Self { above, behind, last } = self;
        if above.or(behind).or(last).is_none()
            || matches!(&value.node, Node::Scalar(scalar) if !scalar.is_null())
        {
            return None;
        }
        let last = last.filter(|_| !value.by_alias);
        let schema = last.filter(|comment| is_schema(comment));
        schema.or_else(|| behind.or(above).filter(|comment| is_schema(comment))).map(SmolStr::from)
    }
}

/// True between two lines that follow one another.
fn is_next_line(between: &str) -> bool {
    let is_blank = between.bytes().all(|byte| byte.is_ascii_whitespace());
    is_blank && between.bytes().filter(|byte| *byte == b'\n').count() == 1
}

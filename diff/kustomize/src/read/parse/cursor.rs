//! A place in a text: what stands there, and how to get to the next token.
//!
//! Pure.

use super::{Fail, fail};

/// A place in a text. Columns count bytes: what stands before an indentation that matters is ASCII.
pub(super) struct Cursor<'a> {
    pub text: &'a str,
    bytes: &'a [u8],
    pub at: usize,
    pub line_start: usize,
    /// From 1.
    pub line: u32,
    /// True where a key on this line, or a `- `, can start.
    pub key_allowed: bool,
    /// How many brackets are open.
    pub flow: usize,
    /// The comment that was read last.
    pub remark: Option<Remark>,
}

/// A comment, with those on the lines directly above it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remark {
    pub start: usize,
    pub end: usize,
    pub column: i32,
    /// True if it has its lines for itself.
    pub is_alone: bool,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str, line: u32) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            line_start: 0,
            line,
            key_allowed: true,
            flow: 0,
            remark: None,
        }
    }

    /// The byte at a distance; 0 behind the end.
    #[inline]
    pub fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    #[inline]
    pub fn column(&self) -> i32 {
        i32::try_from(self.at - self.line_start).unwrap_or(i32::MAX)
    }

    #[inline]
    pub fn is_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// The length of the line break at a distance; 0 if there is none.
    #[inline]
    pub fn break_length(&self, ahead: usize) -> usize {
        match self.byte(ahead) {
            b'\n' => 1,
            b'\r' => 1 + usize::from(self.byte(ahead + 1) == b'\n'),
            0xC2 => 2 * usize::from(self.byte(ahead + 1) == 0x85),
            0xE2 if self.byte(ahead + 1) == 0x80 => {
                3 * usize::from(matches!(self.byte(ahead + 2), 0xA8 | 0xA9))
            }
            _ => 0,
        }
    }

    #[inline]
    pub fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t')
    }

    #[inline]
    pub fn is_break(&self, ahead: usize) -> bool {
        self.break_length(ahead) > 0
    }

    /// True for a blank, a line break and the end.
    #[inline]
    pub fn is_gap(&self, ahead: usize) -> bool {
        self.at + ahead >= self.bytes.len() || self.is_blank(ahead) || self.is_break(ahead)
    }

    /// Goes over a line break, and says what it means in a text: most mean `\n`.
    pub fn line_break(&mut self) -> &'static str {
        let meaning = match (self.byte(0), self.byte(2)) {
            (0xE2, 0xA8) => "\u{2028}",
            (0xE2, _) => "\u{2029}",
            _ => "\n",
        };
        self.at += self.break_length(0);
        self.line_start = self.at;
        self.line += 1;
        meaning
    }

    /// Goes to the end of the line.
    pub fn rest_of_line(&mut self) -> &'a str {
        let start = self.at;
        while !self.is_end() && !self.is_break(0) {
            self.at += 1;
        }
        self.slice(start, self.at)
    }

    /// Goes to the next token: over blanks, comments and line breaks. A tab counts as a blank only where no key can start.
    pub fn next(&mut self) {
        loop {
            while self.byte(0) == b' ' || ((self.flow > 0 || !self.key_allowed) && self.byte(0) == b'\t') {
                self.at += 1;
            }
            if self.byte(0) == b'#' {
                self.remark();
            }
            if !self.is_break(0) {
                return;
            }
            self.line_break();
            if self.flow == 0 {
                self.key_allowed = true;
            }
        }
    }

    /// True for `---` and `...` at the start of a line.
    pub fn is_document_mark(&self) -> bool {
        self.at == self.line_start
            && matches!(self.bytes.get(self.at..self.at + 3), Some(b"---" | b"..."))
            && self.is_gap(3)
    }

    /// True where the document ends.
    pub fn is_over(&self) -> bool {
        self.is_end() || self.is_document_mark()
    }

    /// True for an indicator that stands by itself.
    pub fn is_indicator(&self, indicator: u8) -> bool {
        self.byte(0) == indicator && self.is_gap(1)
    }

    pub fn fail<T>(&self, message: impl Into<String>) -> Result<T, Fail> {
        fail(self.line, message)
    }
}

//! The output: its lines, and the four forms of a text.
//!
//! Leaves the choice of the form to `style`. Pure.

use std::fmt::Write as _;

use super::style::{Audience, Style, is_break, is_printable};
use crate::visible;

/// A line longer than this is broken at its next space.
const WIDTH: usize = 80;

/// Where a broken text continues.
#[derive(Clone, Copy)]
pub(super) enum Fold {
    /// It is not broken: it is the name of a field.
    Never,
    /// At this indentation.
    To(usize),
}

pub(super) struct Page {
    audience: Audience,
    text: String,
    /// The start of the last line.
    line: usize,
    /// Something other than spaces and marks stands on the last line.
    used: bool,
}

impl Page {
    pub fn new(audience: Audience) -> Self {
        Self { audience, text: String::new(), line: 0, used: false }
    }

    pub fn audience(&self) -> Audience {
        self.audience
    }

    pub fn finish(mut self) -> String {
        if self.used {
            self.text.push('\n');
        }
        self.text
    }

    /// Starts a line, or stays on this one behind the marks of the collections around.
    pub fn start_line(&mut self, indent: usize) {
        if self.used {
            self.break_line();
        }
        self.pad(indent.saturating_sub(self.text.len() - self.line));
    }

    /// Writes `-`, `?` or a `:` on a line of its own, behind which a collection may start.
    pub fn mark(&mut self, mark: char) {
        self.text.push(mark);
    }

    /// Writes the `:` behind a name.
    pub fn colon(&mut self) {
        self.text.push(':');
    }

    /// Writes what has no other form.
    pub fn word(&mut self, word: &str) {
        self.gap();
        self.text.push_str(word);
    }

    pub fn scalar(&mut self, text: &str, style: Style, fold: Fold) {
        self.gap();
        match style {
            Style::Plain => self.flow(text, fold, false),
            Style::SingleQuoted => {
                self.text.push('\'');
                self.flow(text, fold, true);
                self.text.push('\'');
            }
            Style::DoubleQuoted => self.double_quoted(text, fold),
            Style::Literal => self.literal(text, fold),
        }
    }

    /// One space to what stands before on the line.
    fn gap(&mut self) {
        if !matches!(self.text.as_bytes().last(), None | Some(b' ' | b'\n')) && self.text.len() > self.line {
            self.text.push(' ');
        }
        self.used = true;
    }

    fn break_line(&mut self) {
        self.text.push('\n');
        self.line = self.text.len();
        self.used = false;
    }

    fn pad(&mut self, spaces: usize) {
        self.text.extend(std::iter::repeat_n(' ', spaces));
    }

    /// Breaks the line within a text.
    fn fold(&mut self, indent: usize) {
        self.break_line();
        self.pad(indent);
        self.used = true;
    }

    fn width(&self) -> usize {
        match self.audience {
            Audience::Kubectl | Audience::Terminal => WIDTH,
            Audience::Ourselves => usize::MAX,
        }
    }

    fn column(&self) -> usize {
        self.text.get(self.line..).map_or(0, |line| line.chars().count())
    }

    /// Plain text, or what stands between single quotes.
    fn flow(&mut self, text: &str, fold: Fold, quoted: bool) {
        let width = self.width();
        let special = quoted && text.contains(['\'', '\u{2028}', '\u{2029}']);
        if !special && self.text.len() - self.line + text.len() <= width {
            self.text.push_str(text);
            return;
        }
        let (can_fold, indent) = match fold {
            Fold::To(indent) => (true, indent),
            Fold::Never => (false, 0),
        };
        let bytes = text.as_bytes();
        let mut column = self.column();
        let mut previous = '\0';
        for (at, c) in text.char_indices() {
            let inside = at > 0 && at + 1 < bytes.len();
            let alone = previous != ' ' && bytes.get(at + 1) != Some(&b' ');
            if c == ' ' && can_fold && column > width && inside && alone {
                self.fold(indent);
                column = indent;
            } else if is_break(c) {
                self.text.push(c);
                self.line = self.text.len();
                column = 0;
            } else {
                if is_break(previous) {
                    self.pad(indent);
                    column = indent;
                }
                if c == '\'' && quoted {
                    self.text.push('\'');
                    column += 1;
                }
                self.text.push(c);
                column += 1;
            }
            previous = c;
        }
    }

    fn double_quoted(&mut self, text: &str, fold: Fold) {
        self.text.push('"');
        // go-yaml looks for the byte order mark at the start of the text, whichever character it is at
        let escapes_all = text.starts_with('\u{FEFF}');
        let escapes_hidden = self.audience == Audience::Terminal;
        let (width, mut column) = (self.width(), self.column());
        let mut after_space = false;
        for (at, c) in text.char_indices() {
            let inside = at > 0 && at + 1 < text.len();
            let escaped = !is_printable(c) || is_break(c) || (escapes_hidden && visible::is_hidden(c));
            if escapes_all || escaped || c == '"' || c == '\\' {
                let before = self.text.len();
                self.escape(c);
                column += self.text.len() - before;
                after_space = false;
                continue;
            }
            match fold {
                Fold::To(indent) if c == ' ' && !after_space && column > width && inside => {
                    self.fold(indent);
                    column = indent;
                    if text.as_bytes().get(at + 1) == Some(&b' ') {
                        self.text.push('\\');
                        column += 1;
                    }
                }
                _ => {
                    self.text.push(c);
                    column += 1;
                }
            }
            after_space = c == ' ';
        }
        self.text.push('"');
    }

    fn escape(&mut self, c: char) {
        let short = match c {
            '\0' => '0',
            '\u{07}' => 'a',
            '\u{08}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{0B}' => 'v',
            '\u{0C}' => 'f',
            '\r' => 'r',
            '\u{1B}' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{A0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => return self.escape_code(u32::from(c)),
        };
        self.text.push('\\');
        self.text.push(short);
    }

    fn escape_code(&mut self, code: u32) {
        let written = match code {
            ..=0xFF => write!(self.text, "\\x{code:02X}"),
            0x100..=0xFFFF => write!(self.text, "\\u{code:04X}"),
            _ => write!(self.text, "\\U{code:08X}"),
        };
        written.expect("a String takes all that is written");
    }

    /// Lines as they are, below a `|` with the indicators of their start and end.
    fn literal(&mut self, text: &str, fold: Fold) {
        let indent = match fold {
            Fold::To(indent) => indent,
            Fold::Never => 0,
        };
        self.text.push('|');
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.text.push('2');
        }
        let mut ends = text.chars().rev();
        match (ends.next().is_some_and(is_break), ends.next()) {
            (false, _) => self.text.push('-'),
            (true, before) if before.is_none_or(is_break) => self.text.push('+'),
            (true, _) => {}
        }
        self.text.push('\n');
        for line in text.split_inclusive(is_break) {
            if !line.starts_with(is_break) {
                self.pad(indent);
            }
            self.line = self.text.len();
            self.text.push_str(line);
        }
        self.used = !text.ends_with(is_break);
        self.line = self.text.len();
    }
}

//! Block scalars: `|` and `>`, their header, their lines and the blank lines after them.
//!
//! A new text keeps the indentation and adapts the chomping indicator. Blank lines after it stay unless
//! they are part of the value. Leaves texts on one line to `quote`. Pure.

use std::ops::Range;

use super::Patch;
use super::quote::is_hidden;

/// A block scalar in the file.
#[derive(Debug)]
pub(super) struct Block {
    /// The indicators: `|`, `>-`, `|2+`.
    head: Range<usize>,
    /// The end of the line of the header, before its line break.
    line_end: usize,
    /// The end of the last line that is not blank, before its line break; `line_end` if there is none.
    text_end: usize,
    /// The end of the blank lines after it.
    end: usize,
    /// The spaces before each line. `None` if all lines are blank.
    indent: Option<usize>,
    line_break: &'static str,
}

impl Block {
    /// Reads the block scalar whose indicators start at `head` and whose lines are in `span`.
    /// `None` if a carriage return without a line feed ends one of its lines.
    pub fn read(text: &[u8], head: usize, span: &Range<usize>) -> Option<Self> {
        let lone = |pair: &[u8]| pair[0] == b'\r' && pair[1] != b'\n';
        if text.get(head..span.end.max(head))?.windows(2).any(lone) {
            return None;
        }
        let indicators = text.iter().skip(head + 1).take_while(|byte| b"+-0123456789".contains(byte));
        let head = head..head + 1 + indicators.count();
        let newline = position(text, head.end, |byte| byte == b'\n');
        let returned = newline.is_some_and(|at| at > head.end && text[at - 1] == b'\r');
        let line_end = newline.map_or(text.len(), |at| at - usize::from(returned));
        let body = newline.map_or(text.len(), |at| at + 1);
        let end = body.max(line_start(text, body, span.end));
        let first = position(text, body, |byte| !b" \r\n".contains(&byte)).filter(|first| *first < end);
        let indent = first.map(|_| span.start.saturating_sub(line_start_before(text, span.start)));
        let text_end = text_end(text, body..end, indent).unwrap_or(line_end);
        let line_break = if returned || (newline.is_none() && text.contains(&b'\r')) { "\r\n" } else { "\n" };
        Some(Self { head, line_end, text_end, end, indent, line_break })
    }

    /// Replaces the block with a text on the line of the header.
    pub fn replace_inline(&self, with: String) -> Vec<Patch> {
        vec![
            Patch { range: self.head.clone(), with },
            Patch { range: self.line_end..self.text_end, with: String::new() },
        ]
    }

    /// Writes a string as a block. `None` if a block cannot represent it.
    pub fn replace_block(&self, text: &[u8], value: &str) -> Option<Vec<Patch>> {
        let indent = " ".repeat(self.indent.filter(|indent| *indent > 0)?);
        let core = value.trim_end_matches('\n');
        let breaks = value.len() - core.len();
        let head = str::from_utf8(text.get(self.head.clone())?).ok()?;
        let has_digit = head.contains(|c: char| c.is_ascii_digit());
        if !fits(core, has_digit) {
            return None;
        }
        let style = if head.starts_with('>') && fits_folded(core) { '>' } else { '|' };
        let mut with = String::new();
        for line in core.split('\n') {
            let indent = if line.is_empty() { "" } else { &indent };
            with.extend([self.line_break, indent, line]);
        }
        let (range, last) = match breaks {
            0 => (self.line_end..self.text_end, 0),
            1 => (self.line_end..self.text_end, usize::from(self.text_end == text.len())),
            breaks => (self.line_end..self.end, breaks),
        };
        let body = Patch { range, with: with + &self.line_break.repeat(last) };
        let chomping = match breaks {
            0 => "-",
            1 => "",
            _ => "+",
        };
        Some(vec![Patch { range: self.head.clone(), with: rewritten(head, style, chomping) }, body])
    }
}

/// Returns the indicators with another style and chomping; the indentation indicator is kept.
fn rewritten(head: &str, style: char, chomping: &str) -> String {
    let is_chomping = |c: char| c == '-' || c == '+';
    let old: String = head.chars().filter(|c| is_chomping(*c)).collect();
    let rest = head.get(1..).unwrap_or_default();
    if old == chomping {
        return format!("{style}{rest}");
    }
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    format!("{style}{digits}{chomping}")
}

/// True if a literal block can represent the text so that every reader finds its indentation and its end.
fn fits(core: &str, has_digit: bool) -> bool {
    let blank = |line: &str| !line.is_empty() && line.trim().is_empty();
    let first = core.split('\n').find(|line| !line.is_empty());
    first.is_some_and(|first| has_digit || !first.starts_with([' ', '\t']))
        && !core.split('\n').any(blank)
        && !core.contains(|c| is_hidden(c) && c != '\n' && c != '\t')
}

/// True if a folded block preserves the text: one line, without spaces that folding changes.
fn fits_folded(core: &str) -> bool {
    !core.contains('\n') && core.trim() == core
}

/// Returns the end of the last line of `body` with more than indentation.
fn text_end(text: &[u8], body: Range<usize>, indent: Option<usize>) -> Option<usize> {
    let mut end = None;
    let mut at = body.start;
    for line in text.get(body)?.split_inclusive(|byte| *byte == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        let spaces = bare.iter().all(|byte| *byte == b' ');
        if !spaces || indent.is_some_and(|indent| bare.len() > indent) {
            end = Some(at + bare.len());
        }
        at += line.len();
    }
    end
}

/// Returns the start of the line that ends at `end` if it only contains spaces: they belong to
/// the following node. Otherwise `end`.
fn line_start(text: &[u8], body: usize, end: usize) -> usize {
    let start = line_start_before(text, end);
    let spaces = text.get(start..end).is_some_and(|line| line.iter().all(|byte| *byte == b' '));
    if spaces && start >= body { start } else { end }
}

fn line_start_before(text: &[u8], at: usize) -> usize {
    text.get(..at).and_then(|before| before.iter().rposition(|byte| *byte == b'\n')).map_or(0, |at| at + 1)
}

fn position(text: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    text.iter().skip(from).position(|byte| wanted(*byte)).map(|at| from + at)
}

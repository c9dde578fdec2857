//! The text between a scalar and the preceding node: colons, dashes, anchors, tags, comments.
//!
//! Spans do not include the header of a block scalar, and do not show where an empty value belongs. Both
//! are found here. Pure.

use std::ops::Range;

use super::find::Found;

/// The indicators before a scalar.
#[derive(Debug)]
pub(super) struct Gap {
    /// The end of the last indicator: a scalar can follow after a space.
    pub end: usize,
    /// True if the colon between key and value was found.
    pub colon: bool,
    /// The `|` or `>` of a block scalar.
    pub head: Option<usize>,
}

/// Reads the indicators before the scalar of `span`.
pub(super) fn before(text: &[u8], found: &Found, span: &Range<usize>, is_block: bool) -> Gap {
    let start = found.after.unwrap_or_else(|| document_start(text, span.start));
    let mut gap = Gap { end: start, colon: false, head: None };
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'#' => {
                at = end_where(text, at, is_break);
                continue;
            }
            b'|' | b'>' if is_block => {
                gap.head = Some(at);
                break;
            }
            // The span of an empty value ends before its colon.
            b':' if found.keyed && !gap.colon => {
                gap.colon = true;
                at += 1;
            }
            _ if at >= span.start => break,
            b'!' if text.get(at + 1) == Some(&b'<') => at = end_where(text, at, |byte| byte == b'>') + 1,
            b'&' | b'!' => at = end_where(text, at, |byte| b" \t\r\n,[]{}".contains(&byte)),
            _ => at += 1,
        }
        gap.end = at;
    }
    gap
}

/// The last `---` or `...` before a root, or the start of the file.
fn document_start(text: &[u8], root: usize) -> usize {
    let before = text.get(..root).unwrap_or_default();
    let mut starts = before.iter().enumerate().filter(|(_, byte)| is_break(**byte)).map(|(at, _)| at + 1);
    let marked = |at: &usize| before[*at..].starts_with(b"---") || before[*at..].starts_with(b"...");
    starts.rfind(marked).unwrap_or(0)
}

fn end_where(text: &[u8], from: usize, ends: impl Fn(u8) -> bool) -> usize {
    text.iter().skip(from).position(|byte| ends(*byte)).map_or(text.len(), |length| from + length)
}

/// A carriage return alone ends a line too.
fn is_break(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

//! What every format is read into: parts of a file that carry metadata of their own, as places in the text.
//!
//! Pure.

use std::ops::Range;

use serde_json::Value;

use super::edit::Edit;
use super::walk::Node;

/// A document of YAML, or all of a file of another format.
pub(super) struct Part {
    /// What stands under `sops`. A document without it is plain.
    pub metadata: Option<Value>,
    pub root: Node,
    /// What changes whatever the values are: the metadata goes.
    pub edits: Vec<Edit>,
    pub comments: Vec<Comment>,
}

/// An encrypted comment, and the places that it can have been encrypted for.
pub(super) struct Comment {
    pub span: Range<usize>,
    pub places: Vec<String>,
}

/// True if this is the metadata of SOPS, and not something else under the same key.
pub(super) fn is_metadata(value: &Value) -> bool {
    let text = |key: &str| value.get(key).is_some_and(Value::is_string);
    text("mac") && value.get("version").is_some() && value.get("lastmodified").is_some()
}

/// The line, from 1, of a byte.
pub(super) fn line(text: &[u8], at: usize) -> usize {
    line_breaks(&text[..at.min(text.len())]) + 1
}

pub(super) fn line_breaks(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

/// Where the line of a byte starts.
pub(super) fn line_start(text: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1)
}

/// Where the line after a byte starts, or where the text ends.
pub(super) fn next_line(text: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline + 1)
}

//! dotenv: a line `KEY=value` a value, taken as it stands; `#` starts a comment; metadata are keys that start with `sops_`.
//!
//! Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use zeroize::Zeroizing;

use super::edit::Edit;
use super::error::SopsError;
use super::flat;
use super::part::{Comment, Part, line};
use super::scalar::{self, Scalar, Secret};
use super::walk::{Content, Node};

const PREFIX: &str = "sops_";

pub(super) fn part(file: &str, text: &[u8]) -> Result<Part, SopsError> {
    let problem = |at, problem| SopsError::Syntax { file: file.to_owned(), line: line(text, at), problem };
    let (mut entries, mut metadata) = (Vec::new(), BTreeMap::new());
    let (mut edits, mut comments) = (Vec::new(), Vec::new());
    for span in lines(text) {
        let row = &text[span.clone()];
        if row.is_empty() {
            // As `sops` writes the file.
            edits.push(Edit::new(span.start..(span.end + 1).min(text.len()), []));
        } else if row.starts_with(b"#") {
            comments.push(Comment { span: span.start + 1..span.end, places: vec![":".to_owned()] });
        } else {
            let equals = row.iter().position(|byte| *byte == b'=');
            let equals = equals.ok_or_else(|| problem(span.start, "the line has no `=`"))?;
            let key = String::from_utf8_lossy(&row[..equals]).into_owned();
            if let Some(key) = key.strip_prefix(PREFIX) {
                metadata.insert(key.to_owned(), String::from_utf8_lossy(&row[equals + 1..]).into_owned());
                edits.push(Edit::new(span.start..(span.end + 1).min(text.len()), []));
                continue;
            }
            let content = Content::Leaf(Scalar::Text(unescaped(&row[equals + 1..])));
            entries.push((key, Node { span: span.start + equals + 1..span.end, content }));
        }
    }
    let metadata = flat::metadata(&metadata)
        .ok_or_else(|| problem(0, "the lines that start with `sops_` do not fit together"))?;
    let root = Node { span: 0..text.len(), content: Content::Map(entries) };
    Ok(Part { metadata: Some(metadata), root, edits, comments })
}

/// True if the text carries metadata.
pub(super) fn has_metadata(text: &[u8]) -> bool {
    let has = |start: &[u8]| lines(text).any(|line| text[line].starts_with(start));
    has(b"sops_version=") && has(b"sops_mac=")
}

/// The lines without their ends.
fn lines(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    text.split(|byte| *byte == b'\n').map(move |line| {
        let span = start..start + line.len();
        start = span.end + 1;
        span
    })
}

fn unescaped(text: &[u8]) -> Secret {
    replaced(text, b"\\n", b"\n")
}

fn replaced(text: &[u8], old: &[u8], new: &[u8]) -> Secret {
    let mut out = Zeroizing::new(Vec::with_capacity(2 * text.len()));
    let mut done = 0;
    for at in memchr::memmem::find_iter(text, old) {
        out.extend_from_slice(&text[done..at]);
        out.extend_from_slice(new);
        done = at + old.len();
    }
    out.extend_from_slice(&text[done..]);
    out
}

/// The value as a line holds it.
pub(super) fn written(value: &Scalar) -> Option<Secret> {
    Some(match value {
        Scalar::Text(text) => replaced(text, b"\n", b"\\n"),
        Scalar::Bool(value) => Zeroizing::new(value.to_string().into_bytes()),
        Scalar::Float(value) => Zeroizing::new(scalar::float(*value).into_bytes()),
        Scalar::Comment(_) => return None,
        other => other.hashed(),
    })
}

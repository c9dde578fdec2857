//! YAML and JSON: documents as places in the text, without their metadata, and values as they are written
//! there.
//!
//! Leaves parsing to `holdfast_diff::yaml` and finding the bytes of metadata and comments to `yaml_text`.
//! Pure.

use granit_parser::ScalarStyle;
use holdfast_diff::yaml::{self, Content as Yaml, Document, NodeId, Tree};
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::edit::Edit;
use super::error::SopsError;
use super::part::{Part, is_metadata};
use super::scalar::{self, Scalar, Secret};
use super::walk::{Content, Node};
use super::yaml_text;

/// Reads all documents. Those without metadata change nothing.
pub(super) fn parts(file: &str, text: &[u8]) -> Result<Vec<Part>, SopsError> {
    let (documents, errors) = yaml::read(file, text);
    if !errors.is_empty() {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        return Err(SopsError::Yaml(errors.join("; ")));
    }
    let count = documents.len();
    let parts =
        documents.iter().enumerate().map(|(at, document)| part(file, text, document, at + 1 == count));
    let mut parts = parts.collect::<Result<Vec<_>, _>>()?;
    yaml_text::comments(text, &documents, &mut parts);
    Ok(parts)
}

/// Reads JSON, which is stricter than YAML, and one value.
pub(super) fn json_part(file: &str, text: &[u8]) -> Result<Vec<Part>, SopsError> {
    match serde_json::from_slice::<IgnoredAny>(text) {
        Ok(IgnoredAny) => parts(file, text),
        Err(error) => {
            let (file, line) = (file.to_owned(), error.line());
            Err(SopsError::Syntax {
                file,
                line,
                problem: "the file is encrypted and is no longer valid JSON",
            })
        }
    }
}

/// True if a document carries metadata, or looks like it and is broken: opening it says what is wrong.
pub(super) fn has_metadata(text: &[u8]) -> bool {
    let (documents, errors) = yaml::read("", text);
    let looks_like_it = || {
        let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        lines.any(|line| line == b"sops:") && lines.any(|line| line.starts_with(b"mac: ENC["))
    };
    documents.iter().any(|document| document.value.get("sops").is_some_and(is_metadata))
        || (!errors.is_empty() && looks_like_it())
}

fn part(file: &str, text: &[u8], document: &Document, is_last: bool) -> Result<Part, SopsError> {
    let Document { value, tree, .. } = document;
    let mut edits = Vec::new();
    let mut root = node(tree, Tree::ROOT, &mut edits);
    let metadata = value.get("sops").filter(|value| is_metadata(value)).cloned();
    if metadata.is_some() {
        if let Content::Map(entries) = &mut root.content {
            entries.retain(|(key, _)| key != "sops");
        }
        // Nothing in what is taken away is changed first.
        let without = yaml_text::without_metadata(file, text, tree, is_last)?;
        edits.retain(|edit| edit.span.end <= without.span.start || edit.span.start >= without.span.end);
        edits.push(without);
    }
    Ok(Part { metadata, root, edits, comments: Vec::new() })
}

/// Makes a node of what the tree holds, and notes what only go-yaml v3 reads as SOPS does.
fn node(tree: &Tree, id: NodeId, edits: &mut Vec<Edit>) -> Node {
    let id = tree.resolve(id);
    let Some(found) = tree.node(id) else { return Node { span: 0..0, content: Content::Leaf(Scalar::Null) } };
    let content = match &found.content {
        Yaml::Scalar { text, style, tag } => {
            let value = scalar::resolve(text, *style, tag.as_deref());
            if *style == ScalarStyle::Plain && tag.is_none() {
                match &value {
                    Scalar::Text(_) if scalar::is_old_bool(text) => {
                        edits.push(Edit { span: found.span.clone(), with: quoted(text) });
                    }
                    Scalar::Time(time) => edits.push(Edit::new(found.span.clone(), time.as_bytes())),
                    _ => {}
                }
            }
            Content::Leaf(value)
        }
        Yaml::Sequence(items) => Content::List(items.iter().map(|item| node(tree, *item, edits)).collect()),
        Yaml::Mapping(children) => {
            let entries = children.as_chunks::<2>().0;
            Content::Map(
                entries
                    .iter()
                    .map(|[key, value]| (name(tree, *key, edits), node(tree, *value, edits)))
                    .collect(),
            )
        }
        Yaml::Alias { .. } => Content::Leaf(Scalar::Null),
    };
    Node { span: found.span.clone(), content }
}

fn name(tree: &Tree, id: NodeId, edits: &mut Vec<Edit>) -> String {
    // Makes `"yes"` of a key `yes`, too.
    node(tree, id, edits);
    match tree.node(tree.resolve(id)).map(|node| &node.content) {
        Some(Yaml::Scalar { text, .. }) => text.clone().into_owned(),
        _ => String::new(),
    }
}

/// The value as YAML, on one line. None if it is not UTF-8.
pub(super) fn written(value: &Scalar, old: &[u8]) -> Option<Secret> {
    let mut new = match value {
        Scalar::Text(text) => quoted(str::from_utf8(text).ok()?),
        Scalar::Null => Zeroizing::new(b"null".to_vec()),
        Scalar::Comment(_) => return None,
        Scalar::Bool(value) => Zeroizing::new(value.to_string().into_bytes()),
        Scalar::Int(value) => Zeroizing::new(value.to_string().into_bytes()),
        Scalar::Float(value) => Zeroizing::new(float(*value).into_bytes()),
        Scalar::Time(text) => Zeroizing::new(text.clone().into_bytes()),
    };
    // A block scalar ends after its line.
    if old.ends_with(b"\n") {
        new.push(b'\n');
    }
    Some(new)
}

/// The value as JSON, with the escapes that Go writes.
pub(super) fn written_json(value: &Scalar) -> Option<Secret> {
    match value {
        Scalar::Text(text) => {
            let escaped = |c| matches!(c, '<' | '>' | '&') || is_unprinted(c);
            Some(quoted_with(str::from_utf8(text).ok()?, escaped))
        }
        Scalar::Time(text) => Some(quoted(text)),
        Scalar::Float(value) if !value.is_finite() => None,
        other => written(other, b""),
    }
}

/// A float that no reader takes for a whole number of 64 bits.
fn float(value: f64) -> String {
    if value.is_nan() {
        ".nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else if value.abs() >= 1e15 {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

/// Text in double quotes, on one line.
fn quoted(text: &str) -> Secret {
    quoted_with(text, is_unprinted)
}

/// True for what YAML does not print, or breaks lines at.
fn is_unprinted(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn quoted_with(text: &str, escaped: impl Fn(char) -> bool) -> Secret {
    let mut out = Zeroizing::new(Vec::with_capacity(6 * text.len() + 2));
    let mut buffer = [0; 4];
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend([b'\\', u8::try_from(c).unwrap_or(b'?')]),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            _ if u32::from(c) < 0x20 || escaped(c) => out.extend(format!("\\u{:04x}", u32::from(c)).bytes()),
            _ => out.extend(c.encode_utf8(&mut buffer).bytes()),
        }
    }
    out.push(b'"');
    out
}

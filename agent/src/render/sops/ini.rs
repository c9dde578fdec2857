//! INI: values in sections, in the dialect of Go's ini package, which SOPS reads and writes it with.
//!
//! A key before all sections is in the section DEFAULT. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use zeroize::Zeroizing;

use super::edit::Edit;
use super::error::SopsError;
use super::flat;
use super::part::{Comment, Part, line, next_line};
use super::scalar::{self, Scalar, Secret};
use super::walk::{Content, Node};

const METADATA: &str = "sops";

type Section = (String, Vec<(String, Node)>);

pub(super) fn part(file: &str, text: &[u8]) -> Result<Part, SopsError> {
    let problem = |at, problem| SopsError::Syntax { file: file.to_owned(), line: line(text, at), problem };
    let text = str::from_utf8(text).map_err(|error| problem(error.valid_up_to(), "the file is not UTF-8"))?;
    let mut reader =
        Reader { text, at: 0, sections: vec![("DEFAULT".to_owned(), Vec::new())], ..Reader::default() };
    while reader.at < text.len() {
        reader.row().map_err(|text| problem(reader.at, text))?;
    }
    let Reader { sections, mut edits, comments, metadata_start, .. } = reader;
    let (own, others): (Vec<Section>, Vec<Section>) =
        sections.into_iter().partition(|(name, _)| name == METADATA);
    let mut metadata = BTreeMap::new();
    for (key, node) in own.into_iter().flat_map(|(_, entries)| entries) {
        if let Content::Leaf(Scalar::Text(value)) = node.content {
            metadata.insert(key, String::from_utf8_lossy(&value).into_owned());
        }
    }
    let metadata = flat::metadata(&metadata);
    let metadata =
        metadata.ok_or_else(|| problem(0, "the keys of the section `sops` do not fit together"))?;
    if let Some(start) = metadata_start {
        // The empty line above goes with it.
        let start = if text[..start].ends_with("\n\n") { start - 1 } else { start };
        edits.push(Edit::new(start..text.len(), []));
    }
    let all = 0..text.len();
    let sections = others
        .into_iter()
        .map(|(name, entries)| (name, Node { span: all.clone(), content: Content::Map(entries) }));
    let root = Node { span: all.clone(), content: Content::Map(sections.collect()) };
    Ok(Part { metadata: Some(metadata), root, edits, comments })
}

/// True if the text carries metadata.
pub(super) fn has_metadata(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let is_mac =
        |line: &[u8]| line.strip_prefix(b"mac").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="));
    lines.any(|line| line == b"[sops]") && lines.any(is_mac)
}

#[derive(Default)]
struct Reader<'a> {
    text: &'a str,
    at: usize,
    sections: Vec<Section>,
    edits: Vec<Edit>,
    comments: Vec<Comment>,
    /// Encrypted comments belong to the key or the section below them.
    above: Vec<Range<usize>>,
    /// Where the section of metadata starts, while nothing is below it.
    metadata_start: Option<usize>,
    counted: usize,
}

impl Reader<'_> {
    /// Reads one line, or as many as its value takes.
    fn row(&mut self) -> Result<(), &'static str> {
        let start = self.at;
        let end = next_line(self.text.as_bytes(), start);
        let row = &self.text[start..end];
        let trimmed = row.trim_start().trim_start_matches('\u{feff}');
        let from = end - trimmed.len();
        match trimmed.as_bytes().first() {
            None => {}
            Some(b'#' | b';') => {
                let text = trimmed.trim_start_matches(['#', ';', ' ']).trim_end();
                let at = from + (trimmed.len() - trimmed.trim_start_matches(['#', ';', ' ']).len());
                if super::enc::is_encrypted(text.as_bytes()) {
                    self.above.push(at..at + text.len());
                }
            }
            Some(b'[') => self.section(from, trimmed)?,
            Some(_) => return self.key(from, trimmed),
        }
        self.at = end;
        Ok(())
    }

    fn section(&mut self, from: usize, row: &str) -> Result<(), &'static str> {
        let close = row.rfind(']').ok_or("the section's name has no `]`")?;
        let behind = row[close + 1..].trim();
        if !(behind.is_empty() || behind.starts_with(['#', ';'])) {
            return Err("text follows the name of the section");
        }
        let name = row[1..close].to_owned();
        self.comments_at(&name);
        match (name == METADATA, self.metadata_start) {
            (true, None) => self.metadata_start = Some(from),
            (false, Some(start)) => {
                self.edits.push(Edit::new(start..from, []));
                self.metadata_start = None;
            }
            _ => {}
        }
        self.counted = 0;
        if name != "DEFAULT" {
            self.sections.push((name, Vec::new()));
        }
        Ok(())
    }

    fn key(&mut self, from: usize, row: &str) -> Result<(), &'static str> {
        let (name, value_at) = key_name(row)?;
        let (value, span) = self.value(from + value_at)?;
        let name = match name {
            "-" => {
                self.counted += 1;
                format!("#{}", self.counted)
            }
            name => name.to_owned(),
        };
        let Some((section, entries)) = self.sections.last_mut() else { return Err("it is not in a section") };
        if entries.iter().any(|(key, _)| *key == name) {
            return Err("the key is set twice in its section");
        }
        entries.push((name, Node { span, content: Content::Leaf(Scalar::text(value)) }));
        let section = section.clone();
        self.comments_at(&section);
        Ok(())
    }

    /// Gives the comments above to a section.
    fn comments_at(&mut self, section: &str) {
        let place = super::enc::place(&[section.to_owned()]);
        let found = self.above.drain(..).map(|span| Comment { span, places: vec![place.clone()] });
        self.comments.extend(found);
    }

    /// Reads a value, and goes on to the line behind it.
    fn value(&mut self, from: usize) -> Result<(String, Range<usize>), &'static str> {
        let end = next_line(self.text.as_bytes(), from);
        let row = &self.text[from..end];
        let start = from + (row.len() - row.trim_start().len());
        let row = row.trim();
        self.at = end;
        let quote = if row.len() > 3 && row.starts_with("\"\"\"") { "\"\"\"" } else { "`" };
        if row.starts_with(quote) {
            return self.quoted(start, quote);
        }
        if row.ends_with('\\') {
            return self.continued(start, row);
        }
        let value = row.find(['#', ';']).map_or(row, |comment| row[..comment].trim_end());
        let span = start.min(start + value.len())..start + value.len();
        let bare = ["'", "\""].iter().find_map(|quote| {
            let inner = value.strip_prefix(quote)?.strip_suffix(quote)?;
            (!inner.contains(quote)).then_some(inner)
        });
        Ok((bare.unwrap_or(value).to_owned(), span))
    }

    /// A value between quotes that may go over lines. On the first line the last quote ends it.
    fn quoted(&mut self, start: usize, quote: &str) -> Result<(String, Range<usize>), &'static str> {
        let inner = start + quote.len();
        let mut end = self.at;
        let mut from = inner;
        loop {
            if let Some(close) = self.text[from..end].rfind(quote) {
                self.at = end;
                return Ok((self.text[inner..from + close].to_owned(), start..from + close + quote.len()));
            }
            if end == self.text.len() {
                return Err("the value's quote is not closed");
            }
            from = end;
            end = next_line(self.text.as_bytes(), end);
        }
    }

    /// A value whose lines end in a backslash, but for the last.
    fn continued(&mut self, start: usize, row: &str) -> Result<(String, Range<usize>), &'static str> {
        let mut value = row[..row.len() - 1].to_owned();
        loop {
            let end = next_line(self.text.as_bytes(), self.at);
            let row = self.text[self.at..end].trim();
            let last = self.at + row.len();
            self.at = end;
            value.push_str(row.strip_suffix('\\').unwrap_or(row));
            if row.is_empty() || !row.ends_with('\\') {
                return Ok((value, start..last));
            }
        }
    }
}

/// The name of a key, and where its value starts.
fn key_name(row: &str) -> Result<(&str, usize), &'static str> {
    let none = "the line has neither `=` nor `:`";
    for quote in ["\"\"\"", "\"", "`"] {
        if let Some(inner) = row.strip_prefix(quote) {
            let close = inner.find(quote).ok_or("the key's quote is not closed")?;
            let behind = 2 * quote.len() + close;
            let delimiter = row[behind..].find(['=', ':']).ok_or(none)?;
            return Ok((inner[..close].trim(), behind + delimiter + 1));
        }
    }
    let delimiter = row.find(['=', ':']).ok_or(none)?;
    if delimiter == 0 {
        return Err("the key has no name");
    }
    Ok((row[..delimiter].trim(), delimiter + 1))
}

/// The value as a line holds it, in the quotes that it needs.
pub(super) fn written(value: &Scalar) -> Option<Secret> {
    let text = match value {
        Scalar::Text(text) => text.clone(),
        Scalar::Bool(value) => Zeroizing::new(value.to_string().into_bytes()),
        Scalar::Float(value) => Zeroizing::new(scalar::float(*value).into_bytes()),
        Scalar::Comment(_) => return None,
        other => other.hashed(),
    };
    let has = |any: &[u8]| text.iter().any(|byte| any.contains(byte));
    let quote: &[u8] = if has(b"\n`") {
        b"\"\"\""
    } else if has(b"#;") {
        b"`"
    } else if text.trim_ascii().len() != text.len() {
        b"\""
    } else {
        b""
    };
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() + 6));
    out.extend_from_slice(quote);
    out.extend_from_slice(&text);
    out.extend_from_slice(quote);
    Some(out)
}

/// A comment of several lines, each with its mark.
pub(super) fn written_comment(text: &[u8]) -> Secret {
    let mut out = Zeroizing::new(Vec::with_capacity(2 * text.len()));
    for (at, row) in text.split(|byte| *byte == b'\n').enumerate() {
        let row = row.trim_ascii();
        if at > 0 {
            out.extend_from_slice(b"\n");
            let mark = if row.starts_with(b"#") { b"# " } else { b"; " };
            out.extend_from_slice(mark);
        }
        let row = if at > 0 { row.strip_prefix(b"#").or(row.strip_prefix(b";")).unwrap_or(row) } else { row };
        out.extend_from_slice(row.trim_ascii());
    }
    out
}

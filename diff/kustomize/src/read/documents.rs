//! Splits a file into documents as kustomize does before it parses YAML: at every line that starts with `---`.
//!
//! Pure.

use std::borrow::Cow;

use super::super::error::KustomizeError;
use holdfast_documents::yaml::{check_text, utf16};

/// A part of a file, and the number of lines before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    pub text: &'a str,
    pub lines_before: u32,
}

/// Returns the text of a file with Unix line endings.
pub(super) fn text<'a>(file: &str, bytes: &'a [u8]) -> Result<Cow<'a, str>, KustomizeError> {
    let is_plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t'));
    if let Some(utf8) = utf16::to_utf8(bytes) {
        return text(file, &utf8).map(|text| Cow::Owned(text.into_owned()));
    }
    let text = match str::from_utf8(bytes) {
        Ok(text) if is_plain => text,
        _ => check_text(bytes).map_err(|(at, problem)| KustomizeError {
            file: file.to_owned(),
            line: lines(&bytes[..at.min(bytes.len())]) + 1,
            message: problem.to_string(),
        })?,
    };
    Ok(if text.contains("\r\n") { text.replace("\r\n", "\n").into() } else { text.into() })
}

/// Returns the documents of a text, including empty ones.
pub(super) fn documents<'a>(file: &str, text: &'a str) -> Result<Vec<Document<'a>>, KustomizeError> {
    let mut documents = Vec::new();
    let (mut start, mut lines_before) = (0, 0);
    while let Some((at, end)) = separator(text, start) {
        let behind = text[at + 4..end].trim();
        let part = &text[start..=at];
        let line = lines_before + lines(part.as_bytes()) + 1;
        if !behind.is_empty() && !behind.starts_with('#') {
            let message = format!("`{behind}` follows `---` on the same line: put it on its own line");
            return Err(KustomizeError { file: file.to_owned(), line, message });
        }
        documents.push(Document { text: part, lines_before });
        (start, lines_before) = (end, line);
    }
    if !text.is_empty() {
        documents.push(Document { text: &text[start..], lines_before });
    }
    Ok(documents)
}

/// Returns the next separator: the position of the line break before it, and the start of the line after it. A
/// separator at the end of a text without a line break does not count.
fn separator(text: &str, from: usize) -> Option<(usize, usize)> {
    let at = from + text[from..].find("\n---")?;
    let end = at + 4 + text[at + 4..].find('\n')? + 1;
    Some((at, end))
}

fn lines(bytes: &[u8]) -> u32 {
    let breaks = bytes.split(|byte| *byte == b'\n').count() - 1;
    u32::try_from(breaks).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Document, documents};

    fn check(text: &str, expected: &[(&str, u32)]) {
        let found = documents("a.yaml", text);
        let expected =
            expected.iter().map(|(text, lines_before)| Document { text, lines_before: *lines_before });
        assert_eq!(found, Ok(expected.collect()), "{text:?}");
    }

    #[test]
    fn documents_end_where_a_line_starts_with_three_dashes() {
        check("", &[]);
        check("a\n---\nb\n--- # c\nc", &[("a\n", 0), ("b\n", 2), ("c", 4)]);
        check("---\na\n---\n---\nb\n---", &[("---\na\n", 0), ("---\nb\n---", 3)]);
        check("  ---\n", &[("  ---\n", 0)]);
    }

    #[test]
    fn nothing_but_a_comment_stands_behind_the_dashes() {
        let said = documents("a.yaml", "a\n--- {b: c}\nd").map_err(|error| error.to_string());
        assert!(said.is_err_and(|said| said.starts_with("a.yaml:2: `{b: c}`")));
    }
}

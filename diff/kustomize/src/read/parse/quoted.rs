//! Texts in quotes.
//!
//! Pure.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::{Fail, fail};

/// Reads a text in quotes, at whose opening quote the cursor stands.
pub(super) fn quoted<'a>(cursor: &mut Cursor<'a>) -> Result<Cow<'a, str>, Fail> {
    let (quote, start) = (cursor.byte(0), cursor.at + 1);
    let line = cursor.line;
    cursor.at += 1;
    let ends =
        |byte: u8| byte == quote || matches!(byte, b'\\' | b' ' | b'\t' | b'\n' | b'\r' | 0xC2 | 0xE2 | 0);
    let mut text = String::new();
    // what is read and not yet in the text
    let mut from = start;
    loop {
        while !ends(cursor.byte(0)) || (cursor.byte(0) == b'\\' && quote == b'\'') {
            cursor.at += 1;
        }
        match cursor.byte(0) {
            _ if cursor.is_end() => return fail(line, "this quote is never closed: close it"),
            byte if byte == quote && quote == b'\'' && cursor.byte(1) == b'\'' => {
                text.push_str(cursor.slice(from, cursor.at + 1));
                cursor.at += 2;
                from = cursor.at;
            }
            byte if byte == quote => {
                let rest = cursor.slice(from, cursor.at);
                cursor.at += 1;
                if from == start {
                    return Ok(Cow::Borrowed(rest));
                }
                text.push_str(rest);
                return Ok(Cow::Owned(text));
            }
            b'\\' => {
                text.push_str(cursor.slice(from, cursor.at));
                if cursor.is_break(1) {
                    cursor.at += 1;
                    cursor.line_break();
                    fold(cursor, &mut text, true, line)?;
                } else {
                    text.push(escape(cursor)?);
                }
                from = cursor.at;
            }
            b' ' | b'\t' if !ends_line(cursor) => cursor.at += 1,
            _ if cursor.is_blank(0) || cursor.is_break(0) => {
                text.push_str(cursor.slice(from, cursor.at));
                fold(cursor, &mut text, false, line)?;
                from = cursor.at;
            }
            _ => cursor.at += 1,
        }
    }
}

/// True if nothing but blanks is left on the line. Goes over the blanks if something is.
fn ends_line(cursor: &mut Cursor<'_>) -> bool {
    let mut length = 0;
    while cursor.is_blank(length) {
        length += 1;
    }
    if cursor.is_break(length) {
        return true;
    }
    cursor.at += length - 1;
    false
}

/// Goes over blanks and line breaks: one break is a blank, of more the first does not count, nor does one that is escaped.
fn fold(cursor: &mut Cursor<'_>, text: &mut String, escaped: bool, line: u32) -> Result<(), Fail> {
    let mut first = escaped.then_some("");
    let mut more = String::new();
    loop {
        if cursor.is_blank(0) {
            cursor.at += 1;
        } else if cursor.is_break(0) {
            let meaning = cursor.line_break();
            match first {
                None => first = Some(meaning),
                Some(_) => more.push_str(meaning),
            }
        } else {
            break;
        }
    }
    if cursor.is_document_mark() {
        return fail(line, "a `---` is inside this quoted text: close the quote");
    }
    match first {
        Some("\n") if more.is_empty() => text.push(' '),
        Some("\n") | None => text.push_str(&more),
        Some(first) => {
            text.push_str(first);
            text.push_str(&more);
        }
    }
    Ok(())
}

/// Reads an escape, at whose backslash the cursor stands.
fn escape(cursor: &mut Cursor<'_>) -> Result<char, Fail> {
    let length = match cursor.byte(1) {
        b'x' => 2,
        b'u' => 4,
        b'U' => 8,
        _ => 0,
    };
    let character = match cursor.byte(1) {
        b'0' => '\0',
        b'a' => '\u{7}',
        b'b' => '\u{8}',
        b't' | b'\t' => '\t',
        b'n' => '\n',
        b'v' => '\u{B}',
        b'f' => '\u{C}',
        b'r' => '\r',
        b'e' => '\u{1B}',
        b' ' => ' ',
        b'"' => '"',
        b'\'' => '\'',
        b'\\' => '\\',
        b'N' => '\u{85}',
        b'_' => '\u{A0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        _ if length > 0 => {
            let digits = cursor.slice(cursor.at + 2, cursor.at + 2 + length);
            let is_hex = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let code = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex);
            match code.and_then(char::from_u32) {
                Some(character) => character,
                None => return cursor.fail(format!("`{digits}` is not a character: correct the escape")),
            }
        }
        _ => {
            return cursor.fail(
                "unknown escape in a double-quoted string: write `\\\\` for a backslash, or use single quotes",
            );
        }
    };
    cursor.at += 2 + length;
    Ok(character)
}

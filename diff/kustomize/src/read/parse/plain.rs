//! Texts without quotes.
//!
//! Pure.

use std::borrow::Cow;

use super::Fail;
use super::cursor::Cursor;

/// True if a text without quotes can start at the cursor.
pub(super) fn can_start(cursor: &Cursor<'_>) -> bool {
    match cursor.byte(0) {
        b'-' => !cursor.is_blank(1),
        b'?' | b':' => cursor.flow == 0 && !cursor.is_gap(1),
        b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"' | b'%'
        | b'@' | b'`' => false,
        _ => !cursor.is_gap(0),
    }
}

/// Reads a text without quotes, whose lines after the first are indented deeper than what is around them.
pub(super) fn plain<'a>(cursor: &mut Cursor<'a>, indent: i32) -> Result<Cow<'a, str>, Fail> {
    let start = cursor.at;
    cursor.key_allowed = false;
    let mut end = line(cursor);
    let mut text: Option<String> = None;
    loop {
        let blanks = cursor.at;
        while cursor.is_blank(0) {
            cursor.at += 1;
        }
        if !cursor.is_break(0) {
            // a comment, an indicator or the end; blanks within a line are read with it
            let _ = blanks;
            break;
        }
        let first = cursor.line_break();
        let mut more = String::new();
        loop {
            if cursor.byte(0) == b'\t' && cursor.column() <= indent {
                return cursor.fail("a tab cannot indent: use spaces");
            }
            if cursor.is_blank(0) {
                cursor.at += 1;
            } else if cursor.is_break(0) {
                more.push_str(cursor.line_break());
            } else {
                break;
            }
        }
        let is_outside = cursor.flow == 0 && cursor.column() <= indent;
        if is_outside || cursor.is_over() || cursor.byte(0) == b'#' || ends(cursor) {
            cursor.key_allowed = true;
            break;
        }
        let text = text.get_or_insert_with(|| cursor.slice(start, end).to_owned());
        match first {
            "\n" if more.is_empty() => text.push(' '),
            "\n" => text.push_str(&more),
            first => {
                text.push_str(first);
                text.push_str(&more);
            }
        }
        let from = cursor.at;
        end = line(cursor);
        text.push_str(cursor.slice(from, end));
    }
    Ok(text.map_or_else(|| Cow::Borrowed(cursor.slice(start, end)), Cow::Owned))
}

/// Goes to the end of what is text on this line, and says where its last character ends.
fn line(cursor: &mut Cursor<'_>) -> usize {
    let mut end = cursor.at;
    loop {
        while !cursor.is_gap(0) && !ends(cursor) {
            cursor.at += 1;
            end = cursor.at;
        }
        if !cursor.is_blank(0) {
            return end;
        }
        let mut length = 0;
        while cursor.is_blank(length) {
            length += 1;
        }
        if cursor.is_gap(length) || cursor.byte(length) == b'#' {
            return end;
        }
        cursor.at += length;
        if ends(cursor) {
            return end;
        }
    }
}

/// True at an indicator that ends a text.
fn ends(cursor: &Cursor<'_>) -> bool {
    match cursor.byte(0) {
        b':' => cursor.is_gap(1),
        b',' | b'?' | b'[' | b']' | b'{' | b'}' => cursor.flow > 0,
        _ => false,
    }
}

//! Texts in blocks: `|` and `>`.
//!
//! Pure.

use super::Fail;
use super::cursor::Cursor;

/// What becomes of the line breaks at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomp {
    Clip,
    Strip,
    Keep,
}

/// Reads a block, at whose indicator the cursor stands, inside of what is indented by `around`.
pub(super) fn block(cursor: &mut Cursor<'_>, around: i32) -> Result<String, Fail> {
    let is_literal = cursor.byte(0) == b'|';
    cursor.at += 1;
    let (chomp, increment) = header(cursor)?;
    let mut indent = match increment {
        0 => 0,
        increment => around.max(0) + increment,
    };
    let mut text = String::new();
    let mut more = breaks(cursor, &mut indent, around)?;
    // the break before a line, which folding can turn into a blank
    let mut before = "";
    let mut was_blank = false;
    while cursor.column() == indent && !cursor.is_end() {
        let is_blank = cursor.is_blank(0);
        if !is_literal && before == "\n" && !was_blank && !is_blank {
            if more.is_empty() {
                text.push(' ');
            }
        } else {
            text.push_str(before);
        }
        text.push_str(&more);
        was_blank = is_blank;
        text.push_str(cursor.rest_of_line());
        before = if cursor.is_end() { "" } else { cursor.line_break() };
        more = breaks(cursor, &mut indent, around)?;
    }
    if chomp != Chomp::Strip {
        text.push_str(before);
    }
    if chomp == Chomp::Keep {
        text.push_str(&more);
    }
    cursor.key_allowed = true;
    Ok(text)
}

/// Reads `+`, `-` and the digit of an indentation, in any order, and the rest of the line.
fn header(cursor: &mut Cursor<'_>) -> Result<(Chomp, i32), Fail> {
    let (mut chomp, mut increment) = (None, 0);
    for _ in 0..2 {
        match cursor.byte(0) {
            sign @ (b'+' | b'-') if chomp.is_none() => {
                chomp = Some(if sign == b'+' { Chomp::Keep } else { Chomp::Strip });
                cursor.at += 1;
            }
            digit @ b'1'..=b'9' if increment == 0 => {
                increment = i32::from(digit - b'0');
                cursor.at += 1;
            }
            _ => {}
        }
    }
    while cursor.is_blank(0) {
        cursor.at += 1;
    }
    if cursor.byte(0) == b'#' {
        cursor.rest_of_line();
    }
    if cursor.is_break(0) {
        cursor.line_break();
    } else if !cursor.is_end() {
        return cursor.fail(
            "text follows the `|` or `>` of a block on the same line: put it on the next line, or quote it",
        );
    }
    Ok((chomp.unwrap_or(Chomp::Clip), increment))
}

/// Goes over empty lines, up to the indentation of the block, which the first line with text sets if it is 0.
fn breaks(cursor: &mut Cursor<'_>, indent: &mut i32, around: i32) -> Result<String, Fail> {
    let mut deepest = 0;
    let mut breaks = String::new();
    loop {
        while (*indent == 0 || cursor.column() < *indent) && cursor.byte(0) == b' ' {
            cursor.at += 1;
        }
        deepest = deepest.max(cursor.column());
        if (*indent == 0 || cursor.column() < *indent) && cursor.byte(0) == b'\t' {
            return cursor.fail("a tab cannot indent: use spaces");
        }
        if !cursor.is_break(0) {
            break;
        }
        breaks.push_str(cursor.line_break());
    }
    if *indent == 0 {
        *indent = deepest.max(around + 1).max(1);
    }
    Ok(breaks)
}

//! Folded texts (`>`), which the original writes anew and reads again before it prints them, and does not always get back.
//!
//! It doubles the break before a line that is indented, and where the text starts with a blank it joins lines. Pure.

use std::borrow::Cow;

/// The text as it comes back.
pub(super) fn rewritten(text: &str) -> Cow<'_, str> {
    if !text.contains('\n') || !is_folded_again(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(read(&write(text), text))
}

/// True if the text is written as a folded block: others are put in quotes.
fn is_folded_again(text: &str) -> bool {
    let is_special = |c: char| {
        !matches!(c, '\t' | '\n' | ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}')
            || c == '\u{FEFF}'
    };
    !text.ends_with(' ') && !text.contains(" \n") && !text.chars().any(is_special)
}

/// The lines of the block, without indentation.
fn write(text: &str) -> String {
    let doubles =
        !text.trim_start_matches('\n').starts_with([' ', '\t']) && !text.trim_start_matches('\n').is_empty();
    let mut out = String::with_capacity(text.len() + 16);
    let (mut was_break, mut was_indented) = (true, true);
    for c in text.chars() {
        if c == '\n' {
            if !was_break && !was_indented && doubles {
                out.push('\n');
            }
            out.push('\n');
            was_break = true;
        } else {
            if was_break {
                was_indented = matches!(c, ' ' | '\t');
            }
            out.push(c);
            was_break = false;
        }
    }
    out
}

/// The block, read: with the breaks at its end that the indicator keeps which was written for the text.
fn read(block: &str, text: &str) -> String {
    let content = block.trim_end_matches('\n');
    let mut out = String::with_capacity(block.len());
    let (mut breaks, mut was_blank, mut is_first) = (0, false, true);
    for line in content.split('\n') {
        if line.is_empty() {
            breaks += 1;
            continue;
        }
        let is_blank = line.starts_with([' ', '\t']);
        if !is_first {
            breaks += 1;
        }
        match breaks {
            0 => {}
            1 if !is_first && !was_blank && !is_blank => out.push(' '),
            _ => {
                let folds = !is_first && !was_blank && !is_blank;
                out.extend(std::iter::repeat_n('\n', breaks - usize::from(folds)));
            }
        }
        out.push_str(line);
        (breaks, was_blank, is_first) = (0, is_blank, false);
    }
    let end = block.len() - content.len();
    let kept = match text.len() - text.trim_end_matches('\n').len() {
        0 => 0,
        1 => 1,
        _ => end,
    };
    out.extend(std::iter::repeat_n('\n', kept));
    out
}

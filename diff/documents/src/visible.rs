//! Makes characters visible that control a terminal or that a reader cannot see: control characters, direction
//! overrides, zero-width and other invisible characters. All text from other sources passes through here before it is
//! shown. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

/// Invisible characters: the categories Cf (format), Zl and Zp of Unicode 16, and characters with the property
/// Default_Ignorable_Code_Point. Control characters (Cc) are known to `char`.
const INVISIBLE: [RangeInclusive<char>; 31] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{6dd}'..='\u{6dd}',
    '\u{70f}'..='\u{70f}',
    '\u{890}'..='\u{891}',
    '\u{8e2}'..='\u{8e2}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    // Zero-width characters and direction marks.
    '\u{200b}'..='\u{200f}',
    // Separators of lines and paragraphs, embeddings and overrides of direction.
    '\u{2028}'..='\u{202e}',
    // Joiners, invisible operators, isolates of direction.
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    // Variation selectors: two texts that differ only in these look the same.
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    // Noncharacters.
    '\u{fffe}'..='\u{ffff}',
    '\u{110bd}'..='\u{110bd}',
    '\u{110cd}'..='\u{110cd}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    // Tags and more variation selectors.
    '\u{e0000}'..='\u{e0fff}',
    '\u{1fffe}'..='\u{1ffff}',
    '\u{2fffe}'..='\u{2ffff}',
    '\u{efffe}'..='\u{effff}',
    '\u{ffffe}'..='\u{fffff}',
    '\u{10fffe}'..='\u{10ffff}',
];

/// True for a control character or an invisible one, which must not be sent to a terminal.
pub fn is_hidden(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    character.is_control() || INVISIBLE.iter().any(|range| range.contains(&character))
}

/// Returns a text on one line: every hidden character, including line breaks, is written as `\n`, `\x1b` or
/// `\u{202e}`.
pub fn line(text: &str) -> Cow<'_, str> {
    shown(text, is_hidden, escape)
}

/// Returns a text of several lines: as [`line`], but line breaks and tabs stay.
pub fn block(text: &str) -> Cow<'_, str> {
    shown(text, |character| is_hidden(character) && !matches!(character, '\n' | '\t'), escape)
}

/// Returns the text of a JSON document with hidden characters as `\u202e`, which every JSON parser reads as the same
/// character. Line breaks stay, since they only occur between values.
pub fn json(text: &str) -> Cow<'_, str> {
    let hidden = |character| is_hidden(character) && character != '\n';
    shown(text, hidden, |character, into| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(into, "\\u{unit:04x}");
        }
    })
}

/// Replaces each character for which `hidden` is true.
fn shown(text: &str, hidden: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let Some(first) = text.find(&hidden) else { return Cow::Borrowed(text) };
    let mut shown = String::with_capacity(text.len() + 16);
    let (before, rest) = text.split_at(first);
    shown.push_str(before);
    for character in rest.chars() {
        if hidden(character) { escape(character, &mut shown) } else { shown.push(character) }
    }
    Cow::Owned(shown)
}

fn escape(character: char, into: &mut String) {
    let code = u32::from(character);
    // Writing to a String cannot fail.
    let _ = match character {
        '\n' => into.write_str("\\n"),
        '\r' => into.write_str("\\r"),
        '\t' => into.write_str("\\t"),
        _ if code < 0x100 => write!(into, "\\x{code:02x}"),
        _ => write!(into, "\\u{{{code:x}}}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        for (text, expected) in [
            ("\u{1b}[2K\u{1b}[1A", "\\x1b[2K\\x1b[1A"),
            ("a\rb\nc\td", "a\\rb\\nc\\td"),
            ("\u{0}\u{7}\u{8}\u{7f}", "\\x00\\x07\\x08\\x7f"),
            ("\u{9b}31m\u{85}", "\\x9b31m\\x85"),
            ("\u{202e}txt\u{2066}", "\\u{202e}txt\\u{2066}"),
            ("\u{200e}\u{200f}\u{61c}", "\\u{200e}\\u{200f}\\u{61c}"),
            ("a\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}", "a\\u{200b}\\u{200c}\\u{200d}\\u{2060}\\u{feff}"),
            ("\u{2028}\u{2029}\u{ad}", "\\u{2028}\\u{2029}\\xad"),
            ("\u{e0041}\u{e0001}\u{fe0f}", "\\u{e0041}\\u{e0001}\\u{fe0f}"),
            ("\u{3164}\u{fff9}\u{1d173}\u{10ffff}", "\\u{3164}\\u{fff9}\\u{1d173}\\u{10ffff}"),
        ] {
            assert_eq!(line(text), expected);
        }
    }

    #[test]
    fn what_people_read_stays() {
        let text = "Größe 五 ✅ नमस्ते e\u{301} \\x1b a\u{a0}b";
        assert!(matches!(line(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn a_block_keeps_its_lines_and_no_carriage_returns() {
        assert_eq!(block("a\n\tb\r\nc\u{1b}"), "a\n\tb\\r\nc\\x1b");
    }

    #[test]
    fn json_says_the_same() {
        let value = serde_json::json!({"a\u{202e}": "\u{1b}\u{7f}\u{e0041}\n\u{2028}é"});
        for written in [value.to_string(), format!("{value:#}")] {
            let shown = json(&written);
            assert!(shown.chars().all(|character| character == '\n' || !is_hidden(character)), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).ok().as_ref(), Some(&value));
        }
        assert!(json(&value.to_string()).contains("\\udb40\\udc41"));
    }
}

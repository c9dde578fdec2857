//! Writes a value as text on one line: plain if every reader agrees on it, otherwise in quotes.
//!
//! Plain text must have the same meaning for go-yaml v2 (kubectl), for other readers of YAML 1.1 and for those of
//! YAML 1.2. Leaves block scalars to `block`. Pure.

use granit_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

use crate::yaml::number;
use crate::yaml::scalar::{self, Scalar};

/// The context of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surroundings {
    Block,
    /// Between brackets.
    Flow,
    /// In a file that is entirely JSON.
    Json,
}

/// Returns the value as it is parsed from any of its texts: `1.0` is the integer 1.
pub(super) fn as_read(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.as_i64().is_none() => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => number::float(number::widen(whole)),
            (None, Some(value)) => number::float(value),
            (None, None) => Value::Null,
        },
        other => other.clone(),
    }
}

/// Returns the text of the value, in the style of the replaced scalar if possible. `None` for a
/// collection, and if the tag changes the value.
pub(super) fn inline(
    value: &Value,
    style: ScalarStyle,
    tag: Option<&Tag>,
    place: Surroundings,
) -> Option<String> {
    if let Value::String(text) = value {
        let keeps = |style| allows(text, style, tag, value);
        let plain = style == ScalarStyle::Plain && place != Surroundings::Json && is_plain(text, tag, place);
        return if plain {
            Some(text.clone())
        } else {
            keeps(ScalarStyle::DoubleQuoted).then(|| quoted(text, style, place))
        };
    }
    let text = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => digits(value),
        _ => return None,
    };
    allows(&text, ScalarStyle::Plain, tag, value).then_some(text)
}

/// True if a scalar of this text and style has the value with this tag.
pub(super) fn allows(text: &str, style: ScalarStyle, tag: Option<&Tag>, value: &Value) -> bool {
    let read = scalar::resolve(text, style, tag).and_then(|scalar| scalar.into_json(text));
    read.is_ok_and(|read| read == as_read(value))
}

/// True for characters that must not be written unescaped: control characters, line breaks of YAML 1.1, and
/// invisible characters.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || (c != ' ' && c.is_whitespace())
        || matches!(
            c,
            '\u{AD}'
                | '\u{200B}'..='\u{200F}'
                | '\u{202A}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{FFFE}'..='\u{FFFF}'
        )
}

/// Writes a number in a form that JSON, YAML 1.1 and YAML 1.2 share: an exponent needs a point and a sign.
fn digits(number: &Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    let text = as_read(&Value::Number(number.clone())).to_string();
    match text.split_once('e') {
        None => text,
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
            format!("{mantissa}{point}e{sign}{exponent}")
        }
    }
}

fn quoted(text: &str, style: ScalarStyle, place: Surroundings) -> String {
    let escapes = text.contains(['"', '\\']);
    let single = match (place, style) {
        (Surroundings::Json, _) => false,
        (_, ScalarStyle::SingleQuoted) => true,
        (_, ScalarStyle::Plain) => escapes,
        _ => false,
    };
    if single && !text.contains(is_hidden) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // all hidden characters have four digits
            c if is_hidden(c) => out.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// True if the text can be written without quotes.
fn is_plain(text: &str, tag: Option<&Tag>, place: Surroundings) -> bool {
    let means_itself = match tag {
        Some(_) => scalar::resolve(text, ScalarStyle::Plain, tag) == Ok(Scalar::Text(text.to_owned())),
        None => is_text_everywhere(text),
    };
    means_itself && has_plain_form(text, place)
}

/// True if the text contains no indicator of YAML.
fn has_plain_form(text: &str, place: Surroundings) -> bool {
    let mut chars = text.chars();
    let opens = match (chars.next(), chars.next()) {
        (None, _) | (Some('-'), None | Some(' ')) => false,
        (Some(first), _) => !"?:,[]{}#&*!|>'\"%@`".contains(first),
    };
    let marks = [": ", " #"];
    // `?` ends a plain text between brackets in go-yaml v2.
    let brackets = place != Surroundings::Block && text.contains([',', '?', '[', ']', '{', '}']);
    opens
        && !brackets
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !text.starts_with(' ')
        && !text.ends_with([' ', ':'])
        && !marks.iter().any(|mark| text.contains(mark))
        && !text.contains(is_hidden)
}

/// True if every reader parses the plain text as a string.
fn is_text_everywhere(text: &str) -> bool {
    let kubectl = scalar::resolve(text, ScalarStyle::Plain, None);
    kubectl == Ok(Scalar::Text(text.to_owned()))
        && !matches!(text, "=" | "<<")
        && !is_number_somewhere(text)
        && !is_date(text)
}

/// True for numbers of any size in any base, including base 60 of YAML 1.1 (`12:30:45`).
fn is_number_somewhere(text: &str) -> bool {
    let text = text.replace('_', "");
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(&text);
    if !unsigned.starts_with(|c: char| c == '.' || c.is_ascii_digit()) {
        return false;
    }
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let based = unsigned.get(..2).is_some_and(|base| ["0x", "0X", "0o", "0O", "0b", "0B"].contains(&base))
        && unsigned.bytes().skip(2).all(|byte| byte.is_ascii_hexdigit());
    let base_60 = unsigned.split_once(':').is_some_and(|(first, rest)| {
        let whole = rest.split_once('.').map_or(rest, |(whole, _)| whole);
        all_digits(first) && whole.split(':').all(|part| (1..=2).contains(&part.len()) && all_digits(part))
    });
    based || base_60 || unsigned.parse::<f64>().is_ok()
}

/// True for `2024-01-01`, alone or before a time.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let digits = |part: &str| part.bytes().take_while(u8::is_ascii_digit).count();
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let day = digits(rest);
    let whole =
        |part: &str, from: usize, to: usize| part.len() == digits(part) && (from..=to).contains(&part.len());
    let ends = rest.get(day..).is_some_and(|time| time.is_empty() || time.starts_with(['T', 't', ' ']));
    whole(year, 4, 4) && whole(month, 1, 2) && (1..=2).contains(&day) && ends
}

//! Plain values: what SOPS hashes of each, and what a YAML scalar means to it, which reads YAML as go-yaml v3
//! does.
//!
//! kubectl reads go-yaml v2, to which `yes` is a bool and a date is text. Pure.

use granit_parser::{ScalarStyle, Tag};
use holdfast_diff::go_number::{Integer, decimal};
use zeroize::Zeroizing;

use super::time;

/// Bytes that are wiped when they are dropped.
pub(super) type Secret = Zeroizing<Vec<u8>>;

/// A value of a file, plain from the start or decrypted. It may be secret: there is no `Debug`.
#[derive(Clone)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Secret),
    Time(String),
    Comment(Secret),
}

impl Scalar {
    pub fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(Zeroizing::new(text.into()))
    }

    /// What of the value goes into the MAC. Nothing of null and of comments.
    pub fn hashed(&self) -> Secret {
        Zeroizing::new(match self {
            Self::Null | Self::Comment(_) => Vec::new(),
            Self::Bool(true) => b"True".to_vec(),
            Self::Bool(false) => b"False".to_vec(),
            Self::Int(value) => value.to_string().into_bytes(),
            Self::Float(value) => float(*value).into_bytes(),
            Self::Text(text) => text.to_vec(),
            Self::Time(text) => text.clone().into_bytes(),
        })
    }
}

/// A float with all its digits and no exponent.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

/// True for words that are bools to go-yaml v2 and text to v3.
pub(super) fn is_old_bool(text: &str) -> bool {
    ["y", "n", "yes", "no", "on", "off"].iter().any(|word| {
        let mut capital = word.to_string();
        capital[..1].make_ascii_uppercase();
        text == *word || text == capital || text == word.to_ascii_uppercase()
    })
}

/// Reads a scalar. A tag overrules the style: `!!int "1"` is a number.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Scalar {
    let tag = tag.map(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:").unwrap_or_default());
    match tag.as_deref() {
        None if style == ScalarStyle::Plain => plain(text),
        Some("bool" | "int" | "null") => plain(text),
        Some("timestamp") => time::read(text).map_or_else(|| Scalar::text(text), Scalar::Time),
        Some("float") => match plain(text) {
            Scalar::Int(value) => Scalar::Float(widen(&value)),
            value => value,
        },
        Some("binary") => binary(text),
        _ => Scalar::text(text),
    }
}

fn binary(text: &str) -> Scalar {
    use base64::Engine as _;
    let code: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD.decode(code).map_or_else(|_| Scalar::text(text), Scalar::text)
}

/// Reads a scalar that carries neither quotes nor a tag.
fn plain(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Bool(true),
        "false" | "False" | "FALSE" => Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            number(text).unwrap_or_else(|| Scalar::text(text))
        }
        _ => Scalar::text(text),
    }
}

fn number(text: &str) -> Option<Scalar> {
    if let Some(time) = time::read(text) {
        return Some(Scalar::Time(time));
    }
    let digits = if text.starts_with('.') { text.to_owned() } else { text.replace('_', "") };
    integer(&digits).or_else(|| decimal(&digits).map(Scalar::Float))
}

/// A whole number. One that is beyond 64 bits with a sign is a float.
fn integer(text: &str) -> Option<Scalar> {
    let integer = Integer::read(text)?;
    match integer.signed() {
        Some(value) => Some(Scalar::Int(value)),
        None if integer.is_negative => None,
        None => Some(Scalar::Float(widen(&integer.magnitude))),
    }
}

/// A number that SOPS holds as a float. Go rounds in the same way.
fn widen(value: &impl ToString) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_hashed_as_go_yaml_v3_reads_them() {
        let check = |text: &str, expected: &str| {
            let hashed = resolve(text, ScalarStyle::Plain, None).hashed();
            assert_eq!(String::from_utf8_lossy(&hashed), expected, "{text}");
        };
        check("yes", "yes");
        check("True", "True");
        check("~", "");
        check("0644", "420");
        check("0o17", "15");
        check("-0x1F", "-31");
        check("1_000", "1000");
        check("1e3", "1000");
        check("1.50", "1.5");
        check("-0.0", "-0");
        check(".5", "0.5");
        check(".inf", "+Inf");
        check("1:30", "1:30");
        check("12345678901234567890123", "12345678901234568000000");
        check("2001-01-02", "2001-01-02T00:00:00Z");
        check("09", "9");
    }

    #[test]
    fn words_that_were_bools_once_are_told_apart() {
        let old = ["yes", "Off", "ON", "n", "true", "yES", "none"].map(is_old_bool);
        assert_eq!(old, [true, true, true, true, false, false, false]);
    }
}

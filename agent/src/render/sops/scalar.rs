//! Plain values: what SOPS hashes of each, and what a YAML scalar means to it, which reads YAML as go-yaml v3 does.
//!
//! kubectl reads go-yaml v2, to which `yes` is a bool and a date is text. Pure.

use granit_parser::{ScalarStyle, Tag};
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
    let finite = |value: &f64| value.is_finite();
    integer(&digits).or_else(|| {
        is_decimal(&digits).then(|| digits.parse().ok().filter(finite).map(Scalar::Float)).flatten()
    })
}

/// Integers as Go's base 0 reads them: `0x`, `0o`, `0b`, and octal after a leading zero.
fn integer(text: &str) -> Option<Scalar> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Scalar::Int);
    }
    Some(i64::try_from(magnitude).map_or_else(|_| Scalar::Float(widen(&magnitude)), Scalar::Int))
}

/// True for `[-+]? ( .digits | digits [. digits*] ) ( e [-+]? digits )?`.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some((whole, fraction)) => {
            !(whole.is_empty() && fraction.is_empty()) && digits(whole) && digits(fraction)
        }
        None => !mantissa.is_empty() && digits(mantissa),
    };
    mantissa_ok
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        })
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
        check("12345678901234567890123", "12345678901234567000000");
        check("2001-01-02", "2001-01-02T00:00:00Z");
        check("09", "9");
    }

    #[test]
    fn words_that_were_bools_once_are_told_apart() {
        let old = ["yes", "Off", "ON", "n", "true", "yES", "none"].map(is_old_bool);
        assert_eq!(old, [true, true, true, true, false, false, false]);
    }
}

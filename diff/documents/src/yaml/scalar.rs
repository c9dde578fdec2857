//! The meaning of a scalar: YAML 1.1 as in go-yaml v2 and kubectl.
//!
//! `0644` is 420, `yes` is true, `1_000` is 1000, `1:30` and dates stay text. Leaves the formats of numbers to
//! `number`, and collections to `decode`. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{ScalarStyle, Tag};
use serde_json::Value;

use super::error::YamlProblem;
use super::number;
pub use super::resolved::Scalar;

/// Resolves a scalar. A tag has precedence over the style: `!!int "1"` is a number.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Scalar, YamlProblem> {
    let tag = tag.map(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:").unwrap_or_default());
    let wrong = |tag| Err(YamlProblem::WrongTag { text: text.to_owned(), tag });
    let is_date = || {
        let bytes = text.as_bytes();
        bytes.len() > 5 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-'
    };
    match tag.as_deref() {
        None if style == ScalarStyle::Plain => Ok(plain(text)),
        Some("bool") => match plain(text) {
            value @ Scalar::Bool(_) => Ok(value),
            _ => wrong("!!bool"),
        },
        Some("int") => match plain(text) {
            value @ (Scalar::Int(_) | Scalar::Uint(_)) => Ok(value),
            _ => wrong("!!int"),
        },
        Some("float") => match plain(text) {
            value @ (Scalar::Int(_) | Scalar::Float(_)) => Ok(value),
            _ => wrong("!!float"),
        },
        Some("null") if plain(text) != Scalar::Null => wrong("!!null"),
        Some("null") => Ok(Scalar::Null),
        Some("timestamp") if !is_date() => wrong("!!timestamp"),
        Some("binary") => binary(text),
        _ => Ok(Scalar::Text(text.to_owned())),
    }
}

/// Resolves a scalar without quotes and tag.
fn plain(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => number::read(text).unwrap_or_else(|| Scalar::Text(text.to_owned())),
    }
}

fn binary(text: &str) -> Result<Scalar, YamlProblem> {
    let code: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let bytes = STANDARD.decode(code).map_err(|_| YamlProblem::Binary)?;
    Ok(Scalar::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

impl Scalar {
    /// Returns the value as it arrives at the API server: integers within 64 bits are integers, all others
    /// are floats.
    pub fn into_json(self, text: &str) -> Result<Value, YamlProblem> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::Uint(value) => number::float(number::widen(value)),
            Self::Float(value) if !value.is_finite() => {
                return Err(YamlProblem::NotFinite(text.to_owned()));
            }
            Self::Float(value) => number::float(value),
            Self::Text(value) => value.into(),
        })
    }

    /// Returns the value as the name of a field.
    pub fn into_key(self) -> Result<String, YamlProblem> {
        match self {
            Self::Null => Err(YamlProblem::ScalarKey("null")),
            Self::Uint(_) => Err(YamlProblem::ScalarKey("a number of more than 63 bits")),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Int(value) => Ok(value.to_string()),
            Self::Float(value) => Ok(number::key(value)),
            Self::Text(value) => Ok(value),
        }
    }
}

/// True if a key `<<` of this style and tag is a merge key.
pub(super) fn is_merge(style: ScalarStyle, tag: Option<&Tag>) -> bool {
    match tag {
        None => style == ScalarStyle::Plain,
        Some(tag) => tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() == Some("merge"),
    }
}

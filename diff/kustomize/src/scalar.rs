//! The types of scalars: YAML as in go-yaml v3, which is between YAML 1.1 and 1.2.
//!
//! `0644` is 420, `08` and `1e3` are floats, `yes` is text, `2020-01-01` is a time. Leaves quotes to the reader. Pure.

use smol_str::SmolStr;

use super::node::{Scalar, Style, Tag};
use holdfast_documents::go_number::decimal;

mod number;
mod timestamp;

/// The value of a scalar.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer of more than 63 bits.
    Uint(u64),
    Float(f64),
    /// In the form in which it is printed.
    Timestamp(String),
    Merge,
    Text,
}

impl Scalar {
    /// Creates a text without quotes and tag, whose type depends on its form.
    pub fn plain(text: impl Into<SmolStr>) -> Self {
        let text = text.into();
        let tag = resolve(&text).tag();
        Self { text, tag, style: Style::Plain }
    }
}

impl Resolved {
    pub fn tag(&self) -> Tag {
        match self {
            Self::Null => Tag::Null,
            Self::Bool(_) => Tag::Bool,
            Self::Int(_) | Self::Uint(_) => Tag::Int,
            Self::Float(_) => Tag::Float,
            Self::Timestamp(_) => Tag::Timestamp,
            Self::Merge => Tag::Merge,
            Self::Text => Tag::Str,
        }
    }
}

/// Resolves a text without quotes and tag.
pub fn resolve(text: &str) -> Resolved {
    let Some(first) = text.bytes().next() else { return Resolved::Null };
    match first {
        b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'<' => word(text),
        b'.' => match infinite(text) {
            Some(float) => Resolved::Float(float),
            None => decimal(text).map_or(Resolved::Text, Resolved::Float),
        },
        b'0'..=b'9' | b'+' | b'-' => {
            if let Some(float) = infinite(text) {
                return Resolved::Float(float);
            }
            match timestamp::read(text) {
                Some(time) => Resolved::Timestamp(time),
                None => number::read(text),
            }
        }
        _ => Resolved::Text,
    }
}

fn word(text: &str) -> Resolved {
    match text {
        "~" | "null" | "Null" | "NULL" => Resolved::Null,
        "true" | "True" | "TRUE" => Resolved::Bool(true),
        "false" | "False" | "FALSE" => Resolved::Bool(false),
        "<<" => Resolved::Merge,
        _ => Resolved::Text,
    }
}

fn infinite(text: &str) -> Option<f64> {
    match text {
        ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Resolved as R, resolve};

    fn check(text: &str, expected: &R) {
        assert_eq!(&resolve(text), expected, "{text}");
    }

    #[test]
    fn words_and_numbers_mean_what_they_mean_to_go_yaml() {
        for text in ["", "~", "null", "NULL"] {
            check(text, &R::Null);
        }
        for text in
            ["yes", "on", "y", "nULL", "_1", "1.2.3", "0x", "+", "-", ".", "1_e", "0b2", "1:30", "1e400"]
        {
            check(text, &R::Text);
        }
        for (text, value) in [
            ("0644", 420),
            ("0o17", 15),
            ("-0x1F", -31),
            ("1_000", 1000),
            ("+12", 12),
            ("0b-1", -1),
            ("-0", 0),
        ] {
            check(text, &R::Int(value));
        }
        for (text, value) in [("08", 8.0), ("1e3", 1000.0), (".5", 0.5), ("-1.", -1.0), ("1_0.5", 10.5)] {
            check(text, &R::Float(value));
        }
        check("18446744073709551615", &R::Uint(u64::MAX));
        check("18446744073709551616", &R::Float(18_446_744_073_709_551_616.0));
        check("True", &R::Bool(true));
        check("<<", &R::Merge);
    }

    #[test]
    fn times_are_printed_as_go_prints_them() {
        for (text, time) in [
            ("2020-01-01", "2020-01-01T00:00:00Z"),
            ("2020-2-29", "2020-02-29T00:00:00Z"),
            ("2020-1-1T1:2:3.50+02:00", "2020-01-01T01:02:03.5+02:00"),
            ("2020-01-01t10:00:00Z", "2020-01-01T10:00:00Z"),
            ("2020-01-01   10:00:00,1234567891", "2020-01-01T10:00:00.123456789Z"),
            ("2020-01-01T10:00:00-00:00", "2020-01-01T10:00:00Z"),
            ("2020-01-01T10:00:00+01:60", "2020-01-01T10:00:00+02:00"),
        ] {
            check(text, &R::Timestamp(time.to_owned()));
        }
        for text in
            ["2021-02-29", "2020-13-01", "2020-01-01T24:00:00Z", "2020-01-01 10:00:00Z", "20200-01-01"]
        {
            check(text, &R::Text);
        }
    }
}

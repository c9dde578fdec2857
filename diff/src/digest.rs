//! Digests of values by meaning: the order of keys does not matter, and `1` and `1.0` are the same number.
//!
//! Pure.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The first 128 bits of a SHA-256.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Digests a JSON value by meaning.
    pub fn of(value: &Value) -> Self {
        let mut hasher = Hasher::default();
        hasher.value(value);
        hasher.finish()
    }

    /// Returns the digest of both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let mut hasher = Hasher::default();
        hasher.bytes(&self.0);
        hasher.bytes(&other.0);
        hasher.finish()
    }

    /// Digests plain bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.bytes(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Serialises as hexadecimal digits.
impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let number = u128::from_str_radix(&text, 16).ok().filter(|_| text.len() == 32);
        number.map(|number| Self(number.to_be_bytes())).ok_or_else(|| D::Error::custom("not a digest"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Digests a sequence of parts. Each part is framed, so that no two sequences collide by concatenation.
#[derive(Default)]
pub struct Hasher(Sha256);

impl Hasher {
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.0.update(b"z"),
            Value::Bool(bool) => self.0.update(if *bool { b"t" } else { b"f" }),
            Value::Number(number) => {
                self.0.update(b"n");
                self.text(&canonical_number(number));
            }
            Value::String(string) => {
                self.0.update(b"s");
                self.text(string);
            }
            Value::Array(items) => {
                self.0.update(b"[");
                self.0.update((items.len() as u64).to_le_bytes());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(fields) => {
                self.0.update(b"{");
                self.0.update((fields.len() as u64).to_le_bytes());
                let mut sorted: Vec<_> = fields.iter().collect();
                sorted.sort_unstable_by_key(|(name, _)| *name);
                for (name, field) in sorted {
                    self.text(name);
                    self.value(field);
                }
            }
        }
    }

    pub fn finish(self) -> Digest {
        let mut first = [0; 16];
        first.copy_from_slice(&self.0.finalize()[..16]);
        Digest(first)
    }
}

/// Writes an integral float as the integer it is.
#[expect(clippy::cast_possible_truncation, reason = "the bound is checked on the line above")]
fn canonical_number(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
            (float as i64).to_string()
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Digest;

    #[test]
    fn key_order_and_float_form_do_not_count() {
        assert_eq!(Digest::of(&json!({"a": 1, "b": [2.0]})), Digest::of(&json!({"b": [2], "a": 1.0})));
    }

    #[test]
    fn type_and_structure_count() {
        let values =
            [json!(1), json!("1"), json!([1]), json!(null), json!({}), json!([]), json!(1.5), json!([[1]])];
        for (index, one) in values.iter().enumerate() {
            for other in &values[index + 1..] {
                assert_ne!(Digest::of(one), Digest::of(other), "{one} and {other}");
            }
        }
    }
}

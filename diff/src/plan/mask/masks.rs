//! The texts of one render that came from Secrets or from decryption, and their occurrences: in a ConfigMap, in an
//! environment variable, in the message of a webhook that quotes them.
//!
//! A text is found in the forms that tools use: alone or within another text, line by line, in base64, in
//! hexadecimal, percent-encoded, and escaped as JSON. Very short and common texts ([`WORDS`]) are not searched. Pure.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{HIDDEN, forms};

/// Minimum characters of a text that is searched.
const SHORTEST: usize = 4;
/// Minimum characters of a text that is searched within words, and not only between them.
const WITHIN: usize = 6;
/// Maximum bytes of all texts. If there are more, every value is treated as secret.
const MOST: usize = 256 * 1024;
/// Values that are not secret, whatever their source.
const WORDS: [&str; 22] = [
    "true", "false", "null", "none", "nil", "yes", "no", "on", "off", "enabled", "disabled", "enable",
    "disable", "default", "always", "never", "auto", "info", "warn", "error", "debug", "trace",
];

/// Texts that must not be shown.
#[derive(Default, Serialize, Deserialize)]
pub struct Masks {
    texts: BTreeSet<Box<str>>,
    /// Total bytes of all texts.
    size: usize,
    /// True if the limit is exceeded.
    too_many: bool,
    #[serde(skip)]
    finder: OnceLock<Option<AhoCorasick>>,
}

/// Does not print the texts.
impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masks")
    }
}

impl Clone for Masks {
    fn clone(&self) -> Self {
        let Self { texts, size, too_many, finder: _ } = self;
        Self { texts: texts.clone(), size: *size, too_many: *too_many, finder: OnceLock::new() }
    }
}

impl Masks {
    /// True if there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty() && !self.too_many
    }

    /// Adds a secret text, and each of its lines.
    pub fn add(&mut self, text: &str) {
        let text = text.trim();
        if text.chars().count() < SHORTEST || WORDS.contains(&text.to_ascii_lowercase().as_str()) {
            return;
        }
        if self.too_many || self.size + text.len() > MOST {
            self.too_many = true;
            self.texts.clear();
        } else if self.texts.insert(text.into()) {
            self.size += text.len();
        }
        self.finder = OnceLock::new();
    }

    /// Adds every scalar of a document with secret values.
    pub fn add_values(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => fields.values().for_each(|field| self.add_values(field)),
            Value::Array(items) => items.iter().for_each(|item| self.add_values(item)),
            Value::String(text) => self.add(text),
            Value::Number(number) => self.add(&number.to_string()),
            Value::Bool(_) | Value::Null => {}
        }
    }

    /// Adds the values of an object if it is a Secret.
    pub fn add_secret(&mut self, object: &Value) {
        let is_secret = object.get("kind").and_then(Value::as_str) == Some("Secret")
            && object.get("apiVersion").and_then(Value::as_str) == Some("v1");
        if !is_secret {
            return;
        }
        object.get("stringData").into_iter().for_each(|values| self.add_values(values));
        object.get("data").into_iter().for_each(|values| self.add_encoded(values));
    }

    /// Adds every scalar below `data` of a Secret, decoded. What is not base64 is refused by the API server, whose message quotes
    /// it.
    fn add_encoded(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => fields.values().for_each(|field| self.add_encoded(field)),
            Value::Array(items) => items.iter().for_each(|item| self.add_encoded(item)),
            Value::String(text) => match forms::decoded(text) {
                Some(plain) => self.add(&plain),
                None => self.add(text),
            },
            other => self.add_values(other),
        }
    }

    /// Adds the texts of another value.
    pub fn extend(&mut self, others: &Self) {
        self.too_many |= others.too_many;
        for text in &others.texts {
            self.add(text);
        }
        if self.too_many {
            self.texts.clear();
        }
        self.finder = OnceLock::new();
    }

    /// True if a value contains one of the texts.
    pub fn touches(&self, value: &Value) -> bool {
        if self.too_many {
            return true;
        }
        match value {
            Value::Object(fields) => {
                fields.iter().any(|(name, field)| self.is_in(name) || self.touches(field))
            }
            Value::Array(items) => items.iter().any(|item| self.touches(item)),
            Value::String(text) => self.is_in(text),
            Value::Number(number) => self.is_in(&number.to_string()),
            Value::Bool(_) | Value::Null => false,
        }
    }

    /// Returns a text for users, in which the secret texts are masked.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.too_many {
            return Cow::Borrowed(
                "not shown, because the render holds more secret values than can be masked",
            );
        }
        let mut shown = String::new();
        let mut end = 0;
        for (from, to) in self.found(text) {
            shown.push_str(&text[end..from]);
            shown.push_str(HIDDEN);
            end = to;
        }
        if end == 0 {
            return Cow::Borrowed(text);
        }
        shown.push_str(&text[end..]);
        Cow::Owned(shown)
    }

    /// True if the limit would be exceeded together with others.
    pub fn is_full_with(&self, others: &Self) -> bool {
        others.too_many || self.size + others.size > MOST
    }

    fn is_in(&self, text: &str) -> bool {
        self.texts.contains(text.trim()) || self.found(text).next().is_some()
    }

    /// Returns the occurrences of the texts in another one.
    fn found<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (usize, usize)> + 't {
        let finder =
            if self.texts.is_empty() { None } else { self.finder.get_or_init(|| self.build()).as_ref() };
        let found = finder.into_iter().flat_map(move |finder| finder.find_iter(text));
        found.map(|found| (found.start(), found.end())).filter(move |(from, to)| {
            to - from >= WITHIN
                || (is_edge(text[..*from].chars().next_back()) && is_edge(text[*to..].chars().next()))
        })
    }

    fn build(&self) -> Option<AhoCorasick> {
        let forms: BTreeSet<String> =
            self.texts.iter().flat_map(|text| forms::of(text)).filter(|form| is_telling(form)).collect();
        AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::LeftmostLongest)
            .build(forms)
            .ok()
    }
}

/// True between words.
fn is_edge(character: Option<char>) -> bool {
    character.is_none_or(|character| !character.is_alphanumeric())
}

/// True for a text that is searched within others: a short lower-case word, such as `prod`, is only a secret
/// if it is the whole value.
fn is_telling(text: &str) -> bool {
    let short = text.len() < WITHIN && text.bytes().all(|byte| byte.is_ascii_lowercase());
    text.len() >= SHORTEST && !short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn masks(texts: &[&str]) -> Masks {
        let mut masks = Masks::default();
        texts.iter().for_each(|text| masks.add(text));
        masks
    }

    /// What is shown of a text.
    fn check(texts: &[&str], text: &str, expected: &str) {
        assert_eq!(masks(texts).hide(text), expected, "{text}");
        assert_eq!(masks(texts).touches(&json!({"a": [text]})), expected != text, "{text}");
    }

    #[test]
    fn a_text_is_found_wherever_and_however_it_stands() {
        let secret = ["hunter2!"];
        check(&secret, "postgres://u:hunter2!@db/x", "postgres://u:***@db/x");
        check(&secret, "xhunter2!x hunter2!", "x***x ***");
        // Base64 at each of its three offsets, hexadecimal, percent-encoded.
        check(&secret, "aHVudGVyMiE=", "***");
        for before in ["", "u", "u:"] {
            let code = forms::encoded(format!("{before}hunter2!:x").as_bytes());
            assert!(masks(&secret).touches(&json!(code)), "{code}");
        }
        check(&secret, "68756e7465723221", "***");
        check(&secret, "p=hunter2%21", "p=***");
        check(&["a\"b\\c\nd"], r#"{"x":"a\"b\\c\nd"}"#, r#"{"x":"***"}"#);
        check(&["first line\nsecond line\n"], "it says: second line.", "it says: ***.");
    }

    #[test]
    fn short_texts_are_found_between_words_and_words_that_say_nothing_are_not() {
        check(&["Ab1x"], "u:Ab1x@db", "u:***@db");
        check(&["Ab1x"], "zAb1xz", "zAb1xz");
        check(&["4711"], "pin 4711", "pin ***");
        check(
            &["prod", "true", "a", "Default"],
            "namespace prod, true, a, default",
            "namespace prod, true, a, default",
        );
        assert!(masks(&["prod"]).touches(&json!({"env": "prod"})));
        assert!(!masks(&["true", "1", "info"]).touches(&json!(["true", true, 1, "info"])));
        assert!(masks(&["8472910"]).touches(&json!({"port": 8_472_910})));
    }

    #[test]
    fn values_of_secrets_are_added_in_plain() {
        let mut masks = Masks::default();
        masks.add_secret(&json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "aHVudGVyMiE="},
            "stringData": {"b": "correct horse"}}));
        masks.add_secret(&json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "not secret"}}));
        assert_eq!(masks.hide("hunter2! correct horse not secret"), "*** *** not secret");
    }

    #[test]
    fn values_of_the_wrong_type_are_added_too() {
        let mut masks = Masks::default();
        let secret = |fields: Value| {
            let mut secret = json!({"apiVersion": "v1", "kind": "Secret"});
            for (name, value) in fields.as_object().into_iter().flatten() {
                secret[name] = value.clone();
            }
            secret
        };
        masks.add_secret(&secret(json!({"data": {"pin": 1_234_567_890, "list": ["hunter3 in data"]}})));
        masks.add_secret(&secret(json!({"data": "hunter4 in data", "stringData": ["hunter5 in a list"]})));
        assert_eq!(
            masks.hide("1234567890; hunter3 in data; hunter4 in data; hunter5 in a list; other"),
            "***; ***; ***; ***; other"
        );
    }

    #[test]
    fn more_than_can_be_looked_for_hides_everything() {
        let mut masks = Masks::default();
        for at in 0..20_000 {
            masks.add(&format!("a secret with number {at}"));
        }
        assert!(masks.touches(&json!(1)));
        assert!(!masks.hide("a secret with number 7").contains("number"));
        let mut other = Masks::default();
        other.extend(&masks);
        assert!(other.touches(&json!("x")));
    }

    #[test]
    fn they_survive_a_pipe() {
        let sent = serde_json::to_string(&masks(&["hunter2!"])).unwrap_or_default();
        let got: Masks = serde_json::from_str(&sent).unwrap_or_default();
        assert_eq!(got.hide("hunter2!"), "***");
    }
}

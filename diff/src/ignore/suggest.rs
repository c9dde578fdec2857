//! Writes a rule for one object that a user can paste below `spec.drift.ignore`. Pure.

use std::fmt::Write as _;

use super::glob::literal;
use crate::object::ObjectId;

/// Words that YAML 1.1 or 1.2 does not read as strings, in lower case.
const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// `{target: {kind: ConfigMap, name: web, namespace: shop}, paths: [/data/a]}`: the entry that covers these paths of
/// this object. A field with the name `*` cannot be named alone, only covered together with its siblings.
pub fn suggest(object: &ObjectId, paths: &[&str]) -> String {
    let target: Vec<String> = [
        ("group", &*object.kind.group),
        ("kind", &*object.kind.kind),
        ("name", &*object.name),
        ("namespace", &*object.namespace),
    ]
    .into_iter()
    .filter(|(_, name)| !name.is_empty())
    .map(|(field, name)| format!("{field}: {}", scalar(&literal(name))))
    .collect();
    let paths: Vec<String> = paths.iter().map(|path| scalar(path)).collect();
    format!("{{target: {{{}}}, paths: [{}]}}", target.join(", "), paths.join(", "))
}

/// Returns text as a scalar of a YAML flow, in quotes unless it is certainly a plain string.
fn scalar(text: &str) -> String {
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._~-".contains(character);
    if begins && text.chars().all(plain) && !WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            character if is_special(character) => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(character));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// True for characters that YAML forbids, or reads as a line break.
fn is_special(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
}

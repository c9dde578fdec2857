//! The origin of a resource, or what created or changed it, and its form in an annotation.
//!
//! Pure.

use serde_json::Value;

use crate::node::Tag;
use crate::scalar::resolve;

/// The origin of a resource, or what created or changed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    pub path: String,
    pub repo: String,
    pub reference: String,
    /// The file that has the generator or transformer.
    pub configured_in: String,
    pub configured_by: ConfiguredBy,
}

/// A generator or transformer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfiguredBy {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub namespace: String,
}

impl Provenance {
    /// Formats as YAML for the annotation.
    pub fn to_yaml(&self) -> String {
        self.lines().map(|line| line + "\n").collect()
    }

    pub fn lines(&self) -> impl Iterator<Item = String> {
        let Self { path, repo, reference, configured_in, configured_by } = self;
        let ConfiguredBy { api_version, kind, name, namespace } = configured_by;
        let by = [("apiVersion", api_version), ("kind", kind), ("name", name), ("namespace", namespace)];
        let by: Vec<String> = entries(&by, "  ").collect();
        let header = (!by.is_empty()).then(|| "configuredBy:".to_owned());
        entries(&[("path", path), ("repo", repo), ("ref", reference), ("configuredIn", configured_in)], "")
            .chain(header)
            .chain(by)
            .collect::<Vec<_>>()
            .into_iter()
    }
}

fn entries(fields: &[(&str, &String)], indent: &str) -> impl Iterator<Item = String> {
    fields
        .iter()
        .filter(|(_, text)| !text.is_empty())
        .map(move |(key, text)| format!("{indent}{key}: {}", quoted(text)))
}

/// Formats a text as a plain scalar if possible.
fn quoted(text: &str) -> String {
    let starts_badly = text.starts_with(|first: char| "-?:,[]{}#&*!|>'\"%@` ".contains(first))
        && !(text.starts_with(['-', '?', ':']) && text[1..].starts_with(|next: char| next != ' '));
    let is_special = starts_badly
        || text.ends_with([' ', ':'])
        || text.contains(": ")
        || text.contains(" #")
        || text.chars().any(char::is_control);
    if resolve(text).tag() != Tag::Str {
        format!("\"{text}\"")
    } else if is_special && !text.chars().any(char::is_control) {
        format!("'{}'", text.replace('\'', "''"))
    } else if is_special {
        Value::from(text).to_string()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_where_it_must_be() {
        for (text, expected) in [
            ("a/b.yaml", "a/b.yaml"),
            ("../a", "../a"),
            ("-a", "-a"),
            ("123", "\"123\""),
            ("true", "\"true\""),
            ("a: b", "'a: b'"),
            ("a #b", "'a #b'"),
            ("#a", "'#a'"),
            ("it's: a", "'it''s: a'"),
            ("a\tb", "\"a\\tb\""),
        ] {
            assert_eq!(quoted(text), expected, "{text}");
        }
    }
}

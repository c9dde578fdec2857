//! The hash that is appended to the name of a generated ConfigMap or Secret.
//!
//! Ten characters of the SHA-256 of the JSON that Go would write, which escapes HTML characters. Pure.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::error::KustomizeError;
use super::node::{Node, Scalar};
use super::resource::Resource;
use super::resources::Resources;
use super::{Transform, value};

/// Appends hashes to the names of the resources that require one.
pub struct HashTransformer;

impl Transform for HashTransformer {
    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        for resource in resources.list.iter_mut().filter(|resource| resource.needs_hash) {
            let name = format!("{}-{}", resource.name(), hash(resource)?);
            resource.remember_id();
            if let Some(metadata) = resource.edit().get_mut("metadata").and_then(Node::as_map_mut) {
                metadata.set("name", Node::Scalar(Scalar::plain(name)));
            }
        }
        Ok(())
    }
}

/// Returns the hash of a resource.
fn hash(resource: &Resource) -> Result<String, KustomizeError> {
    let node = resource.node();
    let mut fields = Map::new();
    let (kind, optional): (_, &[&str]) = match resource.gvk().kind.as_str() {
        "Secret" => ("Secret", &["stringData"]),
        _ => ("ConfigMap", &["binaryData"]),
    };
    fields.insert("kind".to_owned(), kind.into());
    // Kustomize searches a field whose name is literally metadata/name.
    fields.insert("name".to_owned(), "".into());
    fields.insert("data".to_owned(), content(node, "data", resource)?);
    if kind == "Secret" {
        fields.insert("type".to_owned(), content(node, "type", resource)?);
    }
    for field in optional {
        let value = content(node, field, resource)?;
        if value.is_object() {
            fields.insert((*field).to_owned(), value);
        }
    }
    let mut json = String::new();
    write(&Value::Object(fields), &mut json);
    Ok(encode(json.as_bytes()))
}

/// Returns the value of a field, or an empty string.
fn content(node: &Node, field: &str, resource: &Resource) -> Result<Value, KustomizeError> {
    match node.get(field) {
        None => Ok("".into()),
        Some(Node::Scalar(scalar)) => Ok(scalar.text.as_str().into()),
        Some(node) => match value::value(node).map_err(|error| error.or_at(&resource.origin))? {
            map @ Value::Object(_) => Ok(map),
            _ => Ok(Value::Null),
        },
    }
}

/// Returns the first ten hexadecimal digits of the digest, with ambiguous characters replaced.
fn encode(bytes: &[u8]) -> String {
    let digits = hex::encode(&Sha256::digest(bytes)[..5]);
    let letter = |digit| match digit {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    digits.chars().map(letter).collect()
}

/// Writes JSON as Go's encoder does, with sorted keys.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => write_number(number.as_f64().unwrap_or_default(), out),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| key.as_bytes());
            out.push('{');
            for (at, (key, value)) in fields.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

/// Writes a number, which Go has read as a float: plain digits between 1e-6 and 1e21.
fn write_number(number: f64, out: &mut String) {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        let _ = write!(out, "{mantissa}e{sign}{exponent}");
    } else {
        let _ = write!(out, "{number}");
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

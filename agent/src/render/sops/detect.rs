//! Which files SOPS encrypted, and how: by their names, and by what they hold.
//!
//! Pure.

use memchr::memmem;
use serde_json::Value;

use super::{dotenv, ini, part, yaml};

/// The form of an encrypted file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Json,
    Dotenv,
    Ini,
    /// JSON around text or bytes of any kind.
    Binary,
}

/// What the file is if SOPS encrypted it. Costs next to nothing for other files.
///
/// The name's extension says what is looked for first: yaml, yml, json, env, ini. A file of another name, or one that was
/// encrypted as binary in spite of its name, is known by its content.
pub fn detect(name: &str, bytes: &[u8]) -> Option<Format> {
    memmem::find(bytes, b"ENC[AES256_GCM,")?;
    memmem::find(bytes, b"sops")?;
    let named = match extension(name) {
        "yaml" | "yml" => Some(Format::Yaml),
        "json" | "dockerconfigjson" => Some(Format::Json),
        "env" => Some(Format::Dotenv),
        "ini" => Some(Format::Ini),
        _ => None,
    };
    match (named, json(bytes)) {
        (Some(Format::Yaml), _) => yaml::has_metadata(bytes).then_some(Format::Yaml),
        (Some(Format::Json), Some(_)) => Some(Format::Json),
        (_, Some(other)) => Some(other),
        (Some(Format::Json), None) => None,
        (Some(Format::Dotenv), None) => dotenv::has_metadata(bytes).then_some(Format::Dotenv),
        (Some(Format::Ini), None) => ini::has_metadata(bytes).then_some(Format::Ini),
        (_, None) if dotenv::has_metadata(bytes) => Some(Format::Dotenv),
        (_, None) if ini::has_metadata(bytes) => Some(Format::Ini),
        (_, None) => yaml::has_metadata(bytes).then_some(Format::Yaml),
    }
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Binary or JSON, if the text is an encrypted file of one of the two.
fn json(bytes: &[u8]) -> Option<Format> {
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let fields = value.as_object()?;
    if !fields.get("sops").is_some_and(part::is_metadata) {
        return None;
    }
    let is_binary = fields.len() == 2 && fields.get("data").is_some_and(Value::is_string);
    Some(if is_binary { Format::Binary } else { Format::Json })
}

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
/// The name's extension says what is looked for first: yaml, yml, json, env, ini. A file of another name, or
/// one that was encrypted as binary in spite of its name, is known by its content.
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
    if named == Some(Format::Yaml) {
        return yaml::has_metadata(bytes).then_some(Format::Yaml);
    }
    if bytes.trim_ascii_start().starts_with(b"{") {
        return json(bytes, named == Some(Format::Json));
    }
    match named {
        Some(Format::Json) => None,
        Some(Format::Dotenv) => dotenv::has_metadata(bytes).then_some(Format::Dotenv),
        Some(Format::Ini) => ini::has_metadata(bytes).then_some(Format::Ini),
        _ if dotenv::has_metadata(bytes) => Some(Format::Dotenv),
        _ if ini::has_metadata(bytes) => Some(Format::Ini),
        _ => yaml::has_metadata(bytes).then_some(Format::Yaml),
    }
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Binary or JSON, if the text is an encrypted file of one of the two. One that is broken is taken for encrypted, too:
/// opening it says what is wrong.
fn json(bytes: &[u8], is_named_json: bool) -> Option<Format> {
    let by_name = if is_named_json { Format::Json } else { Format::Binary };
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        memmem::find(bytes, b"\"sops\"").and(memmem::find(bytes, b"\"mac\""))?;
        return Some(by_name);
    };
    let fields = value.as_object()?;
    if !fields.get("sops").is_some_and(part::is_metadata) {
        return None;
    }
    let is_binary = fields.len() == 2 && fields.get("data").is_some_and(Value::is_string);
    Some(if is_binary { by_name } else { Format::Json })
}

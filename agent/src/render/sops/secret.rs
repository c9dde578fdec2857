//! Encrypted files inside of a Kubernetes Secret: a generator takes a file as it is, and puts it under `data` in base64.
//!
//! Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Keys, SopsError, decrypt, detect};

/// Opens the entries of a Secret's `data` that are encrypted files. The format is that of the entry's name.
///
/// True if there was one. On an error the object is as before.
pub fn decrypt_secret_data(object: &mut Value, keys: Option<&Keys>) -> Result<bool, SopsError> {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    if text("/apiVersion") != "v1" || text("/kind") != "Secret" {
        return Ok(false);
    }
    let secret = match text("/metadata/namespace") {
        "" => format!("Secret {}", text("/metadata/name")),
        namespace => format!("Secret {namespace}/{}", text("/metadata/name")),
    };
    let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) else { return Ok(false) };
    let mut opened = Vec::new();
    for (entry, value) in data.iter() {
        let Some(bytes) = value.as_str().and_then(decoded) else { continue };
        if let Some(format) = detect(entry, &bytes) {
            let plain = decrypt(&format!("{secret}, data {entry}"), &bytes, format, keys)?;
            opened.push((entry.clone(), STANDARD.encode(&*plain)));
        }
    }
    let found = !opened.is_empty();
    data.extend(opened.into_iter().map(|(entry, code)| (entry, Value::String(code))));
    Ok(found)
}

/// The bytes of base64 that may be broken into lines.
fn decoded(code: &str) -> Option<Vec<u8>> {
    if code.contains(char::is_whitespace) {
        let code: String = code.split_whitespace().collect();
        return STANDARD.decode(code).ok();
    }
    STANDARD.decode(code).ok()
}

//! Reads the texts of patches from a kustomization or a plugin.
//!
//! Leaves the effect of patches to `transform::patch`. Pure.

use serde_json::Value;

use super::typed;
use crate::error::KustomizeError;
use crate::read;
use crate::target::Target;
use crate::transform::patch::{self, Json6902, Patch, PatchStep};

/// Reads an entry of `patches`: a text or a file.
pub fn patch(entry: &Value, target: &Target) -> Result<PatchStep, KustomizeError> {
    let (path, text) = source(entry, "patch", str::trim, target)?;
    let patch = Patch { path, patch: text, ..typed(entry)? };
    patch.step(&target.loader.context.schema())
}

/// Reads an entry of `patchesJson6902`, whose text is in `field`.
pub fn json6902(entry: &Value, field: &str, target: &Target) -> Result<PatchStep, KustomizeError> {
    let (path, text) = source(entry, field, |text| text, target)?;
    let selector = entry.get("target").map(typed).transpose()?;
    let patch = Json6902 { target: selector, path, patch: text };
    patch.step(&target.loader.context.schema())
}

/// Reads entries that are patches or files with patches; and a text with further ones.
pub fn strategic_merge(entries: &[String], more: &str, target: &Target) -> Result<PatchStep, KustomizeError> {
    let mut texts = Vec::new();
    for entry in entries {
        if read::resources("", entry.as_bytes()).is_ok() {
            texts.push((String::new(), entry.clone()));
        } else {
            let loaded = target.loader.open(entry)?;
            texts.push((loaded.path, String::from_utf8_lossy(&loaded.bytes).into_owned()));
        }
    }
    if entries.is_empty() && more.is_empty() {
        return Err(KustomizeError::new("there is no patch: add `paths` or `patches`"));
    }
    if !more.is_empty() {
        texts.push((String::new(), more.to_owned()));
    }
    let texts = texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    patch::strategic_merge(texts, &target.loader.context.schema())
}

/// Returns the file of a patch, if it has one, and its text.
fn source(
    entry: &Value,
    field: &str,
    clean: fn(&str) -> &str,
    target: &Target,
) -> Result<(Option<String>, String), KustomizeError> {
    let text_of = |field| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    match (text_of("path"), clean(text_of(field))) {
        ("", "") => Err(KustomizeError::new(format!("a patch is missing: add `{field}` or `path`"))),
        ("", text) => Ok((None, text.to_owned())),
        (path, "") => {
            let loaded = target.loader.open(path)?;
            Ok((Some(loaded.path), String::from_utf8_lossy(&loaded.bytes).into_owned()))
        }
        (path, _) => {
            let message =
                format!("a patch has the file `{path}` and a text of its own: remove one of the two");
            Err(KustomizeError::new(message))
        }
    }
}

//! An input that broke something, in a file. I/O: disk.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::input::Input;
use crate::target::Target;

/// What broke, and by what.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub target: Target,
    pub seed: u64,
    pub number: u64,
    pub why: String,
    pub input: Input,
}

impl Finding {
    /// Writes it below a folder.
    pub fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let Self { target, seed, number, why, input } = self;
        let files: Vec<Value> = input.files.iter().map(|(path, bytes)| file(path, bytes)).collect();
        let value =
            json!({"target": target.name(), "seed": seed, "number": number, "why": why, "files": files});
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}-{seed}-{number}.json", target.name()));
        std::fs::write(&path, serde_json::to_string_pretty(&value)?)?;
        Ok(path)
    }

    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| path.display().to_string())?;
        let value: Value = serde_json::from_slice(&text)?;
        let text = |value: &Value, field: &str| {
            let text = value.get(field).and_then(Value::as_str).map(str::to_owned);
            text.with_context(|| format!("{}: no {field}", path.display()))
        };
        let number = |field: &str| value.get(field).and_then(Value::as_u64).unwrap_or_default();
        let mut input = Input::default();
        for file in value.get("files").and_then(Value::as_array).into_iter().flatten() {
            let bytes = match file.get("base64").and_then(Value::as_str) {
                Some(bytes) => BASE64_STANDARD.decode(bytes)?,
                None => text(file, "text")?.into_bytes(),
            };
            input.files.push((text(file, "path")?, bytes));
        }
        let (target, why) = (text(&value, "target")?.parse()?, text(&value, "why")?);
        Ok(Self { target, seed: number("seed"), number: number("number"), why, input })
    }
}

fn file(path: &str, bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => json!({"path": path, "text": text}),
        Err(_) => json!({"path": path, "base64": BASE64_STANDARD.encode(bytes)}),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::Finding;
    use crate::input::Input;
    use crate::target::Target;

    #[test]
    fn a_finding_comes_back_as_it_was() {
        let files = vec![("a.yaml".to_owned(), b"a: 1\n".to_vec()), ("b".to_owned(), vec![0xFF, 0])];
        let why = "it panicked".to_owned();
        let finding = Finding { target: Target::Yaml, seed: 1, number: 2, why, input: Input { files } };
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Finding::read(&finding.write(folder.path()).unwrap()).unwrap(), finding);
    }
}

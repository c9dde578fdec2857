//! Opens files that SOPS encrypted, in this process: YAML, JSON, dotenv, INI and binary, for age and OpenPGP
//! keys.
//!
//! A file keeps its form: only encrypted values and comments change, and the metadata goes. The MAC is always
//! verified. Leaves the source of the keys, and the choice of files, to the caller. Pure.

mod data_key;
mod detect;
mod dotenv;
mod edit;
mod enc;
mod error;
mod flat;
mod ini;
mod keys;
mod metadata;
mod part;
mod scalar;
mod secret;
mod shamir;
mod time;
mod walk;
mod yaml;
mod yaml_text;

use holdfast_diff::mask::Masks;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

pub use detect::{Format, detect};
pub use error::{KeyError, SopsError, ValueProblem};
pub use keys::Keys;
pub use secret::decrypt_secret_data;

use edit::Edit;
use enc::Cipher;
use metadata::Metadata;
use part::{Part, line};
use scalar::{Scalar, Secret};
use walk::{Change, Content, Problem, Walk};

/// Opens a file, of which [`detect`] gave the format. The name is for messages.
///
/// Documents of a YAML file that carry no metadata stay as they are.
pub fn decrypt(
    name: &str,
    bytes: &[u8],
    format: Format,
    keys: Option<&Keys>,
) -> Result<Zeroizing<Vec<u8>>, SopsError> {
    decrypt_noting(name, bytes, format, keys, &mut Masks::default())
}

/// As [`decrypt`], and adds every value that was encrypted to `masks`, also if another one cannot be opened.
pub fn decrypt_noting(
    name: &str,
    bytes: &[u8],
    format: Format,
    keys: Option<&Keys>,
    masks: &mut Masks,
) -> Result<Zeroizing<Vec<u8>>, SopsError> {
    let parts = match format {
        Format::Yaml => yaml::parts(name, bytes)?,
        Format::Json | Format::Binary => yaml::json_part(name, bytes)?,
        Format::Dotenv => vec![dotenv::part(name, bytes)?],
        Format::Ini => vec![ini::part(name, bytes)?],
    };
    let file = File { name, bytes, format };
    let mut edits = Vec::new();
    let encrypted: Vec<(String, Part)> = parts.into_iter().filter_map(with_mac).collect();
    if encrypted.is_empty() {
        return Err(SopsError::Metadata { file: name.to_owned(), problem: "`mac` is missing".to_owned() });
    }
    // SOPS writes the same metadata into all documents of a file, and one MAC for all. Files put one behind
    // the other have more than one.
    for documents in encrypted.chunk_by(|(one, _), (next, _)| one == next) {
        let changes = file.open(documents, keys)?;
        changes.iter().for_each(|change| note(change, masks));
        if format == Format::Binary {
            return file.binary(documents, changes);
        }
        edits.extend(file.edits(changes)?);
    }
    edits.extend(encrypted.into_iter().flat_map(|(_, part)| part.edits));
    Ok(edit::apply(bytes, edits))
}

/// Adds a value that was encrypted.
fn note(change: &Change, masks: &mut Masks) {
    let value = match change {
        Change::Value { value, .. } => value,
        Change::Comment { text, .. } => return masks.add(&String::from_utf8_lossy(text)),
    };
    match value {
        Scalar::Text(text) | Scalar::Comment(text) => masks.add(&String::from_utf8_lossy(text)),
        Scalar::Time(text) => masks.add(text),
        Scalar::Int(number) => masks.add(&number.to_string()),
        Scalar::Float(number) => masks.add(&number.to_string()),
        Scalar::Bool(_) | Scalar::Null => {}
    }
}

fn with_mac(part: Part) -> Option<(String, Part)> {
    let mac = part.metadata.as_ref()?.get("mac")?.as_str()?.to_owned();
    Some((mac, part))
}

struct File<'a> {
    name: &'a str,
    bytes: &'a [u8],
    format: Format,
}

impl File<'_> {
    /// Decrypts and verifies the documents of one MAC.
    fn open(&self, documents: &[(String, Part)], keys: Option<&Keys>) -> Result<Vec<Change>, SopsError> {
        let Some(value) = documents.first().and_then(|(_, part)| part.metadata.as_ref()) else {
            return Ok(Vec::new());
        };
        let metadata = Metadata::read(self.name, value)?;
        let cipher = data_key::open(self.name, &metadata, keys)?;
        let mut walk = Walk::new(&cipher, &metadata.rule, metadata.mac_only_encrypted);
        for (_, part) in documents {
            walk.node(&part.root).map_err(|problem| self.value(problem))?;
        }
        let (mut changes, mac) = walk.finish();
        self.verify(&metadata, &cipher, &mac)?;
        let comments = documents.iter().flat_map(|(_, part)| &part.comments);
        changes.extend(comments.filter_map(|comment| self.comment(comment, &cipher)));
        Ok(changes)
    }

    /// Compares the MAC with what was found.
    fn verify(&self, metadata: &Metadata, cipher: &Cipher, mac: &str) -> Result<(), SopsError> {
        match cipher.open(metadata.mac.as_bytes(), &metadata.last_modified) {
            Ok(Scalar::Text(expected)) if bool::from(expected.ct_eq(mac.as_bytes())) => Ok(()),
            _ => Err(SopsError::Mac { file: self.name.to_owned() }),
        }
    }

    /// A comment, if it opens: one that does not was never encrypted.
    fn comment(&self, comment: &part::Comment, cipher: &Cipher) -> Option<Change> {
        let part::Comment { span, places } = comment;
        let text = &self.bytes[span.clone()];
        let value = places.iter().find_map(|place| cipher.open(text, place).ok())?;
        let (Scalar::Comment(text) | Scalar::Text(text)) = value else { return None };
        let text = match self.format {
            Format::Ini => ini::written_comment(&text),
            _ => one_line(&text),
        };
        Some(Change::Value { span: span.clone(), value: Scalar::Comment(text) })
    }

    fn edits(&self, changes: Vec<Change>) -> Result<Vec<Edit>, SopsError> {
        changes.into_iter().map(|change| self.edit(change)).collect()
    }

    fn edit(&self, change: Change) -> Result<Edit, SopsError> {
        let (span, value) = match change {
            Change::Value { span, value: Scalar::Comment(with) } => return Ok(Edit { span, with }),
            Change::Value { span, value } => (span, value),
            Change::Comment { span, text, kept_before, emptied } => {
                return Ok(yaml_text::list_comment(self.bytes, span, &one_line(&text), kept_before, emptied));
            }
        };
        let old = &self.bytes[span.clone()];
        let with = match self.format {
            Format::Yaml => yaml::written(&value, old),
            Format::Json | Format::Binary => yaml::written_json(&value),
            Format::Dotenv => dotenv::written(&value),
            Format::Ini => ini::written(&value),
        };
        let problem = || Problem { at: span.start, path: "a value".to_owned(), what: ValueProblem::Encoding };
        let with = with.ok_or_else(|| self.value(problem()))?;
        Ok(Edit { span, with })
    }

    /// The content of a binary file is the value of `data`.
    fn binary(&self, documents: &[(String, Part)], changes: Vec<Change>) -> Result<Secret, SopsError> {
        let data = documents.first().and_then(|(_, part)| match &part.root.content {
            Content::Map(entries) => entries.iter().find(|(key, _)| key == "data").map(|(_, node)| node),
            _ => None,
        });
        let opened = changes.into_iter().find_map(|change| match change {
            Change::Value { span, value: Scalar::Text(text) }
                if data.is_some_and(|data| data.span == span) =>
            {
                Some(text)
            }
            _ => None,
        });
        match (opened, data.map(|data| &data.content)) {
            (Some(text), _) => Ok(text),
            // What is empty is not encrypted.
            (None, Some(Content::Leaf(Scalar::Text(text)))) => Ok(text.clone()),
            _ => {
                let problem = "a binary file holds one text under `data`";
                Err(SopsError::Syntax { file: self.name.to_owned(), line: 1, problem })
            }
        }
    }

    fn value(&self, problem: Problem) -> SopsError {
        let Problem { at, path, what: problem } = problem;
        SopsError::Value { file: self.name.to_owned(), line: line(self.bytes, at), path, problem }
    }
}

/// A comment cannot break its line.
fn one_line(text: &[u8]) -> Secret {
    Zeroizing::new(text.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect())
}

//! What SOPS writes about a file beside its values: who can open it, what is encrypted, and the MAC.
//!
//! Leaves opening to `keys`. Pure.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::error::SopsError;
use super::scalar::Scalar;

/// The most keys of one file: each of ours is tried with each of them.
const KEYS: usize = 100;
/// The size of a compiled expression, in bytes.
const REGEX: usize = 1 << 20;

/// The metadata of one document or file.
pub(super) struct Metadata {
    /// Each group holds one share of the data key, or all of it if there is one group. Every key of a group
    /// opens it.
    pub groups: Vec<Vec<Wrapped>>,
    /// How many groups are needed.
    pub threshold: usize,
    pub mac: String,
    /// The MAC is bound to it.
    pub last_modified: String,
    pub mac_only_encrypted: bool,
    pub rule: Rule,
}

/// The data key, or a share of it, encrypted for one key.
pub(super) enum Wrapped {
    Age { recipient: String, enc: String },
    Pgp { fingerprint: String, enc: String },
    Elsewhere { service: &'static str, name: String },
}

/// Which values are encrypted.
pub(super) enum Rule {
    UnencryptedSuffix(String),
    EncryptedSuffix(String),
    UnencryptedRegex(Regex),
    EncryptedRegex(Regex),
    /// A comment above decides. Which comment is above which value is no matter here: the MAC says if an
    /// encrypted value was taken for a plain one, so the form of the value decides.
    ByComment,
}

/// Services that keep keys: the field of the metadata, the service, and the field that names the key.
const SERVICES: &[(&str, &str, &str)] = &[
    ("kms", "AWS KMS", "arn"),
    ("gcp_kms", "Google Cloud KMS", "resource_id"),
    ("azure_kv", "Azure Key Vault", "name"),
    ("hc_vault", "Vault", "key_name"),
    ("hckms", "Huawei Cloud KMS", "key_id"),
];

impl Metadata {
    /// Reads the value of a `sops` key.
    pub fn read(file: &str, value: &Value) -> Result<Self, SopsError> {
        let wrong = |problem: String| SopsError::Metadata { file: file.to_owned(), problem };
        let text = |key: &str| text(value, key).filter(|text| !text.is_empty());
        let needed = |key: &str| text(key).ok_or_else(|| wrong(format!("`{key}` is missing")));
        let version = needed("version")?;
        if !matches!(version.split('.').next(), Some("2" | "3")) {
            return Err(SopsError::Version { file: file.to_owned(), version });
        }
        let groups = groups(value).map_err(&wrong)?;
        let threshold = match text("shamir_threshold").map(|number| number.parse()) {
            None | Some(Ok(0)) => groups.len(),
            Some(Ok(number)) => number,
            Some(Err(_)) => return Err(wrong("`shamir_threshold` is not a number".to_owned())),
        };
        Ok(Self {
            threshold: if groups.len() == 1 { 1 } else { threshold.max(2) },
            groups,
            mac: needed("mac")?,
            last_modified: needed("lastmodified")?,
            mac_only_encrypted: text("mac_only_encrypted").is_some_and(|text| text == "true" || text == "1"),
            rule: Rule::read(text).map_err(wrong)?,
        })
    }

    /// The public names of all keys that open the file, and of services.
    pub fn recipients(&self) -> String {
        let names = self.groups.iter().flatten().map(|wrapped| match wrapped {
            Wrapped::Age { recipient, .. } => format!("age {recipient}"),
            Wrapped::Pgp { fingerprint, .. } => format!("OpenPGP {fingerprint}"),
            Wrapped::Elsewhere { service, name } => format!("{service} {name}"),
        });
        names.collect::<Vec<_>>().join(", ")
    }

    /// True if no key of a Secret can open it.
    pub fn is_elsewhere(&self) -> bool {
        self.groups.iter().flatten().all(|wrapped| matches!(wrapped, Wrapped::Elsewhere { .. }))
    }
}

impl Rule {
    fn read(text: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let regex = |pattern: String| {
            RegexBuilder::new(&pattern)
                .size_limit(REGEX)
                .dfa_size_limit(REGEX)
                .build()
                .map_err(|_| format!("`{pattern}` is not a regular expression, or too large a one"))
        };
        let mut rules = Vec::new();
        if let Some(suffix) = text("unencrypted_suffix") {
            rules.push(Self::UnencryptedSuffix(suffix));
        }
        if let Some(suffix) = text("encrypted_suffix") {
            rules.push(Self::EncryptedSuffix(suffix));
        }
        if let Some(pattern) = text("unencrypted_regex") {
            rules.push(Self::UnencryptedRegex(regex(pattern)?));
        }
        if let Some(pattern) = text("encrypted_regex") {
            rules.push(Self::EncryptedRegex(regex(pattern)?));
        }
        for key in ["unencrypted_comment_regex", "encrypted_comment_regex"] {
            if text(key).is_some() {
                rules.push(Self::ByComment);
            }
        }
        match rules.len() {
            0 => Ok(Self::UnencryptedSuffix("_unencrypted".to_owned())),
            1 => rules.pop().ok_or_else(String::new),
            _ => Err("it has more than one rule for what is encrypted".to_owned()),
        }
    }

    /// True if the value at this path is to be encrypted.
    pub fn encrypts(&self, path: &[String], value: &Scalar) -> bool {
        match self {
            Self::UnencryptedSuffix(suffix) => !path.iter().any(|key| key.ends_with(suffix)),
            Self::EncryptedSuffix(suffix) => path.iter().any(|key| key.ends_with(suffix)),
            Self::UnencryptedRegex(regex) => !path.iter().any(|key| regex.is_match(key)),
            Self::EncryptedRegex(regex) => path.iter().any(|key| regex.is_match(key)),
            Self::ByComment => matches!(value, Scalar::Text(text) if super::enc::is_encrypted(text)),
        }
    }
}

/// The groups of keys: the lists of the metadata itself, or else those of `key_groups`.
fn groups(value: &Value) -> Result<Vec<Vec<Wrapped>>, String> {
    let own = group(value)?;
    let groups = match (own.is_empty(), value.get("key_groups").and_then(Value::as_array)) {
        (true, Some(groups)) => groups.iter().map(group).collect::<Result<_, _>>()?,
        _ => vec![own],
    };
    if groups.iter().map(Vec::len).sum::<usize>() > KEYS {
        return Err(format!("it is encrypted for more than {KEYS} keys"));
    }
    if groups.iter().any(Vec::is_empty) {
        return Err("no key is named that opens it".to_owned());
    }
    Ok(groups)
}

fn group(value: &Value) -> Result<Vec<Wrapped>, String> {
    let entries = |key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten();
    let name = |entry: &Value, key: &str| text(entry, key).unwrap_or_else(|| "without a name".to_owned());
    let enc = |entry: &Value, list: &str| {
        text(entry, "enc").ok_or_else(|| format!("an entry of `{list}` is without `enc`"))
    };
    let mut group = Vec::new();
    for entry in entries("age") {
        group.push(Wrapped::Age { recipient: name(entry, "recipient"), enc: enc(entry, "age")? });
    }
    for entry in entries("pgp") {
        group.push(Wrapped::Pgp { fingerprint: name(entry, "fp"), enc: enc(entry, "pgp")? });
    }
    for (list, service, name) in SERVICES {
        group.extend(
            entries(list)
                .map(|entry| Wrapped::Elsewhere { service, name: text(entry, name).unwrap_or_default() }),
        );
    }
    Ok(group)
}

/// A field as text. Formats without types hold numbers and bools as text.
fn text(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

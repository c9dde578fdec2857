//! The errors of encrypted files and of keys, with what to do. They contain no secret value.
//!
//! Pure.

/// Why a file stays encrypted. Each starts with the file, and with its line where there is one.
#[derive(Debug, thiserror::Error)]
pub enum SopsError {
    #[error(
        "{file}: the file is encrypted by SOPS, and no key is configured: set a Secret with the private key of one of {recipients}"
    )]
    NoKey { file: String, recipients: String },
    #[error(
        "{file}: no configured key decrypts this file: it is encrypted for {recipients}; the configured keys are those of {given}"
    )]
    NoKeyFits { file: String, recipients: String, given: String },
    #[error(
        "{file}: the key of this file is only available from {services}, which Holdfast does not support: add an age or OpenPGP recipient with `sops rotate --in-place --add-age <recipient>`"
    )]
    KeyElsewhere { file: String, services: String },
    #[error(
        "{file}: the configured keys decrypt {have} of the {need} key groups that this file needs: add keys for more of {recipients}"
    )]
    TooFewGroups { file: String, have: usize, need: usize, recipients: String },
    #[error("{file}: a configured key matches, but the data key cannot be decrypted: {reason}")]
    DataKey { file: String, reason: String },
    #[error(
        "{file}: the MAC does not match: a value was changed, moved or removed after the encryption; revert it, or check it and encrypt the file again (with `mac_only_encrypted`, plain values may change)"
    )]
    Mac { file: String },
    #[error("{file}:{line}: {path}: {problem}")]
    Value { file: String, line: usize, path: String, problem: ValueProblem },
    #[error("{file}: SOPS {version} is not supported; use version 2 or 3")]
    Version { file: String, version: String },
    #[error("{file}: the metadata of SOPS cannot be read: {problem}")]
    Metadata { file: String, problem: String },
    #[error("{file}:{line}: {problem}")]
    Syntax { file: String, line: usize, problem: &'static str },
    /// Mistakes of a YAML or JSON text, each with file and line.
    #[error("{0}")]
    Yaml(String),
}

/// What is wrong with one encrypted value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueProblem {
    #[error(
        "the value should be encrypted and is not: encrypt the file with `sops`, or exclude the value from its encryption rules"
    )]
    Plain,
    #[error(
        "the value is not of the form ENC[AES256_GCM,data:...,iv:...,tag:...,type:...]: restore it from Git"
    )]
    Form,
    #[error(
        "the value cannot be decrypted: it was changed, or moved here from another key; restore it from Git"
    )]
    Authentic,
    #[error("the value has an unknown type; the types are str, int, float, bool, bytes, comment and time")]
    Type,
    #[error("the decrypted value does not match its type: encrypt it again")]
    Content,
    #[error("the decrypted value is not UTF-8, which this format cannot contain: encrypt the file as binary")]
    Encoding,
    #[error("the decrypted value is a comment, which is not allowed here: encrypt the file again")]
    Comment,
}

/// Why the entries of a Secret give no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "the Secret has no key: the name of an entry must end with .agekey (age) or .asc (OpenPGP); it has {entries}"
    )]
    None { entries: String },
    #[error(
        "{entry}: line {line} is not an age identity: use lines that start with AGE-SECRET-KEY-1, or an SSH private key"
    )]
    Age { entry: String, line: usize },
    #[error(
        "{entry}: line {line} is {kind}, which cannot be used here: use an X25519 identity of `age-keygen`"
    )]
    AgeKind { entry: String, line: usize, kind: &'static str },
    #[error(
        "{entry}: the SSH key cannot be read: use an ssh-ed25519 or ssh-rsa private key without a passphrase"
    )]
    Ssh { entry: String },
    #[error(
        "{entry}: the OpenPGP key cannot be read: {reason}; export it with `gpg --export-secret-keys --armor`"
    )]
    OpenPgp { entry: String, reason: String },
    #[error("{entry}: the OpenPGP key {fingerprint} has a passphrase: export one without")]
    Locked { entry: String, fingerprint: String },
}

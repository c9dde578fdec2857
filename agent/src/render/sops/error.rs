//! The errors of encrypted files and of keys, with what to do. They contain no secret value.
//!
//! Pure.

/// Why a file stays encrypted. Each starts with the file, and with its line where there is one.
#[derive(Debug, thiserror::Error)]
pub enum SopsError {
    #[error(
        "{file}: SOPS encrypted this file, and no key is given: name a Secret with the private \
         key of one of {recipients}"
    )]
    NoKey { file: String, recipients: String },
    #[error(
        "{file}: no given key opens this file: it is encrypted for {recipients}; given are \
         the keys of {given}"
    )]
    NoKeyFits { file: String, recipients: String, given: String },
    #[error(
        "{file}: the key of this file can be had from {services} only, which Holdfast does not ask: add \
         an age or OpenPGP recipient with `sops rotate --in-place --add-age <recipient>`"
    )]
    KeyElsewhere { file: String, services: String },
    #[error(
        "{file}: the given keys open {have} of the {need} key groups that this file needs: give \
         keys for more of {recipients}"
    )]
    TooFewGroups { file: String, have: usize, need: usize, recipients: String },
    #[error("{file}: a given key matches, but the data key cannot be decrypted: {reason}")]
    DataKey { file: String, reason: String },
    #[error(
        "{file}: the MAC does not match: something was changed, moved or taken away after the encryption; undo \
         it, or check it and encrypt the file anew (`mac_only_encrypted` leaves plain values free to change)"
    )]
    Mac { file: String },
    #[error("{file}:{line}: {path}: {problem}")]
    Value { file: String, line: usize, path: String, problem: ValueProblem },
    #[error("{file}: SOPS {version} is not supported, only versions 2 and 3 are")]
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
        "the value should be encrypted and is not: encrypt the file with `sops`, or take the value out of what \
         its rules encrypt"
    )]
    Plain,
    #[error(
        "the value is not of the form ENC[AES256_GCM,data:...,iv:...,tag:...,type:...]: restore it from git"
    )]
    Form,
    #[error(
        "the value cannot be decrypted: it was changed, or moved here from another key; restore it from git"
    )]
    Authentic,
    #[error(
        "the value has a type that is not known here; known are str, int, float, bool, bytes, \
         comment and time"
    )]
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
        "the Secret holds no key: end the name of an entry in .agekey (age) or .asc (OpenPGP); it \
         has {entries}"
    )]
    None { entries: String },
    #[error(
        "{entry}: line {line} is not an age identity: give lines that start with AGE-SECRET-KEY-1, or \
         an SSH private key"
    )]
    Age { entry: String, line: usize },
    #[error(
        "{entry}: line {line} is {kind}, which cannot be used here: use an X25519 identity of `age-keygen`"
    )]
    AgeKind { entry: String, line: usize, kind: &'static str },
    #[error(
        "{entry}: the SSH key cannot be read: give an ssh-ed25519 or ssh-rsa private key without a passphrase"
    )]
    Ssh { entry: String },
    #[error(
        "{entry}: the OpenPGP key cannot be read: {reason}; export it with `gpg --export-secret-keys --armor`"
    )]
    OpenPgp { entry: String, reason: String },
    #[error("{entry}: the OpenPGP key {fingerprint} has a passphrase: export one without")]
    Locked { entry: String, fingerprint: String },
}

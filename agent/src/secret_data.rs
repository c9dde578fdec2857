//! Reads the data of Secrets: keys as text, credentials, certificates, and a digest.
//!
//! Leaves which keys a resource needs, and their use, to other modules. Nothing here can be
//! printed, and no error quotes a value. Pure.

use std::collections::BTreeMap;

use holdfast_diff::digest::{Digest, Hasher};

use crate::http::{BadTrust, Trust};

/// The data of a Secret or ConfigMap.
pub type Data = BTreeMap<String, Vec<u8>>;

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
/// The authority, in the key of Kubernetes and in the older one of Flux.
const AUTHORITY: [&str; 2] = ["ca.crt", "caFile"];

/// A certificate and its key, in PEM.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// Reads the data of a Secret. Has no `Debug`: it must not be printed.
#[derive(Clone, Copy)]
pub struct SecretData<'a>(&'a Data);

/// A Secret that cannot be used. The messages have the Secret as their subject: "it".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    #[error("it has no key {0}")]
    Missing(&'static str),
    #[error("its key {0} is not text")]
    NotText(&'static str),
    #[error("its key {0} is empty")]
    Empty(&'static str),
    #[error("it has one of {0} and {1}; it needs both or none")]
    Half(&'static str, &'static str),
    #[error("it has none of ca.crt, tls.crt and tls.key")]
    NoCertificates,
    #[error(transparent)]
    Certificates(#[from] BadTrust),
}

impl<'a> SecretData<'a> {
    /// Creates the reader of these data.
    pub fn of(data: &'a Data) -> Self {
        Self(data)
    }

    /// Returns the bytes of a key.
    pub fn bytes(self, key: &str) -> Option<&'a [u8]> {
        self.0.get(key).map(Vec::as_slice)
    }

    /// Returns a key as text, without the line breaks at its end, which editors and `echo` add.
    pub fn text(self, key: &'static str) -> Result<Option<&'a str>, BadSecret> {
        let Some(bytes) = self.bytes(key) else { return Ok(None) };
        let text = str::from_utf8(bytes).map_err(|_| BadSecret::NotText(key))?;
        Ok(Some(text.trim_end_matches(['\r', '\n'])))
    }

    /// Returns the text of a key that must exist and must not be empty.
    pub fn needed(self, key: &'static str) -> Result<&'a str, BadSecret> {
        let text = self.text(key)?.ok_or(BadSecret::Missing(key))?;
        if text.is_empty() { Err(BadSecret::Empty(key)) } else { Ok(text) }
    }

    /// Returns `username` and `password`: both, or none.
    pub fn basic(self) -> Result<Option<(&'a str, &'a str)>, BadSecret> {
        both(self.text("username")?, self.text("password")?, ("username", "password"))
    }

    /// Returns `ca.crt`, or `caFile`.
    pub fn authority(self) -> Option<&'a [u8]> {
        AUTHORITY.iter().find_map(|key| self.bytes(key))
    }

    /// Returns `tls.crt` and `tls.key`: both, or none.
    pub fn client(self) -> Result<Option<Pair<'a>>, BadSecret> {
        both(self.bytes(CERTIFICATE), self.bytes(KEY), (CERTIFICATE, KEY))
    }

    /// Returns the certificates for a connection, as far as the Secret has them.
    pub fn trust(self) -> Result<Trust, BadSecret> {
        Ok(Trust::read(self.authority(), self.client()?)?)
    }

    /// Returns the certificates of a Secret that must have at least one of them.
    pub fn certificates(self) -> Result<Trust, BadSecret> {
        if self.authority().is_none() && self.client()?.is_none() {
            return Err(BadSecret::NoCertificates);
        }
        self.trust()
    }

    /// Returns a digest of the keys and values.
    pub fn id(self) -> Digest {
        let mut hasher = Hasher::default();
        for (key, value) in self.0 {
            hasher.text(key);
            hasher.bytes(value);
        }
        hasher.finish()
    }
}

fn both<T>(
    one: Option<T>,
    other: Option<T>,
    names: (&'static str, &'static str),
) -> Result<Option<(T, T)>, BadSecret> {
    match (one, other) {
        (Some(one), Some(other)) => Ok(Some((one, other))),
        (None, None) => Ok(None),
        _ => Err(BadSecret::Half(names.0, names.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(entries: &[(&str, &[u8])]) -> Data {
        entries.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect()
    }

    #[test]
    fn a_text_ends_before_the_line_break_of_an_editor() {
        let data = data(&[("token", b" a b \r\n\n"), ("empty", b"\n"), ("binary", &[0xff])]);
        let secret = SecretData::of(&data);
        assert_eq!(secret.text("token"), Ok(Some(" a b ")));
        assert_eq!(secret.text("other"), Ok(None));
        assert_eq!(secret.text("binary"), Err(BadSecret::NotText("binary")));
        assert_eq!(secret.needed("other"), Err(BadSecret::Missing("other")));
        assert_eq!(secret.needed("empty"), Err(BadSecret::Empty("empty")));
    }

    #[test]
    fn half_of_a_pair_is_an_error_that_shows_no_value() {
        for (key, said) in [
            ("username", "it has one of username and password; it needs both or none"),
            ("password", "it has one of username and password; it needs both or none"),
            ("tls.crt", "it has one of tls.crt and tls.key; it needs both or none"),
            ("tls.key", "it has one of tls.crt and tls.key; it needs both or none"),
        ] {
            let data = data(&[(key, b"hunter2")]);
            let secret = SecretData::of(&data);
            let found = secret.basic().map(drop).and(secret.client().map(drop));
            assert_eq!(found.map_err(|error| error.to_string()), Err(said.to_owned()));
        }
    }

    #[test]
    fn certificates_that_are_none_are_refused() {
        let refused = |entries: &[(&str, &[u8])]| SecretData::of(&data(entries)).certificates().err();
        assert_eq!(refused(&[]), Some(BadSecret::NoCertificates));
        for key in AUTHORITY {
            assert_eq!(refused(&[(key, b"x")]), Some(BadSecret::Certificates(BadTrust::Authority)));
        }
        assert_eq!(refused(&[("tls.crt", b"x")]), Some(BadSecret::Half("tls.crt", "tls.key")));
        let pair = refused(&[("tls.crt", b"x"), ("tls.key", b"x")]);
        assert_eq!(pair, Some(BadSecret::Certificates(BadTrust::Identity)));
        assert!(SecretData::of(&data(&[])).trust().is_ok_and(|trust| trust.id().is_none()));
    }
}

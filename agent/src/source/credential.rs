//! Credentials out of a Secret, in Flux's keys. They cannot be printed. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_diff::digest::{Digest, Hasher};

use super::SourceError;

/// How to log in, and whom to trust. Has no `Debug`: it must not be printed.
#[derive(Clone, Default)]
pub struct Credential {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) bearer: Option<String>,
    pub(super) identity: Option<Vec<u8>>,
    pub(super) identity_password: Option<String>,
    pub(super) known_hosts: Option<Vec<u8>>,
    pub(super) ca: Option<Vec<u8>>,
    pub(super) client: Option<(Vec<u8>, Vec<u8>)>,
    id: Option<Digest>,
}

impl Credential {
    /// Reads the data of a Secret.
    pub fn from_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, SourceError> {
        let text = |key: &str| {
            let Some(bytes) = data.get(key) else { return Ok(None) };
            let text = std::str::from_utf8(bytes).map_err(|_| {
                SourceError::BadCredential(format!("the key {key} of the Secret is not text"))
            })?;
            Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
        };
        let bytes = |key: &str| data.get(key).cloned();
        let identity = bytes("identity");
        let client = match (bytes("tls.crt"), bytes("tls.key")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(SourceError::BadCredential(
                    "the Secret has one of tls.crt and tls.key; it needs both or none".to_owned(),
                ));
            }
        };
        let password = text("password")?;
        let mut hasher = Hasher::default();
        for (key, value) in data {
            hasher.text(key);
            hasher.bytes(value);
        }
        Ok(Self {
            username: text("username")?,
            identity_password: identity.as_ref().and(password.clone()),
            password,
            bearer: text("bearerToken")?,
            known_hosts: bytes("known_hosts"),
            ca: bytes("ca.crt").or_else(|| bytes("caFile")),
            client,
            identity,
            id: Some(hasher.finish()),
        })
    }

    /// What a forge's API takes as a token: the bearer, or the password.
    pub fn token(&self) -> Option<&str> {
        self.bearer.as_deref().or(self.password.as_deref())
    }

    /// The authorities to trust, as PEM.
    pub fn ca(&self) -> Option<&[u8]> {
        self.ca.as_deref()
    }

    /// What tells two credentials apart.
    pub(super) fn id(&self) -> Option<Digest> {
        self.id
    }

    /// The value of the header `Authorization`, sent with the first request: that saves the round trip of a 401.
    pub(super) fn authorization(&self) -> Option<String> {
        if let Some(token) = &self.bearer {
            return Some(format!("Bearer {token}"));
        }
        let password = self.password.as_ref()?;
        let user = self.username.as_deref().unwrap_or("git");
        Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }
}

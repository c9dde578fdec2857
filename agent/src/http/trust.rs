//! Whom a client trusts beside the authorities of the system, and the certificate that it shows. Pure.

use holdfast_diff::digest::{Digest, Hasher};
use reqwest::{Certificate, ClientBuilder, Identity};

/// Certificates for a connection. Has no `Debug`: there may be a key.
#[derive(Clone, Default)]
pub struct Trust {
    authorities: Vec<Certificate>,
    identity: Option<Identity>,
    id: Option<Digest>,
    /// The id without the certificate that the client shows.
    public: Option<Digest>,
}

/// Certificates that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTrust {
    #[error("ca.crt is not a certificate in PEM")]
    Authority,
    #[error("tls.crt and tls.key are not a certificate and its key in PEM")]
    Identity,
}

impl Trust {
    /// Reads certificates in PEM: the authorities, and the certificate with its key that the client shows.
    pub fn read(ca: Option<&[u8]>, client: Option<(&[u8], &[u8])>) -> Result<Self, BadTrust> {
        let authorities = match ca {
            Some(pem) => Certificate::from_pem_bundle(pem).map_err(|_| BadTrust::Authority)?,
            None => Vec::new(),
        };
        if ca.is_some() && authorities.is_empty() {
            return Err(BadTrust::Authority);
        }
        let pem = client.map(|(certificate, key)| [certificate, b"\n", key].concat());
        let identity =
            pem.as_ref().map(|pem| Identity::from_pem(pem)).transpose().map_err(|_| BadTrust::Identity)?;
        let id = |parts: &[Option<&[u8]>]| {
            let mut hasher = Hasher::default();
            parts.iter().for_each(|part| hasher.bytes(part.unwrap_or_default()));
            parts.iter().any(Option::is_some).then(|| hasher.finish())
        };
        Ok(Self { authorities, identity, id: id(&[ca, pem.as_deref()]), public: id(&[ca]) })
    }

    /// What tells two apart.
    pub fn id(&self) -> Option<Digest> {
        self.id
    }

    /// True if the client shows a certificate.
    pub fn shows_certificate(&self) -> bool {
        self.identity.is_some()
    }

    /// The same, for hosts that must not see the certificate of the client.
    #[must_use]
    pub fn without_identity(&self) -> Self {
        Self { authorities: self.authorities.clone(), identity: None, id: self.public, public: self.public }
    }

    pub(super) fn build(&self, mut builder: ClientBuilder) -> ClientBuilder {
        for authority in &self.authorities {
            builder = builder.add_root_certificate(authority.clone());
        }
        match &self.identity {
            Some(identity) => builder.identity(identity.clone()),
            None => builder,
        }
    }
}

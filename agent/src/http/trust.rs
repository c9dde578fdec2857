//! The authorities that a client trusts in addition to those of the system, and its client certificate. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_diff::digest::{Digest, Hasher};
use reqwest::{Certificate, ClientBuilder, Identity};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Certificates for a connection. Has no `Debug`: it may contain a key.
#[derive(Clone, Default)]
pub struct Trust {
    authorities: Vec<Certificate>,
    identity: Option<Identity>,
    id: Option<Digest>,
    /// The id without the client certificate.
    public: Option<Digest>,
}

/// Certificates that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTrust {
    #[error(
        "ca.crt is not a certificate in PEM, which begins with -----BEGIN CERTIFICATE-----; store the certificate of the CA in this form"
    )]
    Authority,
    #[error("ca.crt is encoded with base64 twice; encode it once under data, or not at all under stringData")]
    Twice,
    #[error("tls.crt and tls.key are not a certificate and its key in PEM")]
    Identity,
}

impl Trust {
    /// Reads certificates in PEM: the authorities, and the client certificate with its key.
    pub fn read(ca: Option<&[u8]>, client: Option<(&[u8], &[u8])>) -> Result<Self, BadTrust> {
        let authorities = ca.map(authorities).transpose()?.unwrap_or_default();
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

    /// Returns the identity of the certificates.
    pub fn id(&self) -> Option<Digest> {
        self.id
    }

    /// True if there is a client certificate.
    pub fn has_client_certificate(&self) -> bool {
        self.identity.is_some()
    }

    /// Returns the same without the client certificate, for hosts that must not receive it.
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

/// Returns the certificates in PEM, each of which TLS can use.
fn authorities(pem: &[u8]) -> Result<Vec<Certificate>, BadTrust> {
    let body: Vec<u8> = pem.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if STANDARD.decode(body).is_ok_and(|inner| inner.starts_with(b"-----BEGIN")) {
        return Err(BadTrust::Twice);
    }
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| BadTrust::Authority)?;
        store.add(certificate).map_err(|_| BadTrust::Authority)?;
    }
    if store.is_empty() {
        return Err(BadTrust::Authority);
    }
    Certificate::from_pem_bundle(pem).map_err(|_| BadTrust::Authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_authority_is_known() {
        let good = include_str!("trust/ca.crt");
        let check = |pem: &str, expected: Option<BadTrust>| {
            assert_eq!(Trust::read(Some(pem.as_bytes()), None).err(), expected, "{pem}");
        };
        check(good, None);
        check(&good.repeat(2), None);
        check(&good.replace('\n', "\r\n"), None);
        check(&STANDARD.encode(good), Some(BadTrust::Twice));
        for bad in [
            "",
            "not a certificate",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
            &good.replace("CERTIFICATE", "PRIVATE KEY"),
        ] {
            check(bad, Some(BadTrust::Authority));
        }
    }
}

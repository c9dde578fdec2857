//! Whom to trust, and as whom to come, out of a Secret: `ca.crt`, `tls.crt` and `tls.key`. Pure.

use std::collections::BTreeMap;

use holdfast_diff::digest::{Digest, Hasher};
use reqwest::{Certificate, ClientBuilder, Identity};

use super::Trouble;

/// The certificates of a Secret. Has no `Debug`: there may be a key.
pub struct Certificates {
    authorities: Vec<Certificate>,
    /// PEM, the certificate and then the key.
    client: Option<Vec<u8>>,
    id: Digest,
}

impl Certificates {
    /// Reads the data of a Secret.
    pub fn from_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, Trouble> {
        read(data).map_err(|why| Trouble::BadCertificates(why.to_owned()))
    }

    /// What tells two apart.
    pub(super) fn id(&self) -> Digest {
        self.id
    }

    /// A client that uses them.
    pub(super) fn build(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, Trouble> {
        for authority in &self.authorities {
            builder = builder.add_root_certificate(authority.clone());
        }
        let Some(pem) = &self.client else { return Ok(builder) };
        let bad = |_| Trouble::BadCertificates("tls.crt and tls.key are no pair in PEM".to_owned());
        Ok(builder.identity(Identity::from_pem(pem).map_err(bad)?))
    }
}

fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Certificates, &'static str> {
    let authorities = match data.get("ca.crt") {
        Some(pem) => Certificate::from_pem_bundle(pem).map_err(|_| "ca.crt is no certificate in PEM")?,
        None => Vec::new(),
    };
    if data.contains_key("ca.crt") && authorities.is_empty() {
        return Err("ca.crt is no certificate in PEM");
    }
    let client = match (data.get("tls.crt"), data.get("tls.key")) {
        (Some(certificate), Some(key)) => Some([certificate.as_slice(), b"\n", key.as_slice()].concat()),
        (None, None) => None,
        _ => return Err("it has one of tls.crt and tls.key; it needs both or none"),
    };
    if authorities.is_empty() && client.is_none() {
        return Err("it has none of ca.crt, tls.crt and tls.key");
    }
    let mut hasher = Hasher::default();
    for key in ["ca.crt", "tls.crt", "tls.key"] {
        hasher.bytes(data.get(key).map_or(&[], Vec::as_slice));
    }
    Ok(Certificates { authorities, client, id: hasher.finish() })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_are_no_certificates_is_said() {
        for (keys, part) in [
            (vec![], "none of ca.crt"),
            (vec!["ca.crt"], "ca.crt is no certificate"),
            (vec!["tls.crt"], "one of tls.crt and tls.key"),
        ] {
            let data = keys.into_iter().map(|key| (key.to_owned(), b"hunter2".to_vec())).collect();
            let said = Certificates::from_secret(&data).err().unwrap().to_string();
            assert!(said.contains(part) && !said.contains("hunter2"), "{said}");
        }
    }
}

//! Whom to trust, and as whom to come, out of a Secret: `ca.crt`, `tls.crt` and `tls.key`. Pure.

use std::collections::BTreeMap;

use holdfast_diff::digest::{Digest, Hasher};

use super::Trouble;
use crate::http::Trust;

/// The certificates of a Secret. Has no `Debug`: there may be a key.
pub struct Certificates {
    trust: Trust,
    id: Digest,
}

impl Certificates {
    /// Reads the data of a Secret.
    pub fn from_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, Trouble> {
        read(data).map_err(Trouble::BadCertificates)
    }

    /// What tells two apart.
    pub(super) fn id(&self) -> Digest {
        self.id
    }

    /// As connections use them.
    pub(super) fn trust(&self) -> Trust {
        self.trust.clone()
    }
}

fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Certificates, String> {
    let client = match (data.get("tls.crt"), data.get("tls.key")) {
        (Some(certificate), Some(key)) => Some((certificate.as_slice(), key.as_slice())),
        (None, None) => None,
        _ => return Err("it has one of tls.crt and tls.key; it needs both or none".to_owned()),
    };
    let ca = data.get("ca.crt").map(Vec::as_slice);
    if ca.is_none() && client.is_none() {
        return Err("it has none of ca.crt, tls.crt and tls.key".to_owned());
    }
    let trust = Trust::read(ca, client).map_err(|error| error.to_string())?;
    let mut hasher = Hasher::default();
    for key in ["ca.crt", "tls.crt", "tls.key"] {
        hasher.bytes(data.get(key).map_or(&[], Vec::as_slice));
    }
    Ok(Certificates { trust, id: hasher.finish() })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_are_no_certificates_is_said() {
        for (keys, part) in [
            (vec![], "none of ca.crt"),
            (vec!["ca.crt"], "ca.crt is not a certificate"),
            (vec!["tls.crt"], "one of tls.crt and tls.key"),
        ] {
            let data = keys.into_iter().map(|key| (key.to_owned(), b"hunter2".to_vec())).collect();
            let said = Certificates::from_secret(&data).err().unwrap().to_string();
            assert!(said.contains(part) && !said.contains("hunter2"), "{said}");
        }
    }
}

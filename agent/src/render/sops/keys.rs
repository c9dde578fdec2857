//! Private keys from a Secret, and the data keys that they decrypt, which SOPS encrypted for age and OpenPGP recipients.
//!
//! Leaves decryption with a data key to `enc`. Pure.

use std::io::Read;

use age::armor::ArmoredReader;
use age::{DecryptError, Identity, ssh, x25519};
use pgp::composed::{DecryptionOptions, Deserializable as _, Message, SignedSecretKey, TheRing};
use pgp::types::{KeyDetails as _, Password};
use zeroize::Zeroizing;

use super::error::KeyError;
use super::metadata::Wrapped;
use super::scalar::Secret;
use crate::secret_data::Data;

/// Bytes that a data key, or a share of one, has at most: SOPS makes 32, and one more in a share.
const LONGEST_KEY: usize = 64;

/// The private keys of a Secret. They are secret: there is no `Debug`.
#[derive(Default)]
pub struct Keys {
    age: Vec<Box<dyn Identity + Send + Sync>>,
    pgp: Vec<SignedSecretKey>,
    /// The public names of all, for messages.
    names: Vec<String>,
}

/// Why a data key cannot be decrypted.
pub(super) enum Shut {
    /// It is for other keys.
    NotOurs,
    /// A key matches, and decryption fails.
    Broken(String),
}

impl Keys {
    /// Reads every entry whose name ends in `.agekey` (age identities, one a line, or an SSH private key) or
    /// `.asc` (OpenPGP secret keys, armored or binary). Other entries are for others.
    pub fn from_secret(data: &Data) -> Result<Self, KeyError> {
        let mut keys = Self::default();
        let mut unusable = None;
        for (entry, bytes) in data {
            match entry.rsplit_once('.') {
                Some((_, "agekey")) => keys.add_age(entry, bytes, &mut unusable)?,
                Some((_, "asc")) => keys.add_pgp(entry, bytes)?,
                _ => {}
            }
        }
        if let (true, Some(error)) = (keys.age.is_empty() && keys.pgp.is_empty(), unusable) {
            return Err(error);
        }
        if keys.names.is_empty() {
            let entries: Vec<&str> = data.keys().map(String::as_str).collect();
            let entries = if entries.is_empty() { "no entry".to_owned() } else { entries.join(", ") };
            return Err(KeyError::None { entries });
        }
        Ok(keys)
    }

    /// The public names of the keys.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// An identity of an unsupported kind does not prevent the use of the others.
    fn add_age(
        &mut self,
        entry: &str,
        bytes: &[u8],
        unusable: &mut Option<KeyError>,
    ) -> Result<(), KeyError> {
        let entry = entry.to_owned();
        let text = str::from_utf8(bytes).map_err(|_| KeyError::Age { entry: entry.clone(), line: 1 })?;
        if text.trim_start().starts_with("-----BEGIN") {
            return self.add_ssh(entry, text);
        }
        for (at, identity) in text.lines().map(str::trim).enumerate() {
            if identity.is_empty() || identity.starts_with('#') {
                continue;
            }
            let line = at + 1;
            let kind = match identity {
                _ if identity.starts_with("AGE-SECRET-KEY-PQ-1") => Some("a post-quantum identity"),
                _ if identity.starts_with("AGE-PLUGIN-") => Some("the identity of a plugin"),
                _ => None,
            };
            if let Some(kind) = kind {
                self.names.push(format!("{kind} in {entry}, which cannot be used here"));
                unusable.get_or_insert(KeyError::AgeKind { entry: entry.clone(), line, kind });
                continue;
            }
            let identity: x25519::Identity =
                identity.parse().map_err(|_| KeyError::Age { entry: entry.clone(), line })?;
            self.names.push(format!("age {}", identity.to_public()));
            self.age.push(Box::new(identity));
        }
        Ok(())
    }

    fn add_ssh(&mut self, entry: String, text: &str) -> Result<(), KeyError> {
        match ssh::Identity::from_buffer(text.as_bytes(), None) {
            Ok(identity @ ssh::Identity::Unencrypted(_)) => {
                self.names.push(format!("the SSH key in {entry}"));
                self.age.push(Box::new(identity));
                Ok(())
            }
            _ => Err(KeyError::Ssh { entry }),
        }
    }

    fn add_pgp(&mut self, entry: &str, bytes: &[u8]) -> Result<(), KeyError> {
        let unreadable = |error: pgp::errors::Error| KeyError::OpenPgp {
            entry: entry.to_owned(),
            reason: error.to_string(),
        };
        let before = self.pgp.len();
        if memchr::memmem::find(bytes, b"-----BEGIN PGP").is_none() && !bytes.is_empty() {
            for key in SignedSecretKey::from_bytes_many(bytes).map_err(unreadable)? {
                self.add_pgp_key(entry, key.map_err(unreadable)?)?;
            }
        }
        // A file may hold several armored blocks, one after the other, and public keys among them.
        let armored = memchr::memmem::find_iter(bytes, b"-----BEGIN PGP PRIVATE KEY BLOCK-----");
        for start in armored {
            let (block, _) = SignedSecretKey::from_armor_many(&bytes[start..]).map_err(unreadable)?;
            for key in block {
                self.add_pgp_key(entry, key.map_err(unreadable)?)?;
            }
        }
        if self.pgp.len() == before {
            let reason = "it holds no secret key".to_owned();
            return Err(KeyError::OpenPgp { entry: entry.to_owned(), reason });
        }
        Ok(())
    }

    fn add_pgp_key(&mut self, entry: &str, key: SignedSecretKey) -> Result<(), KeyError> {
        let fingerprint = key.primary_key.fingerprint().to_string().to_ascii_uppercase();
        // The primary key may be missing: then only its subkeys have secret parts.
        let locked = key.primary_key.secret_params().is_encrypted()
            && key.secret_subkeys.iter().all(|subkey| subkey.secret_params().is_encrypted());
        if locked {
            return Err(KeyError::Locked { entry: entry.to_owned(), fingerprint });
        }
        self.names.push(format!("OpenPGP {fingerprint}"));
        self.pgp.push(key);
        Ok(())
    }

    /// Decrypts a data key, or a share of it, if it is encrypted for one of these keys.
    pub(super) fn open(&self, wrapped: &Wrapped) -> Result<Secret, Shut> {
        match wrapped {
            Wrapped::Age { enc, .. } => self.open_age(enc),
            Wrapped::Pgp { enc, .. } => self.open_pgp(enc),
            Wrapped::Elsewhere { .. } => Err(Shut::NotOurs),
        }
    }

    fn open_age(&self, enc: &str) -> Result<Secret, Shut> {
        let shut = |error: DecryptError| match error {
            DecryptError::NoMatchingKeys => Shut::NotOurs,
            other => Shut::Broken(format!("age: {other}")),
        };
        let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(enc.as_bytes())).map_err(shut)?;
        let identities = self.age.iter().map(|identity| {
            let identity: &dyn Identity = identity.as_ref();
            identity
        });
        let reader = decryptor.decrypt(identities).map_err(shut)?;
        data_key(reader).map_err(|error| Shut::Broken(format!("age: {error}")))
    }

    fn open_pgp(&self, enc: &str) -> Result<Secret, Shut> {
        let broken = |error: pgp::errors::Error| Shut::Broken(format!("OpenPGP: {error}"));
        let (message, _) = Message::from_armor(enc.as_bytes()).map_err(broken)?;
        let none = Password::empty();
        let ring = TheRing {
            secret_keys: self.pgp.iter().collect(),
            key_passwords: vec![&none],
            decrypt_options: DecryptionOptions::new().enable_gnupg_aead(),
            ..TheRing::default()
        };
        let (message, _) = message.decrypt_the_ring(ring, true).map_err(|error| match error {
            pgp::errors::Error::MissingKey => Shut::NotOurs,
            other => broken(other),
        })?;
        let message = if message.is_compressed() { message.decompress().map_err(broken)? } else { message };
        data_key(message).map_err(|error| Shut::Broken(format!("OpenPGP: {error}")))
    }
}

/// Reads a data key, or a share of one. Longer data is refused: a message may decompress to any size.
fn data_key(reader: impl Read) -> std::io::Result<Secret> {
    let mut key = Zeroizing::new(Vec::with_capacity(LONGEST_KEY));
    reader.take(LONGEST_KEY as u64 + 1).read_to_end(&mut key)?;
    if key.len() <= LONGEST_KEY {
        Ok(key)
    } else {
        Err(std::io::Error::other("it has no key: it is too long"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_may_be_shared_among_threads() {
        fn check<T: Send + Sync>() {}
        check::<Keys>();
    }
}

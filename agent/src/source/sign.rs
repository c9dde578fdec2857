//! Signs commits with an SSH key or an OpenPGP key from a Secret.
//!
//! The same key and text always give the same signature. Pure; random numbers are used only for blinding in RSA.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use pgp::composed::{
    ArmorOptions, Deserializable as _, DetachedSignature, SignedSecretKey, SignedSecretSubKey,
    SubpacketConfig,
};
use pgp::packet::{SecretKey, SecretSubkey, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, KeyVersion, Password, SecretParams, SigningKey};
use rsa::Pkcs1v15Sign;
use rsa::rand_core::OsRng;
use rsa::sha2::{Digest as _, Sha512};
use ssh_key::private::{KeypairData, RsaKeypair};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, Signature, SshSig};

use crate::error::{Class, StageError};
use crate::secret_data::Data;

/// The namespace of Git in SSH signatures, which separates them from signatures for other purposes.
const NAMESPACE: &str = "git";

/// Signs commits. It is secret: there is no `Debug`.
pub struct Signer(Key);

/// A decrypted private key.
enum Key {
    Ssh(Box<PrivateKey>),
    OpenPgp(Box<SecretKey>),
    OpenPgpSubkey(Box<SecretSubkey>),
}

/// Why a commit cannot be signed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignError {
    #[error(
        "the Secret of the signing key has neither identity (an SSH private key) nor git.asc (an OpenPGP one); add one of them"
    )]
    NoKey,
    #[error("the Secret of the signing key has both identity and git.asc; remove one of them")]
    TwoKeys,
    #[error("the key {entry} of the Secret is not {wanted}: {why}")]
    BadKey { entry: &'static str, wanted: &'static str, why: String },
    #[error("the signing key {entry} is locked, and the Secret has no password; add it as password")]
    Locked { entry: &'static str },
    #[error("the password of the Secret does not open the signing key {entry}")]
    WrongPassword { entry: &'static str },
    #[error("an SSH key of the kind {kind} cannot sign here; use ed25519")]
    Kind { kind: String },
    #[error(
        "this ECDSA key cannot be read here: its number begins with a zero byte; make another one, or use ed25519"
    )]
    ShortNumber,
    #[error("the OpenPGP key in git.asc has no key that can sign; add a signing subkey")]
    NotForSigning,
    #[error("cannot sign the commit: {said}")]
    Failed { said: String },
}

impl StageError for SignError {
    fn class(&self) -> Class {
        Class::User
    }

    fn name(&self) -> &'static str {
        match self {
            Self::NoKey => "NoSigningKey",
            Self::TwoKeys => "TwoSigningKeys",
            Self::BadKey { .. } => "BadSigningKey",
            Self::Locked { .. } => "SigningKeyLocked",
            Self::WrongPassword { .. } => "WrongPassword",
            Self::Kind { .. } => "SigningKeyKind",
            Self::ShortNumber => "SigningKeyShort",
            Self::NotForSigning => "NotForSigning",
            Self::Failed { .. } => "SignFailed",
        }
    }
}

impl Signer {
    /// Reads the data of a Secret: `identity` or `git.asc`, and `password` if the key is encrypted.
    pub fn from_secret(data: &Data) -> Result<Self, SignError> {
        let password = data.get("password").map(|bytes| bytes.trim_ascii_end());
        let key = match (data.get("identity"), data.get("git.asc")) {
            (Some(identity), None) => Key::Ssh(Box::new(ssh(identity, password)?)),
            (None, Some(armored)) => open_pgp(armored, password)?,
            (Some(_), Some(_)) => return Err(SignError::TwoKeys),
            (None, None) => return Err(SignError::NoKey),
        };
        // A key that cannot sign is reported now, not when there is something to commit.
        let signer = Self(key);
        signer.sign(b"", Timestamp::UNIX_EPOCH)?;
        Ok(signer)
    }

    /// Returns the armored signature of a text.
    pub(super) fn sign(&self, text: &[u8], at: Timestamp) -> Result<String, SignError> {
        match &self.0 {
            Key::Ssh(key) => sign_ssh(key, text),
            Key::OpenPgp(key) => detached(&**key, text, at),
            Key::OpenPgpSubkey(key) => detached(&**key, text, at),
        }
    }
}

fn ssh(identity: &[u8], password: Option<&[u8]>) -> Result<PrivateKey, SignError> {
    let bad = |why: String| SignError::BadKey { entry: "identity", wanted: "an OpenSSH private key", why };
    // OpenSSH accepts a key without its final line break, and with Windows line endings.
    let text = str::from_utf8(identity).map_err(|_| bad("it is not text".to_owned()))?;
    let text = format!("{}\n", text.replace("\r\n", "\n").trim());
    if !text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") && text.starts_with("-----BEGIN ") {
        let why = "it has another format; `ssh-keygen -p -f FILE` rewrites a key in OpenSSH's".to_owned();
        return Err(bad(why));
    }
    let ecdsa = ecdsa_of(&text);
    if ecdsa == Some("nistp521") {
        return Err(SignError::Kind { kind: "ecdsa with 521 bits".to_owned() });
    }
    let unread = |error: ssh_key::Error| match (error, ecdsa) {
        (ssh_key::Error::Encoding(_) | ssh_key::Error::FormatEncoding, Some(_)) => SignError::ShortNumber,
        (error, _) => bad(error.to_string()),
    };
    let key = PrivateKey::from_openssh(&text).map_err(unread)?;
    if !key.is_encrypted() {
        return Ok(key);
    }
    let password = password.ok_or(SignError::Locked { entry: "identity" })?;
    key.decrypt(password).map_err(|error| match error {
        ssh_key::Error::Crypto => SignError::WrongPassword { entry: "identity" },
        other => unread(other),
    })
}

/// Returns the curve of an ECDSA key. Its name is in the public part, which is never encrypted.
fn ecdsa_of(text: &str) -> Option<&'static str> {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let bytes = STANDARD.decode(body.trim()).ok()?;
    let curves = ["nistp256", "nistp384", "nistp521"];
    curves.into_iter().find(|curve| {
        let name = format!("ecdsa-sha2-{curve}");
        memchr::memmem::find(&bytes, name.as_bytes()).is_some()
    })
}

fn sign_ssh(key: &PrivateKey, text: &[u8]) -> Result<String, SignError> {
    let failed = |said: String| SignError::Failed { said };
    let signed = match key.key_data() {
        KeypairData::Rsa(pair) => sign_rsa(key, pair, text),
        KeypairData::Ed25519(_) | KeypairData::Ecdsa(_) => {
            key.sign(NAMESPACE, HashAlg::Sha512, text).map_err(|error| failed(error.to_string()))
        }
        _ => Err(SignError::Kind { kind: key.algorithm().to_string() }),
    }?;
    signed.to_pem(LineEnding::LF).map_err(|error| failed(error.to_string()))
}

/// Signs with RSA and SHA-512, the only RSA signature that OpenSSH accepts for texts.
fn sign_rsa(key: &PrivateKey, pair: &RsaKeypair, text: &[u8]) -> Result<SshSig, SignError> {
    let ssh = |error: ssh_key::Error| SignError::Failed { said: error.to_string() };
    let failed = |error: rsa::Error| SignError::Failed { said: error.to_string() };
    let number = |mpint: &ssh_key::Mpint| {
        let bytes = mpint
            .as_positive_bytes()
            .ok_or_else(|| SignError::Failed { said: "a number of the key is negative".to_owned() })?;
        Ok(rsa::BigUint::from_bytes_be(bytes))
    };
    let private = rsa::RsaPrivateKey::from_components(
        number(&pair.public.n)?,
        number(&pair.public.e)?,
        number(&pair.private.d)?,
        vec![number(&pair.private.p)?, number(&pair.private.q)?],
    )
    .map_err(failed)?;
    let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, text).map_err(ssh)?;
    let signature = private
        .sign_with_rng(&mut OsRng, Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(&data))
        .map_err(failed)?;
    let signature = Signature::new(Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, signature).map_err(ssh)?;
    SshSig::new(key.public_key().key_data().clone(), NAMESPACE, HashAlg::Sha512, signature).map_err(ssh)
}

fn open_pgp(armored: &[u8], password: Option<&[u8]>) -> Result<Key, SignError> {
    let entry = "git.asc";
    let bad = |why: String| SignError::BadKey { entry, wanted: "an armored OpenPGP private key", why };
    let (key, _) = SignedSecretKey::from_armor_single(armored).map_err(|error| bad(error.to_string()))?;
    if key.primary_key.version() != KeyVersion::V4 {
        return Err(bad("only keys of version 4 make signatures that Git can verify".to_owned()));
    }
    let wrong = |_| SignError::WrongPassword { entry };
    let password = |params: &SecretParams| match password {
        Some(password) => Ok(Password::from(password)),
        None if params.is_encrypted() => Err(SignError::Locked { entry }),
        None => Ok(Password::empty()),
    };
    match part_that_signs(key).ok_or(SignError::NotForSigning)? {
        Key::OpenPgp(mut key) => {
            key.remove_password(&password(key.secret_params())?).map_err(wrong)?;
            Ok(Key::OpenPgp(key))
        }
        Key::OpenPgpSubkey(mut key) => {
            key.remove_password(&password(key.secret_params())?).map_err(wrong)?;
            Ok(Key::OpenPgpSubkey(key))
        }
        other @ Key::Ssh(_) => Ok(other),
    }
}

/// Returns the newest subkey for signatures that is not revoked, as gpg chooses; the primary key if there is none.
fn part_that_signs(key: SignedSecretKey) -> Option<Key> {
    let SignedSecretKey { primary_key, details, public_subkeys: _, secret_subkeys } = key;
    let newest = secret_subkeys
        .into_iter()
        .filter(|SignedSecretSubKey { signatures, .. }| {
            let revoked = signatures.iter().any(|one| one.typ() == Some(SignatureType::SubkeyRevocation));
            !revoked && signatures.iter().any(|one| one.key_flags().sign())
        })
        .max_by_key(|subkey| subkey.key.created_at());
    if let Some(subkey) = newest {
        return Some(Key::OpenPgpSubkey(Box::new(subkey.key)));
    }
    let users = details.users.iter().flat_map(|user| &user.signatures);
    let mut own = users.chain(&details.direct_signatures);
    own.any(|one| one.key_flags().sign()).then(|| Key::OpenPgp(Box::new(primary_key)))
}

fn detached(key: &impl SigningKey, text: &[u8], at: Timestamp) -> Result<String, SignError> {
    let failed = |error: pgp::errors::Error| SignError::Failed { said: error.to_string() };
    let made = pgp::types::Timestamp::from_secs(u32::try_from(at.as_second().max(0)).unwrap_or(u32::MAX));
    let subpackets = SubpacketConfig::UserDefined {
        hashed: vec![
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint())).map_err(failed)?,
            Subpacket::regular(SubpacketData::SignatureCreationTime(made)).map_err(failed)?,
        ],
        unhashed: vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id())).map_err(failed)?],
    };
    DetachedSignature::sign_binary_data_with_subpackets(
        OsRng,
        key,
        &Password::empty(),
        key.hash_alg(),
        text,
        subpackets,
    )
    .and_then(|signature| signature.to_armored_string(ArmorOptions::default()))
    .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An unused key, generated until it began with a zero byte.
    const SHORT: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS\n\
        1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQTa3u11gUPUa5bWtGjpGTvfj3ndNYO+\n\
        CjZ4vppHGaR0ALJXTwvSSNwDZi0lyjRG72m+NKLEWVcNokO3vSrgdPu9AAAAmJxy3DWcct\n\
        w1AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBNre7XWBQ9Rrlta0\n\
        aOkZO9+Ped01g74KNni+mkcZpHQAsldPC9JI3ANmLSXKNEbvab40osRZVw2iQ7e9KuB0+7\n\
        0AAAAfBPB5Xcgik8jK25lpO9CH745TvdnnAPVxPTO3i9WEbwAAAAAB\n\
        -----END OPENSSH PRIVATE KEY-----";

    fn refused(entries: &[(&str, &str)]) -> &'static str {
        let data = entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
        Signer::from_secret(&data.collect()).err().map_or("taken", |error| error.name())
    }

    #[test]
    fn a_secret_without_a_key_to_sign_with_is_refused() {
        let check =
            |entries: &[(&str, &str)], expected| assert_eq!(refused(entries), expected, "{entries:?}");
        check(&[], "NoSigningKey");
        check(&[("password", "x")], "NoSigningKey");
        check(&[("identity", "x"), ("git.asc", "x")], "TwoSigningKeys");
        check(&[("identity", "not a key")], "BadSigningKey");
        check(&[("identity", "-----BEGIN RSA PRIVATE KEY-----")], "BadSigningKey");
        check(&[("git.asc", "not a key")], "BadSigningKey");
        check(&[("identity", SHORT)], "SigningKeyShort");
    }
}

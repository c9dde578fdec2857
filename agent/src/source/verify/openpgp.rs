//! OpenPGP certificates, and signatures that their keys made. Pure.
//!
//! A key counts if its self-signatures are valid, if it may sign, and if neither it nor its primary key is expired or revoked now.

use jiff::Timestamp;
use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag, Timestamp as Seconds, VerifyingKey};

use super::{BadSigners, Unsigned};

const BEGIN: &str = "-----BEGIN ";
/// How far the clock of a signer may be ahead.
const AHEAD: i64 = 24 * 60 * 60;

/// Certificates of those who may sign.
#[derive(Default)]
pub struct Certificates(Vec<SignedPublicKey>);

impl Certificates {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds armored certificates, of which a text may have several.
    pub fn add(&mut self, entry: &str, text: &str) -> Result<(), BadSigners> {
        let bad = |why: String| BadSigners::Entry { entry: entry.to_owned(), why };
        let mut found = Vec::new();
        for block in text.split(BEGIN).skip(1).map(|block| format!("{BEGIN}{block}")) {
            if block.starts_with("-----BEGIN PGP PRIVATE KEY") {
                return Err(bad(
                    "it is a private key; add the public one (gpg --export --armor), and keep this one to yourself".to_owned(),
                ));
            }
            let (keys, _) = SignedPublicKey::from_armor_many(block.as_bytes())
                .map_err(|error| bad(format!("it is not an armored OpenPGP public key: {error}")))?;
            for key in keys {
                found.push(key.map_err(|error| bad(format!("it is not an OpenPGP public key: {error}")))?);
            }
        }
        if found.is_empty() {
            return Err(bad("it has no armored OpenPGP public key".to_owned()));
        }
        self.0.extend(found);
        Ok(())
    }

    /// Checks an armored signature over a content.
    pub fn check(&self, armored: &str, content: &[u8], now: Timestamp) -> Result<(), Unsigned> {
        let (signature, _) = DetachedSignature::from_string(armored)
            .map_err(|error| Unsigned::Unreadable(error.to_string()))?;
        let signature = &signature.signature;
        let named = named(signature);
        let mut refused = Unsigned::UnknownKey(named.clone());
        for certificate in &self.0 {
            let primary = &certificate.primary_key;
            let outcome = if is_of(signature, primary) {
                checked(signature, content, primary, &named).and_then(|()| {
                    primary_refuses(certificate, true, now).map_or(Ok(()), |why| not_valid(&named, why))
                })
            } else if let Some(subkey) =
                certificate.public_subkeys.iter().find(|subkey| is_of(signature, &subkey.key))
            {
                checked(signature, content, &subkey.key, &named).and_then(|()| {
                    let why = primary_refuses(certificate, false, now)
                        .or_else(|| subkey_refuses(certificate, subkey, now));
                    why.map_or(Ok(()), |why| not_valid(&named, why))
                })
            } else {
                continue;
            };
            match outcome.and_then(|()| expired(signature, &named, now)) {
                Ok(()) => return Ok(()),
                Err(why) => refused = why,
            }
        }
        Err(refused)
    }
}

fn not_valid<T>(key: &str, why: String) -> Result<T, Unsigned> {
    Err(Unsigned::NotValid { key: key.to_owned(), why })
}

/// The key that a signature names.
fn named(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|fingerprint| format!("{fingerprint:X}"));
    let id = || signature.issuer_key_id().first().map(|id| id.to_string().to_uppercase());
    fingerprint.or_else(id).unwrap_or_else(|| "that it does not name".to_owned())
}

fn is_of(signature: &Signature, key: &impl KeyDetails) -> bool {
    signature.issuer_fingerprint().iter().any(|fingerprint| **fingerprint == key.fingerprint())
        || (signature.issuer_fingerprint().is_empty()
            && signature.issuer_key_id().iter().any(|id| **id == key.legacy_key_id()))
}

/// Checks that a key made a signature over a content.
fn checked(
    signature: &Signature,
    content: &[u8],
    key: &impl VerifyingKey,
    named: &str,
) -> Result<(), Unsigned> {
    if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
        return Err(Unsigned::Unreadable("it is not a signature of a document".to_owned()));
    }
    let is_weak = matches!(
        signature.hash_alg(),
        None | Some(
            HashAlgorithm::None | HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160
        )
    );
    if is_weak {
        return not_valid(named, "by a digest that is broken (MD5, SHA-1 or RIPEMD-160)".to_owned());
    }
    signature.verify(key, content).map_err(|_| Unsigned::Bad(named.to_owned()))
}

/// Why the signature itself does not count any more.
fn expired(signature: &Signature, named: &str, now: Timestamp) -> Result<(), Unsigned> {
    let Some(made) = signature.created().map(|created| i64::from(created.as_secs())) else {
        return not_valid(named, "at a time that it does not say".to_owned());
    };
    if made > now.as_second() + AHEAD {
        return not_valid(named, format!("at {}, which is in the future", shown(made)));
    }
    let lasts = signature.signature_expiration_time().map_or(0, |lasts| i64::from(lasts.as_secs()));
    if lasts > 0 && made + lasts <= now.as_second() {
        return not_valid(named, format!("and the signature expired at {}", shown(made + lasts)));
    }
    Ok(())
}

/// Why the primary key of a certificate does not count.
fn primary_refuses(certificate: &SignedPublicKey, signs: bool, now: Timestamp) -> Option<String> {
    let key = &certificate.primary_key;
    let details = &certificate.details;
    if details.revocation_signatures.iter().any(|revocation| revocation.verify_key(key).is_ok()) {
        return Some("which is revoked".to_owned());
    }
    let direct = details.direct_signatures.iter().filter(|own| own.verify_key(key).is_ok());
    let users = details.users.iter().flat_map(|user| {
        let own = user.signatures.iter().filter(|own| {
            own.is_certification() && own.verify_certification(key, Tag::UserId, &user.id).is_ok()
        });
        own.collect::<Vec<_>>()
    });
    let newest = direct.chain(users).max_by_key(|own| own.created().map(Seconds::as_secs));
    let Some(newest) = newest else {
        return Some("whose self-signature is missing or not valid".to_owned());
    };
    let flags = newest.key_flags();
    let says_what_for = flags.sign() || flags.certify() || flags.authentication() || flags.encrypt_comms();
    if signs && says_what_for && !flags.sign() {
        return Some("which may not sign".to_owned());
    }
    over(key, newest, now)
}

/// Why a subkey does not count.
fn subkey_refuses(
    certificate: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    now: Timestamp,
) -> Option<String> {
    let (primary, key) = (&certificate.primary_key, &subkey.key);
    let valid = |typ: SignatureType| {
        let own = subkey.signatures.iter();
        own.filter(move |own| own.typ() == Some(typ) && own.verify_subkey_binding(primary, key).is_ok())
    };
    if valid(SignatureType::SubkeyRevocation).next().is_some() {
        return Some("which is revoked".to_owned());
    }
    let newest = valid(SignatureType::SubkeyBinding).max_by_key(|own| own.created().map(Seconds::as_secs));
    let Some(newest) = newest else { return Some("which its primary key does not bind".to_owned()) };
    let is_bound_back =
        newest.embedded_signature().is_some_and(|back| back.verify_primary_key_binding(key, primary).is_ok());
    if !newest.key_flags().sign() || !is_bound_back {
        return Some("which may not sign".to_owned());
    }
    over(key, newest, now)
}

/// Why a key is over, by its newest self-signature.
fn over(key: &impl KeyDetails, newest: &Signature, now: Timestamp) -> Option<String> {
    let lasts = newest.key_expiration_time().map_or(0, |lasts| i64::from(lasts.as_secs()));
    let end = i64::from(key.created_at().as_secs()) + lasts;
    (lasts > 0 && end <= now.as_second()).then(|| format!("which expired at {}", shown(end)))
}

fn shown(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

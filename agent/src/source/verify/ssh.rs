//! SSH keys and their conditions, in the format of `allowed_signers` of `ssh-keygen`, and signatures that they made. Pure.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::sha2::{Digest as _, Sha256, Sha512};
use rsa::{BigUint, RsaPublicKey};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use super::{BadSigners, Unsigned};
use crate::wildcard;

/// What git's signatures are for, among all that an SSH key may sign.
const NAMESPACE: &str = "git";
/// The shortest RSA key that counts, in bits, as OpenSSH has it.
const SHORTEST: usize = 2048;

/// Keys that may sign.
#[derive(Default)]
pub struct AllowedSigners(Vec<Allowed>);

/// A key, and the conditions under which it counts.
struct Allowed {
    key: KeyData,
    namespaces: Option<String>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl AllowedSigners {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds public keys, one a line.
    pub fn add_keys(&mut self, entry: &str, text: &str) -> Result<(), BadSigners> {
        each_line(entry, text, |line| {
            let key = public(line)?;
            self.0.push(Allowed { key, namespaces: None, after: None, before: None });
            Ok(())
        })
    }

    /// Adds the lines of a file of allowed signers: principals, options, and a key.
    pub fn add_file(&mut self, entry: &str, text: &str) -> Result<(), BadSigners> {
        each_line(entry, text, |line| {
            let (_principals, rest) = word(line);
            let (first, behind) = word(rest);
            let has_options = Algorithm::new(first).is_err();
            let (options, key) = if has_options { (first, behind) } else { ("", rest) };
            let mut allowed = Allowed { key: public(key)?, namespaces: None, after: None, before: None };
            for option in options_of(options) {
                allowed.set(option)?;
            }
            self.0.push(allowed);
            Ok(())
        })
    }

    /// Checks an armored signature over a content that was made at a time.
    pub fn check(&self, armored: &str, content: &[u8], made: Timestamp) -> Result<(), Unsigned> {
        let unreadable = |error: ssh_key::Error| Unsigned::Unreadable(error.to_string());
        let signature = SshSig::from_pem(armored).map_err(unreadable)?;
        let key = signature.public_key().fingerprint(HashAlg::Sha256).to_string();
        let known: Vec<&Allowed> =
            self.0.iter().filter(|allowed| allowed.key == *signature.public_key()).collect();
        if known.is_empty() {
            return Err(Unsigned::UnknownKey(key));
        }
        if signature.namespace() != NAMESPACE {
            let why = format!("as one for {}, not for {NAMESPACE}", signature.namespace());
            return Err(Unsigned::NotValid { key, why });
        }
        if !is_by(&signature, content) {
            return Err(Unsigned::Bad(key));
        }
        let mut refused = None;
        for allowed in known {
            match allowed.refuses(made) {
                None => return Ok(()),
                Some(why) => refused = Some(why),
            }
        }
        Err(Unsigned::NotValid { key, why: refused.unwrap_or_default() })
    }
}

impl Allowed {
    fn set(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        match &*name.to_ascii_lowercase() {
            "namespaces" => self.namespaces = Some(value.to_owned()),
            "valid-after" => self.after = Some(time(value)?),
            "valid-before" => self.before = Some(time(value)?),
            "cert-authority" => {
                return Err(
                    "certificates (cert-authority) are not supported; list the keys themselves".to_owned()
                );
            }
            other => return Err(format!("{other} is not an option of allowed_signers")),
        }
        Ok(())
    }

    /// Why it does not count for a commit that was made at a time.
    fn refuses(&self, made: Timestamp) -> Option<String> {
        if !self.namespaces.as_deref().is_none_or(|patterns| is_listed(patterns, NAMESPACE)) {
            return Some(format!("which allowed_signers does not allow for the namespace {NAMESPACE}"));
        }
        if let Some(after) = self.after.filter(|after| made < *after) {
            return Some(format!("which is valid only after {after}, and it was made at {made}"));
        }
        let before = self.before.filter(|before| made >= *before)?;
        Some(format!("which expired at {before}, and it was made at {made}"))
    }
}

/// True if a text is in a list of patterns and in none with `!` before it.
fn is_listed(patterns: &str, text: &str) -> bool {
    let fits = |pattern: &str| wildcard::fits(pattern.as_bytes(), text.as_bytes());
    let mut patterns = patterns.split(',').map(str::trim);
    let is_excluded = patterns.clone().filter_map(|pattern| pattern.strip_prefix('!')).any(fits);
    !is_excluded && patterns.any(fits)
}

fn each_line(
    entry: &str,
    text: &str,
    mut read: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), BadSigners> {
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            read(line).map_err(|why| BadSigners::Line { entry: entry.to_owned(), line: at + 1, why })?;
        }
    }
    Ok(())
}

fn public(text: &str) -> Result<KeyData, String> {
    if text.starts_with("-----BEGIN ") && text.contains("PRIVATE KEY") {
        return Err("it is a private key; add the public one, and keep this one to yourself".to_owned());
    }
    let key =
        PublicKey::from_openssh(text).map_err(|error| format!("it is not an SSH public key: {error}"))?;
    match key.algorithm() {
        Algorithm::Dsa => Err("DSA keys are not supported; use an ed25519 key".to_owned()),
        Algorithm::Ecdsa { curve: ssh_key::EcdsaCurve::NistP521 } => {
            Err("ECDSA keys with 521 bits are not supported; use an ed25519 key".to_owned())
        }
        _ => Ok(key.key_data().clone()),
    }
}

/// The first word of a line, which may have quoted parts with spaces, and the rest.
fn word(line: &str) -> (&str, &str) {
    let mut quoted = false;
    let end = line.find(|letter: char| {
        quoted ^= letter == '"';
        !quoted && letter.is_whitespace()
    });
    let (word, rest) = line.split_at(end.unwrap_or(line.len()));
    (word, rest.trim_start())
}

/// The options of a line, separated by commas outside of quotes.
fn options_of(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let parts = text.split(|letter: char| {
        quoted ^= letter == '"';
        !quoted && letter == ','
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// Reads `YYYYMMDD[HHMM[SS]][Z]`. Without `Z` it is a local time for `ssh-keygen`; here the local time zone is UTC.
fn time(text: &str) -> Result<Timestamp, String> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let format = match digits.len() {
        8 => "%Y%m%d",
        12 => "%Y%m%d%H%M",
        14 => "%Y%m%d%H%M%S",
        _ => return Err(format!("{text} is not a time such as 20261231 or 202612312359Z")),
    };
    let parsed = if digits.len() == 8 {
        jiff::civil::Date::strptime(format, digits).map(|date| date.at(0, 0, 0, 0))
    } else {
        DateTime::strptime(format, digits)
    };
    parsed
        .and_then(|time| time.to_zoned(TimeZone::UTC))
        .map(|time| time.timestamp())
        .map_err(|_| format!("{text} is not a time such as 20261231 or 202612312359Z"))
}

/// True if the signature was made with its key over a content.
fn is_by(signature: &SshSig, content: &[u8]) -> bool {
    let KeyData::Rsa(key) = signature.public_key() else {
        let key = PublicKey::from(signature.public_key().clone());
        return key.verify(NAMESPACE, content, signature).is_ok();
    };
    // ssh-key does not verify RSA without a feature that signs wrongly.
    let signed = SshSig::signed_data(NAMESPACE, signature.hash_alg(), content);
    let (Ok(signed), true) = (signed, signature.reserved().is_empty()) else { return false };
    let number = |number: &ssh_key::Mpint| number.as_positive_bytes().map(BigUint::from_bytes_be);
    let (Some(n), Some(e)) = (number(&key.n), number(&key.e)) else { return false };
    let Ok(key) = RsaPublicKey::new(n, e) else { return false };
    if rsa::traits::PublicKeyParts::n(&key).bits() < SHORTEST {
        return false;
    }
    let bytes = signature.signature().as_bytes();
    match signature.algorithm() {
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) } => {
            key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(&signed), bytes).is_ok()
        }
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) } => {
            key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(&signed), bytes).is_ok()
        }
        _ => false,
    }
}

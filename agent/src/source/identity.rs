//! Checks private keys for ssh, and explains problems for which ssh only reports an "error in libcrypto". Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::{HashAlg, PrivateKey};

const BEGIN: &str = "-----BEGIN ";
const OPENSSH: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
/// The first bytes of an OpenSSH key. (openssh, PROTOCOL.key)
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Describes what is wrong with a key, as the end of a sentence that begins with its name. `None` if ssh can read it.
pub fn problem(key: &[u8], has_password: bool) -> Option<&'static str> {
    let Ok(text) = str::from_utf8(key) else {
        return Some("is not text; store the private key as ssh-keygen writes it");
    };
    let start = text.trim_start();
    if start.is_empty() {
        return Some("is empty");
    }
    if start.starts_with(BEGIN) { armored(text, has_password) } else { Some(unarmored(start)) }
}

/// Describes a text that does not begin like a key.
fn unarmored(text: &str) -> &'static str {
    let is = |beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
    if is(&["PuTTY-User-Key-File-"]) {
        "is a key of PuTTY, which ssh cannot read; convert it with: puttygen KEY.ppk -O private-openssh -o identity"
    } else if is(&["ssh-", "ecdsa-sha2-", "sk-", "---- BEGIN SSH2 PUBLIC KEY"]) {
        "is a public key; store the private one, the file whose name does not end with .pub"
    } else if is(&["---- BEGIN SSH2"]) {
        "is a key of ssh.com, which ssh cannot read; convert it with: ssh-keygen -i -f KEY"
    } else if is_encoded(text) {
        "is encoded with base64 twice; encode it once under data, or not at all under stringData"
    } else if text.contains(BEGIN) {
        "has text before its line -----BEGIN; store the key alone"
    } else {
        "is not a private key; store the file that ssh-keygen writes, from its line -----BEGIN to its line -----END"
    }
}

/// True if the text is the base64 of a key.
fn is_encoded(text: &str) -> bool {
    let body: String = text.split_whitespace().collect();
    STANDARD.decode(body).is_ok_and(|bytes| {
        let bytes = bytes.trim_ascii_start();
        [BEGIN.as_bytes(), b"PuTTY-", b"ssh-"].iter().any(|beginning| bytes.starts_with(beginning))
    })
}

fn armored(text: &str, has_password: bool) -> Option<&'static str> {
    if text.contains('\r') {
        return Some(
            "has Windows line endings (CRLF), which ssh cannot read; store it with LF line endings, as dos2unix \
             or `tr -d '\\r'` writes it",
        );
    }
    if !text.starts_with(BEGIN) || text.trim_end().lines().any(|line| line.starts_with([' ', '\t'])) {
        return Some("has spaces or empty lines at the start of its lines; store it as ssh-keygen writes it");
    }
    if !text.contains("-----END ") {
        return Some("is truncated: its last line -----END is missing");
    }
    let label = text.lines().next().unwrap_or_default();
    if !label.trim_end().ends_with("-----") || text.trim_end().lines().count() < 3 {
        return Some(
            "has no line breaks; store it with all of its lines, as kubectl create secret --from-file does",
        );
    }
    let has = |words: &str| label.contains(words);
    if has("PUBLIC KEY") {
        return Some("is a public key; store the private one");
    }
    if has("CERTIFICATE") {
        return Some("is a certificate; store the private key of ssh");
    }
    if has("DSA PRIVATE KEY") && !has("ECDSA") {
        return Some("is a DSA key, which ssh no longer supports; create one with: ssh-keygen -t ed25519");
    }
    if !has("PRIVATE KEY-----") {
        return Some("is not a private key of ssh; create one with: ssh-keygen -t ed25519");
    }
    let Some(is_locked) = is_locked(text) else {
        return Some(
            "is damaged: the text between its first and last line cannot be decoded; store it again",
        );
    };
    (is_locked && !has_password)
        .then_some("is encrypted with a password; set the password under the key password of the Secret")
}

/// True if a key needs a password; `None` if the key cannot be read.
fn is_locked(text: &str) -> Option<bool> {
    if !text.starts_with(OPENSSH) {
        return Some(text.contains("ENCRYPTED"));
    }
    let body: String = text.lines().skip(1).take_while(|line| !line.starts_with("-----")).collect();
    let bytes = STANDARD.decode(body.trim_end()).ok()?;
    // The name of the cipher, after its length.
    let cipher = bytes.strip_prefix(MAGIC)?.get(4..)?;
    Some(!cipher.starts_with(b"none"))
}

/// Returns whether a password decrypts a key; `None` if that cannot be determined. Needs noticeable processor time.
pub fn opens(key: &[u8], password: &str) -> Option<bool> {
    let key = PrivateKey::from_openssh(key).ok()?;
    if !key.is_encrypted() {
        return Some(true);
    }
    match key.decrypt(password) {
        Ok(_) => Some(true),
        Err(ssh_key::Error::Crypto) => Some(false),
        Err(_) => None,
    }
}

/// Returns the type and the fingerprint of a key, if they can be read without a password.
pub fn shown(key: &[u8]) -> Option<String> {
    let key = PrivateKey::from_openssh(key).ok()?;
    Some(format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made for this test, without a password, and with the password `secret`.
    const OPEN: &str = include_str!("identity/open");
    const LOCKED: &str = include_str!("identity/locked");

    fn check(key: &str, expected: Option<&str>) {
        let found = problem(key.as_bytes(), false);
        match expected {
            None => assert_eq!(found, None, "{key}"),
            Some(part) => assert!(found.is_some_and(|found| found.contains(part)), "{key}: {found:?}"),
        }
    }

    #[test]
    fn each_mistake_has_its_own_words() {
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        check(OPEN, None);
        check(OPEN.trim_end(), None);
        check(pem, None);
        check(&pem.replace("RSA", "EC"), None);
        check(&pem.replace("RSA ", ""), None);
        check("", Some("is empty"));
        check(" \n", Some("is empty"));
        check("hunter2", Some("is not a private key"));
        check("ssh-ed25519 AAAAC3Nz alice", Some("is a public key"));
        check("ecdsa-sha2-nistp256 AAAA", Some("is a public key"));
        check("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", Some("puttygen"));
        check("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n", Some("ssh.com"));
        check(&STANDARD.encode(OPEN), Some("base64 twice"));
        check(&STANDARD.encode("ssh-ed25519 AAAAC3Nz"), Some("base64 twice"));
        check(&OPEN.replace('\n', "\r\n"), Some("CRLF"));
        check(&format!("\n{OPEN}"), Some("spaces or empty lines"));
        check(&OPEN.replace('\n', "\n  "), Some("spaces or empty lines"));
        check(&format!("my key\n{OPEN}"), Some("text before"));
        check(&OPEN.replace('\n', "\\n"), Some("has no line breaks"));
        check(&OPEN.replace('\n', " "), Some("has no line breaks"));
        check(&OPEN[..200], Some("is truncated"));
        check(&OPEN.replace("b3B", "@@@"), Some("is damaged"));
        check(&pem.replace("RSA PRIVATE", "PUBLIC"), Some("is a public key"));
        check(&pem.replace("RSA PRIVATE KEY", "CERTIFICATE"), Some("is a certificate"));
        check(&pem.replace("RSA", "DSA"), Some("DSA"));
        check(&pem.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"), Some("not a private key of ssh"));
        check(LOCKED, Some("is encrypted"));
        check(&pem.replace("RSA", "ENCRYPTED"), Some("is encrypted"));
        check(&pem.replace("\nAAAA", "\nProc-Type: 4,ENCRYPTED\n\nAAAA"), Some("is encrypted"));
        assert_eq!(problem(LOCKED.as_bytes(), true), None);
        assert!(problem(b"\xff\xfe-\0", false).is_some_and(|found| found.contains("not text")));
    }

    #[test]
    fn a_password_that_does_not_open_a_key_is_known() {
        assert_eq!(opens(LOCKED.as_bytes(), "secret"), Some(true));
        assert_eq!(opens(LOCKED.as_bytes(), "wrong"), Some(false));
        assert_eq!(opens(OPEN.as_bytes(), "any"), Some(true));
        assert_eq!(opens(b"-----BEGIN RSA PRIVATE KEY-----", "any"), None);
        assert!(shown(LOCKED.as_bytes()).is_some_and(|shown| shown.starts_with("ssh-ed25519 SHA256:")));
    }
}

//! Credentials from a Secret, with the keys that Flux uses. They cannot be printed. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_diff::digest::Digest;

use super::scheme::Scheme;
use super::{SourceError, identity};
use crate::secret_data::{BadSecret, Data, SecretData};

/// The keys that are read, as an error lists them.
const KEYS: &str = "username and password; bearerToken; identity (or ssh-privatekey), password of that key, and \
                    known_hosts; ca.crt; tls.crt and tls.key";
/// All keys that are read.
const READ: [&str; 10] = [
    "username",
    "password",
    "bearerToken",
    IDENTITY,
    SSH_AUTH,
    "known_hosts",
    "ca.crt",
    "caFile",
    "tls.crt",
    "tls.key",
];
const IDENTITY: &str = "identity";
/// The key of Secrets of the type `kubernetes.io/ssh-auth`.
const SSH_AUTH: &str = "ssh-privatekey";

/// Credentials and trusted authorities. Has no `Debug`, since it must not be printed.
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
    is_ssh_auth: bool,
    id: Option<Digest>,
}

impl Credential {
    /// Reads the data of a Secret.
    pub fn from_secret(data: &Data) -> Result<Self, SourceError> {
        let bad = |why: String| SourceError::BadCredential(format!("the Secret that secretRef names {why}"));
        if !READ.iter().any(|key| data.contains_key(*key)) {
            return Err(bad(format!("{}; these are read: {KEYS}", held(data))));
        }
        let secret = SecretData::of(data);
        let unfit = |error: BadSecret| bad(format!("cannot be used: {error}"));
        let text = |key| secret.text(key).map(|text| text.map(ToOwned::to_owned)).map_err(unfit);
        let bytes = |key: &str| secret.bytes(key).map(<[u8]>::to_vec);
        let is_ssh_auth = !data.contains_key(IDENTITY);
        let identity = bytes(IDENTITY).or_else(|| bytes(SSH_AUTH));
        let client = secret.client().map_err(unfit)?;
        let client = client.map(|(certificate, key)| (certificate.to_vec(), key.to_vec()));
        let (username, password, bearer) = (text("username")?, text("password")?, text("bearerToken")?);
        let has_login = password.is_some() || bearer.is_some() || identity.is_some() || client.is_some();
        if username.is_some() && !has_login {
            return Err(bad(
                "has a username and no password; add the password, or a token in its place".to_owned()
            ));
        }
        let identity_password =
            identity.as_ref().and(password.clone()).filter(|password| !password.is_empty());
        let found = Self {
            username,
            identity_password,
            password,
            bearer,
            known_hosts: bytes("known_hosts"),
            ca: secret.authority().map(<[u8]>::to_vec),
            client,
            identity,
            is_ssh_auth,
            id: Some(secret.id()),
        };
        let key = found.identity.as_ref();
        let problem = key.and_then(|key| identity::problem(key, found.identity_password.is_some()));
        match problem {
            Some(problem) => Err(bad(format!("has a key {} that {problem}", found.identity_name()))),
            None => Ok(found),
        }
    }

    /// Returns the key of the Secret that contains the private key.
    pub(super) fn identity_name(&self) -> &'static str {
        if self.is_ssh_auth { SSH_AUTH } else { IDENTITY }
    }

    /// True if it has credentials for HTTP.
    pub(super) fn logs_in(&self) -> bool {
        self.authorization().is_some() || self.client.is_some()
    }

    /// Returns why the credentials cannot be used with a scheme, if they are for another one.
    pub(super) fn mismatch(&self, scheme: Scheme) -> Option<&'static str> {
        let is_for_ssh = self.identity.is_some() || self.known_hosts.is_some();
        let is_for_http = self.logs_in() || self.ca.is_some();
        match scheme {
            Scheme::Http if is_for_ssh && !is_for_http => Some(
                "the Secret that secretRef names is for ssh (identity, known_hosts), and the URL is not; write the ssh URL \
                 of the repository, or a Secret with username and password",
            ),
            Scheme::Ssh if is_for_http && !is_for_ssh => Some(
                "the Secret that secretRef names is for https (username and password, bearerToken, certificates), and \
                 ssh needs identity and known_hosts; write the https URL of the repository, or a Secret with these",
            ),
            _ => None,
        }
    }

    /// Returns the token for the API of a forge: the bearer token, or the password.
    pub fn token(&self) -> Option<&str> {
        self.bearer.as_deref().or(self.password.as_deref())
    }

    /// Returns the trusted authorities, as PEM.
    pub fn ca(&self) -> Option<&[u8]> {
        self.ca.as_deref()
    }

    /// Returns the identity of the credentials, for the key of the mirror.
    pub(super) fn id(&self) -> Option<Digest> {
        self.id
    }

    /// Returns the value of the header `Authorization`. It is sent with the first request, which saves the round trip
    /// of a 401.
    pub(super) fn authorization(&self) -> Option<String> {
        if let Some(token) = &self.bearer {
            return Some(format!("Bearer {token}"));
        }
        let password = self.password.as_ref()?;
        let user = self.username.as_deref().unwrap_or("git");
        Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }
}

/// Describes the keys that a Secret has, as the end of a sentence.
fn held(data: &Data) -> String {
    if data.is_empty() {
        return "is empty".to_owned();
    }
    let names: Vec<&str> = data.keys().take(SHOWN).map(String::as_str).collect();
    let more = if data.len() > SHOWN { ", ..." } else { "" };
    format!("has no key that is read, but {}{more}", names.join(", "))
}

/// Maximum number of keys that an error lists.
const SHOWN: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("identity/open");
    const LOCKED: &str = include_str!("identity/locked");

    fn secret(entries: &[(&str, &str)]) -> Result<Credential, String> {
        let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), value.as_bytes().to_vec());
        Credential::from_secret(&entries.iter().map(entry).collect()).map_err(|error| error.to_string())
    }

    fn refused(entries: &[(&str, &str)], words: &[&str]) {
        let error = secret(entries).err().unwrap_or_default();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }

    #[test]
    fn a_secret_that_is_of_no_use_says_what_it_has_and_what_it_needs() {
        refused(&[("token", "t")], &["but token;", "bearerToken", "username and password"]);
        refused(
            &[("sshPrivateKey", KEY), ("type", "git"), ("url", "u")],
            &["sshPrivateKey, type, url", "identity"],
        );
        refused(&[], &["is empty", "identity"]);
        refused(&[("username", "alice")], &["a username and no password"]);
        refused(&[("tls.crt", "a")], &["one of tls.crt and tls.key"]);
        refused(&[("identity", KEY.get(..100).unwrap_or_default())], &["a key identity that is truncated"]);
        refused(&[("ssh-privatekey", "ssh-rsa AAAA")], &["a key ssh-privatekey that is a public key"]);
        refused(&[("identity", LOCKED)], &["a key identity that is encrypted with a password"]);
        refused(&[("identity", LOCKED), ("password", "")], &["is encrypted with a password"]);
    }

    #[test]
    fn keys_are_read_under_either_name() {
        let read = |entries: &[(&str, &str)]| {
            let read = secret(entries);
            assert!(read.is_ok(), "{:?}", read.err());
            read.ok().and_then(|read| Some((read.identity_name(), read.identity?)))
        };
        let key = KEY.as_bytes().to_vec();
        assert_eq!(read(&[("identity", KEY)]), Some(("identity", key.clone())));
        assert_eq!(
            read(&[("ssh-privatekey", KEY), ("known_hosts", "")]),
            Some(("ssh-privatekey", key.clone()))
        );
        assert_eq!(read(&[("identity", KEY), ("ssh-privatekey", "x")]), Some(("identity", key)));
        assert_eq!(read(&[("identity", LOCKED), ("password", "p")]).map(|read| read.0), Some("identity"));
        assert_eq!(read(&[("password", "t")]), None);
    }
}

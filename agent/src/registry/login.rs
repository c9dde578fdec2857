//! Credentials from a Secret in the format of `docker login` and `kubectl create secret docker-registry`. They cannot
//! be printed.
//!
//! The entry with the longest path that contains the repository is used; its host may contain globs, as for the
//! kubelet. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use holdfast_diff::digest::{Digest, Hasher};
use serde::Deserialize;

use super::repository::other_names;
use super::{Repository, RequestError};
use crate::secret_data::Data;
use crate::wildcard;

/// Base64 with or without padding: both are in use.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The credentials of a Secret. Has no `Debug`: it must not be printed.
pub struct Login {
    entries: Vec<Entry>,
    id: Digest,
}

struct Entry {
    /// `registry.example.com:5000`, which may contain globs. `None`: every host.
    host: Option<String>,
    /// Empty, or `team/app`.
    path: String,
    credential: Credential,
}

/// The credentials of one entry. Has no `Debug`: it must not be printed.
pub(super) enum Credential {
    Basic {
        user: String,
        password: String,
    },
    /// A refresh token, which is exchanged for an access token.
    Identity(String),
    /// A token that is sent unchanged.
    Token(String),
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Written>,
}

#[derive(Deserialize)]
struct Written {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Login {
    /// Reads the data of a Secret: `.dockerconfigjson`, or the older `.dockercfg`.
    pub fn from_secret(data: &Data) -> Result<Self, RequestError> {
        let written = match (data.get(".dockerconfigjson"), data.get(".dockercfg")) {
            (Some(text), _) => parse::<Config>(".dockerconfigjson", text).map(|config| config.auths),
            (None, Some(text)) => parse(".dockercfg", text),
            (None, None) => Err("it has no key .dockerconfigjson".to_owned()),
        };
        let entries = written.and_then(|written| {
            let entries = written.into_iter().filter_map(|(key, written)| entry(&key, written).transpose());
            entries.collect::<Result<Vec<_>, _>>()
        });
        let entries = entries.map_err(RequestError::BadLogin)?;
        let mut hasher = Hasher::default();
        for (key, value) in data.iter().filter(|(key, _)| key.starts_with(".docker")) {
            hasher.text(key);
            hasher.bytes(value);
        }
        Ok(Self { entries, id: hasher.finish() })
    }

    /// Returns credentials with a user and a password for every repository.
    pub fn basic(user: &str, password: &str) -> Self {
        let credential = Credential::Basic { user: user.to_owned(), password: password.to_owned() };
        let id = credential.id();
        Self { entries: vec![Entry { host: None, path: String::new(), credential }], id }
    }

    /// True if there are credentials for a repository of this host.
    pub fn is_for(&self, host: &str) -> bool {
        self.entries.iter().any(|entry| entry.is_for(host))
    }

    /// Returns the value of the header `Authorization` for a host that is not a registry: the entry with the shortest
    /// path is used.
    pub fn authorization(&self, host: &str) -> Option<String> {
        let fits = self.entries.iter().filter(|entry| entry.is_for(host));
        fits.min_by_key(|entry| entry.path.len()).and_then(|entry| entry.credential.basic())
    }

    /// Returns the identity of the credentials.
    pub(super) fn id(&self) -> Digest {
        self.id
    }

    /// Returns the credentials for a repository: by the longest path, then a host without globs, then the longer host.
    pub(super) fn of(&self, repository: &Repository) -> Option<&Credential> {
        let fits = |entry: &&Entry| {
            let rest = repository.path().strip_prefix(entry.path.as_str());
            entry.is_for(repository.host())
                && rest.is_some_and(|rest| entry.path.is_empty() || rest.is_empty() || rest.starts_with('/'))
        };
        self.entries.iter().filter(fits).max_by_key(|entry| entry.rank()).map(|entry| &entry.credential)
    }
}

impl Entry {
    /// True if the entry is for a repository of this host.
    fn is_for(&self, host: &str) -> bool {
        let Some(own) = &self.host else { return true };
        fits_host(own, host) || other_names(host).iter().any(|name| fits_host(own, name))
    }

    /// The sort key; the entry with the greatest one is used.
    fn rank(&self) -> (usize, bool, usize) {
        let host = self.host.as_deref().unwrap_or("*");
        (self.path.len(), !host.contains(['*', '?']), host.len())
    }
}

impl Credential {
    /// Returns the identity of the credentials.
    pub(super) fn id(&self) -> Digest {
        let mut hasher = Hasher::default();
        match self {
            Self::Basic { user, password } => {
                hasher.text(user);
                hasher.text(password);
            }
            Self::Identity(token) | Self::Token(token) => hasher.text(token),
        }
        hasher.finish()
    }

    /// Returns the value of the header `Authorization` for basic authentication.
    pub(super) fn basic(&self) -> Option<String> {
        let Self::Basic { user, password } = self else { return None };
        Some(format!("Basic {}", BASE64.encode(format!("{user}:{password}"))))
    }
}

fn parse<T: for<'de> Deserialize<'de>>(key: &str, text: &[u8]) -> Result<T, String> {
    // The error of the parser could contain a part of the text.
    serde_json::from_slice(text).map_err(|_| format!("its key {key} is not in the format of docker login"))
}

/// Reads an entry; `None` if it has no credentials.
fn entry(key: &str, written: Written) -> Result<Option<Entry>, String> {
    let Written { auth, username, password, identitytoken, registrytoken } = written;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let credential = match (given(registrytoken), given(identitytoken), given(auth)) {
        (Some(token), _, _) => Credential::Token(token),
        (None, Some(token), _) => Credential::Identity(token),
        (None, None, auth) => match (given(username), password, auth) {
            (Some(user), Some(password), _) => Credential::Basic { user, password },
            (_, _, Some(auth)) => decoded(&auth)
                .ok_or_else(|| format!("its entry {} has no user:password in auth", shown(key)))?,
            _ => return Ok(None),
        },
    };
    let bare = key.trim_start_matches("https://").trim_start_matches("http://");
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    // The version of the API is not a part of the path.
    let path = path.trim_matches('/');
    let path = match path.split_once('/').unwrap_or((path, "")) {
        ("v1" | "v2", rest) => rest,
        _ => path,
    };
    Ok(Some(Entry { host: Some(host.to_ascii_lowercase()), path: path.to_owned(), credential }))
}

/// Returns the key of an entry, without credentials in it.
fn shown(key: &str) -> &str {
    key.rsplit_once('@').map_or(key, |(_, rest)| rest)
}

fn decoded(auth: &str) -> Option<Credential> {
    let text = String::from_utf8(BASE64.decode(auth.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    // Docker pads with zero bytes.
    let password = password.trim_end_matches('\0').to_owned();
    Some(Credential::Basic { user: user.to_owned(), password })
}

/// True if a host matches: each label, with globs, and the same port.
fn fits_host(pattern: &str, host: &str) -> bool {
    let (pattern, port) = pattern.split_once(':').unwrap_or((pattern, ""));
    let (host, other) = host.split_once(':').unwrap_or((host, ""));
    let labels = || pattern.split('.').zip(host.split('.'));
    port == other
        && pattern.split('.').count() == host.split('.').count()
        && labels().all(|(pattern, label)| wildcard::fits(pattern.as_bytes(), label.as_bytes()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn login(key: &str, text: &str) -> Result<Login, RequestError> {
        Login::from_secret(&BTreeMap::from([(key.to_owned(), text.as_bytes().to_vec())]))
    }

    fn of(text: &str, repository: &str) -> String {
        let login = login(".dockerconfigjson", &format!("{{\"auths\": {text}}}")).ok().unwrap();
        match login.of(&Repository::parse(repository).unwrap()) {
            Some(Credential::Basic { user, password }) => format!("{user}:{password}"),
            Some(Credential::Identity(token)) => format!("identity {token}"),
            Some(Credential::Token(token)) => format!("token {token}"),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn a_login_comes_in_many_forms() {
        let packed = BASE64.encode("alice:s3cret:x");
        let bare = packed.trim_end_matches('=');
        for (entry, expected) in [
            (r#"{"username": "alice", "password": "s3cret:x"}"#.to_owned(), "alice:s3cret:x"),
            (format!("{{\"auth\": \"{packed}\"}}"), "alice:s3cret:x"),
            (format!("{{\"auth\": \"{bare}\"}}"), "alice:s3cret:x"),
            (format!("{{\"auth\": \"{}\"}}", BASE64.encode("alice:x\0\0")), "alice:x"),
            (format!("{{\"auth\": \"{packed}\", \"identitytoken\": \"t\"}}"), "identity t"),
            (r#"{"registrytoken": "t"}"#.to_owned(), "token t"),
            (r#"{"auth": "", "email": "a@example.com"}"#.to_owned(), "none"),
            ("{}".to_owned(), "none"),
        ] {
            assert_eq!(
                of(&format!("{{\"a.example.com\": {entry}}}"), "a.example.com/b"),
                expected,
                "{entry}"
            );
        }
        let old =
            login(".dockercfg", r#"{"a.example.com": {"username": "u", "password": "p"}}"#).ok().unwrap();
        assert!(old.of(&Repository::parse("a.example.com/b").unwrap()).is_some());
    }

    #[test]
    fn the_longest_path_that_fits_counts() {
        let keys = [
            "a.example.com",
            "a.example.com/team",
            "https://a.example.com/v2/team/app/",
            "*.example.com",
            "b?.example.com:5000",
            "https://index.docker.io/v1/",
            "docker.io/team",
            "10.0.0.1:5000",
        ];
        let entry = |key: &&str| format!("\"{key}\": {{\"username\": \"{key}\", \"password\": \"\"}}");
        let text = format!("{{{}}}", keys.iter().map(entry).collect::<Vec<_>>().join(","));
        for (repository, key) in [
            ("a.example.com/x", keys[0]),
            ("a.example.com/teams/x", keys[0]),
            ("a.example.com/team", keys[1]),
            ("a.example.com/team/x", keys[1]),
            ("a.example.com/team/app", keys[2]),
            ("a.example.com/team/app/x", keys[2]),
            ("c.example.com/x", keys[3]),
            ("b1.example.com:5000/x", keys[4]),
            ("nginx", keys[5]),
            ("team/nginx", keys[6]),
            ("10.0.0.1:5000/x", keys[7]),
        ] {
            assert_eq!(of(&text, repository), format!("{key}:"), "{repository}");
        }
        for repository in ["x.c.example.com/x", "a.example.com:5000/x", "10.0.0.1/x", "example.com/x"] {
            assert_eq!(of(&text, repository), "none", "{repository}");
        }
    }

    #[test]
    fn a_secret_that_is_none_is_refused_and_not_shown() {
        for (key, text, part) in [
            ("password", "hunter2", "no key .dockerconfigjson"),
            (".dockerconfigjson", "hunter2", "not in the format of docker login"),
            (
                ".dockerconfigjson",
                r#"{"auths": {"a": {"auth": "hunter2"}}}"#,
                "its entry a has no user:password",
            ),
            (".dockerconfigjson", r#"{"auths": {"u:hunter2@a": {"auth": "b"}}}"#, "its entry a has no"),
            (".dockercfg", r#"{"a": {"auth": 7}}"#, "not in the format of docker login"),
        ] {
            let said = login(key, text).err().unwrap().to_string();
            assert!(said.contains(part) && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_glob_is_for_one_label() {
        let long = format!("{}b", "*a".repeat(500));
        for (pattern, host, expected) in [
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu-west-1.amazonaws.com", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("a**", "a", true),
            ("a?", "a", false),
            ("*", "", true),
            (&long, &"a".repeat(5000), false),
        ] {
            assert_eq!(fits_host(pattern, host), expected, "{pattern} {host}");
        }
    }
}

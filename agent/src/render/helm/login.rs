//! How to log in to a place of charts, and whom to trust, out of a Secret. It cannot be printed. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_diff::digest::{Digest, Hasher};
use serde::Deserialize;

use super::HelmError;
use crate::http::Trust;

/// A login. Has no `Debug`: it must not be printed.
#[derive(Clone)]
pub struct Login {
    /// User and password.
    pub(super) basic: Option<(String, String)>,
    /// PEM.
    ca: Option<Vec<u8>>,
    /// PEM, the certificate and the key.
    client: Option<(Vec<u8>, Vec<u8>)>,
    id: Digest,
}

/// What `docker login` writes.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerLogin>,
}

#[derive(Deserialize)]
struct DockerLogin {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl Login {
    /// Reads the data of a Secret: `username` and `password`, or `.dockerconfigjson` of which the entry of `host` counts;
    /// `ca.crt`, `tls.crt` and `tls.key`.
    pub fn from_secret(data: &BTreeMap<String, Vec<u8>>, host: &str) -> Result<Self, HelmError> {
        let bad = |said: &str| HelmError::BadLogin(said.to_owned());
        let text = |key: &str| -> Result<Option<String>, HelmError> {
            let Some(bytes) = data.get(key) else { return Ok(None) };
            let text = str::from_utf8(bytes)
                .map_err(|_| bad(&format!("the key {key} of the Secret is not text")))?;
            Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
        };
        let basic = match (text("username")?, text("password")?, data.get(".dockerconfigjson")) {
            (Some(user), Some(password), _) => Some((user, password)),
            (None, None, Some(config)) => docker(config, host)?,
            (None, None, None) => None,
            _ => return Err(bad("the Secret has one of username and password; it needs both or none")),
        };
        let client = match (data.get("tls.crt"), data.get("tls.key")) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => return Err(bad("the Secret has one of tls.crt and tls.key; it needs both or none")),
        };
        let mut hasher = Hasher::default();
        for (key, value) in data {
            hasher.text(key);
            hasher.bytes(value);
        }
        let ca = data.get("ca.crt").or_else(|| data.get("caFile")).cloned();
        Ok(Self { basic, ca, client, id: hasher.finish() })
    }

    /// What tells two logins apart.
    pub(super) fn id(&self) -> Digest {
        self.id
    }

    /// The certificates for a connection.
    pub(super) fn trust(&self) -> Result<Trust, HelmError> {
        let client = self.client.as_ref().map(|(certificate, key)| (&certificate[..], &key[..]));
        Trust::read(self.ca.as_deref(), client).map_err(|error| HelmError::BadLogin(error.to_string()))
    }

    /// The value of the header `Authorization`.
    pub(super) fn authorization(&self) -> Option<String> {
        let (user, password) = self.basic.as_ref()?;
        Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }
}

/// The login for a host in the configuration of Docker. Docker Hub goes by several names.
fn docker(config: &[u8], host: &str) -> Result<Option<(String, String)>, HelmError> {
    let bad = |said: String| HelmError::BadLogin(format!(".dockerconfigjson of the Secret {said}"));
    // The error of the parser could show a part of the text.
    let config: DockerConfig =
        serde_json::from_slice(config).map_err(|_| bad("is not what docker login writes".to_owned()))?;
    let name = |host: &str| match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    };
    let host_of = |key: &str| {
        let key = key.trim_start_matches("https://").trim_start_matches("http://");
        name(key.split('/').next().unwrap_or(key))
    };
    let Some((_, login)) = config.auths.into_iter().find(|(key, _)| host_of(key) == name(host)) else {
        return Err(bad(format!("has no login for {host}")));
    };
    if let (Some(user), Some(password)) = (login.username, login.password) {
        return Ok(Some((user, password)));
    }
    let decoded = login.auth.and_then(|auth| STANDARD.decode(auth.trim()).ok());
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = text.as_deref().and_then(|text| text.split_once(':'));
    let (user, password) = pair.ok_or_else(|| bad(format!("has no user and password for {host}")))?;
    Ok(Some((user.to_owned(), password.to_owned())))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn login(data: &[(&str, &str)]) -> Result<Login, HelmError> {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        Login::from_secret(&data, "registry.example.com:5000")
    }

    fn basic(data: &[(&str, &str)]) -> Option<(String, String)> {
        login(data).ok().unwrap().basic
    }

    fn said(data: &[(&str, &str)]) -> String {
        login(data).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_login_comes_in_two_forms() {
        let alice = Some(("alice".to_owned(), "s3cret:x".to_owned()));
        assert_eq!(basic(&[("username", "alice\n"), ("password", "s3cret:x")]), alice);
        let packed = STANDARD.encode("alice:s3cret:x");
        let docker = |entry: &str| format!("{{\"auths\": {{\"other.example.com\": {{}}, {entry}}}}}");
        let entry = docker(&format!("\"https://registry.example.com:5000/v2/\": {{\"auth\": \"{packed}\"}}"));
        assert_eq!(basic(&[(".dockerconfigjson", &entry)]), alice);
        let entry =
            docker("\"registry.example.com:5000\": {\"username\": \"alice\", \"password\": \"s3cret:x\"}");
        assert_eq!(basic(&[(".dockerconfigjson", &entry)]), alice);
        assert_eq!(basic(&[("ca.crt", "x")]), None);
    }

    #[test]
    fn half_a_login_is_an_error_that_shows_no_secret() {
        for (data, part) in [
            (vec![("username", "alice")], "one of username and password"),
            (vec![("tls.crt", "x")], "one of tls.crt and tls.key"),
            (vec![(".dockerconfigjson", "s3cret")], "is not what docker login writes"),
            (vec![(".dockerconfigjson", "{\"auths\": {}}")], "has no login for registry.example.com:5000"),
            (
                vec![(
                    ".dockerconfigjson",
                    "{\"auths\": {\"registry.example.com:5000\": {\"auth\": \"s3cret\"}}}",
                )],
                "has no user and password for registry.example.com:5000",
            ),
        ] {
            let said = said(&data);
            assert!(said.contains(part) && !said.contains("s3cret"), "{said}");
        }
    }
}

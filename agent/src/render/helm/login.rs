//! The login for a source of charts and its trusted certificates, from a Secret. It cannot be printed. Pure.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_diff::digest::Digest;

use super::HelmError;
use crate::http::Trust;
use crate::registry;
use crate::secret_data::{BadSecret, Data, SecretData};

/// A login. Has no `Debug`: it must not be printed.
#[derive(Clone)]
pub struct Login {
    /// For registries: the logins of `.dockerconfigjson`, or user and password.
    registry: Option<Arc<registry::Login>>,
    /// The value of the header `Authorization`, for a repository over HTTP.
    authorization: Option<String>,
    trust: Trust,
    id: Digest,
}

impl Login {
    /// Reads the data of a Secret: `username` and `password`, or `.dockerconfigjson` with an entry of `host`; `ca.crt`,
    /// `tls.crt` and `tls.key`.
    pub fn from_secret(data: &Data, host: &str) -> Result<Self, HelmError> {
        let secret = SecretData::of(data);
        let bad = |error: BadSecret| HelmError::BadLogin(format!("the Secret cannot be used: {error}"));
        let (registry, authorization) = match secret.basic().map_err(bad)? {
            Some((user, password)) => {
                let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
                (Some(registry::Login::basic(user, password)), Some(basic))
            }
            None => match docker(data, host)? {
                Some(login) => {
                    let authorization = login.authorization(host);
                    (Some(login), authorization)
                }
                None => (None, None),
            },
        };
        let trust = secret.trust().map_err(bad)?;
        Ok(Self { registry: registry.map(Arc::new), authorization, trust, id: secret.id() })
    }

    /// A digest that identifies the login.
    pub(in crate::render) fn id(&self) -> Digest {
        self.id
    }

    /// The certificates for a connection.
    pub(super) fn trust(&self) -> Trust {
        self.trust.clone()
    }

    /// The value of the header `Authorization`, for a repository over HTTP.
    pub(in crate::render) fn authorization(&self) -> Option<String> {
        self.authorization.clone()
    }

    /// The login for registries.
    pub(super) fn registry(&self) -> Option<Arc<registry::Login>> {
        self.registry.clone()
    }
}

/// Reads the logins that Docker wrote, one of which must be for this host.
fn docker(data: &Data, host: &str) -> Result<Option<registry::Login>, HelmError> {
    if !data.keys().any(|key| key.starts_with(".docker")) {
        return Ok(None);
    }
    let login =
        registry::Login::from_secret(data).map_err(|trouble| HelmError::BadLogin(trouble.to_string()))?;
    if !login.is_for(host) {
        return Err(HelmError::BadLogin(format!("the Secret has no login for {host}")));
    }
    Ok(Some(login))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn login(data: &[(&str, &str)]) -> Result<Login, HelmError> {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        Login::from_secret(&data, "registry.example.com:5000")
    }

    /// Returns user and password as they are sent, or why there are none.
    fn basic(data: &[(&str, &str)]) -> String {
        let Ok(login) = login(data) else { return said(data) };
        let Some(header) = login.authorization() else { return "anonymous".to_owned() };
        String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap()).unwrap()
    }

    fn said(data: &[(&str, &str)]) -> String {
        login(data).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_login_comes_in_two_forms() {
        let alice = "alice:s3cret:x";
        assert_eq!(basic(&[("username", "alice\n"), ("password", "s3cret:x")]), alice);
        let packed = STANDARD.encode("alice:s3cret:x");
        let docker = |entry: &str| format!("{{\"auths\": {{\"other.example.com\": {{}}, {entry}}}}}");
        let entry = docker(&format!("\"https://registry.example.com:5000/v2/\": {{\"auth\": \"{packed}\"}}"));
        assert_eq!(basic(&[(".dockerconfigjson", &entry)]), alice);
        let entry =
            docker("\"registry.example.com:5000\": {\"username\": \"alice\", \"password\": \"s3cret:x\"}");
        assert_eq!(basic(&[(".dockerconfigjson", &entry)]), alice);
        let old = format!("{{\"registry.example.com:5000\": {{\"auth\": \"{packed}\"}}}}");
        assert_eq!(basic(&[(".dockercfg", &old)]), alice);
        let token = docker("\"registry.example.com:5000\": {\"identitytoken\": \"s3cret\"}");
        assert_eq!(basic(&[(".dockerconfigjson", &token)]), "anonymous");
        assert!(login(&[(".dockerconfigjson", &token)]).ok().unwrap().registry().is_some());
        assert_eq!(basic(&[]), "anonymous");
    }

    #[test]
    fn half_a_login_is_an_error_that_shows_no_secret() {
        for (data, part) in [
            (vec![("username", "alice")], "one of username and password"),
            (vec![("tls.crt", "x")], "one of tls.crt and tls.key"),
            (vec![("ca.crt", "x")], "ca.crt is not a certificate in PEM"),
            (vec![(".dockerconfigjson", "s3cret")], "is not in the format of docker login"),
            (vec![(".dockerconfigjson", "{\"auths\": {}}")], "has no login for registry.example.com:5000"),
            (
                vec![(
                    ".dockerconfigjson",
                    "{\"auths\": {\"registry.example.com:5000\": {\"auth\": \"s3cret\"}}}",
                )],
                "its entry registry.example.com:5000 has no user:password in auth",
            ),
        ] {
            let said = said(&data);
            assert!(said.contains(part) && !said.contains("s3cret"), "{said}");
        }
    }
}

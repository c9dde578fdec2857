//! The address of a receiver: a validated URL, its form in messages, and the secrets that are masked in messages.
//! Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::TargetError;
use crate::http::Guard;

/// Replaces a secret in a message.
const HIDDEN: &str = "***";
/// Maximum number of characters of text from other sources in a message.
const SHOWN: usize = 200;
/// A segment of a path with at least this length may be a key.
const KEY: usize = 8;

/// Whether the path of a URL is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Public,
    Secret,
}

/// The address of a receiver. Has no `Debug`, since the URL may be a secret.
#[derive(Clone)]
pub struct Endpoint {
    /// Without user and password.
    pub url: Url,
    /// The header `Authorization`, if the URL has a user.
    authorization: Option<HeaderValue>,
    /// For messages: the kind, and the URL up to the port.
    shown: String,
    secrets: Vec<String>,
}

impl Endpoint {
    /// Validates the URL of a receiver.
    pub fn parse(kind: &'static str, text: &str, path: Path, guard: &Guard) -> Result<Self, TargetError> {
        let bad = |why: &str| TargetError::BadUrl { kind, why: why.to_owned() };
        let mut url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it must begin with http:// or https://"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(bad("it has no host"));
        }
        guard.url(&url).map_err(|source| TargetError::Refused { kind, source })?;
        let shown = format!("{kind} {}", origin(&url));
        let mut secrets = secrets(&url, path);
        let login = login(&url);
        let unauthorized = url.set_username("").and_then(|()| url.set_password(None));
        unauthorized.map_err(|()| bad("it cannot have a user"))?;
        url.set_fragment(None);
        let authorization = login.map(|login| STANDARD.encode(login)).map(|basic| {
            let value = HeaderValue::from_str(&format!("Basic {basic}"));
            secrets.push(basic);
            value
        });
        let authorization = authorization.transpose().map_err(|_| bad("its user name is invalid"))?;
        let mut endpoint = Self { url, authorization: authorization.map(sensitive), shown, secrets };
        endpoint.tidy();
        Ok(endpoint)
    }

    /// Adds a text that is masked in messages.
    pub fn hide(&mut self, secret: &str) {
        self.secrets.push(secret.to_owned());
        self.secrets.push(secret.replace('/', "\\/"));
        self.tidy();
    }

    /// Returns the headers of every message: JSON, and the credentials of the URL.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.authorization.clone().map(|value| (header::AUTHORIZATION, value)));
        headers
    }

    /// Returns the same host with a path below this one.
    pub fn below(&self, path: &str) -> Self {
        let mut endpoint = self.clone();
        endpoint.url.set_path(&format!("{}/{path}", self.url.path().trim_end_matches('/')));
        endpoint
    }

    /// Returns the form in messages: `webhook https://example.com:8443/…`.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns a text from another source without control characters and secrets, truncated.
    pub fn cleaned(&self, text: &str) -> String {
        let text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        let text = self.secrets.iter().fold(text, |text, secret| text.replace(secret, HIDDEN));
        text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect()
    }

    /// Sorts secrets by length, the longest first, so that no part of one remains.
    fn tidy(&mut self) {
        self.secrets.retain(|secret| !secret.is_empty());
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self.secrets.dedup();
    }
}

/// Marks a value as sensitive, so that the HTTP client does not log it.
pub fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// Returns a URL up to the port: the rest may be a secret.
pub fn origin(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}/…", url.scheme(), url.host_str().unwrap_or_default())
}

fn login(url: &Url) -> Option<Vec<u8>> {
    let password = url.password();
    if url.username().is_empty() && password.is_none() {
        return None;
    }
    Some(
        [
            percent_decode_str(url.username()).collect(),
            b":".to_vec(),
            percent_decode_str(password.unwrap_or_default()).collect(),
        ]
        .concat(),
    )
}

fn secrets(url: &Url, path: Path) -> Vec<String> {
    // A token may stand in the endpoint of the user.
    let login = [url.username(), url.password().unwrap_or_default()];
    let mut secrets: Vec<String> = login.map(ToOwned::to_owned).into();
    secrets.extend(login.map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned()));
    secrets.extend(url.query().map(ToOwned::to_owned));
    secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    if path == Path::Secret {
        let long = url.path().split('/').filter(|segment| segment.len() >= KEY);
        secrets.extend(long.map(ToOwned::to_owned));
        if url.path().len() > 1 {
            secrets.push(url.path().to_owned());
            secrets.push(url.path().replace('/', "\\/"));
        }
    }
    secrets
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::http::Own;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint::parse("webhook", url, Path::Secret, &Guard::default()).ok().unwrap()
    }

    #[test]
    fn urls_are_checked_and_the_error_does_not_repeat_them() {
        for (url, expected) in [
            ("https://hooks.example.com/a", Ok("webhook https://hooks.example.com/…")),
            (" http://alice:hunter2@10.0.0.1:8080/a?b=c\n", Ok("webhook http://10.0.0.1:8080/…")),
            ("https://[::1]:9/", Ok("webhook https://[::1]:9/…")),
            ("ftp://alice:hunter2@example.com", Err("must begin with http")),
            ("hunter2", Err("is invalid")),
            ("https://", Err("is invalid")),
            ("https://alice:hunter2@169.254.169.254/", Err("--allow-destinations")),
            // The same address as one number.
            ("http://2852039166/latest/hunter2", Err("169.254.169.254")),
            ("http://metadata.google.internal/hunter2", Err("--allow-destinations")),
        ] {
            let found = Endpoint::parse("webhook", url, Path::Secret, &Guard::default());
            let found = found.map(|endpoint| endpoint.shown).map_err(|error| error.to_string());
            match (&found, expected) {
                (Ok(shown), Ok(expected)) => assert_eq!(shown, expected),
                (Err(error), Err(part)) => assert!(error.contains(part), "{url}: {error}"),
                (found, expected) => unreachable!("{url}: {found:?}, and not {expected:?}"),
            }
            assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
        }
        let listed = Guard::new(vec!["169.254.0.0/16".parse().unwrap()], Own::default());
        assert!(Endpoint::parse("webhook", "http://169.254.169.254", Path::Public, &listed).is_ok());
    }

    #[test]
    fn a_login_in_a_url_becomes_a_header() {
        let endpoint = endpoint("https://alice:p%40ss%2@example.com/a");
        assert_eq!(endpoint.url.as_str(), "https://example.com/a");
        let expected = format!("Basic {}", STANDARD.encode("alice:p@ss%2"));
        assert_eq!(endpoint.authorization.unwrap().to_str().unwrap(), expected);
    }

    #[test]
    fn secrets_of_the_url_are_hidden() {
        let mut endpoint =
            endpoint("https://alice:p%40ss@example.com/services/T0/B0/sixteen-letters-?key=query-key");
        endpoint.hide("a/token");
        let basic = STANDARD.encode("alice:p@ss");
        let said = format!(
            "alice p@ss p%40ss {basic} sixteen-letters- query-key \
             \\/services\\/T0\\/B0\\/sixteen-letters- a/token a\\/token"
        );
        assert_eq!(endpoint.cleaned(&said), "*** *** *** *** *** *** *** *** ***");
        assert_eq!(endpoint.cleaned("a\u{1b}[31m\r\n  b"), "a [31m b");
    }
}

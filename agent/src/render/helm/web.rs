//! Sends requests to chart repositories, within limits, and describes their errors.
//!
//! A login is sent only to its own host, and not after a redirect to another one. I/O: HTTP.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use reqwest::Url;

use super::{HelmError, Login};
use crate::http::{Clients, Failure, Guard, Redirects, Request, Times, read};

/// How long a connection may take, how long a server may be silent, and how long one request may take in all.
const TIMES: Times = Times {
    connect: Times::CONNECT,
    silence: Some(Duration::from_secs(30)),
    total: Some(Duration::from_mins(3)),
};

/// The HTTP clients of all charts.
pub struct Web {
    clients: Clients,
}

/// How something is fetched.
pub struct Download<'a> {
    pub web: &'a Web,
    pub login: Option<&'a Login>,
}

/// A GET. Has no `Debug`: it may have a login.
pub struct Get<'a> {
    pub url: &'a Url,
    /// Whose authorities are trusted, and whose client certificate is shown.
    pub login: Option<&'a Login>,
    /// Whether the client certificate of the login is for another host than that of `url`, and not shown.
    pub foreign: bool,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    pub headers: Vec<(HeaderName, String)>,
    /// How much is read.
    pub limit: u64,
}

/// An answer that was read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body of a success; what else the server said is an error.
    pub fn success(self, url: &Url) -> Result<Self, HelmError> {
        let (status, url) = (self.status, url.to_string());
        match status {
            _ if status.is_success() || status == StatusCode::NOT_MODIFIED => Ok(self),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(HelmError::LoginRefused { url, status: status.as_u16() })
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(HelmError::NotFound { url }),
            _ => Err(HelmError::Download { url, said: format!("the server answers with {status}") }),
        }
    }
}

impl Web {
    pub fn new(guard: Arc<Guard>) -> Self {
        Self { clients: Clients::new(guard, TIMES) }
    }

    pub async fn get(&self, get: Get<'_>) -> Result<Answer, HelmError> {
        let Get { url, login, foreign, authorization, headers, limit } = get;
        let mut request = Request::new(Method::GET, url.clone());
        if let Some(value) = authorization {
            request.secret.insert(header::AUTHORIZATION, sensitive(&value)?);
        }
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value)
                .map_err(|_| broken(url, "it gave a header that cannot be sent"))?;
            request.headers.insert(name, value);
        }
        let trust = login.map(Login::trust).unwrap_or_default();
        let trust = if foreign { trust.without_identity() } else { trust };
        let failed = |failure| failed(url, failure);
        let response = self.clients.follow(&trust, &request, Redirects::Anywhere).await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response, limit).await.map_err(failed)?;
        let packed = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
        // An answer without a body, such as 304, says it too.
        let body = if packed && !body.is_empty() { unpacked(&body, url, limit)? } else { body };
        Ok(Answer { status, headers, body })
    }
}

/// A value that no log of the HTTP client shows.
fn sensitive(value: &str) -> Result<HeaderValue, HelmError> {
    let bad = |_| HelmError::BadLogin("it has characters that are not allowed in an HTTP header".to_owned());
    let mut value = HeaderValue::from_str(value).map_err(bad)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads a URL of charts. A login in it would be shown with it.
pub fn parse(text: &str) -> Result<Url, HelmError> {
    let bad = |url: &str, why: &str| HelmError::BadUrl { url: url.to_owned(), why: why.to_owned() };
    let url = Url::parse(text).map_err(|error| bad(text, &error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        let mut shown = url.clone();
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        return Err(bad(shown.as_str(), "it contains a login; move the login to a Secret"));
    }
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err(bad(text, "write https://host/path, or oci://host/path"));
    }
    Ok(url)
}

fn unpacked(body: &[u8], url: &Url, limit: u64) -> Result<Vec<u8>, HelmError> {
    let mut text = Vec::new();
    GzDecoder::new(body)
        .take(limit + 1)
        .read_to_end(&mut text)
        .map_err(|_| broken(url, "the answer is not gzip"))?;
    if text.len() as u64 > limit {
        return Err(HelmError::TooLarge { url: url.to_string(), limit });
    }
    Ok(text)
}

fn broken(url: &Url, said: &str) -> HelmError {
    HelmError::Download { url: url.to_string(), said: said.to_owned() }
}

fn failed(url: &Url, failure: Failure) -> HelmError {
    let shown = url.to_string();
    match failure {
        Failure::Refused(source) => HelmError::Destination { url: shown, source },
        Failure::Tls { said, certificate: Some(_) } => HelmError::UntrustedCertificate { url: shown, said },
        Failure::TooLarge { limit } => HelmError::TooLarge { url: shown, limit },
        Failure::ConnectTimeout => broken(url, "no connection within 10 s"),
        Failure::Timeout => broken(url, "no answer in time"),
        other => broken(url, &other.to_string()),
    }
}

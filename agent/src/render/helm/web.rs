//! Asks the servers that have charts, within limits, and puts what can go wrong into words.
//!
//! A login goes to the place that it is for, and to no other host, nor after a redirect. I/O: HTTP.

use std::collections::HashMap;
use std::error::Error;
use std::io::Read as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flate2::read::GzDecoder;
use holdfast_diff::digest::Digest;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use super::{HelmError, Login};

/// How long a connection may take, and how long a server may be silent.
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);
/// How long one request may take in all.
const LONGEST: Duration = Duration::from_mins(3);
const REDIRECTS: usize = 5;
/// How many clients are kept: logins change over time.
const CLIENTS: usize = 50;

/// The HTTP clients, one for each that must be trusted.
#[derive(Default)]
pub struct Web {
    clients: Mutex<HashMap<Option<Digest>, Client>>,
}

/// A GET. Has no `Debug`: it may have a login.
pub struct Get<'a> {
    pub url: &'a Url,
    /// Whom to trust.
    pub login: Option<&'a Login>,
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
    pub async fn get(&self, get: Get<'_>) -> Result<Answer, HelmError> {
        let Get { url, login, authorization, headers, limit } = get;
        let mut request = self.client(login)?.get(url.clone());
        if let Some(value) = authorization {
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| HelmError::BadLogin("it has letters that HTTP cannot send".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|error| failed(url, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response, url, limit).await?;
        let packed = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
        // An answer without a body, such as 304, says it too.
        let body = if packed && !body.is_empty() { unpacked(&body, url, limit)? } else { body };
        Ok(Answer { status, headers, body })
    }

    fn client(&self, login: Option<&Login>) -> Result<Client, HelmError> {
        let id = login.map(Login::id);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&id) {
            return Ok(client.clone());
        }
        let bad = |error: reqwest::Error| HelmError::BadLogin(root(&error).to_string());
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .timeout(LONGEST)
            .redirect(Policy::custom(|attempt| {
                let previous = attempt.previous();
                let downgraded = attempt.url().scheme() != "https"
                    && previous.last().is_some_and(|from| from.scheme() == "https");
                if downgraded || previous.len() > REDIRECTS { attempt.stop() } else { attempt.follow() }
            }))
            .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")));
        if let Some(ca) = login.and_then(|login| login.ca.as_ref()) {
            for certificate in reqwest::Certificate::from_pem_bundle(ca).map_err(bad)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        if let Some(pem) = login.and_then(|login| login.client.as_ref()) {
            builder = builder.identity(reqwest::Identity::from_pem(pem).map_err(bad)?);
        }
        let client = builder.build().map_err(bad)?;
        if clients.len() == CLIENTS {
            clients.clear();
        }
        clients.insert(id, client.clone());
        Ok(client)
    }
}

/// Reads a URL of charts. A login in it would be shown with it.
pub fn parse(text: &str) -> Result<Url, HelmError> {
    let bad = |url: &str, why: &str| HelmError::BadUrl { url: url.to_owned(), why: why.to_owned() };
    let url = Url::parse(text).map_err(|error| bad(text, &error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        let mut shown = url.clone();
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        return Err(bad(shown.as_str(), "it has a login in it; put that into a Secret"));
    }
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err(bad(text, "write https://host/path, or oci://host/path"));
    }
    Ok(url)
}

async fn read(mut response: Response, url: &Url, limit: u64) -> Result<Vec<u8>, HelmError> {
    let too_large = || HelmError::TooLarge { url: url.to_string(), limit };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(url, &error))? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unpacked(body: &[u8], url: &Url, limit: u64) -> Result<Vec<u8>, HelmError> {
    let mut text = Vec::new();
    GzDecoder::new(body).take(limit + 1).read_to_end(&mut text).map_err(|error| HelmError::Download {
        url: url.to_string(),
        said: format!("the answer is no gzip: {error}"),
    })?;
    if text.len() as u64 > limit {
        return Err(HelmError::TooLarge { url: url.to_string(), limit });
    }
    Ok(text)
}

fn failed(url: &Url, error: &reqwest::Error) -> HelmError {
    let url = url.to_string();
    let root = root(error);
    if let Some(rustls::Error::InvalidCertificate(bad)) = root.downcast_ref::<rustls::Error>() {
        let said = match bad {
            rustls::CertificateError::UnknownIssuer => {
                "it is signed by nobody who is trusted here".to_owned()
            }
            other => other.to_string(),
        };
        return HelmError::UntrustedCertificate { url, said };
    }
    let said = if error.is_timeout() && error.is_connect() {
        format!("no connection within {} s", CONNECT.as_secs())
    } else if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        format!("cannot connect: {root}")
    } else {
        root.to_string()
    };
    HelmError::Download { url, said }
}

/// The cause of it all. What is above says less.
fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut last = error;
    loop {
        // What an io::Error wraps is not its source, but the error itself.
        let wrapped = last.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| last.source()) {
            Some(next) => last = next,
            None => return last,
        }
    }
}

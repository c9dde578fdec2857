//! Asks the API of a forge, within limits, and puts what can go wrong into words.
//!
//! The token goes to the origin of the API, and after a redirect to no other. I/O: HTTP.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use holdfast_diff::digest::Digest;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde_json::Value;

use super::target::origin;
use super::{PullRequestError, Target};

const CONNECT: Duration = Duration::from_secs(10);
/// How long one request may take.
const LONGEST: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 3;
/// Bytes of an answer: a page of pull requests with all that belongs to them.
const ANSWER: usize = 16 * 1024 * 1024;
/// How much of an answer a message shows.
const SHOWN: usize = 200;
/// How long a forge may ask to be left alone.
const PATIENCE: Duration = Duration::from_hours(1);
/// How many clients are kept: those who are trusted change over time.
const CLIENTS: usize = 50;

/// The HTTP clients, one for each that must be trusted.
#[derive(Default)]
pub struct Web {
    clients: Mutex<HashMap<Option<Digest>, Client>>,
}

/// A request to the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub method: Method,
    /// Below the URL of the API. A slash in a segment is written as `%2F`.
    pub segments: Vec<String>,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<Value>,
    /// What it does, for messages: `open a pull request`.
    pub what: &'static str,
}

/// A success.
pub struct Answer {
    pub headers: HeaderMap,
    pub body: Value,
}

/// What else was answered.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    headers: HeaderMap,
    /// What the forge says about it, cut.
    pub said: String,
}

impl Web {
    /// Sends a request. What the forge refuses is not yet an error: it may be what was asked for.
    pub async fn send(
        &self,
        target: &Target,
        headers: &[(HeaderName, String)],
        call: &Call,
    ) -> Result<Result<Answer, Refusal>, PullRequestError> {
        let client = self.client(target)?;
        let mut url = place(target, call);
        for _ in 0..=REDIRECTS {
            let mut request = client.request(call.method.clone(), url.clone());
            for (name, value) in headers {
                let mut value = HeaderValue::from_str(value).map_err(|_| PullRequestError::BadToken)?;
                value.set_sensitive(true);
                request = request.header(name, value);
            }
            if let Some(body) = &call.body {
                request = request.json(body);
            }
            let response = request.send().await.map_err(|error| unsent(target, &error))?;
            match next(&url, call, &response) {
                Some(Ok(other)) => url = other,
                Some(Err(to)) => return Err(PullRequestError::Redirected { host: target.host(), to }),
                None => return answer(target, response).await,
            }
        }
        Err(PullRequestError::Redirected { host: target.host(), to: "itself, again and again".to_owned() })
    }

    fn client(&self, target: &Target) -> Result<Client, PullRequestError> {
        let trust = target.trust();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&trust) {
            return Ok(client.clone());
        }
        let bad = |error: reqwest::Error| PullRequestError::BadCertificate { said: root(&error).to_string() };
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(LONGEST)
            .redirect(Policy::none())
            .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")));
        if let Some(ca) = &target.ca {
            for certificate in reqwest::Certificate::from_pem_bundle(ca).map_err(bad)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder.build().map_err(bad)?;
        if clients.len() == CLIENTS {
            clients.clear();
        }
        clients.insert(trust, client.clone());
        Ok(client)
    }
}

fn place(target: &Target, call: &Call) -> Url {
    let mut url = target.api.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(&call.segments);
    }
    if !call.query.is_empty() {
        url.query_pairs_mut().extend_pairs(call.query.iter().map(|(name, value)| (*name, value)));
    }
    url
}

/// Where a redirect leads: a URL of the same origin, or what is not followed. A request that changes something is only
/// followed where it stays what it is.
fn next(url: &Url, call: &Call, response: &Response) -> Option<Result<Url, String>> {
    let status = response.status();
    if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
        return None;
    }
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(to) = location.and_then(|location| url.join(location).ok()) else {
        return Some(Err("nowhere".to_owned()));
    };
    let kept = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    if to.origin() == url.origin() && (call.method == Method::GET || kept) {
        Some(Ok(to))
    } else {
        Some(Err(if to.origin() == url.origin() { to.path().to_owned() } else { origin(&to) }))
    }
}

async fn answer(
    target: &Target,
    mut response: Response,
) -> Result<Result<Answer, Refusal>, PullRequestError> {
    let (status, headers) = (response.status(), response.headers().clone());
    let too_large = || PullRequestError::TooLarge { host: target.host(), limit: ANSWER };
    if response.content_length().is_some_and(|length| length > ANSWER as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unsent(target, &error))? {
        if bytes.len() + chunk.len() > ANSWER {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    let body = serde_json::from_slice(&bytes);
    if !status.is_success() {
        let text = body.map_or_else(|_| String::from_utf8_lossy(&bytes).into_owned(), |body| words(&body));
        return Ok(Err(Refusal { status, headers, said: cleaned(target, &text) }));
    }
    // Some answers of success have no body.
    let body = if bytes.is_empty() { Ok(Value::Null) } else { body };
    let body = body.map_err(|_| PullRequestError::NotTheApi {
        host: target.host(),
        provider: target.provider,
        said: "it sends no JSON".to_owned(),
    })?;
    Ok(Ok(Answer { headers, body }))
}

impl Refusal {
    /// What a refusal means that is not expected.
    pub fn into_error(self, target: &Target, what: &'static str) -> PullRequestError {
        let Self { status, headers, said } = self;
        let (host, provider) = (target.host(), target.provider);
        if status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::FORBIDDEN && is_spent(&headers))
        {
            return PullRequestError::Busy { host, after: retry_after(&headers, Timestamp::now()) };
        }
        match status {
            StatusCode::UNAUTHORIZED => PullRequestError::LoginRefused { host, provider },
            StatusCode::FORBIDDEN => {
                PullRequestError::Forbidden { what, repository: target.repository.clone(), provider, said }
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                PullRequestError::NotFound { host, repository: target.repository.clone(), provider, said }
            }
            StatusCode::SERVICE_UNAVAILABLE if headers.contains_key(header::RETRY_AFTER) => {
                PullRequestError::Busy { host, after: retry_after(&headers, Timestamp::now()) }
            }
            _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                let said = if said.is_empty() { said } else { format!(": {said}") };
                PullRequestError::Answered { host, status: status.as_u16(), said }
            }
            _ => {
                let said = if said.is_empty() { status.to_string() } else { said };
                PullRequestError::Refused { what, said }
            }
        }
    }
}

/// True if a refusal is about a limit of requests: GitHub answers with 403 then, as with a token that may not.
fn is_spent(headers: &HeaderMap) -> bool {
    let none = headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0");
    none || headers.contains_key(header::RETRY_AFTER)
}

/// How long the forge asks to be left alone: seconds or a date (RFC 9110), or when a limit begins anew, in seconds since
/// 1970.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let until = |then: Timestamp| Duration::try_from(then.duration_since(now)).unwrap_or_default();
    let asked = text("retry-after").and_then(|text| match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => rfc2822::parse(text).ok().map(|date| until(date.timestamp())),
    });
    let reset = || {
        let seconds = text("x-ratelimit-reset").or_else(|| text("ratelimit-reset"))?;
        Timestamp::from_second(seconds.parse().ok()?).ok().map(until)
    };
    asked.or_else(reset).map(|wait| wait.min(PATIENCE))
}

/// What an error says, in the forms of the forges: a text, or lists and maps of texts.
fn words(body: &Value) -> String {
    match body {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            items.iter().map(words).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
        }
        Value::Object(map) => {
            let known = ["message", "error", "error_description", "errors"];
            let mut found: Vec<String> = known.iter().filter_map(|key| map.get(*key)).map(words).collect();
            found.retain(|text| !text.is_empty());
            if !found.is_empty() {
                return found.join(": ");
            }
            let fields = map.iter().map(|(key, value)| (key, words(value)));
            let fields = fields.filter(|(_, text)| !text.is_empty());
            fields.map(|(key, text)| format!("{key} {text}")).collect::<Vec<_>>().join(", ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}

/// A text in one line, without the token.
fn cleaned(target: &Target, text: &str) -> String {
    let text = text.replace(&target.token, "…");
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|character| !character.is_control()).collect();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn unsent(target: &Target, error: &reqwest::Error) -> PullRequestError {
    let host = target.host();
    let root = root(error);
    if let Some(rustls::Error::InvalidCertificate(bad)) = root.downcast_ref::<rustls::Error>() {
        let said = match bad {
            rustls::CertificateError::UnknownIssuer => "nobody who is trusted here signed it".to_owned(),
            other => other.to_string(),
        };
        return PullRequestError::Untrusted { host, said };
    }
    let said = if error.is_timeout() && error.is_connect() {
        format!("no connection within {} s", CONNECT.as_secs())
    } else if error.is_timeout() {
        format!("no answer within {} s", LONGEST.as_secs())
    } else {
        cleaned(target, &root.to_string())
    };
    PullRequestError::Unreachable { host, said }
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

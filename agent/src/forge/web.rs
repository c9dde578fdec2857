//! Asks the API of a forge, within limits, and puts what can go wrong into words.
//!
//! The token goes to the origin of the API, and after a redirect to no other. What a refusal says is read to know what it
//! means, and never shown: the URL of the API can be that of any server. I/O: HTTP.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use reqwest::{Response, Url};
use serde_json::Value;

use super::action::Action;
use super::{ForgeError, Target};
use crate::http::{self as web, Clients, Failure, Guard, Redirects, Request, Times};

/// How long a connection and one request may take.
const TIMES: Times = Times { connect: Times::CONNECT, silence: None, total: Some(Duration::from_secs(30)) };
/// Bytes of an answer: a page of pull requests with all that belongs to them.
const ANSWER: u64 = 16 * 1024 * 1024;
/// How much of a refusal is read to know what it means.
const READ: usize = 1000;
/// How long a forge is left alone that limits requests and does not say for how long.
const UNKNOWN: Duration = Duration::from_mins(1);
/// What a forge says when it takes no more statuses for a commit, or no more comments.
const FULL: &[&str] = &[
    "maximum number of statuses",
    "disabled on issues with more than",
    "too many notes",
    "maximum number of comments",
];

/// The HTTP clients of all forges.
pub struct Web {
    clients: Clients,
}

/// A request to the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub method: Method,
    /// Below the URL of the API. A slash in a segment is written as `%2F`.
    pub segments: Vec<String>,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<Value>,
    pub what: Action,
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
    pub headers: HeaderMap,
    /// What the forge says about it, cut. Never shown.
    pub said: String,
}

impl Web {
    pub fn new(guard: Arc<Guard>) -> Self {
        Self { clients: Clients::new(guard, TIMES) }
    }

    /// Sends a request. What the forge refuses is not yet an error: it may be what was asked for.
    pub async fn send(
        &self,
        target: &Target,
        headers: &[(HeaderName, String)],
        call: &Call,
    ) -> Result<Result<Answer, Refusal>, ForgeError> {
        let mut request = Request::new(call.method.clone(), place(target, call));
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value).map_err(|_| ForgeError::BadToken)?;
            value.set_sensitive(true);
            request.secret.insert(name, value);
        }
        if let Some(body) = &call.body {
            request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = Some(body.to_string().into_bytes());
        }
        let trust = target.trust()?;
        let asking = self.clients.follow(&trust, &request, Redirects::SameOrigin).await;
        answer(target, asking.map_err(|failure| unsent(target, failure))?).await
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

async fn answer(target: &Target, response: Response) -> Result<Result<Answer, Refusal>, ForgeError> {
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = web::read(response, ANSWER).await.map_err(|failure| unsent(target, failure))?;
    let body = serde_json::from_slice(&bytes);
    if !status.is_success() {
        let said = body.map(|body| words(&body).chars().take(READ).collect()).unwrap_or_default();
        return Ok(Err(Refusal { status, headers, said }));
    }
    // Some answers of success have no body.
    let body = if bytes.is_empty() { Ok(Value::Null) } else { body };
    let (host, provider) = (target.host(), target.provider);
    let body = body.map_err(|_| ForgeError::NotTheApi { host, provider, said: "it sends no JSON" })?;
    Ok(Ok(Answer { headers, body }))
}

impl Refusal {
    /// True if the forge limits requests. GitHub answers with 403 then, as it does to a token that may not.
    pub fn is_limit(&self) -> bool {
        let named = || self.said.to_ascii_lowercase().contains("rate limit");
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::FORBIDDEN => {
                let none = self.headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0");
                none || self.headers.contains_key(header::RETRY_AFTER) || named()
            }
            StatusCode::SERVICE_UNAVAILABLE => self.headers.contains_key(header::RETRY_AFTER),
            _ => false,
        }
    }

    /// How long the forge asks to be left alone: seconds or a date (RFC 9110), or when a limit that is used up begins anew, in
    /// seconds since 1970.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let text = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let left = text("x-ratelimit-remaining").or_else(|| text("ratelimit-remaining"));
        let reset = || {
            // GitHub's secondary limits are not the one that these headers are about.
            let seconds = text("x-ratelimit-reset").or_else(|| text("ratelimit-reset"))?;
            let then = Timestamp::from_second(seconds.parse().ok()?).ok()?;
            Duration::try_from(then.duration_since(now)).ok()
        };
        web::retry_after(&self.headers, now)
            .or_else(|| left.filter(|left| *left == "0").and_then(|_| reset()))
    }

    /// What a refusal means that is not expected.
    pub fn into_error(self, target: &Target, what: Action) -> ForgeError {
        let said = self.said.to_ascii_lowercase();
        let missing = super::scopes::missing(&self.said, &self.headers);
        let Self { status, .. } = self;
        let (host, provider, repository) = (target.host(), target.provider, target.repository.clone());
        let says = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
        match status {
            StatusCode::UNAUTHORIZED => ForgeError::LoginRefused { host, provider, what },
            _ if says(&["archived"]) && status.is_client_error() => ForgeError::Archived { repository, host },
            StatusCode::LOCKED => ForgeError::Archived { repository, host },
            _ if says(FULL) && status.is_client_error() => ForgeError::Full { host, what },
            StatusCode::METHOD_NOT_ALLOWED if says(&["moved"]) => ForgeError::Moved { repository, host },
            StatusCode::FORBIDDEN => ForgeError::Forbidden { what, repository, provider, missing },
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                ForgeError::NotFound { host, repository, provider, what }
            }
            _ if self.is_limit() => {
                let after = self.retry_after(Timestamp::now()).unwrap_or(UNKNOWN);
                ForgeError::Busy { host, after }
            }
            _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                ForgeError::Answered { host, status: status.as_u16() }
            }
            _ => ForgeError::Refused { what, host, status: status.as_u16() },
        }
    }
}

/// What an error says, in the forms of the forges: a text, or lists and maps of texts.
fn words(body: &Value) -> String {
    match body {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            items.iter().map(words).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
        }
        Value::Object(map) => {
            let known = ["message", "error", "error_description", "errors", "scope"];
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

fn unsent(target: &Target, failure: Failure) -> ForgeError {
    let host = target.host();
    let said = match failure {
        Failure::Refused(source) => return ForgeError::Destination { source },
        Failure::Tls { said, certificate: Some(_) } => return ForgeError::Untrusted { host, said },
        Failure::TooLarge { limit } => return ForgeError::TooLarge { host, limit },
        Failure::Redirected { why, .. } => return ForgeError::Redirected { host, why },
        Failure::ConnectTimeout => format!("no connection within {} s", Times::CONNECT.as_secs()),
        Failure::Timeout => "no answer within 30 s".to_owned(),
        Failure::Connect { said } => said,
        other => other.to_string(),
    };
    ForgeError::Unreachable { host, said }
}

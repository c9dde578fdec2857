//! Sends messages to receivers, and reads what they answer: any answer of any server, within limits.
//!
//! Redirects are not followed: they could lead a secret, or the agent, to where it must not go. I/O: HTTP.

use std::error::Error;
use std::io;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};

use super::DeliveryError;
use super::guard::{Refused, Resolver};
use super::place::{Place, origin};

/// How long one message may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the connection itself may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How much of an answer is read.
const ANSWER: usize = 64 * 1024;
/// How much of an answer a message shows.
const SHOWN: usize = 200;
/// How long a receiver may ask to be left alone.
const LONGEST: Duration = Duration::from_mins(15);

/// One request: POST, JSON. Has no `Debug`: URL and headers may be secrets.
pub struct Message {
    pub(super) place: Place,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// The HTTP client of all receivers.
pub struct Sender {
    client: Client,
    limit: Duration,
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare the HTTP client of the alerts: {said}")]
pub struct SenderError {
    said: String,
}

impl Sender {
    pub fn new(allow_link_local: bool) -> Result<Self, SenderError> {
        let resolver = if allow_link_local { None } else { Some(Resolver::default()) };
        Self::of(Client::builder().connect_timeout(CONNECT), LIMIT, resolver)
    }

    fn of(builder: ClientBuilder, limit: Duration, resolver: Option<Resolver>) -> Result<Self, SenderError> {
        let builder = builder
            .timeout(limit)
            .redirect(Policy::none())
            .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")));
        let builder = match resolver {
            Some(resolver) => builder.dns_resolver(resolver),
            None => builder,
        };
        let client = builder.build().map_err(|error| SenderError { said: root(&error).to_string() })?;
        Ok(Self { client, limit })
    }

    /// Sends a message and returns the answer, as far as it was read.
    pub async fn send(&self, message: &Message) -> Result<Vec<u8>, DeliveryError> {
        let Message { place, headers, body } = message;
        let request = self.client.post(place.url.clone()).headers(headers.clone()).body(body.clone());
        let mut response = request.send().await.map_err(|error| self.unsent(place, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = read(&mut response).await;
        if status.is_success() { Ok(answer) } else { Err(refusal(place, status, &headers, &answer)) }
    }

    fn unsent(&self, place: &Place, error: &reqwest::Error) -> DeliveryError {
        let to = place.shown().to_owned();
        if let Some(refused) = causes(error).find_map(|cause| cause.downcast_ref::<Refused>()) {
            return DeliveryError::Forbidden { to, source: refused.clone() };
        }
        if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref()) {
            return DeliveryError::Tls { to, said: place.cleaned(&broken_tls(tls), SHOWN) };
        }
        let said = place.cleaned(&root(error).to_string(), SHOWN);
        if error.is_timeout() && error.is_connect() {
            DeliveryError::Unreachable { to, said: format!("no connection within {CONNECT:?}") }
        } else if error.is_timeout() {
            DeliveryError::Timeout { to, limit: self.limit }
        } else if error.is_connect() {
            DeliveryError::Unreachable { to, said }
        } else {
            DeliveryError::Broken { to, said }
        }
    }
}

/// What was answered, as far as the limit. The status was said before, so that a body that breaks changes
/// nothing.
async fn read(response: &mut Response) -> Vec<u8> {
    let mut answer = Vec::new();
    while answer.len() < ANSWER {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        answer.extend_from_slice(&chunk[..chunk.len().min(ANSWER - answer.len())]);
    }
    answer
}

/// An answer that is not a success.
fn refusal(place: &Place, status: StatusCode, headers: &HeaderMap, answer: &[u8]) -> DeliveryError {
    let to = place.shown().to_owned();
    let said = place.cleaned(&String::from_utf8_lossy(answer), SHOWN);
    let said = if said.is_empty() { said } else { format!(": {said}") };
    match status {
        // What a server of TLS answers to a request without it: another URL will be taken.
        StatusCode::BAD_REQUEST if place.url.scheme() == "http" && said.contains("HTTPS") => {
            DeliveryError::Answered { to, status, said, after: None }
        }
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            DeliveryError::ContentRefused { to, said: format!("{status}{said}") }
        }
        _ if status.is_redirection() => {
            DeliveryError::Redirected { to, status, target: target(place, headers) }
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            DeliveryError::Answered { to, status, said, after: retry_after(headers, Timestamp::now()) }
        }
        _ => DeliveryError::Answered { to, status, said, after: None },
    }
}

/// The host that a redirect leads to.
fn target(place: &Place, headers: &HeaderMap) -> String {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let url = location.and_then(|location| place.url.join(location).ok());
    let target = url.filter(reqwest::Url::has_host).map(|url| origin(&url));
    target.map_or_else(|| "nowhere".to_owned(), |target| place.cleaned(&target, SHOWN))
}

/// How long the receiver asks to be left alone: seconds or a date (RFC 9110).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => rfc2822::parse(text).ok()?.timestamp().duration_since(now).try_into().ok()?,
    };
    Some(wait.min(LONGEST))
}

/// An error and what is below it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| below(*error))
}

fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // What an io::Error wraps is not its source, but the error itself.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// The cause of it all. What is above says less, and may have the URL.
fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

/// What is wrong with TLS, in words where the library has none.
fn broken_tls(error: &rustls::Error) -> String {
    use rustls::CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else {
        return match error {
            rustls::Error::InvalidMessage(_) => "the server does not speak TLS at this port".to_owned(),
            other => other.to_string(),
        };
    };
    match bad {
        Bad::UnknownIssuer => "the certificate is signed by nobody who is trusted here".to_owned(),
        Bad::Expired | Bad::ExpiredContext { .. } => "the certificate has expired".to_owned(),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => "the certificate is not valid yet".to_owned(),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            "the certificate is for another name".to_owned()
        }
        Bad::Other(why) if why.to_string().contains("CaUsedAsEndEntity") => {
            "the certificate is one of an authority, or signed by itself".to_owned()
        }
        other => format!("the certificate is not valid: {other}"),
    }
}

#[cfg(test)]
mod tests;

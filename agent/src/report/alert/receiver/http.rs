//! Sends messages to receivers, and reads what they answer: any answer of any server, within limits.
//!
//! Redirects are not followed: they could lead a secret to where it must not go. What a receiver answers is never shown,
//! since an Alert can name any server: only the status is. I/O: HTTP.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};
use jiff::Timestamp;
use reqwest::Response;

use super::DeliveryError;
use super::endpoint::{Endpoint, origin};
use crate::http::{Clients, Failure, Guard, Request, Times, Trust, is_redirect, piece, retry_after};

/// How long one message may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the connection itself may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How much of an answer is read.
const ANSWER: usize = 64 * 1024;
/// How long a receiver may ask to be left alone.
const LONGEST: Duration = Duration::from_mins(15);

/// One request: POST, JSON. Has no `Debug`: URL and headers may be secrets.
pub struct Message {
    pub(super) endpoint: Endpoint,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// The HTTP client of all receivers.
pub struct Sender {
    clients: Clients,
    limit: Duration,
}

impl Sender {
    pub fn new(guard: Arc<Guard>) -> Self {
        Self::of(guard, LIMIT)
    }

    fn of(guard: Arc<Guard>, limit: Duration) -> Self {
        let times = Times { connect: CONNECT, silence: None, total: Some(limit) };
        Self { clients: Clients::new(guard, times), limit }
    }

    /// Sends a message and returns the answer, as far as it was read.
    pub async fn send(&self, message: &Message) -> Result<Vec<u8>, DeliveryError> {
        let Message { endpoint, headers, body } = message;
        let mut request = Request::new(Method::POST, endpoint.url.clone());
        request.secret.clone_from(headers);
        request.body = Some(body.clone());
        let sent = self.clients.send(&Trust::default(), &request, &endpoint.url).await;
        let mut response = sent.map_err(|failure| self.unsent(endpoint, failure))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = read(&mut response).await;
        if status.is_success() { Ok(answer) } else { Err(refusal(endpoint, status, &headers, &answer)) }
    }

    fn unsent(&self, endpoint: &Endpoint, failure: Failure) -> DeliveryError {
        let to = endpoint.shown().to_owned();
        match failure {
            Failure::Refused(source) => DeliveryError::Refused { to, source },
            Failure::Tls { said, .. } => DeliveryError::Tls { to, said },
            Failure::ConnectTimeout => {
                DeliveryError::Unreachable { to, said: format!("no connection within {CONNECT:?}") }
            }
            Failure::Timeout => DeliveryError::Timeout { to, limit: self.limit },
            Failure::Connect { said } => DeliveryError::Unreachable { to, said },
            Failure::Broken { said } => DeliveryError::Broken { to, said },
            other => DeliveryError::Broken { to, said: other.to_string() },
        }
    }
}

/// What was answered, as far as the limit. The status was said before, so that a body that breaks changes
/// nothing.
async fn read(response: &mut Response) -> Vec<u8> {
    let mut answer = Vec::new();
    while answer.len() < ANSWER {
        let Ok(Some(chunk)) = piece(response).await else { break };
        answer.extend_from_slice(&chunk[..chunk.len().min(ANSWER - answer.len())]);
    }
    answer
}

/// An answer that is not a success.
fn refusal(endpoint: &Endpoint, status: StatusCode, headers: &HeaderMap, answer: &[u8]) -> DeliveryError {
    let to = endpoint.shown().to_owned();
    let asked = || retry_after(headers, Timestamp::now()).map(|wait| wait.min(LONGEST));
    match status {
        // What a server of TLS answers to a request without it: the content is not the reason.
        StatusCode::BAD_REQUEST if endpoint.url.scheme() == "http" && wants_tls(answer) => {
            DeliveryError::WantsTls { to }
        }
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            DeliveryError::ContentRefused { to, said: status.to_string() }
        }
        _ if is_redirect(status) => {
            DeliveryError::Redirected { to, status, target: target(endpoint, headers) }
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            DeliveryError::Answered { to, status, after: asked() }
        }
        _ => DeliveryError::Answered { to, status, after: None },
    }
}

fn wants_tls(answer: &[u8]) -> bool {
    memchr::memmem::find(answer, b"HTTPS").is_some()
}

/// The host that a redirect leads to.
fn target(endpoint: &Endpoint, headers: &HeaderMap) -> String {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let url = location.and_then(|location| endpoint.url.join(location).ok());
    let target = url.filter(reqwest::Url::has_host).map(|url| origin(&url));
    target.map_or_else(|| "nowhere".to_owned(), |target| endpoint.cleaned(&target))
}

#[cfg(test)]
mod tests;

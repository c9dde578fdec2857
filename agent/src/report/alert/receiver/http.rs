//! Sends messages to receivers, and reads their responses within limits.
//!
//! Redirects are not followed, since they could send a secret to another server. The body of a response is never shown,
//! since an Alert can name any server: only the status is. I/O: HTTP.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};
use jiff::Timestamp;
use reqwest::Response;

use super::DeliveryError;
use super::endpoint::{Endpoint, origin};
use crate::http::{Clients, Failure, Guard, Request, Times, Trust, is_redirect, piece, retry_after};

/// Maximum duration of one message.
const LIMIT: Duration = Duration::from_secs(10);
/// Maximum duration of connecting.
const CONNECT: Duration = Duration::from_secs(5);
/// Maximum number of bytes that are read of a response.
const ANSWER: usize = 64 * 1024;
/// The longest pause of a receiver that is honoured.
const LONGEST: Duration = Duration::from_mins(15);

/// One POST request with JSON. Has no `Debug`: URL and headers may be secrets.
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

    /// Sends a message and returns the response, up to a limit.
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

/// Reads a response up to the limit. The status was received before, so an error in the body has no
/// effect.
async fn read(response: &mut Response) -> Vec<u8> {
    let mut answer = Vec::new();
    while answer.len() < ANSWER {
        let Ok(Some(chunk)) = piece(response).await else { break };
        answer.extend_from_slice(&chunk[..chunk.len().min(ANSWER - answer.len())]);
    }
    answer
}

/// Returns the error for a response that is not a success.
fn refusal(endpoint: &Endpoint, status: StatusCode, headers: &HeaderMap, answer: &[u8]) -> DeliveryError {
    let to = endpoint.shown().to_owned();
    let asked = || retry_after(headers, Timestamp::now()).map(|wait| wait.min(LONGEST));
    match status {
        // The response of a TLS server to a plain request: the content is not the reason.
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

/// Returns the host that a redirect leads to.
fn target(endpoint: &Endpoint, headers: &HeaderMap) -> String {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let url = location.and_then(|location| endpoint.url.join(location).ok());
    let target = url.filter(reqwest::Url::has_host).map(|url| origin(&url));
    target.map_or_else(|| "nowhere".to_owned(), |target| endpoint.cleaned(&target))
}

#[cfg(test)]
mod tests;

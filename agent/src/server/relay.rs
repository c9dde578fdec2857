//! Forwards calls to the agent that holds the Lease, if several agents run.
//!
//! A forge calls any pod of the Service, and most forges do not call again. So an agent that waits for the Lease
//! forwards the call to the holder, whose address is an annotation of the Lease, which it reads anyway. The
//! alternative, a label on the holder's pod that the Service selects, needs the right to patch pods, and is not removed
//! when a node is cut off. A call is forwarded once at most, and its body is streamed. While no agent holds the Lease,
//! a call waits for a moment before its body is read, and then the response asks the caller to try again. The agent
//! that acquires the Lease first checks every source, so no announcement of a lost call is missed. I/O: connects to the
//! other agent.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use futures::TryStreamExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::body::{BodyError, Pace, pieces};
use super::pinned::{self, Channel};
use super::tls::Tls;
use crate::leader::Holder;

/// Marks a forwarded call. It is not forwarded again.
pub(super) const HOP: HeaderName = HeaderName::from_static("x-holdfast-forwarded");
/// Maximum time for which a call waits for an agent that accepts it. Forges have a timeout of 10 s.
const PATIENCE: Duration = Duration::from_secs(5);
/// Maximum time for connecting to the other agent, and the pause before the next attempt.
const CONNECT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(500);
/// Maximum time for the response of the other agent after the body was sent.
const ANSWER: Duration = Duration::from_secs(5);
/// Maximum number of bytes of the response of the other agent.
const LARGEST: usize = 64 * 1024;

/// Headers that concern one connection only (RFC 9110, section 7.6.1), and one that the other agent has handled
/// already.
pub(super) const OF_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];

/// Decides whether this agent or another one handles a call.
#[derive(Clone)]
pub struct Relay {
    /// `None`: this agent, since there is no leader election.
    pub holder: Option<watch::Receiver<Holder>>,
    /// The certificate of all agents, if they serve TLS.
    pub tls: Option<Tls>,
    /// The agent is shutting down and accepts no calls.
    pub stop: CancellationToken,
}

/// The agent that handles a call.
enum Taker {
    Here,
    There(SocketAddr, Channel),
}

/// Forwards calls of these pages to the agent that holds the Lease.
pub(super) fn at(pages: Router, relay: Relay, pace: Pace) -> Router {
    pages.layer(middleware::from_fn_with_state((relay, pace), hand_on))
}

async fn hand_on(State((relay, pace)): State<(Relay, Pace)>, request: Request, next: Next) -> Response {
    let forwarded = request.headers().contains_key(HOP);
    match relay.find(forwarded).await {
        Some(Taker::Here) => next.run(request).await,
        Some(Taker::There(address, channel)) => send(address, channel, request, pace).await,
        None => unavailable(),
    }
}

/// No agent handles the call now. The connection is closed, so that the next attempt may reach another agent.
fn unavailable() -> Response {
    let headers = [(header::RETRY_AFTER, "5"), (header::CONNECTION, "close")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, "no agent holds the Lease at the moment\n").into_response()
}

impl Relay {
    /// Returns the value for an agent without leader election.
    pub fn alone(stop: CancellationToken) -> Self {
        Self { holder: None, tls: None, stop }
    }

    /// Waits for an agent that accepts a call, for a bounded time.
    async fn find(&self, forwarded: bool) -> Option<Taker> {
        let end = Instant::now() + PATIENCE;
        let mut holder = self.holder.clone();
        while !self.stop.is_cancelled() {
            let Some(holder) = &mut holder else { return Some(Taker::Here) };
            let seen = holder.borrow_and_update().clone();
            match seen {
                Holder::Us => return Some(Taker::Here),
                _ if forwarded => return None,
                Holder::Other { address: Some(address), .. } => {
                    if let Some(channel) = self.connect(address).await {
                        return Some(Taker::There(address, channel));
                    }
                }
                Holder::Other { address: None, .. } | Holder::Vacant => {}
            }
            let now = Instant::now();
            if now >= end {
                return None;
            }
            if let Ok(Err(_)) = timeout_at(end.min(now + PAUSE), holder.changed()).await {
                return None;
            }
        }
        None
    }

    async fn connect(&self, address: SocketAddr) -> Option<Channel> {
        let error = match timeout(CONNECT, pinned::connect(address, self.tls.as_ref())).await {
            Ok(Ok(channel)) => return Some(channel),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "timed out".to_owned(),
        };
        tracing::warn!(%address, error, "Cannot reach the agent that holds the Lease");
        None
    }
}

/// Sends a call to another agent, and returns its response.
async fn send(address: SocketAddr, channel: Channel, request: Request, pace: Pace) -> Response {
    let broken: Arc<OnceLock<BodyError>> = Arc::default();
    let exchange = exchange(address, channel, request, pace, broken.clone());
    match timeout(pace.whole + ANSWER, exchange).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) | Err(_) if broken.get().is_some() => {
            broken.get().map_or_else(unavailable, |error| error.answer())
        }
        Ok(Err(error)) => {
            tracing::warn!(%address, %error, "Cannot forward a call");
            unavailable()
        }
        Err(_) => {
            tracing::warn!(%address, "The agent that holds the Lease does not answer a call in time");
            unavailable()
        }
    }
}

async fn exchange(
    address: SocketAddr,
    channel: Channel,
    request: Request,
    pace: Pace,
    broken: Arc<OnceLock<BodyError>>,
) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(channel)).await?;
    let call = outgoing(address, request, pace, broken)?;
    let answered = async {
        let (parts, body) = sender.send_request(call).await?.into_parts();
        let body = to_bytes(Body::new(body), LARGEST).await?;
        Ok((parts.status, kept(&parts.headers), body).into_response())
    };
    let driven = async {
        // An error of the connection is reported as an error of the request too.
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! { answer = answered => answer, () = driven => Err("the connection ended".into()) }
}

fn outgoing(
    address: SocketAddr,
    request: Request,
    pace: Pace,
    broken: Arc<OnceLock<BodyError>>,
) -> Result<Request, axum::http::Error> {
    let (parts, body) = request.into_parts();
    let body = pieces(body, &parts.headers, pace).inspect_err(move |error| {
        let _ = broken.set(*error);
    });
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut call = Request::builder().method(parts.method).uri(path).body(Body::from_stream(body))?;
    let headers = call.headers_mut();
    *headers = parts.headers;
    OF_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
    headers.insert(HOP, HeaderValue::from_static("1"));
    headers.insert(header::HOST, HeaderValue::try_from(address.to_string())?);
    Ok(call)
}

/// Returns the headers of a response that its reader needs.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let names = [header::CONTENT_TYPE, header::RETRY_AFTER, header::WWW_AUTHENTICATE];
    names.into_iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
}

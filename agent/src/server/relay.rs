//! Hands calls on to the agent that works, where several agents run and one of them holds the Lease.
//!
//! A forge calls any pod of the Service, and most forges do not call again. So an agent that waits for the Lease passes the
//! call on to the holder, whose address is an annotation of the Lease, which it reads anyway. The other way, a label on the
//! holder's pod that the Service selects, needs the right to patch pods, and stays behind when a node is cut off. A call is
//! handed on once at most, and its body as it comes: nothing of it is held here. While no agent holds the Lease, a call waits
//! for a moment before its body is read, and is then answered with "try again". The agent that takes the Lease next starts by
//! checking every source, so nothing that a lost call would have said is missed. I/O: connects to the other agent.

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

/// Marks a call that another agent has handed on. It is never handed on again.
const HOP: HeaderName = HeaderName::from_static("x-holdfast-forwarded");
/// How long a call waits for an agent that takes it. Forges give up after 10 s.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long connecting to the other agent may take, and the pause before the next attempt.
const CONNECT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(500);
/// How much longer than the body the answer of the other agent may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Bytes of the other agent's answer.
const LARGEST: usize = 64 * 1024;

/// Headers that concern one connection only (RFC 9110, section 7.6.1), and one that the other side has answered already.
const OF_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];

/// Where calls are answered: here, or by another agent.
#[derive(Clone)]
pub struct Relay {
    /// `None`: here, since no other agent can hold a Lease.
    pub holder: Option<watch::Receiver<Holder>>,
    /// The certificate of all agents, if they serve TLS.
    pub tls: Option<Tls>,
    /// The agent is ending and takes no more calls.
    pub stop: CancellationToken,
}

/// An agent that takes a call.
enum Taker {
    Here,
    There(SocketAddr, Channel),
}

/// Lets these pages be answered by the agent that works.
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

/// No agent takes the call now. The connection is closed, so that the next attempt may reach another one.
fn unavailable() -> Response {
    let headers = [(header::RETRY_AFTER, "5"), (header::CONNECTION, "close")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, "no agent holds the Lease at the moment\n").into_response()
}

impl Relay {
    /// For an agent that works whatever others do.
    pub fn alone(stop: CancellationToken) -> Self {
        Self { holder: None, tls: None, stop }
    }

    /// Waits for an agent that takes a call, for a bounded time.
    async fn find(&self, forwarded: bool) -> Option<Taker> {
        let end = Instant::now() + PATIENCE;
        let mut holder = self.holder.clone();
        while !self.stop.is_cancelled() {
            let Some(holder) = &mut holder else { return Some(Taker::Here) };
            let seen = holder.borrow_and_update().clone();
            match seen {
                Holder::Us => return Some(Taker::Here),
                _ if forwarded => return None,
                Holder::Other { address: Some(address) } => {
                    if let Some(channel) = self.connect(address).await {
                        return Some(Taker::There(address, channel));
                    }
                }
                Holder::Other { address: None } | Holder::Vacant => {}
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

/// Sends a call to another agent, and returns its answer.
async fn send(address: SocketAddr, channel: Channel, request: Request, pace: Pace) -> Response {
    let broken: Arc<OnceLock<BodyError>> = Arc::default();
    let exchange = exchange(address, channel, request, pace, broken.clone());
    match timeout(pace.whole + ANSWER, exchange).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) | Err(_) if broken.get().is_some() => {
            broken.get().map_or_else(unavailable, |error| error.answer())
        }
        Ok(Err(error)) => {
            tracing::warn!(%address, %error, "Cannot hand on a call");
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
        // What goes wrong with the connection is an error of the request too.
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

/// The headers of an answer that its reader needs.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let names = [header::CONTENT_TYPE, header::RETRY_AFTER, header::WWW_AUTHENTICATE];
    names.into_iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
}

//! Forwards requests for the web UI to the agent that holds the Lease: an agent that waits for it has no live view.
//!
//! A Service may send a browser to any agent. Requests and responses are streamed, also the events of a tab, and a session is the
//! leader's. A request is forwarded once at most. I/O: connects to the other agent.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::timeout;

use super::pinned;
use super::relay::{HOP, OF_CONNECTION};
use super::tls::Tls;
use crate::leader::Holder;

/// How long connecting, and the head of the response, may take.
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(20);

/// Which agent serves the pages.
#[derive(Clone)]
pub struct Lead {
    pub holder: watch::Receiver<Holder>,
    /// The certificate of all agents, if they serve TLS.
    pub tls: Option<Tls>,
}

/// The pages, of the agent that holds the Lease.
pub fn of_the_leader(pages: Router, lead: Lead) -> Router {
    pages.layer(from_fn_with_state(lead, hand_on))
}

async fn hand_on(State(lead): State<Lead>, request: Request, next: Next) -> Response {
    let holder = lead.holder.borrow().clone();
    let Holder::Other { ui: Some(address), .. } = holder else { return next.run(request).await };
    if request.headers().contains_key(HOP) {
        return next.run(request).await;
    }
    match timeout(ANSWER, send(address, lead.tls.as_ref(), request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => unavailable(address, &error.to_string()),
        Err(_) => unavailable(address, "no answer in time"),
    }
}

/// The leader cannot be reached. Says which address was tried, and lets a browser try again.
fn unavailable(address: SocketAddr, error: &str) -> Response {
    tracing::warn!(%address, error, "Cannot forward a request for the web UI to the agent that holds the Lease");
    let text = format!(
        "This agent waits for the Lease. The agent at {address} holds it and does not answer; the page is loaded again in a moment.\n"
    );
    let headers = [
        (header::RETRY_AFTER, "3"),
        (header::REFRESH, "3"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (axum::http::StatusCode::SERVICE_UNAVAILABLE, headers, text).into_response()
}

async fn send(
    address: SocketAddr,
    tls: Option<&Tls>,
    request: Request,
) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
    let channel = timeout(CONNECT, pinned::connect(address, tls)).await??;
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(channel)).await?;
    // It ends with the response, or with the client that reads it.
    tokio::spawn(connection);
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse()?;
    parts.version = axum::http::Version::HTTP_11;
    strip(&mut parts.headers);
    parts.headers.insert(HOP, HeaderValue::from_static("1"));
    let mut answer = sender.send_request(Request::from_parts(parts, body)).await?.map(Body::new);
    strip(answer.headers_mut());
    Ok(answer)
}

fn strip(headers: &mut HeaderMap) {
    OF_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
}

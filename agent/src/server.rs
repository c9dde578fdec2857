//! `/healthz`, `/readyz` and `/metrics`, `/audit` for what the API server tells of, and `/hooks/…` for what forges and
//! registries do. I/O: listens.
//!
//! Leaves reading audit events to whoever is given their bytes.

pub mod hooks;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::hooks::Hooks;
use crate::metrics::Metrics;

/// How long the main loop may be silent before the process counts as hung.
const SILENCE: Duration = Duration::from_mins(1);
/// Bytes of a batch of audit events.
const BATCH: usize = 16 * 1024 * 1024;
/// Characters that a token must have.
const TOKEN: usize = 16;

/// What the probes are answered with.
#[derive(Clone)]
pub struct Health {
    started: Instant,
    ready: Arc<AtomicBool>,
    /// Milliseconds after the start.
    beat: Arc<AtomicU64>,
}

impl Default for Health {
    fn default() -> Self {
        Self { started: Instant::now(), ready: Arc::default(), beat: Arc::default() }
    }
}

impl Health {
    /// The caches are synced, or another agent holds the Lease and this one is ready to go on.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// The main loop is alive.
    pub fn beat(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat.store(now, Ordering::Relaxed);
    }

    fn alive(&self) -> bool {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(beat) < SILENCE
    }
}

/// Takes a batch of audit events as it came, and returns how many changes it told of, or what is wrong with it.
pub type TakeAudit = Arc<dyn Fn(&[u8]) -> Result<usize, String> + Send + Sync>;

/// Where the API server sends its audit events.
#[derive(Clone)]
pub struct AuditEndpoint {
    pub token: Token,
    pub take: TakeAudit,
}

/// A secret that the API server shows.
#[derive(Clone)]
pub struct Token(Arc<str>);

/// A token is of no use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    #[error("the token has {0} characters and needs at least {TOKEN}; make one with: openssl rand -hex 32")]
    Short(usize),
    #[error(
        "the token has a blank or another character that no header may carry; make one with: openssl rand -hex 32"
    )]
    Characters,
}

impl Token {
    /// Takes the content of a file; a line break at its end does not belong to the token.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let token = text.trim_end_matches(['\r', '\n']);
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        if token.len() < TOKEN {
            return Err(TokenError::Short(token.len()));
        }
        Ok(Self(token.into()))
    }

    /// True if the headers show it: as a bearer, or as the password of any user, since the API server sends nothing else over
    /// plain HTTP. Takes as long for a wrong token as for the right one.
    fn is_shown(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, value)) = shown.and_then(|shown| shown.split_once(' ')) else { return false };
        let given = if scheme.eq_ignore_ascii_case("bearer") {
            value.as_bytes().to_vec()
        } else if scheme.eq_ignore_ascii_case("basic") {
            let pair = STANDARD.decode(value).unwrap_or_default();
            pair.splitn(2, |byte| *byte == b':').nth(1).unwrap_or_default().to_vec()
        } else {
            return false;
        };
        given.ct_eq(self.0.as_bytes()).into()
    }
}

/// The address cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address}: {source}; name another address with --listen")]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

#[derive(Clone)]
struct Shared {
    health: Health,
    metrics: Arc<Metrics>,
}

/// Serves until the token is cancelled. Returns the address, whose port may have been left to the system.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    metrics: Arc<Metrics>,
    audit: Option<AuditEndpoint>,
    hooks: Option<Hooks>,
    stop: CancellationToken,
) -> Result<SocketAddr, ListenError> {
    let failed = |source| ListenError { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let mut routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(text))
        .with_state(Shared { health, metrics: metrics.clone() });
    if let Some(endpoint) = audit {
        let route = post(take).layer(DefaultBodyLimit::max(BATCH));
        routes = routes.merge(
            Router::new().route("/audit", route).with_state(Inbox { endpoint, metrics: metrics.clone() }),
        );
    }
    if let Some(hooks) = hooks {
        routes = routes.merge(hooks::routes(hooks, metrics));
    }
    let server = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "The server of the probes ended");
        }
    });
    Ok(bound)
}

async fn healthz(State(shared): State<Shared>) -> Response {
    if shared.health.alive() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "the main loop has been silent for a minute\n").into_response()
    }
}

async fn readyz(State(shared): State<Shared>) -> Response {
    if shared.health.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the caches are not synced yet\n").into_response()
    }
}

async fn text(State(shared): State<Shared>) -> Response {
    match shared.metrics.encode() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[derive(Clone)]
struct Inbox {
    endpoint: AuditEndpoint,
    metrics: Arc<Metrics>,
}

/// The token was shown. Looked at before the body is read.
struct Authorised;

impl FromRequestParts<Inbox> for Authorised {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, inbox: &Inbox) -> Result<Self, Response> {
        if inbox.endpoint.token.is_shown(&parts.headers) {
            return Ok(Self);
        }
        inbox.metrics.audit_events("refused", 1);
        Err((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response())
    }
}

/// The API server sends again what is not answered with success, and then drops it.
async fn take(_: Authorised, State(inbox): State<Inbox>, body: Result<Bytes, BytesRejection>) -> Response {
    let taken = match body {
        Ok(body) => (inbox.endpoint.take)(&body).map_err(|error| (StatusCode::BAD_REQUEST, error)),
        Err(rejection) => Err((rejection.status(), rejection.body_text())),
    };
    match taken {
        Ok(changes) => {
            inbox.metrics.audit_events("ok", changes);
            tracing::debug!(changes, "Took audit events");
            StatusCode::OK.into_response()
        }
        Err((status, error)) => {
            inbox.metrics.audit_events("invalid", 1);
            tracing::warn!(status = status.as_u16(), %error, "Cannot take audit events");
            (status, format!("{error}\n")).into_response()
        }
    }
}

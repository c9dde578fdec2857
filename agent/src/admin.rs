//! `/healthz`, `/readyz` and `/metrics`. I/O: listens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// How long the main loop may be silent before the process counts as hung.
const SILENCE: Duration = Duration::from_mins(1);

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
    stop: CancellationToken,
) -> Result<SocketAddr, ListenError> {
    let failed = |source| ListenError { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(text))
        .with_state(Shared { health, metrics });
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

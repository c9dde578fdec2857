//! `/healthz` and `/readyz`, and a listener that serves nothing else.
//!
//! That listener has its own thread, so it responds while the rest of the process is busy, and its own
//! connections with one short response each: clients of other pages cannot block a probe. I/O: listens.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use super::budget::Limits;
use super::health::Health;
use super::listener::{ListenError, Listener, Seen, TimeLimits};

/// The limits of the listener: one request for each connection, immediately.
const TIME_LIMITS: TimeLimits = TimeLimits {
    limits: Limits { total: 64, each: 16 },
    head: Duration::from_secs(2),
    answer: Duration::from_secs(2),
    keep_alive: false,
};

/// Returns the pages of the probes.
pub(super) fn routes(health: Health) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(health)
}

/// Serves only the probes, until the process ends. Returns the address, with the port that the system chose if it was
/// 0.
pub fn serve(address: SocketAddr, health: Health) -> Result<SocketAddr, ListenError> {
    let failed = |source| ListenError { address, flag: "--probe-listen", source };
    let listener = Listener::bind(address).map_err(failed)?;
    let bound = listener.address();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let serve = move || {
        let listening =
            listener.run(routes(health), TIME_LIMITS, None, Seen::default(), CancellationToken::new());
        runtime.block_on(listening);
    };
    std::thread::Builder::new().name("probes".to_owned()).spawn(serve).map_err(failed)?;
    Ok(bound)
}

async fn healthz(State(health): State<Health>) -> Response {
    let Some((name, silence)) = health.hung() else { return (StatusCode::OK, "ok\n").into_response() };
    let error = format!("the {name} loop has been silent for {} s\n", silence.as_secs());
    (StatusCode::INTERNAL_SERVER_ERROR, error).into_response()
}

async fn readyz(State(health): State<Health>) -> Response {
    if health.is_ready() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the caches are not synced yet\n").into_response()
    }
}

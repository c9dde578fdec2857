//! The page `/audit`, to which the API server sends its audit events. Reads a body only if the caller sends the token.
//!
//! Leaves the parsing of audit events to the caller. I/O: HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use tokio::sync::Semaphore;

use super::body::{Pace, read};
use super::relay::{self, Relay};
use super::token::Token;
use crate::metrics::Metrics;

/// The limits of a batch of audit events. The API server has a timeout of 30 s.
pub(super) const BATCH: Pace =
    Pace { largest: 16 * 1024 * 1024, whole: Duration::from_secs(20), gap: Duration::from_secs(5) };
/// Maximum number of batches in memory. The API server sends rejected batches again.
const BATCHES: usize = 4;

/// Accepts a batch of audit events, and returns the number of changes in it, or why it is invalid.
pub type TakeAudit = Arc<dyn Fn(&[u8]) -> Result<usize, String> + Send + Sync>;

/// The endpoint for audit events.
#[derive(Clone)]
pub struct AuditEndpoint {
    pub token: Token,
    pub take: TakeAudit,
}

#[derive(Clone)]
struct Inbox {
    endpoint: AuditEndpoint,
    metrics: Arc<Metrics>,
    batches: Arc<Semaphore>,
}

/// Returns the page of this endpoint.
pub(super) fn routes(endpoint: AuditEndpoint, metrics: Arc<Metrics>, relay: Relay) -> Router {
    let inbox = Inbox { endpoint, metrics, batches: Arc::new(Semaphore::new(BATCHES)) };
    let page = Router::new().route("/audit", post(take)).with_state(inbox.clone());
    relay::at(page, relay, BATCH).layer(middleware::from_fn_with_state(inbox, authorise))
}

/// Refuses a caller without the token before its body is read.
async fn authorise(State(inbox): State<Inbox>, request: Request, next: Next) -> Response {
    if inbox.endpoint.token.is_sent_in(request.headers()) {
        return next.run(request).await;
    }
    inbox.metrics.audit_events("refused", 1);
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response()
}

/// The API server sends a batch again if the response is not a success, and drops it later.
async fn take(State(inbox): State<Inbox>, headers: HeaderMap, body: Body) -> Response {
    let Ok(_batch) = inbox.batches.try_acquire() else {
        inbox.metrics.audit_events("busy", 1);
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response();
    };
    let mut batch = Vec::new();
    if let Err(error) = read(body, &headers, BATCH, |piece| batch.extend_from_slice(piece)).await {
        inbox.metrics.audit_events("invalid", 1);
        tracing::warn!(%error, "Cannot read audit events");
        return error.answer();
    }
    match (inbox.endpoint.take)(&batch) {
        Ok(changes) => {
            inbox.metrics.audit_events("ok", changes);
            tracing::debug!(changes, "Received audit events");
            StatusCode::OK.into_response()
        }
        Err(error) => {
            inbox.metrics.audit_events("invalid", 1);
            tracing::warn!(%error, "Cannot accept audit events");
            (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response()
        }
    }
}

//! The page `/hooks/<path>`. Reads a body only to sign it, piece by piece, so that a call costs no memory; and only that of a
//! call whose path exists, so that a caller who does not know one holds nothing.
//!
//! A wrong path, method or proof is answered with the same 404, so a caller does not learn whether a path exists.
//! I/O: HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use hmac::Mac as _;

use super::slots::Slots;
use super::{Endpoint, Hooks, Key, keyed, proof, unhex};
use crate::metrics::Metrics;
use crate::server::body::{BodyError, Pace, read};
use crate::subject::Subject;

/// GitHub sends up to 25 MB and drops larger payloads, Bitbucket 256 KB; the others document no limit. GitHub and
/// GitLab have a timeout of 10 s.
pub const PACE: Pace =
    Pace { largest: 25 * 1024 * 1024, whole: Duration::from_secs(10), gap: Duration::from_secs(3) };
/// The limits for the body of an early call, whose path may not exist.
const BRIEF: Pace =
    Pace { largest: 1024 * 1024, whole: Duration::from_secs(1), gap: Duration::from_millis(500) };

#[derive(Clone)]
struct Shared {
    hooks: Hooks,
    metrics: Arc<Metrics>,
    slots: Slots,
    pace: Pace,
}

/// Returns the page of these hooks.
pub fn routes(hooks: Hooks, metrics: Arc<Metrics>) -> Router {
    limited(hooks, metrics, PACE)
}

pub fn limited(hooks: Hooks, metrics: Arc<Metrics>, pace: Pace) -> Router {
    let shared = Shared { hooks, metrics, slots: Slots::default(), pace };
    Router::new().route("/hooks/{*path}", any(called)).with_state(shared)
}

/// Why a call is refused.
#[derive(Clone, Copy)]
enum Refusal {
    /// Too many calls of this path or namespace at the same time, or too many early calls.
    Busy,
    Body(BodyError),
    /// The path does not exist, or the method is not POST.
    Unknown,
    Unverified,
}

/// The result of a call.
enum Verdict {
    Accepted(Subject),
    /// The agent is starting, and handles the call once the path is set.
    Later,
}

impl Refusal {
    /// Returns the label of the metric.
    fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Body(BodyError::TooLarge) => "too_large",
            Self::Body(BodyError::Slow) => "slow",
            Self::Body(BodyError::Broken) => "broken",
            Self::Unknown => "unknown",
            Self::Unverified => "refused",
        }
    }

    fn answer(self) -> Response {
        match self {
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response(),
            Self::Body(error) => error.answer(),
            Self::Unknown | Self::Unverified => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

async fn called(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match judge(&shared, &method, uri.path(), &headers, body).await {
        Ok(Verdict::Accepted(owner)) => {
            shared.metrics.hook("ok");
            tracing::debug!(kind = %owner.kind, %owner, "Accepted a webhook call");
            shared.hooks.bursts.call(owner);
            StatusCode::OK.into_response()
        }
        Ok(Verdict::Later) => {
            shared.metrics.hook("early");
            StatusCode::ACCEPTED.into_response()
        }
        Err(refusal) => {
            shared.metrics.hook(refusal.name());
            refusal.answer()
        }
    }
}

/// Checks a call, and returns the owner of its path.
async fn judge(
    shared: &Shared,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Verdict, Refusal> {
    let Shared { hooks, slots, pace, .. } = shared;
    let key = path.strip_prefix("/hooks/").and_then(|path| unhex(path.as_bytes())).ok_or(Refusal::Unknown)?;
    if method != Method::POST {
        return Err(Refusal::Unknown);
    }
    let Some((owner, Endpoint { provider, token })) = hooks.find(&key) else {
        return match hooks.note_early(key) {
            Some(true) => {
                // A caller may report a failure if its body is not read to its end.
                let _ = read(body, headers, BRIEF, |_| {}).await;
                Ok(Verdict::Later)
            }
            Some(false) => Err(Refusal::Busy),
            None => Err(Refusal::Unknown),
        };
    };
    let _slot = slots.take(&owner).ok_or(Refusal::Busy)?;
    let hmac = sign(token.0.as_bytes(), headers, body, *pace).await.map_err(Refusal::Body)?;
    match proof::check(provider, &token, headers, &hmac) {
        Ok(()) => Ok(Verdict::Accepted(owner)),
        Err(error) => {
            tracing::warn!(kind = %owner.kind, %owner, %error, "Refused a webhook call");
            Err(Refusal::Unverified)
        }
    }
}

/// Returns the HMAC-SHA256 of a body.
async fn sign(key: &[u8], headers: &HeaderMap, body: Body, pace: Pace) -> Result<Key, BodyError> {
    let mut mac = keyed(key);
    read(body, headers, pace, |piece| mac.update(piece)).await?;
    Ok(mac.finalize().into_bytes().into())
}

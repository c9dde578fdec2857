//! The page `/hooks/<path>`. Reads a body only to sign it, piece by piece, so that a call costs no memory.
//!
//! Whatever is wrong with path, method or proof is answered with the same 404 after the same work: nothing tells a caller
//! that a path exists. What else is refused (a body that is too large or too slow, too many calls at once) is refused for
//! every path. I/O: HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use futures::StreamExt as _;
use hmac::Mac as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Endpoint, HookOwner, Hooks, Key, keyed, proof};
use crate::metrics::Metrics;

/// Bytes of a body. GitHub sends up to 25 MB and drops what is larger, Bitbucket 256 KB; the others name no limit.
pub const LARGEST: usize = 25 * 1024 * 1024;
/// How long a body may take. GitHub and GitLab give up after 10 s by themselves.
const SLOWEST: Duration = Duration::from_secs(10);
/// Calls at the same time.
pub const CALLS: usize = 64;

/// What signs the bodies of calls that are for nobody.
const NOBODY: &[u8] = &[0; 32];

#[derive(Clone)]
struct Shared {
    hooks: Hooks,
    metrics: Arc<Metrics>,
    calls: Arc<Semaphore>,
    slowest: Duration,
}

/// The page of these hooks.
pub fn routes(hooks: Hooks, metrics: Arc<Metrics>) -> Router {
    limited(hooks, metrics, SLOWEST)
}

pub fn limited(hooks: Hooks, metrics: Arc<Metrics>, slowest: Duration) -> Router {
    let calls = Arc::new(Semaphore::new(CALLS));
    Router::new().route("/hooks/{*path}", any(called)).with_state(Shared { hooks, metrics, calls, slowest })
}

/// Why a call causes no look.
#[derive(Clone, Copy)]
enum Refusal {
    /// Too many calls at the same time.
    Busy,
    TooLarge,
    Slow,
    /// The caller went away.
    Broken,
    /// No such path, another method than POST, or no proof.
    Unknown,
    Unproven,
}

impl Refusal {
    /// The label of the metric.
    fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::TooLarge => "too_large",
            Self::Slow => "slow",
            Self::Broken => "broken",
            Self::Unknown => "unknown",
            Self::Unproven => "refused",
        }
    }

    fn answer(self) -> Response {
        match self {
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response(),
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            Self::Slow => StatusCode::REQUEST_TIMEOUT.into_response(),
            Self::Broken => StatusCode::BAD_REQUEST.into_response(),
            Self::Unknown | Self::Unproven => StatusCode::NOT_FOUND.into_response(),
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
        Ok(owner) => {
            shared.metrics.hook("ok");
            tracing::debug!(%owner, "Took a call of a webhook");
            shared.hooks.bursts.call(owner);
            StatusCode::OK.into_response()
        }
        Err(refusal) => {
            shared.metrics.hook(refusal.name());
            refusal.answer()
        }
    }
}

/// Whose call it is.
async fn judge(
    shared: &Shared,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<HookOwner, Refusal> {
    let _permit = shared.calls.try_acquire().map_err(|_| Refusal::Busy)?;
    let found = path.strip_prefix("/hooks/").and_then(|path| shared.hooks.find(path));
    let key = found.as_ref().map_or(NOBODY, |(_, endpoint)| endpoint.token.0.as_bytes());
    let hmac = timeout(shared.slowest, sign(key, headers, body)).await.map_err(|_| Refusal::Slow)??;
    let Some((owner, Endpoint { provider, token })) = found else { return Err(Refusal::Unknown) };
    if method != Method::POST {
        return Err(Refusal::Unknown);
    }
    match proof::check(provider, &token, headers, &hmac) {
        Ok(()) => Ok(owner),
        Err(error) => {
            tracing::warn!(%owner, %error, "Refused a call of a webhook");
            Err(Refusal::Unproven)
        }
    }
}

/// The HMAC-SHA256 of a body.
async fn sign(key: &[u8], headers: &HeaderMap, body: Body) -> Result<Key, Refusal> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > LARGEST) {
        return Err(Refusal::TooLarge);
    }
    let (mut mac, mut size, mut pieces) = (keyed(key), 0_usize, body.into_data_stream());
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Refusal::Broken)?;
        size = size.saturating_add(piece.len());
        if size > LARGEST {
            return Err(Refusal::TooLarge);
        }
        mac.update(&piece);
    }
    Ok(mac.finalize().into_bytes().into())
}

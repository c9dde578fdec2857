//! `/metrics`, which names every Sync of the cluster: for every caller that reaches the port, or for callers that the
//! API server permits to read it.
//!
//! Leaves requests to the API server to the function that is passed in. A verdict is cached for a short time, and each
//! peer has one request at a time, so that strangers can neither overload the API server nor block other callers. I/O:
//! HTTP.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout};

use super::peer::Peer;
use crate::metrics::Metrics;

/// Time for which a verdict is cached: a right that is revoked ends within this time.
const KEPT: Duration = Duration::from_mins(1);
const REFUSED: Duration = Duration::from_secs(10);
/// Maximum number of cached verdicts.
const VERDICTS: usize = 256;
/// Maximum time for the response of the API server.
const ANSWER: Duration = Duration::from_secs(5);

/// Returns whether the owner of a bearer token may read `/metrics`. An error says why that is unknown.
pub type MayScrape = Arc<dyn Fn(String) -> BoxFuture<'static, Result<bool, String>> + Send + Sync>;

/// Who may read the metrics.
#[derive(Clone)]
pub enum Scrape {
    /// Every caller that reaches the port.
    Open,
    /// Callers with a bearer token of a user who may `get` the path `/metrics`.
    Token(MayScrape),
}

type Digest = [u8; 32];

#[derive(Clone)]
struct Reviews {
    may: MayScrape,
    verdicts: Arc<Mutex<Verdicts>>,
}

#[derive(Default)]
struct Verdicts {
    known: HashMap<Digest, (bool, Instant)>,
    /// Peers with a pending review.
    asking: HashSet<Peer>,
}

/// Returns the page, for callers that may read it.
pub(super) fn routes(metrics: Arc<Metrics>, scrape: Scrape) -> Router {
    let page = Router::new().route("/metrics", get(text)).with_state(metrics);
    match scrape {
        Scrape::Open => page,
        Scrape::Token(may) => {
            let door = Reviews { may, verdicts: Arc::default() };
            page.layer(middleware::from_fn_with_state(door, authorise))
        }
    }
}

async fn text(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.encode() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn authorise(
    State(door): State<Reviews>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let Some(token) = bearer(request.headers()) else {
        let headers = [(header::WWW_AUTHENTICATE, "Bearer")];
        return (StatusCode::UNAUTHORIZED, headers, "a bearer token is required\n").into_response();
    };
    match door.judge(peer, token).await {
        Ok(true) => next.run(request).await,
        Ok(false) => {
            let said = "the token is not valid, or its user may not get the path /metrics\n";
            (StatusCode::FORBIDDEN, said).into_response()
        }
        Err(refusal) => refusal,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

impl Reviews {
    async fn judge(&self, peer: Peer, token: &str) -> Result<bool, Response> {
        let digest: Digest = Sha256::digest(token.as_bytes()).into();
        if let Some(verdict) = self.verdicts().get(&digest) {
            return Ok(verdict);
        }
        let Some(_asking) = PendingReview::begin(self, peer) else {
            let headers = [(header::RETRY_AFTER, "1")];
            return Err((StatusCode::TOO_MANY_REQUESTS, headers).into_response());
        };
        let error = match timeout(ANSWER, (self.may)(token.to_owned())).await {
            Ok(Ok(verdict)) => {
                self.verdicts().keep(digest, verdict);
                return Ok(verdict);
            }
            Ok(Err(error)) => error,
            Err(_) => "the API server does not answer".to_owned(),
        };
        tracing::warn!(error, "Cannot review a token for /metrics");
        Err((StatusCode::SERVICE_UNAVAILABLE, "cannot review the token now\n").into_response())
    }

    fn verdicts(&self) -> MutexGuard<'_, Verdicts> {
        self.verdicts.lock()
    }
}

impl Verdicts {
    fn get(&self, digest: &Digest) -> Option<bool> {
        self.known.get(digest).filter(|(_, until)| *until > Instant::now()).map(|(verdict, _)| *verdict)
    }

    /// Caches a verdict. If the cache is full, a verdict that refuses is replaced.
    fn keep(&mut self, digest: Digest, verdict: bool) {
        let now = Instant::now();
        self.known.retain(|_, (_, until)| *until > now);
        if self.known.len() >= VERDICTS {
            let refused = self.known.iter().find(|(_, (verdict, _))| !verdict).map(|(digest, _)| *digest);
            match refused {
                Some(digest) => drop(self.known.remove(&digest)),
                None => return,
            }
        }
        self.known.insert(digest, (verdict, now + if verdict { KEPT } else { REFUSED }));
    }
}

/// A pending review of a peer, until this is dropped.
struct PendingReview<'a>(&'a Reviews, Peer);

impl<'a> PendingReview<'a> {
    fn begin(door: &'a Reviews, peer: Peer) -> Option<Self> {
        let is_first = door.verdicts().asking.insert(peer);
        // Not `then_some`: a value that is created and dropped would end the review of another request.
        if is_first { Some(Self(door, peer)) } else { None }
    }
}

impl Drop for PendingReview<'_> {
    fn drop(&mut self) {
        self.0.verdicts().asking.remove(&self.1);
    }
}

//! The listeners: `/healthz`, `/readyz` and `/metrics`, `/audit` for the audit events of the API server, and `/hooks/…` for
//! the calls of forges and registries. And the listener of the web UI, whose pages are in `ui`. Requests are bounded before they are read.
//!
//! Leaves the handling of events and calls to the functions that are passed in. I/O: listens.

mod audit;
mod body;
mod budget;
mod health;
pub mod hooks;
mod lead;
mod listener;
mod peer;
mod pinned;
pub mod probes;
mod relay;
mod scrape;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod token;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio_util::sync::CancellationToken;

pub use self::audit::{AuditEndpoint, TakeAudit};
pub use self::budget::Limits;
pub use self::health::{Health, Heartbeat};
use self::hooks::Hooks;
pub use self::lead::{Lead, of_the_leader};
pub use self::listener::ListenError;
use self::listener::{Listener, Seen, TimeLimits};
pub use self::relay::Relay;
pub use self::scrape::{MayScrape, Scrape};
pub use self::tls::{Tls, TlsError};
pub use self::token::{Token, TokenError};
use crate::metrics::Metrics;

/// The limits of connections if the process may open many files: mirrors and the API server need
/// the others.
pub const CONNECTIONS: Limits = Limits { total: 512, each: 128 };

/// The time limits of the pages: a forge or a scraper sends a request immediately.
const TIME_LIMITS: TimeLimits = TimeLimits {
    limits: CONNECTIONS,
    head: Duration::from_secs(10),
    answer: Duration::from_secs(20),
    keep_alive: true,
};

/// The pages at `--listen`.
pub struct Pages {
    pub health: Health,
    pub metrics: Arc<Metrics>,
    pub scrape: Scrape,
    pub audit: Option<AuditEndpoint>,
    pub hooks: Hooks,
    /// Decides which agent handles the calls of webhooks and of the API server.
    pub relay: Relay,
}

/// Serves the pages until the process ends. Once `stop` is cancelled, each connection is closed after its response.
/// Returns the address, with the port that the system chose if it was 0.
pub fn serve(
    address: SocketAddr,
    pages: Pages,
    limits: Limits,
    tls: Option<Tls>,
    stop: CancellationToken,
) -> Result<SocketAddr, ListenError> {
    let failed = |source| ListenError { address, flag: "--listen", source };
    let listener = Listener::bind(address).map_err(failed)?;
    let bound = listener.address();
    let metrics = pages.metrics.clone();
    let seen = Seen(Arc::new(move |result| metrics.connection(result)));
    let time_limits = TimeLimits { limits, ..TIME_LIMITS };
    tokio::spawn(listener.run(routes(pages), time_limits, tls, seen, stop));
    Ok(bound)
}

/// How the web UI is served: a browser sends a request at once, keeps connections, and holds one open for each tab. All browsers
/// behind an ingress have one address.
const UI_TIME_LIMITS: TimeLimits = TimeLimits {
    limits: Limits { total: 512, each: 448 },
    head: Duration::from_mins(1),
    answer: Duration::from_secs(20),
    keep_alive: true,
};

/// An address on which the web UI will be served.
pub struct UiListener(Listener);

impl UiListener {
    pub fn bind(address: SocketAddr, flag: &'static str) -> Result<Self, ListenError> {
        Listener::bind(address).map(Self).map_err(|source| ListenError { address, flag, source })
    }

    /// The address, whose port may have been left to the system.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Serves these pages until the process ends.
    pub async fn serve(self, pages: Router, tls: Option<Tls>, stop: CancellationToken) {
        self.0.run(pages, UI_TIME_LIMITS, tls, Seen::default(), stop).await;
    }
}

fn routes(pages: Pages) -> Router {
    let Pages { health, metrics, scrape, audit, hooks, relay } = pages;
    let called = relay::at(hooks::routes(hooks, metrics.clone()), relay.clone(), hooks::PACE);
    let mut routes = probes::routes(health).merge(scrape::routes(metrics.clone(), scrape)).merge(called);
    if let Some(endpoint) = audit {
        routes = routes.merge(audit::routes(endpoint, metrics, relay));
    }
    routes
}

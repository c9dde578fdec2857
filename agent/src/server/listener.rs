//! Accepts connections and serves HTTP/1 on them, within limits: their number, the time for the head of a request, and
//! the time for sending a response.
//!
//! Leaves bodies to the pages, which know who may send one. I/O: listens.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::budget::{Admitted, Budget, Limits, Permit};
use super::peer::Peer;
use super::stream::WriteTimeout;
use super::tls::Tls;

/// Maximum number of bytes of the head of a request. Forges send about 1 KiB.
const HEAD: usize = 16 * 1024;
/// Maximum duration of the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The pause after the system could not open another connection.
const PAUSE: Duration = Duration::from_millis(50);
/// Minimum time between two log lines about that.
const QUIET: Duration = Duration::from_mins(1);

/// The address cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address}: {source}; set another address with {flag}")]
pub struct ListenError {
    pub(super) address: SocketAddr,
    pub(super) flag: &'static str,
    pub(super) source: io::Error,
}

/// The time limits of a listener.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimits {
    pub limits: Limits,
    /// Maximum time until the head of a request has arrived.
    pub head: Duration,
    /// Maximum time for sending a response.
    pub answer: Duration,
    /// Whether a connection may have more than one request.
    pub keep_alive: bool,
}

/// Called for each connection: `accepted`, `evicted` (accepted, and another one was closed for it), or `refused`.
#[derive(Clone)]
pub struct Seen(pub Arc<dyn Fn(&'static str) + Send + Sync>);

impl Default for Seen {
    fn default() -> Self {
        Self(Arc::new(|_| {}))
    }
}

/// A socket that listens and does not accept connections yet.
pub struct Listener {
    socket: StdListener,
    address: SocketAddr,
}

impl Listener {
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = StdListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Returns the address, with the port that the system chose if it was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the process ends. Once `stop` is cancelled, each connection is closed after its response.
    pub async fn run(
        self,
        pages: Router,
        time_limits: TimeLimits,
        tls: Option<Tls>,
        seen: Seen,
        stop: CancellationToken,
    ) {
        let socket = match TcpListener::from_std(self.socket) {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, address = %self.address, "Cannot serve an address"),
        };
        let budget = Budget::new(time_limits.limits);
        let desk = ConnectionHandler { pages, time_limits, tls, stop };
        let mut complained: Option<Instant> = None;
        loop {
            let (stream, from) = match socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) if is_of_one(&error) => continue,
                Err(error) => {
                    if complained.is_none_or(|at| at.elapsed() > QUIET) {
                        complained = Some(Instant::now());
                        tracing::warn!(%error, address = %self.address, "Cannot accept a connection");
                    }
                    budget.make_room();
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(Admitted { permit, evicted }) = budget.admit(Peer::from(from.ip())) else {
                (seen.0)("refused");
                continue;
            };
            (seen.0)(if evicted { "evicted" } else { "accepted" });
            tokio::spawn(desk.clone().attend(stream, from, permit));
        }
    }
}

/// True if the failure concerns only the connection that was to be accepted, not the listener.
fn is_of_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
            | ErrorKind::TimedOut
    )
}

/// The values that are needed to serve a connection.
#[derive(Clone)]
struct ConnectionHandler {
    pages: Router,
    time_limits: TimeLimits,
    tls: Option<Tls>,
    stop: CancellationToken,
}

impl ConnectionHandler {
    /// Serves a connection until it ends, or must be closed for another one.
    async fn attend(self, stream: TcpStream, from: SocketAddr, permit: Permit) {
        let permit = Arc::new(permit);
        // A failure only delays responses.
        let _ = stream.set_nodelay(true);
        let ended = permit.clone();
        let served = async {
            match &self.tls {
                None => self.speak(stream, from, permit).await,
                Some(tls) => match timeout(HANDSHAKE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => self.speak(stream, from, permit).await,
                    Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                    Err(_) => tracing::debug!("TLS handshake took too long"),
                },
            }
        };
        tokio::select! { () = served => {} () = ended.ended() => {} }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        from: SocketAddr,
        permit: Arc<Permit>,
    ) {
        let TimeLimits { head, answer, keep_alive, .. } = self.time_limits;
        let pages = self.pages.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (busy, mut pages) = (permit.busy(), pages.clone());
            request.extensions_mut().insert(permit.peer());
            request.extensions_mut().insert(ConnectInfo(from));
            async move {
                let answer: Result<Response<Body>, Infallible> = pages.call(request.map(Body::new)).await;
                drop(busy);
                answer
            }
        });
        let stream = TokioIo::new(WriteTimeout::new(stream, answer));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head)
            .max_buf_size(HEAD)
            .keep_alive(keep_alive)
            .serve_connection(stream, service);
        tokio::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "A connection ended early");
        }
    }
}

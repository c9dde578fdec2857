//! A server on loopback that plays what alerts are sent to: a webhook or Slack. It records every request, and behaves
//! as it is told to, also badly. One port speaks HTTP and HTTPS.
//!
//! Leaves connections to `server`, and what Slack accepts to `slack`. I/O: network, disk.
//!
//! ```no_run
//! # use holdfast_tests::receiver::{Behaviour, Receiver};
//! # async fn example() -> anyhow::Result<()> {
//! let receiver = Receiver::webhook(Some("secret")).await?;
//! receiver.behave(Behaviour::Status(503, Some(1)));
//! // ... what is sent to receiver.url() is refused
//! receiver.behave(Behaviour::Ok);
//! receiver.until("the end of the drift", |notices| notices.iter().any(|one| one["status"] == "resolved")).await?;
//! # Ok(()) }
//! ```

mod server;
mod slack;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// How long a notice may take to arrive where a test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a receiver does with a request. Every request is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Accepts what is right, as its role does.
    Ok,
    /// Answers with this status, and with these seconds as `Retry-After`.
    Status(u16, Option<u64>),
    /// Takes the request and never answers.
    Hang,
    /// Sends the client elsewhere, with method and body (307).
    Redirect(String),
    /// Takes the request and closes the connection.
    CloseEarly,
    /// Has a certificate of an unknown authority; a plain request is answered with 400.
    BadCertificate,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Instant,
    pub time: Timestamp,
    /// None if there was no answer.
    pub status: Option<u16>,
    /// The receiver took it: what a sender must not send again.
    pub accepted: bool,
}

impl Received {
    /// The value of a header, empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// The body as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("not JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    /// True if the body is signed with this token.
    pub fn is_signed(&self, token: &str) -> bool {
        is_signed(&self.headers, &self.body, token)
    }

    fn told(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        format!("{} {} answered with {:?}: {body}", self.method, self.path, self.status)
    }
}

/// Who the receiver is.
enum Role {
    Webhook { token: Option<String> },
    Slack { token: String },
}

/// A request that is to be answered.
struct Asked {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer, and whether what was sent was taken.
struct Answer {
    status: u16,
    header: Option<(HeaderName, String)>,
    body: String,
    accepted: bool,
}

impl Answer {
    fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, header: None, body: body.into(), accepted: (200..300).contains(&status) }
    }
}

/// What becomes of a request.
enum Reply {
    Answer(Answer),
    Never,
    Close,
}

struct State {
    behaviour: Behaviour,
    received: Vec<Received>,
}

struct Shared {
    role: Role,
    state: Mutex<State>,
    known: TlsAcceptor,
    stranger: TlsAcceptor,
}

/// A running receiver. It and its connections end when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    ca: String,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl Receiver {
    /// Starts a webhook. With a token, what is not signed with it is answered with 401.
    pub async fn webhook(token: Option<&str>) -> anyhow::Result<Self> {
        Self::start(Role::Webhook { token: token.map(ToOwned::to_owned) }).await
    }

    /// Starts a Slack with incoming webhooks at `/services/…`, and with its API at `/api/…` for this token.
    pub async fn slack(token: &str) -> anyhow::Result<Self> {
        Self::start(Role::Slack { token: token.to_owned() }).await
    }

    async fn start(role: Role) -> anyhow::Result<Self> {
        let (ca, known) = server::known()?;
        let state = State { behaviour: Behaviour::Ok, received: Vec::new() };
        let shared = Shared { role, state: Mutex::new(state), known, stranger: server::stranger()? };
        let shared = Arc::new(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let acceptor = tokio::spawn(server::accept(Arc::clone(&shared), listener));
        Ok(Self { address, ca, shared, acceptor })
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same for TLS.
    pub fn https_url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate of the authority that signed its own, as PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// Behaves so from the next request on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().behaviour = behaviour;
    }

    /// Every request so far, in their order.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// The bodies of what was accepted.
    pub fn notices(&self) -> anyhow::Result<Vec<Value>> {
        self.requests().iter().filter(|request| request.accepted).map(Received::json).collect()
    }

    /// Waits until what was accepted is as it should be, and returns it. Fails after a time with what there was instead.
    pub async fn until(&self, what: &str, test: impl Fn(&[Value]) -> bool) -> anyhow::Result<Vec<Value>> {
        let started = Instant::now();
        loop {
            let notices = self.notices()?;
            if test(&notices) {
                return Ok(notices);
            }
            if started.elapsed() > PATIENCE {
                let all: Vec<String> = self.requests().iter().map(Received::told).collect();
                bail!(
                    "waited {PATIENCE:?} in vain for {what}; there were {} requests:\n{}",
                    all.len(),
                    all.join("\n")
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn tls(&self) -> TlsAcceptor {
        let bad = self.lock().behaviour == Behaviour::BadCertificate;
        if bad { self.stranger.clone() } else { self.known.clone() }
    }

    /// Records a request and says what becomes of it.
    fn take(&self, asked: Asked, at: Instant, time: Timestamp) -> Reply {
        let mut state = self.lock();
        let reply = match &state.behaviour {
            Behaviour::Ok => Reply::Answer(self.role.answer(&asked, &state.received)),
            Behaviour::Status(status, after) => {
                let header = after.map(|seconds| (RETRY_AFTER, seconds.to_string()));
                Reply::Answer(Answer { header, ..Answer::new(*status, "the receiver was told to say so") })
            }
            Behaviour::Redirect(url) => {
                Reply::Answer(Answer { header: Some((LOCATION, url.clone())), ..Answer::new(307, "") })
            }
            Behaviour::BadCertificate => Reply::Answer(Answer::new(400, "this is for https")),
            Behaviour::Hang => Reply::Never,
            Behaviour::CloseEarly => Reply::Close,
        };
        let (status, accepted) = match &reply {
            Reply::Answer(answer) => (Some(answer.status), answer.accepted),
            Reply::Never | Reply::Close => (None, false),
        };
        let Asked { method, path, headers, body } = asked;
        state.received.push(Received { method, path, headers, body, at, time, status, accepted });
        reply
    }
}

impl Role {
    fn answer(&self, asked: &Asked, before: &[Received]) -> Answer {
        match self {
            Self::Slack { token } => {
                let posted = before.iter().filter(|one| one.accepted && one.path == slack::POST).count();
                slack::answer(asked, token, posted)
            }
            Self::Webhook { .. } if asked.method != Method::POST => Answer::new(405, "only POST"),
            Self::Webhook { token: Some(token) } if !is_signed(&asked.headers, &asked.body, token) => {
                Answer::new(401, "the signature is missing or wrong")
            }
            Self::Webhook { .. } => match serde_json::from_slice::<Value>(&asked.body) {
                Ok(_) => Answer::new(200, "thanks"),
                Err(error) => Answer::new(400, format!("not JSON: {error}")),
            },
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The signature is `X-Signature-256: sha256=<hex of the HMAC-SHA256 of the body>`.
fn is_signed(headers: &HeaderMap, body: &[u8], token: &str) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    let mut expected = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        write!(expected, "{byte:02x}").expect("a String takes everything");
    }
    header(headers, "x-signature-256") == expected
}

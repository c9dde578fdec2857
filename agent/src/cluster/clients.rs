//! Clients of the API server: the agent's own, and one for each identity that Syncs act as.
//!
//! I/O: makes connections.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use http::header::{HeaderName, HeaderValue, InvalidHeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use parking_lot::Mutex;
use tower::{BoxError, Layer, Service};

use super::contact::{Contact, LIMIT, Listening};
use crate::identity::Identity;

/// Hears of every request: its method, and the code of its answer (0 if there was none).
pub type OnRequest = Arc<dyn Fn(&Method, u16) + Send + Sync>;

/// Whether a request that writes may begin. It may not while another agent could hold the Lease.
pub type MayWrite = Arc<dyn Fn() -> bool + Send + Sync>;

/// `holdfast/<version>`.
pub(super) const AGENT: &str = concat!("holdfast/", env!("CARGO_PKG_VERSION"));

const IMPERSONATE: HeaderName = HeaderName::from_static("impersonate-user");
/// The header of the extra [`names::IMPERSONATED`](crate::api::names::IMPERSONATED), in which `/` is encoded. Admission cannot
/// see otherwise that the agent acts as another user.
const IMPERSONATED: HeaderName = HeaderName::from_static("impersonate-extra-holdfast.dev%2fagent");

/// How long a connection may be silent before it counts as broken. A watch has a bookmark about every minute.
const SILENCE: Duration = Duration::from_mins(2);

/// How long a client that nothing asks for is kept. Watches that use it go on.
const KEPT: Duration = Duration::from_mins(10);

/// Makes clients, one for each identity. All of them share the connections of the agent's own.
pub struct Clients {
    own: Client,
    by_identity: Mutex<HashMap<Identity, (Client, Instant)>>,
    contact: Arc<Contact>,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot make a client of the API server: {0}")]
    Build(#[source] kube::Error),
    #[error("a user name cannot be sent in a header: {0}")]
    Header(#[from] InvalidHeaderValue),
}

/// A request was not sent.
#[derive(Debug, thiserror::Error)]
#[error("the agent does not hold the Lease and writes nothing")]
struct Fenced;

impl Clients {
    /// Clients whose requests are heard of, and whose writes are asked for.
    pub fn new(mut config: Config, on_request: OnRequest, may_write: MayWrite) -> Result<Self, ClientError> {
        config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
        config.read_timeout = Some(SILENCE);
        // Who asks decides whether to ask again: a kind that is down must not hold up the others for minutes.
        config.default_retry = false;
        let contact = Arc::<Contact>::default();
        let watched = Watched { on_request, may_write };
        let own = build(config, &watched, &contact)?;
        Ok(Self { own, by_identity: Mutex::default(), contact })
    }

    /// Clients over the connections of another one.
    #[cfg(test)]
    pub fn over(own: Client) -> Self {
        Self { own, by_identity: Mutex::default(), contact: Arc::default() }
    }

    /// The client of the agent's own identity.
    pub fn own(&self) -> Client {
        self.own.clone()
    }

    /// When the API server was heard last.
    pub fn contact(&self) -> &Contact {
        &self.contact
    }

    /// The client of an identity.
    pub fn of(&self, identity: &Identity) -> Result<Client, ClientError> {
        let Some(user) = identity.user() else { return Ok(self.own()) };
        let mut all = self.by_identity.lock();
        let now = Instant::now();
        if let Some((client, used)) = all.get_mut(identity) {
            *used = now;
            return Ok(client.clone());
        }
        let client = impersonating(self.own(), HeaderValue::from_str(&user)?);
        all.insert(identity.clone(), (client.clone(), now));
        Ok(client)
    }

    /// Forgets the clients that nothing asked for in a while.
    pub fn sweep(&self, now: Instant) {
        let mut all = self.by_identity.lock();
        all.retain(|_, (_, used)| now.saturating_duration_since(*used) < KEPT);
    }
}

/// A client that asks the API server to act as a user, over the connections of another client.
fn impersonating(own: Client, user: HeaderValue) -> Client {
    let namespace = own.default_namespace().to_owned();
    let service = tower::service_fn(move |mut request: Request<Body>| {
        request.headers_mut().insert(IMPERSONATE, user.clone());
        request.headers_mut().insert(IMPERSONATED, HeaderValue::from_static("true"));
        let own = own.clone();
        async move { own.send(request).await }
    });
    Client::new(service, namespace)
}

fn build(config: Config, watched: &Watched, contact: &Arc<Contact>) -> Result<Client, ClientError> {
    let builder = ClientBuilder::try_from(config).map_err(ClientError::Build)?;
    Ok(builder.with_layer(&Listening(contact.clone(), LIMIT)).with_layer(watched).build())
}

/// Counts answers by method and code, and lets nothing be written that may not be.
#[derive(Clone)]
struct Watched {
    on_request: OnRequest,
    may_write: MayWrite,
}

impl<S> Layer<S> for Watched {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, watched: self.clone() }
    }
}

struct Counted<S> {
    inner: S,
    watched: Watched,
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (method, on_request) = (request.method().clone(), self.watched.on_request.clone());
        if method != Method::GET && !(self.watched.may_write)() {
            return Box::pin(async { Err(Fenced.into()) });
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            on_request(&method, answer.as_ref().map_or(0, |answer| answer.status().as_u16()));
            answer.map_err(Into::into)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clients_of_names_that_come_and_go_are_forgotten() {
        let config = Config::new("http://127.0.0.1:1".parse().expect("a URL"));
        let clients =
            Clients::new(config, Arc::new(|_, _| {}), Arc::new(|| true)).expect("a client without TLS");
        let account =
            |at: usize| Identity::ServiceAccount { namespace: "team".into(), name: format!("a{at}").into() };
        let kept = || clients.by_identity.lock().len();
        for at in 0..2000 {
            clients.of(&account(at)).expect("a name that fits into a header");
        }
        clients.of(&Identity::Agent).expect("the agent's own");
        assert_eq!(kept(), 2000);
        clients.sweep(Instant::now());
        assert_eq!(kept(), 2000);
        clients.sweep(Instant::now() + KEPT);
        assert_eq!(kept(), 0);
    }
}

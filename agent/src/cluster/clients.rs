//! Clients of the API server: the agent's own, and one for each identity that a Sync asks for.
//!
//! I/O: makes connections.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Poll};
use std::time::Duration;

use http::header::{HeaderName, HeaderValue, InvalidHeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};

use super::contact::{Contact, LIMIT, Listening};

/// Hears of every request: its method, and the code of its answer (0 if there was none).
pub type OnRequest = Arc<dyn Fn(&Method, u16) + Send + Sync>;

/// Whether a request that writes may begin. It may not while another agent could hold the Lease.
pub type MayWrite = Arc<dyn Fn() -> bool + Send + Sync>;

/// `holdfast/<version>`.
const AGENT: &str = concat!("holdfast/", env!("CARGO_PKG_VERSION"));

/// The header of the extra [`names::IMPERSONATED`](crate::api::names::IMPERSONATED), in which `/` is encoded.
const IMPERSONATED: &str = "impersonate-extra-holdfast.dev%2fagent";

/// How long a connection may be silent before it counts as broken. A watch has a bookmark about every minute.
const SILENCE: Duration = Duration::from_mins(2);

/// Makes clients, one for each identity.
pub struct Clients {
    config: Config,
    watched: Watched,
    own: Client,
    by_user: Mutex<HashMap<String, Client>>,
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
        let own = build(config.clone(), &watched, &contact)?;
        Ok(Self { config, watched, own, by_user: Mutex::default(), contact })
    }

    /// The client in the agent's own name.
    pub fn own(&self) -> Client {
        self.own.clone()
    }

    /// When the API server was heard last.
    pub fn contact(&self) -> &Contact {
        &self.contact
    }

    /// The client in the name of a ServiceAccount.
    pub fn service_account(&self, namespace: &str, name: &str) -> Result<Client, ClientError> {
        let user = format!("system:serviceaccount:{namespace}:{name}");
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = by_user.get(&user) {
            return Ok(client.clone());
        }
        let mut config = self.config.clone();
        config.headers.push((HeaderName::from_static("impersonate-user"), HeaderValue::from_str(&user)?));
        // Admission cannot see otherwise that the agent asks in the name of another.
        config.headers.push((HeaderName::from_static(IMPERSONATED), HeaderValue::from_static("true")));
        let client = build(config, &self.watched, &self.contact)?;
        by_user.insert(user, client.clone());
        Ok(client)
    }
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

//! A proxy between a client and a real API server, which makes the faults of a network and of a busy server when it is
//! told to. What no rule is for passes through unchanged, byte for byte, and a watch as it comes.
//!
//! Leaves out upgraded connections (`exec`, `port-forward`). I/O: network, disk writes.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use holdfast_tests::proxy::{Action, Proxy, Rule};
//! # async fn example(env: holdfast_tests::Env) -> anyhow::Result<()> {
//! let proxy = Proxy::start(&env.cluster).await?;
//! let agent = holdfast_tests::agent::Agent::start(&proxy.kubeconfig(), &[]).await?;
//! let lost = proxy.fault(Rule::new(Action::DropAfter).method("PATCH").part("/configmaps/").times(1));
//! proxy.fault(Rule::new(Action::Delay(Duration::from_secs(2))).part("/secrets"));
//! // ... after a while
//! assert_eq!(lost.hits(), 1);
//! proxy.clear();
//! # Ok(()) }
//! ```

mod rule;

use std::convert::Infallible;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, bail};
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, RETRY_AFTER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::uri::Authority;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::Client;
use kube::client::ConfigExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::controlplane::ControlPlane;
use crate::ports;
use crate::watchdog::Folder;
pub use rule::{Action, Rule};
use rule::{Asked, Entry, status};

/// A running proxy. It and its connections end when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    folder: Folder,
    shared: Arc<Shared>,
    /// Accepts connections while the proxy is up.
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

/// A rule that was given to a proxy. It holds on when this is dropped.
#[derive(Debug)]
pub struct Fault {
    entry: Arc<Entry>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: Authority,
    client: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Incoming>,
    /// The first that fits has the request.
    entries: Mutex<Vec<Arc<Entry>>>,
    seen: AtomicUsize,
    /// Has a receiver for each connection; what is sent ends them.
    connections: Mutex<watch::Sender<()>>,
    /// Has a receiver for each open watch; what is sent ends them.
    watches: watch::Sender<()>,
    /// Not a byte passes in any direction.
    dark: watch::Sender<bool>,
}

/// A body on its way to the client.
struct Flow {
    shared: Arc<Shared>,
    asked: Asked,
    body: Incoming,
    silent: bool,
    cut: watch::Receiver<()>,
}

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

impl Proxy {
    /// Starts a proxy that speaks HTTP/1.1 on loopback and is the administrator to the API server.
    pub async fn start(cluster: &ControlPlane) -> anyhow::Result<Self> {
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        let shared = Shared {
            server: config.cluster_url.authority().context("the API server has no address")?.clone(),
            client: client.build(config.rustls_https_connector()?),
            entries: Mutex::default(),
            seen: AtomicUsize::new(0),
            connections: Mutex::new(watch::Sender::new(())),
            watches: watch::Sender::new(()),
            dark: watch::Sender::new(false),
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?));
        let folder = Folder::make("proxy")?;
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy", "namespace": "default"}}],
        });
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig.to_string())?;
        let proxy = Self { address, folder, shared: Arc::new(shared), acceptor: Mutex::default() };
        proxy.up().await?;
        Ok(proxy)
    }

    /// A kubeconfig of the proxy, without credentials.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// The address of the proxy, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client that goes through the proxy.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Adds a rule after those that are there. The first one that fits has the request.
    pub fn fault(&self, rule: Rule) -> Fault {
        let entry = Arc::new(Entry::new(rule));
        lock(&self.shared.entries).push(Arc::clone(&entry));
        Fault { entry, shared: Arc::clone(&self.shared) }
    }

    /// Ends every rule. A watch that is silent stays so until it is cut.
    pub fn clear(&self) {
        lock(&self.shared.entries).clear();
    }

    /// Requests so far, also those that had a fault.
    pub fn seen(&self) -> usize {
        self.shared.seen.load(Ordering::SeqCst)
    }

    /// Watches that are open now.
    pub fn watches(&self) -> usize {
        self.shared.watches.receiver_count()
    }

    /// Ends every open watch as the API server does after a time: the stream is complete, its connection stays.
    pub fn cut_watches(&self) {
        self.shared.cut_watches();
    }

    /// Closes every open connection, whatever is on it. They are closed when this returns.
    pub async fn cut(&self) {
        self.shared.cut().await;
    }

    /// Lets no byte pass in any direction, as a network that drops packets: connections stay, new ones are accepted, nothing
    /// is refused and nothing ends, until `false` lets go on what waits.
    pub fn dark(&self, dark: bool) {
        self.shared.dark.send_replace(dark);
    }

    /// Refuses connections, and closes those that are open.
    pub async fn down(&self) {
        let acceptor = lock(&self.acceptor).take();
        if let Some(acceptor) = acceptor {
            acceptor.abort();
            // It was told to end: there is no result. The port is closed when it has.
            let _ = acceptor.await;
        }
        self.cut().await;
    }

    /// Accepts connections, at the same address as before.
    pub async fn up(&self) -> anyhow::Result<()> {
        if lock(&self.acceptor).is_none() {
            let listener = TcpListener::bind(self.address).await?;
            let acceptor = tokio::spawn(accept(Arc::clone(&self.shared), listener));
            *lock(&self.acceptor) = Some(acceptor);
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(acceptor) = lock(&self.acceptor).take() {
            acceptor.abort();
        }
        lock(&self.shared.connections).send_replace(());
    }
}

impl Fault {
    /// Requests that had this fault.
    pub fn hits(&self) -> usize {
        self.entry.hits.load(Ordering::SeqCst)
    }

    /// Ends the rule.
    pub fn end(&self) {
        lock(&self.shared.entries).retain(|entry| !Arc::ptr_eq(entry, &self.entry));
    }
}

impl Shared {
    /// What happens to a new request.
    fn action(&self, asked: &Asked) -> Action {
        let entries = lock(&self.entries);
        entries.iter().find(|entry| entry.take(asked)).map_or(Action::Pass, |entry| entry.rule.action.clone())
    }

    /// True if an open watch becomes silent.
    fn swallows(&self, asked: &Asked) -> bool {
        let entries = lock(&self.entries);
        let mut entries = entries.iter().filter(|entry| match entry.rule.action {
            Action::Pass => entry.rule.fits(asked),
            Action::Swallow => entry.take(asked),
            _ => false,
        });
        entries.next().is_some_and(|entry| matches!(entry.rule.action, Action::Swallow))
    }

    fn cut_watches(&self) {
        self.watches.send_replace(());
    }

    /// Waits while the proxy is dark.
    async fn light(&self) {
        // It lives as long as this.
        let _ = self.dark.subscribe().wait_for(|dark| !dark).await;
    }

    async fn cut(&self) {
        let connections = mem::replace(&mut *lock(&self.connections), watch::Sender::new(()));
        connections.send_replace(());
        connections.closed().await;
    }

    /// Passes a request on, and returns the beginning of the answer.
    async fn forward(&self, asked: &Asked, request: Request<Incoming>) -> anyhow::Result<Response<Incoming>> {
        let (mut parts, body) = request.into_parts();
        let server = Uri::builder().scheme("https").authority(self.server.clone());
        parts.uri = server.path_and_query(asked.target.clone()).build()?;
        parts.headers.remove(HOST);
        strip(&mut parts.headers);
        let mut response = self.client.request(Request::from_parts(parts, body)).await?;
        strip(response.headers_mut());
        Ok(response)
    }
}

impl Flow {
    /// The next bytes, as they come.
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, hyper::Error>, Self)> {
        let frame = tokio::select! {
            _ = self.cut.changed() => return None,
            frame = self.body.frame(), if !self.silent => frame,
        };
        tokio::select! {
            _ = self.cut.changed() => return None,
            () = self.shared.light() => {}
        }
        if self.shared.swallows(&self.asked) {
            // Not a byte, and not the end either. The body is kept, as its end would be heard.
            let _ = self.cut.changed().await;
            return None;
        }
        Some((frame?, self))
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        // What cannot be accepted is gone already.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let cut = lock(&shared.connections).subscribe();
        tokio::spawn(serve(Arc::clone(&shared), stream, cut));
    }
}

/// Answers the requests of a connection until one side closes it.
async fn serve(shared: Arc<Shared>, stream: TcpStream, mut cut: watch::Receiver<()>) {
    // An event is small, and must not wait for the next one.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = cut.changed() => {}
        // A connection that breaks is what is asked for here.
        _ = connection => {}
    }
}

/// The answer to a request. An error closes the connection without one.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> anyhow::Result<Answer> {
    shared.light().await;
    shared.seen.fetch_add(1, Ordering::SeqCst);
    let asked = Asked::of(&request);
    let action = shared.action(&asked);
    match action {
        Action::Pass | Action::Swallow => {}
        Action::Status { code, retry_after } => return refuse(request, code, retry_after).await,
        Action::Gone if asked.watch => return expire(),
        Action::Gone => return refuse(request, 410, None).await,
        Action::Delay(time) => tokio::time::sleep(time).await,
        Action::Drop => bail!("the connection is dropped before the request"),
        Action::DropAfter => {
            shared.forward(&asked, request).await?;
            bail!("the connection is dropped after the request")
        }
        Action::CutWatches => shared.cut_watches(),
    }
    let silent = matches!(action, Action::Swallow);
    let response = shared.forward(&asked, request).await?;
    shared.light().await;
    let followed = silent || (asked.watch && response.status().is_success());
    Ok(response.map(|body| {
        if !followed {
            return body.boxed_unsync();
        }
        let cut = shared.watches.subscribe();
        let flow = Flow { shared: Arc::clone(&shared), asked, body, silent, cut };
        StreamBody::new(stream::unfold(flow, Flow::next)).boxed_unsync()
    }))
}

/// Answers as the API server does when it refuses: it reads the request and says why.
async fn refuse(request: Request<Incoming>, code: u16, retry_after: Option<u64>) -> anyhow::Result<Answer> {
    request.into_body().collect().await?;
    let mut response = Response::builder().status(code).header(CONTENT_TYPE, "application/json");
    if let Some(seconds) = retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    Ok(response.body(whole(&status(code, retry_after)))?)
}

/// Answers a watch as the API server does when it has forgotten the revision.
fn expire() -> anyhow::Result<Answer> {
    let event = json!({"type": "ERROR", "object": status(410, None)});
    Ok(Response::builder().header(CONTENT_TYPE, "application/json").body(whole(&event))?)
}

fn whole(value: &Value) -> UnsyncBoxBody<Bytes, hyper::Error> {
    Full::new(format!("{value}\n").into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// Removes what is between two neighbours only (RFC 9110, section 7.6.1): the other side has its own.
fn strip(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive")] {
        headers.remove(name);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

//! A server that answers as a test says, and remembers what it was asked. I/O: network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use parking_lot::Mutex;
use tokio::net::TcpListener;

use super::super::{Access, Login, Options, Registries, Repository};

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// `GET /v2/a/tags/list?n=1000`
    pub line: String,
    /// What the client calls this server.
    pub host: String,
    pub authorization: String,
    pub if_none_match: String,
    pub accept: String,
    pub body: String,
}

/// What is answered.
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    delay: Duration,
}

/// Answers with this status.
pub fn reply(status: u16) -> Reply {
    Reply { status, headers: Vec::new(), body: Vec::new(), delay: Duration::ZERO }
}

/// Answers with this text.
pub fn ok(body: impl Into<Vec<u8>>) -> Reply {
    reply(200).header("content-type", "application/json").body(body)
}

impl Reply {
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A server on loopback.
pub struct Server {
    /// `127.0.0.1:PORT`
    pub host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Serves what the function says for each request.
    pub async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (answer, log) = (Arc::new(answer), seen.clone());
        let router = Router::new().fallback(move |request: Request| {
            let (answer, log) = (answer.clone(), log.clone());
            async move {
                let seen = read(request).await;
                log.lock().push(seen.clone());
                let Reply { status, headers, body, delay } = answer(&seen);
                tokio::time::sleep(delay).await;
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(body)).unwrap()
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { host, seen }
    }

    /// The same under another name.
    pub fn other_name(&self) -> String {
        self.host.replace("127.0.0.1", "localhost")
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// What was asked, each as one line.
    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    /// A repository of this server, over plain HTTP.
    pub fn access(&self, path: &str) -> Access {
        let repository = Repository::parse(&format!("{}/{path}", self.host)).unwrap();
        Access { insecure: true, ..Access::of(repository) }
    }

    /// The same with the entry of a Secret that has a login.
    pub fn place_with(&self, path: &str, entry: &str) -> Access {
        let text = format!("{{\"auths\": {{\"{}\": {entry}}}}}", self.host);
        let data = BTreeMap::from([(".dockerconfigjson".to_owned(), text.into_bytes())]);
        let login = Login::from_secret(&data).ok().unwrap();
        Access { login: Some(Arc::new(login)), ..self.access(path) }
    }
}

async fn read(request: Request) -> Seen {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let line = format!("{} {}", parts.method, parts.uri.path_and_query().unwrap());
    let (authorization, if_none_match) = (header("authorization"), header("if-none-match"));
    let (accept, host) = (header("accept"), header("host"));
    let body = to_bytes(body, 65536).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Seen { line, host, authorization, if_none_match, accept, body }
}

/// Registries that do not wait long.
pub fn registries() -> Registries {
    Registries::new(options())
}

pub fn options() -> Options {
    let (backoff, patience) = (Duration::from_millis(1), Duration::from_millis(100));
    Options { backoff, patience, rate: 10_000, chance: || 0.5, ..Options::default() }
}

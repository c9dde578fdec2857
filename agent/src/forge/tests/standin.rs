//! A server on loopback that stands in for a forge. I/O: listens on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::super::Target;
use crate::api::Forge;

pub const TOKEN: &str = "s3cret-token-of-a-forge";

/// A pull request of the stand-in.
#[derive(Clone, Default)]
pub struct Pull {
    pub number: i64,
    pub head: String,
    pub base: String,
    pub title: String,
    pub body: String,
    pub labels: Vec<String>,
    pub comments: Vec<String>,
    pub closed: bool,
}

#[derive(Default)]
pub struct State {
    pub pulls: Vec<Pull>,
    pub calls: Vec<String>,
    pub next: i64,
    /// What else it keeps, by name.
    pub kept: BTreeMap<String, Vec<Value>>,
    /// When it was written to last.
    pub wrote: Option<std::time::Instant>,
}

impl State {
    pub fn pull(&mut self, number: &str) -> Option<&mut Pull> {
        let number: i64 = number.parse().ok()?;
        self.pulls.iter_mut().find(|pull| pull.number == number)
    }

    pub fn open(&mut self, head: &str, base: &str) -> Option<&mut Pull> {
        self.pulls.iter_mut().find(|pull| !pull.closed && pull.head == head && pull.base == base)
    }

    pub fn add(&mut self, pull: Pull) -> Pull {
        let pull = Pull { number: 7 + self.next, ..pull };
        self.next += 1;
        self.pulls.push(pull.clone());
        pull
    }
}

/// A request, as it came.
pub struct Asked {
    pub method: Method,
    /// Not decoded.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn query(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
    }

    /// A text of the body that must be there.
    pub fn text(&self, name: &str) -> Result<String, Reply> {
        let text = self.body[name].as_str().filter(|text| !text.is_empty());
        text.map(ToOwned::to_owned).ok_or_else(|| Reply::odd(&format!("the body has no {name}")))
    }

    /// Refuses a body that has other fields than these.
    pub fn only(&self, known: &[&str]) -> Result<(), Reply> {
        let fields = self.body.as_object().ok_or_else(|| Reply::odd("the body is no object"))?;
        match fields.keys().find(|field| !known.contains(&field.as_str())) {
            Some(field) => Err(Reply::odd(&format!("the body has the unknown field {field}"))),
            None => Ok(()),
        }
    }
}

#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Self { status, headers: Vec::new(), body }
    }

    /// What was asked is not what the documentation has.
    pub fn odd(why: &str) -> Self {
        Self::json(400, &json!({"message": format!("stand-in: {why}")}))
    }
}

type Answer = Arc<dyn Fn(&mut State, &Asked) -> Reply + Send + Sync>;

/// The stand-in. Ends with the runtime.
pub struct Standin {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Standin {
    pub async fn start(answer: fn(&mut State, &Asked) -> Reply) -> Self {
        Self::of(Arc::new(answer)).await
    }

    /// Answers always the same.
    pub async fn fixed(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers: Vec<(String, String)> = headers.collect();
        let body = body.to_owned();
        Self::of(Arc::new(move |state: &mut State, asked: &Asked| {
            state.calls.push(asked.path.clone());
            let known = ["location", "retry-after", "x-ratelimit-remaining", "x-ratelimit-reset"];
            let headers = headers.iter().filter_map(|(name, value)| {
                Some((*known.iter().find(|known| *known == name)?, value.clone()))
            });
            Reply { status, headers: headers.collect(), body: body.clone() }
        }))
        .await
    }

    async fn of(answer: Answer) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        let page = Router::new().fallback(move |request: Request| {
            let (shared, answer) = (shared.clone(), answer.clone());
            async move {
                let asked = read(request).await;
                let reply = answer(&mut shared.lock(), &asked);
                let mut response = Response::builder().status(reply.status);
                for (name, value) in reply.headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(reply.body)).expect("an answer")
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, page).await });
        Self { address, state }
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The repository `org/config` of this forge.
    pub fn target(&self, provider: Forge) -> Target {
        let api = match provider {
            Forge::GitHub => format!("{}/api/v3", self.origin()),
            Forge::GitLab | Forge::Gitea => self.origin(),
        };
        Target::parse(provider, "https://git.example.com/org/config.git", Some(&api), TOKEN, None)
            .unwrap_or_else(|error| unreachable!("{error}"))
    }

    pub fn asked(&self) -> usize {
        self.calls().len()
    }

    pub fn calls(&self) -> Vec<String> {
        self.state.lock().calls.clone()
    }

    pub fn forget(&self) {
        self.state.lock().calls.clear();
    }

    pub fn pull(&self, number: i64) -> Pull {
        let mut state = self.state.lock();
        state.pull(&number.to_string()).cloned().unwrap_or_default()
    }

    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
    }

    pub fn labels(&self, number: i64) -> Vec<String> {
        self.pull(number).labels
    }

    pub fn title(&self, number: i64) -> String {
        self.pull(number).title
    }

    pub fn comments(&self, number: i64) -> Vec<String> {
        self.pull(number).comments
    }
}

async fn read(request: Request) -> Asked {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1024 * 1024).await.expect("a body");
    let url = reqwest::Url::parse(&format!("http://a{}", parts.uri)).expect("a URL");
    Asked {
        method: parts.method,
        path: url.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    }
}

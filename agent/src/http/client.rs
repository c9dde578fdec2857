//! Sends requests: the guard checks each hop, and credentials are sent to their origin only.
//!
//! Clients are cached by their certificates; the least recently used one is dropped if there are many. I/O: HTTP.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::digest::Digest;
use http::{HeaderMap, Method, header};
use parking_lot::Mutex;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use super::error::root;
use super::proxy::Proxies;
use super::redirect::{LIMIT, Redirects, destination, is_redirect, target};
use super::resolver::{Resolver, to_port};
use super::{Failure, Guard, Times, Trust, USER_AGENT};

/// How many clients are kept.
const CLIENTS: usize = 50;

/// One request. Has no `Debug`: it may have a login.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    /// Headers for the origin of `url` alone.
    pub secret: HeaderMap,
    pub body: Option<Vec<u8>>,
    /// How long it may take with its answer, if not as long as all.
    pub limit: Option<Duration>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), secret: HeaderMap::new(), body: None, limit: None }
    }
}

/// A client as the library has it, by the certificates that it uses, and whether it goes through a proxy.
type Kept = HashMap<(Option<Digest>, bool), (Client, Instant)>;

/// The HTTP clients of one use.
pub struct Clients {
    guard: Arc<Guard>,
    times: Times,
    user_agent: String,
    /// Connections to a host that are kept open.
    idle: usize,
    proxies: Proxies,
    kept: Mutex<Kept>,
}

impl Clients {
    pub fn new(guard: Arc<Guard>, times: Times) -> Self {
        let (user_agent, kept) = (USER_AGENT.to_owned(), Mutex::default());
        Self { guard, times, user_agent, idle: 8, proxies: Proxies::default(), kept }
    }

    /// Names itself differently.
    #[must_use]
    pub fn with_user_agent(self, user_agent: impl Into<String>) -> Self {
        Self { user_agent: user_agent.into(), ..self }
    }

    /// Sends a request to one URL, which is its own or one that it was led to, and follows nothing.
    pub async fn send(&self, trust: &Trust, request: &Request, url: &Url) -> Result<Response, Failure> {
        let Request { method, url: first, headers, secret, body, limit } = request;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::Redirected { why: "and not to http or https", to: None });
        }
        self.guard.url(url)?;
        let proxied = self.proxies.cover(url);
        if proxied {
            self.guard.behind_proxy(url)?;
        }
        let own = url.origin() == first.origin();
        let client = if own {
            self.client(trust, proxied).await?
        } else {
            self.client(&trust.without_identity(), proxied).await?
        };
        let mut builder = client.request(method.clone(), url.clone()).headers(headers.clone());
        if own {
            builder = builder.headers(secret.clone());
        }
        if let Some(body) = body {
            builder = builder.body(body.clone());
        }
        if let Some(limit) = limit {
            builder = builder.timeout(*limit);
        }
        let port = url.port_or_known_default().unwrap_or(0);
        to_port(port, builder.send()).await.map_err(|error| Failure::of(&error))
    }

    /// Sends a request and follows where it is led. One that changes something is followed only where it stays what it is.
    pub async fn follow(
        &self,
        trust: &Trust,
        request: &Request,
        redirects: Redirects,
    ) -> Result<Response, Failure> {
        let mut url = request.url.clone();
        for _ in 0..=LIMIT {
            // A future of its own: it is large, and is part of every run that may ask.
            let response = Box::pin(self.send(trust, request, &url)).await?;
            let status = response.status();
            if !is_redirect(status) {
                return Ok(response);
            }
            let reads = matches!(request.method, Method::GET | Method::HEAD);
            if !reads && !matches!(status.as_u16(), 307 | 308) {
                let why = "a request that changes something";
                return Err(Failure::Redirected { why, to: destination(&url, location(&response)) });
            }
            let place = location(&response);
            url = target(&url, place, redirects)
                .map_err(|why| Failure::Redirected { why, to: destination(&url, place) })?;
        }
        Err(Failure::Redirected { why: "too often", to: None })
    }

    async fn client(&self, trust: &Trust, proxied: bool) -> Result<Client, Failure> {
        let key = (trust.id(), proxied);
        if let Some(client) = self.known(key) {
            return Ok(client);
        }
        let builder = self.builder(trust, proxied);
        // The authorities of the system are read for it.
        let built = tokio::task::spawn_blocking(move || builder.build()).await;
        let said = |said: String| Failure::Client { said };
        let client = built
            .map_err(|error| said(error.to_string()))?
            .map_err(|error| said(root(&error).to_string()))?;
        let mut kept = self.kept.lock();
        if kept.len() >= CLIENTS {
            let oldest = kept.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
            oldest.and_then(|oldest| kept.remove(&oldest));
        }
        kept.insert(key, (client.clone(), Instant::now()));
        Ok(client)
    }

    fn known(&self, key: (Option<Digest>, bool)) -> Option<Client> {
        let mut kept = self.kept.lock();
        let (client, used) = kept.get_mut(&key)?;
        *used = Instant::now();
        Some(client.clone())
    }

    fn builder(&self, trust: &Trust, proxied: bool) -> reqwest::ClientBuilder {
        let Times { connect, silence, total } = self.times;
        let mut builder = Client::builder()
            .connect_timeout(connect)
            .redirect(Policy::none())
            .referer(false)
            .pool_max_idle_per_host(self.idle)
            .user_agent(&self.user_agent);
        if let Some(silence) = silence {
            builder = builder.read_timeout(silence);
        }
        if let Some(total) = total {
            builder = builder.timeout(total);
        }
        // Through a proxy, the only name that is resolved here is that of the proxy.
        if !proxied {
            builder = builder.no_proxy().dns_resolver(Resolver(self.guard.clone()));
        }
        trust.build(builder)
    }
}

fn location(response: &Response) -> Option<&str> {
    response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests;

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

/// Maximum number of cached clients.
const CLIENTS: usize = 50;

/// One request. Has no `Debug`: it may contain credentials.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    /// Headers that are only sent to the origin of `url`.
    pub secret: HeaderMap,
    pub body: Option<Vec<u8>>,
    /// Maximum duration of the request with its response. Defaults to that of the clients.
    pub limit: Option<Duration>,
}

impl Request {
    /// Creates a request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), secret: HeaderMap::new(), body: None, limit: None }
    }
}

/// Clients of the library, by the certificates that they use, and whether they use a proxy.
type Kept = HashMap<(Option<Digest>, bool), (Client, Instant)>;

/// The HTTP clients for one purpose.
pub struct Clients {
    guard: Arc<Guard>,
    times: Times,
    user_agent: String,
    /// Maximum number of idle connections to a host.
    idle: usize,
    proxies: Proxies,
    kept: Mutex<Kept>,
}

impl Clients {
    pub fn new(guard: Arc<Guard>, times: Times) -> Self {
        let (user_agent, kept) = (USER_AGENT.to_owned(), Mutex::default());
        Self { guard, times, user_agent, idle: 8, proxies: Proxies::default(), kept }
    }

    /// Sets another user agent.
    #[must_use]
    pub fn with_user_agent(self, user_agent: impl Into<String>) -> Self {
        Self { user_agent: user_agent.into(), ..self }
    }

    /// Sends a request to a URL, which is that of the request or the target of a redirect. Follows no redirect.
    pub async fn send(&self, trust: &Trust, request: &Request, url: &Url) -> Result<Response, Failure> {
        let Request { method, url: first, headers, secret, body, limit } = request;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::Redirected { why: "to a URL that is neither http nor https", to: None });
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

    /// Sends a request and follows redirects. A request that changes something is only followed if its method and body
    /// stay the same.
    pub async fn follow(
        &self,
        trust: &Trust,
        request: &Request,
        redirects: Redirects,
    ) -> Result<Response, Failure> {
        let mut url = request.url.clone();
        for _ in 0..=LIMIT {
            // A separate future: it is large, and would be a part of every run that may send a request.
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
        // Building it reads the authorities of the system from the disk.
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

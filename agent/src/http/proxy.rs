//! Which requests go through a proxy of the environment: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`.
//!
//! A proxy resolves names itself, so the guard sees no addresses, and the host of the proxy is set by the
//! administrator. I/O: environment.

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

/// The proxies of the environment.
pub struct Proxies(Matcher);

impl Default for Proxies {
    fn default() -> Self {
        Self(Matcher::from_env())
    }
}

impl Proxies {
    /// True if a request to this URL uses a proxy.
    pub fn cover(&self, url: &Url) -> bool {
        url.as_str().parse().is_ok_and(|uri| self.0.intercept(&uri).is_some())
    }
}

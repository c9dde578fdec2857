//! Sign-in with an OpenID Connect provider: the code flow with PKCE (RFC 7636), a state that is bound to the browser, and a nonce.
//!
//! The ID token comes from the token endpoint over TLS to the issuer, which OpenID Connect Core (3.1.3.7, rule 6) accepts in place of its
//! signature; so the issuer must be https. Leaves the claims to `token`. I/O: HTTP to the provider.

mod token;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderValue, Method, header};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

pub use self::token::{ClaimError, Names};
use self::token::{Claims, Expected};
use super::session::identifier;
use crate::cluster::people::Person;
use crate::http::{Clients, Failure, Redirects, Request, Trust, read};

/// Sign-ins that have begun. A further one takes the place of the oldest.
const BEGUN: usize = 1000;
/// How long a sign-in may take.
const LIFE: Duration = Duration::from_mins(10);
/// How long the endpoints of the provider are remembered.
const FRESH: Duration = Duration::from_hours(1);
/// Bytes of an answer of the provider.
const LARGEST: u64 = 256 * 1024;

/// The provider, and how this installation is known to it.
pub struct Provider {
    pub issuer: Url,
    pub client_id: String,
    pub client_secret: Option<Zeroizing<String>>,
    /// The address of `/login/callback`, as a browser reaches it.
    pub callback: Url,
    pub scopes: String,
    pub names: Names,
    pub clients: Clients,
    pub trust: Trust,
}

/// Sign-in with a provider.
pub struct Oidc {
    provider: Provider,
    endpoints: tokio::sync::Mutex<Option<(Endpoints, Instant)>>,
    begun: Mutex<HashMap<String, Begun>>,
}

/// A sign-in that has begun.
struct Begun {
    nonce: String,
    verifier: Zeroizing<String>,
    next: String,
    at: Instant,
}

#[derive(Clone, Deserialize)]
struct Endpoints {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// Where a browser goes to sign in.
pub struct Begin {
    pub url: String,
    /// Bound to the browser by a cookie.
    pub state: String,
}

/// Who has signed in.
pub struct SignedIn {
    pub person: Person,
    /// The API server may accept it as a credential.
    pub id_token: Zeroizing<String>,
    pub next: String,
}

/// Why a sign-in failed.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("cannot reach the provider {0}: {1}")]
    Unreachable(String, Failure),
    #[error("the provider {0} answered {1}; check the client id, its secret and its redirect URL {2}")]
    Refused(String, u16, String),
    #[error("the provider {0} did not answer as OpenID Connect requires: {1}")]
    Unreadable(String, &'static str),
    #[error("the sign-in was begun by another browser, or more than 10 minutes ago; begin again")]
    State,
    #[error("the provider did not sign you in: {0}")]
    Denied(String),
    #[error("the provider's token is not accepted: {0}")]
    Claims(#[from] ClaimError),
}

impl Oidc {
    pub fn new(provider: Provider) -> Self {
        Self { provider, endpoints: tokio::sync::Mutex::default(), begun: Mutex::default() }
    }

    /// The name of the provider.
    pub fn host(&self) -> &str {
        self.provider.issuer.host_str().unwrap_or_default()
    }

    /// Begins a sign-in that leads to the page `next`.
    pub async fn begin(&self, next: &str) -> Result<Begin, OidcError> {
        let endpoints = self.endpoints().await?;
        let mut url = Url::parse(&endpoints.authorization_endpoint)
            .map_err(|_| self.unreadable("its authorization endpoint is no URL"))?;
        let (state, nonce, verifier) = (identifier(), identifier(), identifier());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let Provider { client_id, callback, scopes, .. } = &self.provider;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", callback.as_str())
            .append_pair("scope", scopes)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let (verifier, next, at) = (Zeroizing::new(verifier), next.to_owned(), Instant::now());
        self.keep(state.clone(), Begun { nonce, verifier, next, at });
        Ok(Begin { url: url.into(), state })
    }

    fn keep(&self, state: String, one: Begun) {
        let mut all = self.begun.lock();
        all.retain(|_, begun| begun.at.elapsed() < LIFE);
        if all.len() >= BEGUN
            && let Some(oldest) = all.iter().min_by_key(|(_, begun)| begun.at).map(|(state, _)| state.clone())
        {
            all.remove(&oldest);
        }
        all.insert(state, one);
    }

    /// Ends a sign-in with what the provider sent: `state` and `code`, or `error`. `bound` is the state in the browser's cookie.
    pub async fn end(
        &self,
        state: &str,
        bound: &str,
        code: &str,
        error: &str,
        now: Timestamp,
    ) -> Result<SignedIn, OidcError> {
        let is_bound = !state.is_empty() && bool::from(state.as_bytes().ct_eq(bound.as_bytes()));
        let begun = self.begun.lock().remove(state).filter(|begun| is_bound && begun.at.elapsed() < LIFE);
        let Begun { nonce, verifier, next, .. } = begun.ok_or(OidcError::State)?;
        if code.is_empty() {
            return Err(OidcError::Denied(error.chars().take(200).collect()));
        }
        let endpoints = self.endpoints().await?;
        let Tokens { id_token } = self.exchange(&endpoints, code, &verifier).await?;
        let id_token = Zeroizing::new(id_token);
        let expected =
            Expected { issuer: &endpoints.issuer, client_id: &self.provider.client_id, nonce: &nonce, now };
        let person = Claims::read(&id_token)?.person(&expected, &self.provider.names)?;
        Ok(SignedIn { person, id_token, next })
    }

    async fn exchange(&self, endpoints: &Endpoints, code: &str, verifier: &str) -> Result<Tokens, OidcError> {
        let Provider { client_id, client_secret, callback, .. } = &self.provider;
        let url = Url::parse(&endpoints.token_endpoint)
            .map_err(|_| self.unreadable("its token endpoint is no URL"))?;
        if url.scheme() != self.provider.issuer.scheme() {
            return Err(self.unreadable("its token endpoint has another scheme than the issuer"));
        }
        let body = body(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", callback.as_str()),
            ("client_id", client_id),
            ("code_verifier", verifier),
        ]);
        let mut request = Request::new(Method::POST, url);
        request.body = Some(body);
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(header::CONTENT_TYPE, kind);
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(secret) = client_secret {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = Zeroizing::new(format!("{}:{}", encode(client_id), encode(secret)));
            let basic = format!("Basic {}", STANDARD.encode(pair.as_bytes()));
            let mut basic = HeaderValue::try_from(basic).map_err(|_| self.unreadable("the client secret"))?;
            basic.set_sensitive(true);
            request.secret.insert(header::AUTHORIZATION, basic);
        }
        self.ask(&request, "no ID token in the answer of its token endpoint").await
    }

    /// The endpoints of the provider (OpenID Connect Discovery 1.0).
    async fn endpoints(&self) -> Result<Endpoints, OidcError> {
        if let Some((endpoints, at)) = &*self.endpoints.lock().await
            && at.elapsed() < FRESH
        {
            return Ok(endpoints.clone());
        }
        let issuer = self.provider.issuer.as_str();
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|_| self.unreadable("the issuer is no URL"))?;
        let found: Endpoints =
            self.ask(&Request::new(Method::GET, url), "its configuration cannot be read").await?;
        if found.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
            return Err(self.unreadable("its configuration names another issuer"));
        }
        *self.endpoints.lock().await = Some((found.clone(), Instant::now()));
        Ok(found)
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        request: &Request,
        unreadable: &'static str,
    ) -> Result<T, OidcError> {
        let Provider { clients, trust, callback, .. } = &self.provider;
        let unreachable = |failure| OidcError::Unreachable(self.host().to_owned(), failure);
        let answer =
            Box::pin(clients.follow(trust, request, Redirects::SameOrigin)).await.map_err(unreachable)?;
        let status = answer.status();
        if !status.is_success() {
            let (host, callback) = (self.host().to_owned(), callback.to_string());
            return Err(OidcError::Refused(host, status.as_u16(), callback));
        }
        let body = Zeroizing::new(read(answer, LARGEST).await.map_err(unreachable)?);
        serde_json::from_slice(&body).map_err(|_| self.unreadable(unreadable))
    }

    fn unreadable(&self, why: &'static str) -> OidcError {
        OidcError::Unreadable(self.host().to_owned(), why)
    }
}

/// A form.
fn body(fields: &[(&str, &str)]) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
}

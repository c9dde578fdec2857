//! The login of a GitHub App: a token that is signed here, and the one that GitHub gives for it, which lasts an hour.
//!
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>. A token is asked for again before it
//! ends, once for all that wait for it. I/O: HTTP, through [`Web`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast_diff::digest::{Digest, Hasher};
use http::Method;
use jiff::Timestamp;
use parking_lot::Mutex;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::action::Action;
use super::dialect::call;
use super::web::{Call, Web};
use super::{ForgeError, Target, dialect};

/// How long a signed token lasts: GitHub takes at most ten minutes, and its clock may be another one.
const SIGNED: Duration = Duration::from_mins(9);
const SLACK: Duration = Duration::from_secs(30);
/// How long before its end a token is asked for again.
const EARLY: Duration = Duration::from_mins(5);
/// Tokens that are remembered.
const REMEMBERED: usize = 1000;

/// The private key of an App. Has no `Debug`.
pub struct App {
    id: String,
    key: RsaKeyPair,
    installation: Option<String>,
    /// Names the App, its key and its installation.
    login: Digest,
}

impl App {
    /// Reads the id (or client id) and the key of an App, in PKCS#1 or PKCS#8, and the id of an installation if it is known.
    pub fn read(id: &str, pem: &[u8], installation: Option<&str>) -> Result<Self, ForgeError> {
        let id = id.trim().to_owned();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
            return Err(ForgeError::BadAppId);
        }
        let installation = installation.map(str::trim).filter(|id| !id.is_empty());
        if installation.is_some_and(|id| !id.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(ForgeError::BadAppId);
        }
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| ForgeError::BadAppKey)?;
        let key = match &der {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            _ => return Err(ForgeError::BadAppKey),
        };
        let key = key.map_err(|_| ForgeError::BadAppKey)?;
        let mut login = Hasher::default();
        login.text(&id);
        login.bytes(pem);
        login.text(installation.unwrap_or_default());
        Ok(Self { id, key, installation: installation.map(ToOwned::to_owned), login: login.finish() })
    }

    /// A token that proves that its bearer has the key.
    fn signed(&self, now: Timestamp) -> Result<String, ForgeError> {
        let second = |time: Timestamp| time.as_second();
        let (from, until) = (
            second(now.saturating_sub(SLACK).unwrap_or(now)),
            second(now.saturating_add(SIGNED).unwrap_or(now)),
        );
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        let claims = json!({"iat": from, "exp": until, "iss": self.id}).to_string();
        let text = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        let signing = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature);
        signing.map_err(|_| ForgeError::BadAppKey)?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// A token of an installation, its end, and the name of the App.
#[derive(Clone)]
struct Token {
    text: String,
    until: Timestamp,
    slug: String,
}

impl Token {
    fn is_good(&self, now: Timestamp) -> bool {
        Duration::try_from(self.until.duration_since(now)).is_ok_and(|left| left > EARLY)
    }
}

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// The tokens of all Apps.
#[derive(Default)]
pub struct Tokens {
    all: Mutex<HashMap<String, Slot>>,
}

impl Tokens {
    /// A target with the token of an App. Whoever has the same App waits for the same token.
    pub async fn login(
        &self,
        web: &Web,
        target: Target,
        app: &App,
        now: Timestamp,
    ) -> Result<Target, ForgeError> {
        let target = Target { login: app.login, ..target };
        let slot = self.slot(target.key());
        let mut known = slot.lock().await;
        let token = match known.as_ref().filter(|token| token.is_good(now)) {
            Some(token) => token.clone(),
            None => ask(web, &target, app, now).await?,
        };
        *known = Some(token.clone());
        Ok(Target { token: token.text, bot: Some(token.slug), ..target })
    }

    /// Forgets a token that the forge has refused.
    pub fn forget(&self, target: &Target) {
        self.all.lock().remove(&target.key());
    }

    fn slot(&self, key: String) -> Slot {
        let mut all = self.all.lock();
        if all.len() >= REMEMBERED && !all.contains_key(&key) {
            all.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        all.entry(key).or_default().clone()
    }
}

async fn ask(web: &Web, target: &Target, app: &App, now: Timestamp) -> Result<Token, ForgeError> {
    let signed = Target { token: app.signed(now)?, ..target.clone() };
    let found = send(web, &signed, installation_of(target, app)).await.map_err(|error| match error {
        ForgeError::NotFound { repository, .. } => ForgeError::NotInstalled { repository },
        error => error,
    })?;
    let no_token = |said| ForgeError::NoAppToken { host: target.host(), said };
    let id = found["id"].as_i64().ok_or_else(|| no_token("it names no installation"))?;
    if found["suspended_at"].is_string() {
        return Err(no_token("the installation is suspended"));
    }
    let answer = send(web, &signed, token_of(target, id)).await?;
    let text = answer["token"].as_str().filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| no_token("its answer has none"))?.to_owned();
    let until = answer["expires_at"].as_str().and_then(|until| until.parse().ok());
    let until = until.ok_or_else(|| no_token("it does not say when the token ends"))?;
    let slug = found["app_slug"].as_str().unwrap_or_default().to_owned();
    Ok(Token { text, until, slug })
}

async fn send(web: &Web, target: &Target, call: Call) -> Result<Value, ForgeError> {
    let what = call.what;
    let answer = web.send(target, &dialect(target.provider).headers(&target.token), &call).await?;
    answer.map(|answer| answer.body).map_err(|refusal| refusal.into_error(target, what))
}

fn installation_of(target: &Target, app: &App) -> Call {
    let (owner, repository) = target.names();
    match &app.installation {
        Some(id) => call(Action::Login, Method::GET, &["app", "installations", id]),
        None => call(Action::Login, Method::GET, &["repos", owner, repository, "installation"]),
    }
}

/// For the one repository.
fn token_of(target: &Target, installation: i64) -> Call {
    let call = call(
        Action::Login,
        Method::POST,
        &["app", "installations", &installation.to_string(), "access_tokens"],
    );
    Call { body: Some(json!({"repositories": [target.names().1]})), ..call }
}

#[cfg(test)]
mod tests;

//! Authenticates at registries: anonymously, with user and password, or with a token, which is cached until it
//! expires.
//!
//! The authentication that a host requires is remembered, so that the next request is sent with it. Follows the token authentication
//! of the distribution specification, with its OAuth2 form for refresh tokens. I/O: HTTP.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::digest::{Digest, Hasher};
use http::{Method, StatusCode};
use parking_lot::Mutex;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use super::RequestError;
use super::answer::Answer;
use super::challenge::{Challenge, challenges};
use super::login::Credential;
use super::pace::Lane;
use super::target::{Purpose, Target};
use super::web::{RegistryRequest, Web};

/// The lifetime of a token whose response has none.
const UNSAID: Duration = Duration::from_mins(1);
/// Maximum time for which a token is kept.
const LONGEST: Duration = Duration::from_hours(12);
/// A token is not used within this time before it expires.
const MARGIN: Duration = Duration::from_secs(5);
/// Maximum number of hosts whose authentication scheme is kept.
const SCHEMES: usize = 2000;
/// Maximum number of tokens that are kept.
const TOKENS: usize = 2000;
/// Maximum size of a response with a token.
const ANSWER: usize = 1024 * 1024;

/// The known authentication schemes of hosts, and the tokens.
#[derive(Default)]
pub struct Sessions {
    doors: Mutex<HashMap<(String, Purpose, Lane), AuthScheme>>,
    tokens: Mutex<HashMap<Digest, Shared>>,
}

/// A token, locked while it is requested.
type Shared = Arc<tokio::sync::Mutex<Option<Token>>>;

/// The authentication that a host requires.
#[derive(Clone)]
enum AuthScheme {
    Basic,
    Bearer { realm: Url, service: Option<String>, scope: Scope },
}

/// The scope of a token.
#[derive(Clone)]
enum Scope {
    /// `repository:PATH:` and these actions.
    Repository(String),
    /// The same scope for all repositories.
    Fixed(String),
}

struct Token {
    header: String,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<Value>,
}

impl Sessions {
    /// Returns the header `Authorization` for the authentication scheme that the host is known to require.
    pub async fn known(
        &self,
        web: &Web,
        target: &Target<'_>,
        purpose: Purpose,
    ) -> Result<Option<String>, RequestError> {
        if let Some(Credential::Token(token)) = target.credential {
            return Ok(Some(format!("Bearer {token}")));
        }
        let key = (target.base.origin().ascii_serialization(), purpose, target.lane.clone());
        let door = self.doors.lock().get(&key).cloned();
        match door {
            None => Ok(None),
            Some(AuthScheme::Basic) => Ok(target.credential.and_then(Credential::basic)),
            Some(AuthScheme::Bearer { realm, service, scope }) => {
                let scope = scope.of(target);
                match self.token(web, target, &realm, service.as_deref(), &scope, None).await {
                    Ok(header) => Ok(Some(header)),
                    Err(trouble) if trouble.passes() => Err(trouble),
                    // The host may require another scheme now: it will respond with a challenge.
                    Err(_) => {
                        self.doors.lock().remove(&key);
                        Ok(None)
                    }
                }
            }
        }
    }

    /// Returns the header `Authorization` for a challenge, after `before` was rejected.
    pub async fn challenged(
        &self,
        web: &Web,
        target: &Target<'_>,
        purpose: Purpose,
        answer: &Answer,
        before: Option<&str>,
    ) -> Result<String, RequestError> {
        let found = challenges(&answer.headers);
        let of = |scheme: &str| found.iter().find(|challenge| challenge.scheme == scheme);
        let basic = target.credential.and_then(Credential::basic);
        // As Docker does: a token is preferred, since a registry verifies it faster than a password.
        let (door, header) = match (of("bearer"), of("basic"), basic) {
            (Some(_), _, _) if matches!(target.credential, Some(Credential::Token(_))) => {
                return Err(refused(target, answer));
            }
            (Some(challenge), _, _) => {
                let (realm, service, scope) = bearer(target, answer, challenge)?;
                let token = self.token(web, target, &realm, service.as_deref(), &scope, before).await?;
                (AuthScheme::Bearer { realm, service, scope: Scope::read(target, &scope) }, token)
            }
            (None, Some(_), Some(basic)) => (AuthScheme::Basic, basic),
            (None, None, _) if answer.is_page() => return Err(answer.unexpected("")),
            (None, _, _) => return Err(refused(target, answer)),
        };
        if before == Some(header.as_str()) {
            return Err(refused(target, answer));
        }
        let key = (target.base.origin().ascii_serialization(), purpose, target.lane.clone());
        let mut doors = self.doors.lock();
        if doors.len() >= SCHEMES {
            // Those that are still in use are learnt again.
            doors.clear();
        }
        doors.insert(key, door);
        Ok(header)
    }

    /// Returns a token other than `refused`; concurrent callers share one request.
    async fn token(
        &self,
        web: &Web,
        target: &Target<'_>,
        realm: &Url,
        service: Option<&str>,
        scope: &str,
        refused: Option<&str>,
    ) -> Result<String, RequestError> {
        let mut hasher = Hasher::default();
        [realm.as_str(), service.unwrap_or_default(), scope].into_iter().for_each(|text| hasher.text(text));
        // The credentials are a part of the key; and no tenant waits for a token that another one requests.
        let Lane { tenant, way } = &target.lane;
        hasher.text(tenant);
        hasher.text(&way.to_string());
        let shared = self.shared(hasher.finish());
        let mut kept = shared.lock().await;
        if let Some(Token { header, until }) = &*kept
            && *until > Instant::now()
            && refused != Some(header)
        {
            return Ok(header.clone());
        }
        let token = ask(web, target, realm, service, scope).await?;
        let header = token.header.clone();
        *kept = Some(token);
        Ok(header)
    }

    fn shared(&self, key: Digest) -> Shared {
        let mut tokens = self.tokens.lock();
        if tokens.len() >= TOKENS {
            let now = Instant::now();
            tokens.retain(|_, shared| {
                let Ok(token) = shared.try_lock() else { return true };
                token.as_ref().is_some_and(|token| token.until > now)
            });
            if tokens.len() >= TOKENS {
                // Those that are still in use are requested again.
                tokens.clear();
            }
        }
        tokens.entry(key).or_default().clone()
    }
}

impl Scope {
    fn read(target: &Target<'_>, scope: &str) -> Self {
        let path = format!("repository:{}:", target.repository.path());
        match scope.strip_prefix(&path) {
            Some(actions) if !actions.contains(' ') => Self::Repository(actions.to_owned()),
            _ => Self::Fixed(scope.to_owned()),
        }
    }

    fn of(&self, target: &Target<'_>) -> String {
        match self {
            Self::Repository(actions) => format!("repository:{}:{actions}", target.repository.path()),
            Self::Fixed(scope) => scope.clone(),
        }
    }
}

/// Returns the realm, service and scope of a challenge.
fn bearer(
    target: &Target<'_>,
    answer: &Answer,
    challenge: &Challenge,
) -> Result<(Url, Option<String>, String), RequestError> {
    let Challenge { scheme: _, parameters } = challenge;
    let realm = parameters.get("realm").and_then(|realm| target.base.join(realm).ok());
    let Some(realm) = realm.filter(|realm| realm.has_host() && realm.username().is_empty()) else {
        return Err(answer.unexpected("its challenge has no realm"));
    };
    let plain = realm.scheme() == "http" && target.insecure;
    if realm.scheme() != "https" && !plain {
        return Err(RequestError::TokensWithoutTls { host: answer.host.clone() });
    }
    let scope = parameters.get("scope").filter(|scope| !scope.is_empty()).cloned();
    let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", target.repository.path()));
    Ok((realm, parameters.get("service").cloned(), scope))
}

async fn ask(
    web: &Web,
    target: &Target<'_>,
    realm: &Url,
    service: Option<&str>,
    scope: &str,
) -> Result<Token, RequestError> {
    let mut ask = target.ask(Method::GET, realm.clone(), ANSWER);
    if let Some(Credential::Identity(token)) = target.credential {
        ask.method = Method::POST;
        let mut form = vec![("grant_type", "refresh_token"), ("client_id", "holdfast")];
        form.extend(service.map(|service| ("service", service)));
        form.extend([("scope", scope), ("refresh_token", token.as_str())]);
        ask.form = Some(form);
    } else {
        let mut query = ask.url.query_pairs_mut();
        query.extend_pairs(service.map(|service| ("service", service)));
        query.extend_pairs(scope.split_whitespace().map(|scope| ("scope", scope)));
        drop(query);
        ask.authorization = target.credential.and_then(Credential::basic);
    }
    granted(web, target, &ask).await
}

async fn granted(web: &Web, target: &Target<'_>, ask: &RegistryRequest<'_>) -> Result<Token, RequestError> {
    let asked = Instant::now();
    let answer = web.ask(ask).await?;
    match answer.status {
        status if status.is_success() => {}
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(refused(target, &answer));
        }
        _ => return Err(answer.refused()),
    }
    // The message of the parser could contain a token.
    let granted = serde_json::from_slice(&answer.body);
    let no_token = || answer.unexpected("its token server returned no token");
    let Granted { token, access_token, expires_in } = granted.map_err(|_| no_token())?;
    let given = |token: Option<String>| token.filter(|token| !token.is_empty());
    let token = given(token).or(given(access_token)).ok_or_else(no_token)?;
    let life = expires_in.and_then(|life| life.as_f64().or_else(|| life.as_str()?.parse().ok()));
    let life = life.and_then(|life| Duration::try_from_secs_f64(life).ok()).unwrap_or(UNSAID).min(LONGEST);
    Ok(Token { header: format!("Bearer {token}"), until: asked + life.saturating_sub(MARGIN) })
}

/// Returns the error for credentials that are rejected or missing.
pub fn refused(target: &Target<'_>, answer: &Answer) -> RequestError {
    let (host, said) = (answer.host.clone(), answer.said());
    match target.credential {
        Some(_) => RequestError::LoginRefused { host, status: answer.status.as_u16(), said },
        None => RequestError::LoginNeeded { host, said },
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use http::HeaderMap;

    use super::super::{Access, Repository};
    use super::*;

    fn found(insecure: bool, realm: &str) -> String {
        let access = Access { insecure, ..Access::of(Repository::parse("a.example.com/team/app").unwrap()) };
        let target = Target::all(&access, 1).unwrap().remove(0);
        let parameters = BTreeMap::from([("realm".to_owned(), realm.to_owned())]);
        let challenge = Challenge { scheme: "bearer".to_owned(), parameters };
        let (host, headers, status) =
            ("a.example.com".to_owned(), HeaderMap::new(), StatusCode::UNAUTHORIZED);
        let answer = Answer { host, status, headers, body: Vec::new() };
        match bearer(&target, &answer, &challenge) {
            Ok((realm, _, scope)) => format!("{realm} {scope}"),
            Err(trouble) => trouble.to_string(),
        }
    }

    #[test]
    fn a_login_is_not_sent_in_the_clear() {
        for (insecure, realm, expected) in [
            (
                false,
                "https://auth.example.com/token",
                "https://auth.example.com/token repository:team/app:pull",
            ),
            (false, "/token", "https://a.example.com/token repository:team/app:pull"),
            (true, "http://auth.example.com/token", "http://auth.example.com/token repository:team/app:pull"),
            (
                false,
                "http://auth.example.com/token",
                "a.example.com issues tokens at a URL without TLS, so the login is not sent",
            ),
            (
                true,
                "ftp://auth.example.com/token",
                "a.example.com issues tokens at a URL without TLS, so the login is not sent",
            ),
        ] {
            assert_eq!(found(insecure, realm), expected);
        }
        for realm in ["mailto:a", "https://u:p@auth.example.com/", "https://"] {
            assert!(found(true, realm).contains("has no realm"), "{realm}");
        }
    }

    #[test]
    fn a_scope_is_known_for_other_repositories() {
        let access = |path: &str| Access::of(Repository::parse(&format!("a.example.com/{path}")).unwrap());
        let (here, there) = (access("team/app"), access("b"));
        let target = |access| Target::all(access, 1).unwrap().remove(0);
        for (scope, expected) in [
            ("repository:team/app:metadata_read", "repository:b:metadata_read"),
            ("repository:team/app:pull,push", "repository:b:pull,push"),
            ("*", "*"),
            (
                "repository:team/app:pull repository:team/base:pull",
                "repository:team/app:pull repository:team/base:pull",
            ),
        ] {
            assert_eq!(Scope::read(&target(&here), scope).of(&target(&there)), expected);
        }
    }
}

//! The requests of all logins to all forges: one write after the other for each login, none while a forge asks to wait, and
//! what is left of its limits.
//!
//! ImageUpdates and reviews use the same session, so the limits of a login that both have are kept for both. A login is that
//! of whoever has its Secret: the writes of other logins wait for nothing here. I/O: HTTP.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode, header};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::app::Tokens;
use super::login::{By, Login};
use super::pace::{Pace, Speed};
use super::web::{Answer, Call, Refusal, Web};
use super::{ForgeError, Target, dialect};
use crate::api::Forge;
use crate::http::Guard;

/// Logins that are remembered.
const REMEMBERED: usize = 1000;
/// The time between two writes to GitHub, which asks for a second.
const GAP: Duration = Duration::from_secs(1);
/// Writes in an hour: GitHub allows 500, and other programs may use the login.
const HOURLY: usize = 450;

/// Stands where the token of an App will be.
const UNUSED: &str = "-";

/// What is left of the limit of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub remaining: i64,
    pub limit: i64,
    pub reset: Option<Timestamp>,
}

/// What is remembered of a login.
#[derive(Default)]
struct Known {
    /// Held while a write is under way.
    turn: tokio::sync::Mutex<()>,
    pace: Mutex<Pace>,
    rate: Mutex<Option<Rate>>,
}

/// The requests of all logins.
pub struct Session {
    web: Web,
    tokens: Tokens,
    known: Mutex<HashMap<String, Arc<Known>>>,
    gap: Duration,
}

impl Default for Session {
    /// With the guard's own rules.
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl Session {
    /// `guard` says which servers may be connected to.
    pub fn new(guard: Arc<Guard>) -> Self {
        Self { web: Web::new(guard), tokens: Tokens::default(), known: Mutex::default(), gap: GAP }
    }

    /// The same with another time between two writes.
    #[must_use]
    pub fn with_gap(self, gap: Duration) -> Self {
        Self { gap, ..self }
    }

    /// A repository at a forge, with a login. `git` is the URL of the repository, and `api` that of the forge or its API, if it is
    /// not at the host of the repository. A GitHub App gets a token here, if it has none that is still valid.
    pub async fn target(
        &self,
        forge: Forge,
        git: &str,
        api: Option<&str>,
        login: &Login,
        now: Timestamp,
    ) -> Result<Target, ForgeError> {
        let api = api.or_else(|| login.base());
        match login.by() {
            By::Token(token) => Target::parse(forge, git, api, token, login.ca()),
            By::App(_) if forge != Forge::GitHub => Err(ForgeError::NoApps { provider: forge }),
            By::App(app) => {
                let target = Target::parse(forge, git, api, UNUSED, login.ca())?;
                self.tokens.login(&self.web, target, app, now).await
            }
        }
    }

    /// What is left of the limit of a login, as the forge said last.
    pub fn rate(&self, target: &Target) -> Option<Rate> {
        *self.known(target).rate.lock()
    }

    /// Reads. `tag` is the entity tag of what is known already.
    pub(super) async fn read(
        &self,
        target: &Target,
        call: &Call,
        tag: Option<&str>,
    ) -> Result<Result<Answer, Refusal>, ForgeError> {
        let known = self.known(target);
        let tag = tag.map(|tag| (header::IF_NONE_MATCH, tag.to_owned()));
        self.send(target, call, tag, &known).await
    }

    /// Writes, after the last write of the login has ended.
    pub(super) async fn write(
        &self,
        target: &Target,
        call: &Call,
    ) -> Result<Result<Answer, Refusal>, ForgeError> {
        let known = self.known(target);
        let _turn = known.turn.lock().await;
        let speed = match target.provider {
            Forge::GitHub => Speed { gap: self.gap, hourly: HOURLY },
            Forge::GitLab | Forge::Gitea => Speed { gap: Duration::ZERO, hourly: usize::MAX },
        };
        let wait = known.pace.lock().turn(Instant::now(), speed);
        tokio::time::sleep(wait.map_err(|after| busy(target, after))?).await;
        let sent = self.send(target, call, None, &known).await;
        if target.provider == Forge::GitHub && sent.is_ok() {
            known.pace.lock().wrote(Instant::now());
        }
        sent
    }

    async fn send(
        &self,
        target: &Target,
        call: &Call,
        tag: Option<(HeaderName, String)>,
        known: &Known,
    ) -> Result<Result<Answer, Refusal>, ForgeError> {
        if let Some(after) = known.pace.lock().busy(Instant::now()) {
            return Err(busy(target, after));
        }
        let mut headers = dialect(target.provider).headers(&target.token);
        headers.extend(tag);
        let sent = self.web.send(target, &headers, call).await?;
        let (Ok(Answer { headers, .. }) | Err(Refusal { headers, .. })) = &sent;
        note(known, headers);
        match &sent {
            Err(refusal) if refusal.is_limit() => {
                let after = refusal.retry_after(Timestamp::now());
                let after = known.pace.lock().refuse(Instant::now(), after);
                Err(busy(target, after))
            }
            Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED && target.is_app() => {
                self.tokens.forget(target);
                Ok(sent)
            }
            _ => {
                known.pace.lock().answered();
                Ok(sent)
            }
        }
    }

    fn known(&self, target: &Target) -> Arc<Known> {
        let key = format!("{} {}", target.login, target.api);
        let mut all = self.known.lock();
        if all.len() >= REMEMBERED && !all.contains_key(&key) {
            let now = Instant::now();
            // What is in use, or must not be used yet, is kept.
            all.retain(|_, known| Arc::strong_count(known) > 1 || known.pace.lock().busy(now).is_some());
        }
        all.entry(key).or_default().clone()
    }
}

fn busy(target: &Target, after: Duration) -> ForgeError {
    ForgeError::Busy { host: target.host(), after }
}

/// Remembers what is left of a limit.
fn note(known: &Known, headers: &HeaderMap) {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let either =
        |name: &str| number(&format!("x-ratelimit-{name}")).or_else(|| number(&format!("ratelimit-{name}")));
    let (Some(remaining), Some(limit)) = (either("remaining"), either("limit")) else { return };
    let reset = either("reset").and_then(|seconds| Timestamp::from_second(seconds).ok());
    *known.rate.lock() = Some(Rate { remaining, limit, reset });
}

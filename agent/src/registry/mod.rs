//! The client of OCI registries, for images, charts and artifacts: tags, digests, creation times, and the content of a layer.
//!
//! Follows the distribution specification and its token authentication. A repository is listed once in each interval for all
//! callers with the same access and login, and the rate limits of a host are honoured. Limits, pauses and failures are kept for each
//! tenant, login and way to the host. Selects nothing, and knows no cluster: Secrets are passed in. I/O: HTTP.

mod access;
mod answer;
mod artifact;
mod ask;
mod challenge;
mod digest;
mod error;
mod link;
mod login;
mod manifest;
mod memory;
mod pace;
mod rate;
mod repository;
mod session;
mod tags;
mod target;
mod web;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jiff::Timestamp;
use tracing::info;

pub use access::Access;
pub use digest::ImageDigest;
pub use error::{RegistryError, Trouble};
pub use login::Login;
pub use rate::Rate;
pub use repository::Repository;
pub use tags::Tags;

use crate::http::{Guard, USER_AGENT};
use ask::Asker;
use memory::Memory;
use session::Sessions;
use target::Target;
use web::Web;

/// Hears of every request: the host, and `ok` or a name of what went wrong.
pub type OnRequest = Arc<dyn Fn(&str, &'static str) + Send + Sync>;

/// How registries are asked.
#[derive(Clone)]
pub struct Options {
    pub user_agent: String,
    /// Which servers may be connected to.
    pub guard: Arc<Guard>,
    pub on_request: OnRequest,
    /// How many requests one host gets at the same time, from each tenant and login.
    pub concurrency: usize,
    /// How many requests one host gets in a second, from each tenant and login.
    pub rate: u32,
    /// How many tags a repository may have, and how many bytes the list of them.
    pub tags: usize,
    pub bytes: usize,
    /// How often a request is tried that failed for a reason that may pass, and how long to wait before the second time.
    pub tries: u32,
    pub backoff: Duration,
    /// How long a request waits for a host that wants to be left alone, before it fails.
    pub patience: Duration,
    /// A number from 0 to 1.
    pub chance: fn() -> f64,
}

/// All registries of the process.
pub struct Registries {
    web: Web,
    sessions: Sessions,
    memory: Memory,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user_agent: USER_AGENT.to_owned(),
            guard: Arc::default(),
            on_request: Arc::new(|_, _| {}),
            concurrency: 8,
            rate: 100,
            tags: 500_000,
            bytes: 64 * 1024 * 1024,
            tries: 3,
            backoff: Duration::from_millis(500),
            patience: Duration::from_secs(10),
            chance: fastrand::f64,
        }
    }
}

impl Registries {
    pub fn new(options: Options) -> Self {
        Self { web: Web::new(options), sessions: Sessions::default(), memory: Memory::default() }
    }

    /// The tags of a repository. It is asked unless an answer is not older than `max_age`; callers of one tenant at the same
    /// time share one request. A registry that hangs holds a caller no longer than `limit`.
    pub async fn list(
        &self,
        access: &Access,
        max_age: Duration,
        limit: Duration,
    ) -> Result<Arc<Tags>, RegistryError> {
        let started = Instant::now();
        within(access, limit, async {
            let slot = self.memory.slot(access.id(), max_age, started);
            let turn = slot.turn(&access.tenant);
            let mut failed = turn.lock().await;
            if let Some((asked, tags)) = &slot.answers().listed
                && (asked.elapsed() < max_age || *asked >= started)
            {
                return Ok(tags.clone());
            }
            // A request that waited while another one of its tenant failed takes the same answer.
            if let Some((_, error)) = failed.as_ref().filter(|(answered, _)| *answered >= started) {
                return Err(error.clone());
            }
            let asked = Instant::now();
            let known = slot.answers().known.clone();
            let found = self.each(access, |asker| {
                let known = known.clone();
                Box::pin(async move { asker.tags(known.as_ref()).await })
            });
            match found.await {
                Ok((tags, known)) => {
                    let mut answers = slot.answers();
                    answers.known = known;
                    answers.forget_others(&tags);
                    answers.listed = Some((asked, tags.clone()));
                    Ok(tags)
                }
                Err(error) => {
                    *failed = Some((Instant::now(), error.clone()));
                    Err(error)
                }
            }
        })
        .await
    }

    /// The digest of what a tag names now: of an index, not of one of its platforms. What was asked within `max_age` is not
    /// asked again.
    pub async fn digest(
        &self,
        access: &Access,
        tag: &str,
        max_age: Duration,
        limit: Duration,
    ) -> Result<ImageDigest, RegistryError> {
        let asked = Instant::now();
        within(access, limit, async {
            let slot = self.memory.slot(access.id(), max_age, asked);
            if let Some(digest) = slot.answers().digest(tag, max_age) {
                return Ok(digest);
            }
            let digest = self.each(access, |asker| {
                let tag = tag.to_owned();
                Box::pin(async move { asker.digest(&tag).await })
            });
            let digest = digest.await?;
            slot.answers().keep_digest(tag, asked, digest.clone());
            Ok(digest)
        })
        .await
    }

    /// When the image of a tag was created. What was asked within `max_age` is not asked again while the tag is listed.
    pub async fn created(
        &self,
        access: &Access,
        tag: &str,
        max_age: Duration,
        limit: Duration,
    ) -> Result<Timestamp, RegistryError> {
        let now = Instant::now();
        within(access, limit, async {
            let slot = self.memory.slot(access.id(), max_age, now);
            if let Some(found) = slot.answers().created(tag, max_age) {
                return found.map_err(|trouble| trouble.at(&access.repository));
            }
            let time = self.each(access, |asker| {
                let tag = tag.to_owned();
                Box::pin(async move { asker.created(&tag).await })
            });
            let time = time.await;
            match &time {
                Ok(time) => slot.answers().keep_created(tag, Ok(*time)),
                Err(error) if error.trouble.is_of_tag() => {
                    slot.answers().keep_created(tag, Err(error.trouble.clone()));
                }
                Err(_) => {}
            }
            time
        })
        .await
    }

    /// The content of the first layer of a media type in the artifact of a tag, of which the digest was checked. `limit` is
    /// how many bytes it may have. Nothing of it is kept.
    pub async fn layer(
        &self,
        access: &Access,
        tag: &str,
        kind: &'static str,
        limit: u64,
        time: Duration,
    ) -> Result<Vec<u8>, RegistryError> {
        let content = self.each(access, |asker| {
            let tag = tag.to_owned();
            Box::pin(async move { asker.layer(&tag, kind, limit).await })
        });
        within(access, time, content).await
    }

    /// The same connections, with separate limits, pauses, tokens and answers: its callers do not wait for any other
    /// else.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { web: self.web.apart(), sessions: Sessions::default(), memory: Memory::default() }
    }

    /// What each host reported last of its limits. Docker Hub is `registry-1.docker.io`.
    pub fn rates(&self) -> HashMap<String, Rate> {
        self.web.hosts.rates()
    }

    /// Asks the mirrors and then the repository, until one of them answers.
    async fn each<T>(
        &self,
        access: &Access,
        ask: impl for<'a> Fn(&'a Asker<'a>) -> BoxFuture<'a, Result<T, Trouble>>,
    ) -> Result<T, RegistryError> {
        let Self { web, sessions, memory: _ } = self;
        let targets =
            Target::all(access, web.options.tries).map_err(|trouble| trouble.at(&access.repository))?;
        let mut failed = Trouble::Client("there is no registry to contact".to_owned());
        for target in targets {
            let asker = Asker { web, sessions, target };
            match ask(&asker).await {
                Ok(found) => return Ok(found),
                Err(trouble) => failed = trouble,
            }
            if asker.target.repository != &access.repository {
                info!(mirror = %asker.target.repository, error = %failed, "Mirror does not answer");
            }
        }
        Err(failed.at(&access.repository))
    }
}

async fn within<T>(
    access: &Access,
    limit: Duration,
    asking: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, RegistryError> {
    let late = |_| Trouble::Timeout { seconds: limit.as_secs() }.at(&access.repository);
    tokio::time::timeout(limit, asking).await.map_err(late)?
}

#[cfg(test)]
mod tests;

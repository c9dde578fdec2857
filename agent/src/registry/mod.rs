//! The client of OCI registries, for images, charts and artifacts: tags, digests, creation times, and the content of a layer.
//!
//! Follows the distribution specification and its token authentication. A repository is listed once in each interval
//! for all callers with the same access and credentials, and the rate limits of a host are honoured. Limits, pauses and
//! failures are kept for each tenant, its credentials and the connection settings of the host. Selects no tag, and
//! knows no cluster: Secrets are passed in. I/O: HTTP.

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
pub use error::{RegistryError, RequestError};
pub use login::Login;
pub use rate::Rate;
pub use repository::Repository;
pub use tags::Tags;

use crate::http::{Guard, USER_AGENT};
use ask::RepositoryClient;
use memory::Memory;
use session::Sessions;
use target::Target;
use web::Web;

/// Called after every request with the host, and `ok` or the name of the error.
pub type OnRequest = Arc<dyn Fn(&str, &'static str) + Send + Sync>;

/// The settings for requests to registries.
#[derive(Clone)]
pub struct Options {
    pub user_agent: String,
    /// Decides which servers may be connected to.
    pub guard: Arc<Guard>,
    pub on_request: OnRequest,
    /// Maximum number of concurrent requests to one host, for each tenant and credentials.
    pub concurrency: usize,
    /// Maximum number of requests to one host in a second, for each tenant and credentials.
    pub rate: u32,
    /// Maximum number of tags of a repository, and maximum size of the list in bytes.
    pub tags: usize,
    pub bytes: usize,
    /// Maximum number of attempts for a request that fails temporarily, and the pause before the second one.
    pub tries: u32,
    pub backoff: Duration,
    /// Maximum time for which a request waits for the end of a pause, before it fails.
    pub patience: Duration,
    /// Returns a random number from 0 to 1.
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

    /// Returns the tags of a repository. Sends a request unless the last response is at most `max_age` old; concurrent
    /// callers of one tenant share one request. A registry that does not respond delays a caller for `limit` at most.
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
            // A request that waited while another one of its tenant failed returns the same error.
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

    /// Returns the current digest of a tag: of the index, not of one of its platforms. A response of at most `max_age`
    /// is used without a request.
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

    /// Returns when the image of a tag was created. A response of at most `max_age` is used without a request while
    /// the tag is listed.
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

    /// Returns the content of the first layer of a media type in the artifact of a tag, after its digest was verified.
    /// `limit` is the maximum number of bytes. The content is not cached.
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

    /// Returns a client on the same connections, with separate limits, pauses, tokens and responses: its callers do not
    /// wait for others.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { web: self.web.apart(), sessions: Sessions::default(), memory: Memory::default() }
    }

    /// Returns the rate limit that each host reported last. Docker Hub is `registry-1.docker.io`.
    pub fn rates(&self) -> HashMap<String, Rate> {
        self.web.hosts.rates()
    }

    /// Tries the mirrors and then the repository, until one of them succeeds.
    async fn each<T>(
        &self,
        access: &Access,
        ask: impl for<'a> Fn(&'a RepositoryClient<'a>) -> BoxFuture<'a, Result<T, RequestError>>,
    ) -> Result<T, RegistryError> {
        let Self { web, sessions, memory: _ } = self;
        let targets =
            Target::all(access, web.options.tries).map_err(|trouble| trouble.at(&access.repository))?;
        let mut failed = RequestError::Client("there is no registry to contact".to_owned());
        for target in targets {
            let asker = RepositoryClient { web, sessions, target };
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
    let late = |_| RequestError::Timeout { seconds: limit.as_secs() }.at(&access.repository);
    tokio::time::timeout(limit, asking).await.map_err(late)?
}

#[cfg(test)]
mod tests;

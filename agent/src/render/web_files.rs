//! Files behind URLs that kustomizations name, such as `https://.../install.yaml`: fetched once for each commit and URL.
//!
//! The content that was fetched for a commit stays the content of that commit: it is cached on disk, and its digest is in the
//! status of the Sync. Newer content behind the same URL is used by the next commit. I/O: HTTP, disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::digest::{Digest, Hasher};
use holdfast_kustomize::remote;
use http::{StatusCode, header};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::RenderError;
use super::ask::Answer;
use super::helm::cache::{Cache, sha256};
use super::helm::web::{self, Get, Web};
use super::helm::{HelmError, Login};
use crate::api::RemoteStatus;
use crate::error::Class;
use crate::http::{Guard, retry_after};

/// Bytes of one file.
const LIMIT: u64 = 16 * 1024 * 1024;
/// How long one request may take with its answer.
const TIME: Duration = Duration::from_secs(30);
/// The longest pause that a server may request.
const PAUSE: Duration = Duration::from_hours(1);
/// Maximum number of servers with a requested pause.
const PAUSES: usize = 256;
/// How long, and for how many URLs, missing files are cached.
const ABSENT: Duration = Duration::from_mins(10);
const ABSENTS: usize = 1000;
/// Maximum number of files on disk, and of entries that map a commit to one.
const CONTENTS: usize = 128;
const RECORDS: usize = 5000;
/// The error of a server that does not answer, or requests a pause.
const UNAVAILABLE: &str = "RemoteUnavailable";

/// A file that a render requests.
pub struct Wanted<'a> {
    pub url: &'a str,
    /// The commit that is rendered; empty for a working tree.
    pub commit: &'a str,
    /// The trust domain that may read the cached file.
    pub domain: &'a str,
    pub login: Option<&'a Login>,
    /// What the status of the Sync has recorded.
    pub recorded: &'a [RemoteStatus],
}

/// Fetches and caches files.
pub struct WebFiles {
    web: Web,
    /// The digests of contents, by commit and URL.
    records: Cache,
    contents: Cache,
    /// One request at a time for the same file.
    lines: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
    pauses: Mutex<HashMap<Digest, Instant>>,
    /// URLs that are not files, with the reason: most are those of repositories.
    absent: Mutex<HashMap<Digest, (Instant, String)>>,
}

/// The content behind a URL.
enum Fetched {
    File(Vec<u8>),
    /// There is no file, with the reason.
    Nothing(String),
}

impl WebFiles {
    pub fn new(cache: &std::path::Path, guard: Arc<Guard>) -> Self {
        let folder = cache.join("files");
        Self {
            web: Web::new(guard),
            records: Cache::at(folder.join("commits")).keeping(RECORDS),
            contents: Cache::at(folder.join("contents")).keeping(CONTENTS),
            lines: Mutex::default(),
            pauses: Mutex::default(),
            absent: Mutex::default(),
        }
    }

    /// Returns the file as it was for the commit. The first render of a commit fetches it, and later ones use the same content.
    pub async fn get(&self, wanted: &Wanted<'_>) -> Result<Answer, RenderError> {
        let key = wanted.key(&[wanted.commit, wanted.url]);
        let line = self.line(key);
        let _turn = line.lock().await;
        let own = wanted.recorded.iter().find(|one| one.url == wanted.url);
        let pinned = own.filter(|one| !wanted.commit.is_empty() && one.fetched_for == wanted.commit);
        let known = match pinned.and_then(|one| one.digest.clone()) {
            Some(digest) => Some(digest.trim_start_matches("sha256:").to_owned()),
            None => self.record(wanted, key).await,
        };
        if let Some(digest) = &known
            && let Some(bytes) = self.content(wanted, digest).await
        {
            return Ok(answer(bytes, own));
        }
        let place = wanted.key(&[wanted.url]);
        if let Some(why) = self.absence(place) {
            return Ok(Answer::NoFile(why));
        }
        let bytes = match self.fetch(wanted).await? {
            Fetched::File(bytes) => bytes,
            Fetched::Nothing(why) => {
                self.absent.lock().insert(place, (Instant::now(), why.clone()));
                return Ok(Answer::NoFile(why));
            }
        };
        let digest = sha256(&bytes);
        if let Some(known) = known.filter(|known| *known != digest) {
            let said = format!(
                "{} has other content (sha256:{digest}) than when this commit was rendered first (sha256:{known}), which is no \
                 longer kept: push a commit to use the new content, or restore the file behind the URL",
                wanted.url
            );
            return Err(RenderError::of(vec![said]));
        }
        self.keep(wanted, key, &digest, &bytes).await?;
        Ok(answer(bytes, own))
    }

    /// Returns the digest of the current content behind the URL, if it can be read.
    pub async fn look(&self, wanted: &Wanted<'_>) -> Option<String> {
        match self.fetch(wanted).await {
            Ok(Fetched::File(bytes)) => Some(format!("sha256:{}", sha256(&bytes))),
            _ => None,
        }
    }

    async fn fetch(&self, wanted: &Wanted<'_>) -> Result<Fetched, RenderError> {
        let Wanted { url, login, .. } = *wanted;
        let parsed = web::parse(url).map_err(|error| unread(url, error))?;
        let server = wanted.key(&[&parsed.origin().ascii_serialization()]);
        if let Some(left) = self.pause(server) {
            return Err(unavailable(url, &format!("the server asks to wait for {} s", left.as_secs() + 1)));
        }
        let authorization = login.and_then(Login::authorization);
        let get =
            Get { url: &parsed, login, foreign: false, authorization, headers: Vec::new(), limit: LIMIT };
        let answered = tokio::time::timeout(TIME, self.web.get(get)).await;
        let answered = answered.map_err(|_| {
            unavailable(url, &format!("the server has not sent the file within {} s", TIME.as_secs()))
        })?;
        let answer = answered.map_err(|error| unread(url, error))?;
        let is_git = remote::parse(url).is_some() && !is_file_name(parsed.path());
        let status = answer.status;
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let mut said = format!("the server answers with {status}");
            if let Some(pause) =
                retry_after(&answer.headers, Timestamp::now()).filter(|pause| !pause.is_zero())
            {
                let pause = pause.min(PAUSE);
                self.pauses.lock().insert(server, Instant::now() + pause);
                said = format!("{said} and asks to wait for {} s", pause.as_secs());
            }
            return Err(unavailable(url, &said));
        }
        let why = match status {
            _ if status.is_success() && !is_page(answer.header(&header::CONTENT_TYPE), &answer.body) => {
                return Ok(Fetched::File(answer.body));
            }
            _ if status.is_success() => format!(
                "{url} answers with a web page instead of a file: if it requires a login, set a Secret in \
                 spec.render.kustomize.remotes; for a forge, write the URL of the raw file"
            ),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => format!(
                "{url} answers with {status}: set a Secret with a login that may read it in spec.render.kustomize.remotes"
            ),
            _ => format!("{url} answers with {status}: correct the URL"),
        };
        if is_git { Ok(Fetched::Nothing(why)) } else { Err(RenderError::of(vec![why])) }
    }

    fn line(&self, key: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut lines = self.lines.lock();
        lines.retain(|_, line| Arc::strong_count(line) > 1);
        lines.entry(key).or_default().clone()
    }

    /// Returns how long no request may be made to a server.
    fn pause(&self, server: Digest) -> Option<Duration> {
        let (mut pauses, now) = (self.pauses.lock(), Instant::now());
        pauses.retain(|_, until| *until > now);
        if pauses.len() > PAUSES {
            pauses.clear();
        }
        pauses.get(&server).map(|until| *until - now)
    }

    /// Returns the cached reason why there is no file.
    fn absence(&self, place: Digest) -> Option<String> {
        let mut absent = self.absent.lock();
        absent.retain(|_, (since, _)| since.elapsed() < ABSENT);
        if absent.len() > ABSENTS {
            absent.clear();
        }
        absent.get(&place).map(|(_, why)| why.clone())
    }

    /// Returns the digest of the content for a commit.
    async fn record(&self, wanted: &Wanted<'_>, key: Digest) -> Option<String> {
        if wanted.commit.is_empty() {
            return None;
        }
        let records = self.records.clone();
        let found = blocking(move || records.get(&key.to_string())).await.ok()??;
        String::from_utf8(found.1).ok()
    }

    async fn content(&self, wanted: &Wanted<'_>, digest: &str) -> Option<Vec<u8>> {
        let (contents, key) = (self.contents.clone(), wanted.key(&[digest]).to_string());
        let (stored, bytes) = blocking(move || contents.get(&key)).await.ok()??;
        (stored.digest == digest).then_some(bytes)
    }

    async fn keep(
        &self,
        wanted: &Wanted<'_>,
        key: Digest,
        digest: &str,
        bytes: &[u8],
    ) -> Result<(), RenderError> {
        if wanted.commit.is_empty() {
            return Ok(());
        }
        let (contents, records) = (self.contents.clone(), self.records.clone());
        let (content, digest, bytes) = (wanted.key(&[digest]).to_string(), digest.to_owned(), bytes.to_vec());
        let put = blocking(move || {
            contents.put(&content, &bytes)?;
            records.put(&key.to_string(), digest.as_bytes())
        });
        put.await?.map(|_| ()).map_err(RenderError::from)
    }
}

impl Wanted<'_> {
    /// Returns a key that depends on the domain and the login.
    fn key(&self, parts: &[&str]) -> Digest {
        let mut hasher = Hasher::default();
        hasher.text(self.domain);
        hasher.text(&self.login.map(|login| login.id().to_string()).unwrap_or_default());
        parts.iter().for_each(|part| hasher.text(part));
        hasher.finish()
    }
}

/// Returns the content of a file, with a warning if it differs from that of an earlier commit.
fn answer(bytes: Vec<u8>, before: Option<&RemoteStatus>) -> Answer {
    let digest = format!("sha256:{}", sha256(&bytes));
    let other = before.filter(|before| before.digest.as_ref().is_some_and(|before| *before != digest));
    let warning = other.map(|before| {
        format!(
            "{} has other content than at commit {}: {digest} in place of {}; this commit takes it",
            before.url,
            before.fetched_for,
            before.digest.as_deref().unwrap_or_default()
        )
    });
    Answer::File { digest, bytes, warning }
}

/// Explains why no answer could be read.
fn unread(url: &str, error: HelmError) -> RenderError {
    match error {
        HelmError::Download { said, .. } => unavailable(url, &said),
        HelmError::BadUrl { url, why } => RenderError::of(vec![format!("{url} cannot be fetched: {why}")]),
        HelmError::BadLogin(said) => RenderError::of(vec![format!("{url}: {said}")]),
        other => other.into(),
    }
}

fn unavailable(url: &str, said: &str) -> RenderError {
    RenderError::outside(Class::Transient, UNAVAILABLE, format!("{url}: {said}"))
}

/// True for a URL whose last part has the name of a file of manifests: it is not tried as a repository.
fn is_file_name(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    [".yaml", ".yml", ".json"].iter().any(|extension| path.ends_with(extension))
}

/// True for a web page.
fn is_page(content_type: Option<&str>, body: &[u8]) -> bool {
    let start = &body[..body.len().min(512)];
    let start =
        String::from_utf8_lossy(start).trim_start_matches('\u{FEFF}').trim_start().to_ascii_lowercase();
    let is_html = start.starts_with("<!doctype html") || start.starts_with("<html");
    let has_type =
        content_type.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"));
    is_html || (has_type && start.starts_with('<'))
}

/// Runs blocking work on a blocking thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RenderError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| RenderError::internal(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_from_a_file_by_its_content() {
        for (kind, body, expected) in [
            (Some("text/html; charset=utf-8"), "<div>Log in</div>", true),
            (Some("text/html"), "apiVersion: v1", false),
            (None, "\u{FEFF}\n<!DOCTYPE html><html>", true),
            (Some("text/plain"), "<HTML>", true),
            (Some("application/yaml"), "# <html>\nkind: A", false),
        ] {
            assert_eq!(is_page(kind, body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn other_content_than_before_is_a_warning() {
        let before = RemoteStatus {
            url: "https://a.example.com/i.yaml".to_owned(),
            reference: None,
            commit: None,
            digest: Some("sha256:00".to_owned()),
            fetched_for: "1".to_owned(),
        };
        let warned = |before: Option<&RemoteStatus>| match answer(b"a: 1".to_vec(), before) {
            Answer::File { warning, .. } => warning,
            _ => None,
        };
        assert!(warned(Some(&before)).is_some_and(|said| said.contains("in place of sha256:00")));
        let same = RemoteStatus { digest: Some(format!("sha256:{}", sha256(b"a: 1"))), ..before };
        assert_eq!((warned(Some(&same)), warned(None)), (None, None));
    }
}

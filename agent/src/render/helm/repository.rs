//! Chart repositories over HTTP: an index, and archives beside it. The index is fetched with its ETag and cached on disk,
//! together with the entries of each chart that were read from it.
//!
//! I/O: HTTP, disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{StatusCode, header};
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::cache::{key, sha256};
use super::index::{Entry, Listing};
use super::web::{self, Download, Get};
use super::{HelmError, Login};

/// Maximum size of an index. That of Bitnami has 30 MB.
const INDEX: u64 = 64 * 1024 * 1024;
/// Number of indexes in memory above which old ones are forgotten.
const SLOTS: usize = 1000;
const FILE: &str = "index.yaml";
const STATE: &str = "state.json";

/// The indexes of all repositories, on disk.
pub struct Indexes {
    folder: PathBuf,
    /// Indexes are fetched again after this time.
    age: Duration,
    asked: Mutex<HashMap<String, Arc<Mutex<Option<Instant>>>>>,
}

/// The state of a cached index.
#[derive(Clone, Serialize, Deserialize)]
struct State {
    etag: Option<String>,
    modified: Option<String>,
    /// SHA-256 of its text.
    digest: String,
}

/// The entries of one chart in an index.
#[derive(Serialize, Deserialize)]
struct Read {
    /// Of the index.
    digest: String,
    listing: Listing,
}

impl Indexes {
    pub fn at(folder: PathBuf, age: Duration) -> Self {
        Self { folder, age, asked: Mutex::default() }
    }

    /// Returns the entries of a chart in the index of a repository. Requests at the same time share one answer.
    pub async fn find(&self, download: &Download<'_>, base: &Url, name: &str) -> Result<Listing, HelmError> {
        let key = key(&[base.as_str().trim_end_matches('/')], download.login);
        let folder = self.folder.join(&key);
        let slot = self.slot(key).await;
        let mut asked = slot.lock().await;
        let known: Option<State> = load(&folder.join(STATE)).filter(|_| folder.join(FILE).is_file());
        let fresh = asked.is_some_and(|at| at.elapsed() < self.age);
        let state = match known {
            Some(known) if fresh => known,
            known => {
                let state = ask(download, base, known, &folder).await?;
                *asked = Some(Instant::now());
                state
            }
        };
        let (url, name) = (base.to_string(), name.to_owned());
        let read = tokio::task::spawn_blocking(move || read(&url, &folder, &state, &name)).await;
        let listing =
            read.map_err(|error| HelmError::Io { doing: "read an index", said: error.to_string() })?;
        if listing.is_err() {
            *asked = None;
        }
        listing
    }
}

impl Indexes {
    /// Returns the slot of an index. If there are many, old and unused ones are forgotten.
    async fn slot(&self, key: String) -> Arc<Mutex<Option<Instant>>> {
        let mut all = self.asked.lock().await;
        if all.len() >= SLOTS {
            all.retain(|_, slot| {
                let asked = slot.try_lock().ok();
                asked.is_none_or(|asked| asked.is_some_and(|at| at.elapsed() < self.age))
            });
        }
        all.entry(key).or_default().clone()
    }
}

/// Fetches an index, if it has changed since it was cached.
async fn ask(
    download: &Download<'_>,
    base: &Url,
    known: Option<State>,
    folder: &Path,
) -> Result<State, HelmError> {
    let url = join(base, FILE)?;
    let mut headers = vec![(header::ACCEPT_ENCODING, "gzip".to_owned())];
    if let Some(State { etag, modified, digest: _ }) = &known {
        let conditions = [(header::IF_NONE_MATCH, etag), (header::IF_MODIFIED_SINCE, modified)];
        headers.extend(conditions.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    }
    let Download { web, login } = download;
    let authorization = login.and_then(Login::authorization);
    let answer = web
        .get(Get { url: &url, login: *login, foreign: false, authorization, headers, limit: INDEX })
        .await?;
    let answer = answer.success(&url)?;
    if answer.status == StatusCode::NOT_MODIFIED {
        let said = "it is said to be unchanged, but was never read".to_owned();
        return known.ok_or_else(|| HelmError::BadIndex { url: url.to_string(), said });
    }
    let text = |name| answer.header(name).map(ToOwned::to_owned);
    let (etag, modified) = (text(&header::ETAG), text(&header::LAST_MODIFIED));
    let state = State { etag, modified, digest: sha256(&answer.body) };
    store(&folder.join(FILE), &answer.body)?;
    store(&folder.join(STATE), &json(&state)?)?;
    Ok(state)
}

/// Reads the entries of a chart from an index on disk, or from the cache of earlier reads.
fn read(url: &str, folder: &Path, state: &State, name: &str) -> Result<Listing, HelmError> {
    let path = folder.join(format!("{}.json", sha256(name.as_bytes())));
    if let Some(Read { digest, listing }) = load(&path)
        && digest == state.digest
    {
        return Ok(listing);
    }
    let failed = HelmError::io("read an index of the cache folder");
    let text = std::fs::read(folder.join(FILE)).map_err(&failed)?;
    if sha256(&text) != state.digest {
        std::fs::remove_file(folder.join(STATE)).map_err(&failed)?;
        return Err(failed(std::io::Error::other("it is damaged, and will be fetched again")));
    }
    let listing = Listing::find(&text, name)
        .map_err(|said| HelmError::BadIndex { url: format!("{url}{FILE}"), said })?;
    // Names that are not in the index are not cached, since there can be any number of them.
    if !listing.entries.is_empty() {
        let read = Read { digest: state.digest.clone(), listing };
        store(&path, &json(&read)?)?;
        return Ok(read.listing);
    }
    Ok(listing)
}

fn load<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, HelmError> {
    serde_json::to_vec(value).map_err(|error| HelmError::io("keep an index")(error.into()))
}

fn store(path: &Path, bytes: &[u8]) -> Result<(), HelmError> {
    let failed = HelmError::io("keep an index in the cache folder");
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(&failed)?;
    let aside = tempfile::NamedTempFile::new_in(folder).map_err(&failed)?;
    std::fs::write(aside.path(), bytes).map_err(&failed)?;
    aside.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Fetches an archive and checks its digest, if the index has one. The login goes to the repository alone.
pub async fn archive(
    download: &Download<'_>,
    base: &Url,
    entry: &Entry,
    limit: u64,
) -> Result<Vec<u8>, HelmError> {
    let first = entry.urls.first().ok_or_else(|| no_url(base, &entry.version))?;
    let url = join(base, first)?;
    let Download { web, login } = download;
    let same = url.origin() == base.origin();
    let authorization = login.filter(|_| same).and_then(Login::authorization);
    let get = Get { url: &url, login: *login, foreign: !same, authorization, headers: Vec::new(), limit };
    let answer = web.get(get).await?;
    let body = answer.success(&url)?.body;
    if let Some(expected) = &entry.digest {
        check_digest(url.as_str(), expected, &body)?;
    }
    Ok(body)
}

pub fn check_digest(url: &str, expected: &str, bytes: &[u8]) -> Result<(), HelmError> {
    let expected = expected.trim_start_matches("sha256:").to_lowercase();
    let found = sha256(bytes);
    if expected == found {
        return Ok(());
    }
    Err(HelmError::DigestMismatch { url: url.to_owned(), expected, found })
}

/// A URL relative to a repository, whose own path is a folder.
fn join(base: &Url, text: &str) -> Result<Url, HelmError> {
    let mut folder = base.clone();
    if !folder.path().ends_with('/') {
        folder.set_path(&format!("{}/", base.path()));
    }
    let joined = folder
        .join(text)
        .map_err(|error| HelmError::BadUrl { url: text.to_owned(), why: error.to_string() })?;
    web::parse(joined.as_str())
}

fn no_url(base: &Url, version: &str) -> HelmError {
    HelmError::BadIndex { url: base.to_string(), said: format!("version {version} has no URL") }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn archives_are_beside_the_index_or_elsewhere() {
        let base = Url::parse("https://charts.example.com/stable").unwrap();
        for (text, expected) in [
            ("index.yaml", "https://charts.example.com/stable/index.yaml"),
            ("charts/a.tgz", "https://charts.example.com/stable/charts/a.tgz"),
            ("/a.tgz", "https://charts.example.com/a.tgz"),
            ("https://cdn.example.com/a.tgz", "https://cdn.example.com/a.tgz"),
        ] {
            assert_eq!(join(&base, text).unwrap().as_str(), expected);
        }
        assert!(join(&base, "file:///etc/passwd").is_err());
        assert!(join(&base, "https://a:b@cdn.example.com/a.tgz").is_err());
    }
}

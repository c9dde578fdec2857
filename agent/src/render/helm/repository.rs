//! Chart repositories over HTTP: an index, and archives beside it. The index is asked for with its ETag, and what was read
//! of it is kept on disk, short.
//!
//! I/O: HTTP, disk.

use std::collections::BTreeMap;

use http::{StatusCode, header};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::fetch::Download;
use super::range::{self, Range};
use super::web::{self, Get};
use super::{HelmError, Login};

/// How large an index may be. That of Bitnami has 30 MB.
const INDEX: u64 = 64 * 1024 * 1024;
/// How deep an index may be nested.
const DEPTH: usize = 100;
/// How many names an error shows.
const SHOWN: usize = 10;

/// What is kept of an index.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Index {
    etag: Option<String>,
    modified: Option<String>,
    pub charts: BTreeMap<String, Vec<Entry>>,
}

/// One version of a chart.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Entry {
    pub version: String,
    #[serde(default)]
    pub urls: Vec<String>,
    /// SHA-256, 64 hex digits. Not every index has it.
    #[serde(default)]
    pub digest: Option<String>,
}

/// The form of `index.yaml`, as far as it is read.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    entries: BTreeMap<String, Option<Vec<Entry>>>,
}

/// The index of a repository, by what is known of it: asked for, and unchanged if the server says so.
pub async fn index(download: &Download<'_>, base: &Url, known: Option<Index>) -> Result<Index, HelmError> {
    let url = join(base, "index.yaml")?;
    let mut headers = vec![(header::ACCEPT_ENCODING, "gzip".to_owned())];
    if let Some(known) = &known {
        let conditions = [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.modified)];
        headers.extend(conditions.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    }
    let Download { web, login } = download;
    let authorization = login.and_then(Login::authorization);
    let answer = web.get(Get { url: &url, login: *login, authorization, headers, limit: INDEX }).await?;
    let answer = answer.success(&url)?;
    if answer.status == StatusCode::NOT_MODIFIED {
        return known.ok_or_else(|| bad(&url, "it is said to be unchanged, but was never read".to_owned()));
    }
    let text = |name| answer.header(name).map(ToOwned::to_owned);
    let (etag, modified) = (text(&header::ETAG), text(&header::LAST_MODIFIED));
    let body = answer.body;
    let parsed = tokio::task::spawn_blocking(move || parse(&url, &body)).await;
    let charts =
        parsed.map_err(|error| HelmError::Io { doing: "read an index", said: error.to_string() })??;
    Ok(Index { etag, modified, charts })
}

fn bad(url: &Url, said: String) -> HelmError {
    HelmError::BadIndex { url: url.to_string(), said }
}

fn parse(url: &Url, text: &[u8]) -> Result<BTreeMap<String, Vec<Entry>>, HelmError> {
    let text = str::from_utf8(text).map_err(|error| bad(url, error.to_string()))?;
    // The size is limited already, and large ones are wanted; the depth is what could do harm.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_depth: DEPTH,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    let written: Written = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| bad(url, error.to_string().lines().next().unwrap_or_default().to_owned()))?;
    Ok(written.entries.into_iter().map(|(name, entries)| (name, entries.unwrap_or_default())).collect())
}

impl Index {
    /// The version of a chart that is asked for: exactly this one, or the highest in a range.
    pub fn choose(&self, base: &Url, name: &str, wanted: &str) -> Result<&Entry, HelmError> {
        let entries = self.charts.get(name).filter(|entries| !entries.is_empty());
        let entries = entries.ok_or_else(|| self.not_found(base, name))?;
        if let Some(exact) = entries.iter().find(|entry| entry.version == wanted) {
            return Ok(exact);
        }
        let range = parse_range(wanted)?;
        let versions = || entries.iter().map(|entry| entry.version.as_str());
        let highest = range.highest(versions());
        highest
            .and_then(|version| entries.iter().find(|entry| entry.version == version))
            .ok_or_else(|| no_version(base.as_str(), name, wanted, versions()))
    }

    fn not_found(&self, base: &Url, name: &str) -> HelmError {
        let names: Vec<&str> = self.charts.keys().map(String::as_str).collect();
        let more = names.len().saturating_sub(SHOWN);
        let near = match (names.is_empty(), more) {
            (true, _) => "; the repository is empty".to_owned(),
            (false, 0) => format!("; it has {}", names.join(", ")),
            (false, more) => format!("; it has {} and {more} more", names[..SHOWN].join(", ")),
        };
        HelmError::ChartNotFound { chart: name.to_owned(), place: base.to_string(), near }
    }
}

pub fn parse_range(text: &str) -> Result<Range, HelmError> {
    Range::parse(text).map_err(|error| HelmError::BadRange { range: text.to_owned(), why: error.to_string() })
}

/// No version fits: names the newest, and the newest prerelease if it is newer.
pub fn no_version<'a>(
    place: &str,
    chart: &str,
    range: &str,
    versions: impl Iterator<Item = &'a str>,
) -> HelmError {
    let mut all: Vec<_> = versions.filter_map(|text| Some((range::version(text)?, text))).collect();
    all.sort();
    let newest = |all: &[(semver::Version, &str)]| all.last().map(|(_, text)| (*text).to_owned());
    let released: Vec<_> = all.iter().filter(|(version, _)| version.pre.is_empty()).cloned().collect();
    let newest = match (newest(&released), newest(&all)) {
        (Some(release), Some(any)) if release != any => {
            format!("the newest is {release}, and of prereleases {any}")
        }
        (Some(release), _) => format!("the newest is {release}"),
        (None, Some(any)) => {
            format!("there are prereleases only, the newest is {any}: write a range such as >=0.0.0-0")
        }
        (None, None) => "it has none at all".to_owned(),
    };
    HelmError::NoVersion { chart: chart.to_owned(), place: place.to_owned(), range: range.to_owned(), newest }
}

/// Fetches an archive and checks its digest, if the index has one. The login goes to the repository alone.
pub async fn archive(
    download: &Download<'_>,
    base: &Url,
    entry: &Entry,
    limit: u64,
) -> Result<Vec<u8>, HelmError> {
    let first =
        entry.urls.first().ok_or_else(|| bad(base, format!("version {} has no URL", entry.version)))?;
    let url = join(base, first)?;
    let Download { web, login } = download;
    let same = url.origin() == base.origin();
    let authorization = login.filter(|_| same).and_then(Login::authorization);
    let answer = web.get(Get { url: &url, login: *login, authorization, headers: Vec::new(), limit }).await?;
    let body = answer.success(&url)?.body;
    if let Some(expected) = &entry.digest {
        check_digest(url.as_str(), expected, &body)?;
    }
    Ok(body)
}

pub fn check_digest(url: &str, expected: &str, bytes: &[u8]) -> Result<(), HelmError> {
    let expected = expected.trim_start_matches("sha256:").to_lowercase();
    let found = super::cache::sha256(bytes);
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const TEXT: &str = r#"apiVersion: v1
entries:
  web:
  - version: 1.2.0
    name: web
    created: "2024-01-01T00:00:00Z"
    dependencies: [{name: x, version: 1.x.x, repository: "https://example.com"}]
    digest: 0a
    urls: [web-1.2.0.tgz]
  - {version: v1.10.0, urls: ["https://cdn.example.com/web-1.10.0.tgz"]}
  - {version: 2.0.0-rc.1, urls: [charts/web-2.0.0-rc.1.tgz]}
  - {version: nonsense, urls: []}
  empty:
generated: "2024-01-01T00:00:00Z"
"#;

    fn base() -> Url {
        Url::parse("https://charts.example.com/stable").unwrap()
    }

    fn index() -> Index {
        Index { etag: None, modified: None, charts: parse(&base(), TEXT.as_bytes()).unwrap() }
    }

    #[test]
    fn the_highest_version_of_a_range_is_chosen() {
        let index = index();
        let choose = |wanted| index.choose(&base(), "web", wanted).map(|entry| entry.version.as_str());
        assert_eq!(choose("1"), Ok("v1.10.0"));
        assert_eq!(choose("1.2.0"), Ok("1.2.0"));
        assert_eq!(choose("1.10.0"), Ok("v1.10.0"));
        assert_eq!(choose("2.0.0-rc.1"), Ok("2.0.0-rc.1"));
        assert_eq!(choose(">=1-0"), Ok("2.0.0-rc.1"));
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let index = index();
        let said = |name, wanted| index.choose(&base(), name, wanted).unwrap_err().to_string();
        let place = "https://charts.example.com/stable";
        assert_eq!(said("wep", "1"), format!("there is no chart wep at {place}; it has empty, web"));
        assert_eq!(
            said("web", "3"),
            format!(
                "the chart web at {place} has no version in 3; the newest is v1.10.0, and of prereleases 2.0.0-rc.1"
            )
        );
        assert!(said("web", "newest").contains("newest is not a range of versions"));
        assert!(said("empty", "1").contains("there is no chart empty"));
    }

    #[test]
    fn what_is_no_index_is_told() {
        assert!(
            parse(&base(), b"<html><body>hello: [")
                .unwrap_err()
                .to_string()
                .contains("is no index of charts")
        );
        assert!(parse(&base(), b"- a").is_err());
    }

    #[test]
    fn archives_are_beside_the_index_or_elsewhere() {
        for (text, expected) in [
            ("index.yaml", "https://charts.example.com/stable/index.yaml"),
            ("charts/a.tgz", "https://charts.example.com/stable/charts/a.tgz"),
            ("/a.tgz", "https://charts.example.com/a.tgz"),
            ("https://cdn.example.com/a.tgz", "https://cdn.example.com/a.tgz"),
        ] {
            assert_eq!(join(&base(), text).unwrap().as_str(), expected);
        }
        assert!(join(&base(), "file:///etc/passwd").is_err());
        assert!(join(&base(), "https://a:b@cdn.example.com/a.tgz").is_err());
    }
}

//! The archives of charts: from the cache, or from their repositories.
//!
//! I/O: HTTP, disk.

use std::path::PathBuf;

use holdfast_diff::range;

use super::cache::key;
use super::metadata::{self, Metadata};
use super::oci::Registry;
use super::repository;
use super::web::{self, Download};
use super::{ChartSource, HelmError, Login, Runner, archive};

/// The archive to fetch.
pub(super) struct Archive {
    pub path: PathBuf,
    pub version: String,
    pub digest: String,
}

impl Runner {
    /// Returns the archive of a chart, from the cache if it is there.
    pub(super) async fn download(
        &self,
        source: &ChartSource<'_>,
    ) -> Result<(Metadata, Archive, Vec<u8>), HelmError> {
        match *source {
            ChartSource::Folder { path, .. } => {
                Err(HelmError::BadUrl { url: path.display().to_string(), why: "it is a folder".to_owned() })
            }
            ChartSource::Repository { url, name, version, login } => {
                self.of_repository(url, name, version, login).await
            }
            ChartSource::Oci { url, version, login, plain_http } => {
                self.of_registry(url, version, login, plain_http).await
            }
        }
    }

    async fn of_repository(
        &self,
        url: &str,
        name: &str,
        wanted: &str,
        login: Option<&Login>,
    ) -> Result<(Metadata, Archive, Vec<u8>), HelmError> {
        let key = |version: &str| key(&[url.trim_end_matches('/'), name, version], login);
        if range::is_exact(wanted)
            && let Some(found) = self.cached(&key(wanted), wanted)
        {
            return Ok(found);
        }
        let base = web::parse(url)?;
        let download = Download { web: &self.web, login };
        let listing = self.indexes.find(&download, &base, name).await?;
        let entry = listing.choose(url, name, wanted)?;
        let promised =
            entry.digest.as_ref().map(|digest| digest.trim_start_matches("sha256:").to_lowercase());
        if let Some(found) = self.cached(&key(&entry.version), &entry.version)
            && promised.is_none_or(|promised| promised == found.1.digest)
        {
            return Ok(found);
        }
        let bytes = repository::archive(&download, &base, entry, self.limits.archive).await?;
        self.keep(&key(&entry.version), name, &entry.version, bytes)
    }

    async fn of_registry(
        &self,
        url: &str,
        wanted: &str,
        login: Option<&Login>,
        plain: bool,
    ) -> Result<(Metadata, Archive, Vec<u8>), HelmError> {
        // Requests to different registries do not wait for each other.
        let registry = Registry::of(self.registries.apart(), url, login, plain)?;
        let version = registry.choose(wanted).await?;
        // An archive that was fetched without TLS is only used for requests without TLS.
        let scheme = if plain { "http" } else { "" };
        let key = key(&[url.trim_end_matches('/'), "", &version, scheme], login);
        if let Some(found) = self.cached(&key, &version) {
            return Ok(found);
        }
        let bytes = registry.archive(&version, self.limits.archive).await?;
        self.keep(&key, &registry.name, &version, bytes)
    }

    /// Returns an archive from the cache, if it is there and not damaged.
    fn cached(&self, key: &str, version: &str) -> Option<(Metadata, Archive, Vec<u8>)> {
        let (stored, bytes) = self.charts.get(key)?;
        let metadata = read(&stored.path.display().to_string(), &bytes).ok()?;
        let archive = Archive { path: stored.path, version: version.to_owned(), digest: stored.digest };
        Some((metadata, archive, bytes))
    }

    /// Stores an archive if it contains the expected chart.
    fn keep(
        &self,
        key: &str,
        name: &str,
        version: &str,
        bytes: Vec<u8>,
    ) -> Result<(Metadata, Archive, Vec<u8>), HelmError> {
        let shown = format!("{name}-{version}.tgz");
        let metadata = read(&shown, &bytes)?;
        if metadata.name != name {
            let said = format!("it is the chart {} {}", metadata.name, metadata.version);
            return Err(HelmError::BadChart { file: shown, said });
        }
        let stored = self.charts.put(key, &bytes)?;
        let archive = Archive { path: stored.path, version: version.to_owned(), digest: stored.digest };
        Ok((metadata, archive, bytes))
    }
}

/// The name and version in an archive.
fn read(shown: &str, bytes: &[u8]) -> Result<Metadata, HelmError> {
    let entries = archive::entries(shown, bytes)?;
    let none = || HelmError::BadChart { file: shown.to_owned(), said: "it has no Chart.yaml".to_owned() };
    let file = archive::metadata(&entries).ok_or_else(none)?;
    metadata::chart(&format!("{shown}: Chart.yaml"), &file.bytes)
}

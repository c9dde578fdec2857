//! Gets charts onto the disk: out of the tree, out of the cache, or from where they are published.
//!
//! I/O: HTTP, disk.

use std::path::PathBuf;

use holdfast_diff::digest::Hasher;
use holdfast_diff::range;

use super::dependencies::{self, Added, Folder};
use super::metadata::{self, Metadata};
use super::oci::Registry;
use super::repository;
use super::web::{self, Web};
use super::{Chart, ChartSource, HelmError, Login, Runner, archive, tree};

/// How something is fetched.
pub(super) struct Download<'a> {
    pub web: &'a Web,
    pub login: Option<&'a Login>,
}

/// Which archive was fetched.
pub(super) struct Archive {
    pub path: PathBuf,
    pub version: String,
    pub digest: String,
}

impl Runner {
    /// Gets a chart onto the disk. One that was asked for by its exact version and is in the cache costs no request.
    pub async fn fetch(&self, source: ChartSource<'_>) -> Result<Chart, HelmError> {
        let ChartSource::Folder { path, root, logins } = source else {
            let (chart, archive, _) = self.download(&source).await?;
            let Archive { path, digest, .. } = archive;
            let Metadata { name, version, .. } = chart;
            return Ok(Chart {
                name,
                version,
                digest: Some(digest),
                root: path.clone(),
                place: path,
                made_of: Vec::new(),
                _folder: None,
            });
        };
        let root = root.canonicalize().map_err(HelmError::io("read the tree"))?;
        if !path.exists() {
            let place = path.strip_prefix(&root).unwrap_or(path).display().to_string();
            return Err(HelmError::ChartNotFound { chart: "in git".to_owned(), place, near: String::new() });
        }
        let place = tree::inside(path, &root)?;
        let mut tree = tree::read(&place, &root)?;
        let shown = place.strip_prefix(&root).unwrap_or(&place).join("Chart.yaml").display().to_string();
        let Some(file) = archive::metadata(&tree.files) else {
            let place = shown.trim_end_matches("/Chart.yaml").to_owned();
            let near = "; it has no Chart.yaml".to_owned();
            return Err(HelmError::ChartNotFound { chart: "in git".to_owned(), place, near });
        };
        let metadata = metadata::chart(&shown, &file.bytes)?;
        let folder = Folder { root: &root, logins };
        let added = dependencies::complete(self, &folder, &place, &metadata, &mut tree.files, 0).await?;
        let Metadata { name, version, .. } = metadata;
        let Added { any, fetched: made_of } = added;
        if !any && !tree.linked {
            return Ok(Chart { name, version, digest: None, made_of, place, root, _folder: None });
        }
        let folder = self.folder()?;
        archive::unpack(&tree.files, folder.path())?;
        let place = folder.path().to_path_buf();
        Ok(Chart { name, version, digest: None, made_of, root: place.clone(), place, _folder: Some(folder) })
    }

    /// An archive of a chart, out of the cache if it is there.
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
        // Nobody waits for a registry that another one asks.
        let registry = Registry::of(self.registries.apart(), url, login, plain)?;
        let version = registry.choose(wanted).await?;
        // What came without TLS is only for those who ask without it.
        let scheme = if plain { "http" } else { "" };
        let key = key(&[url.trim_end_matches('/'), "", &version, scheme], login);
        if let Some(found) = self.cached(&key, &version) {
            return Ok(found);
        }
        let bytes = registry.archive(&version, self.limits.archive).await?;
        self.keep(&key, &registry.name, &version, bytes)
    }

    /// An archive of the cache, if it is there and sound.
    fn cached(&self, key: &str, version: &str) -> Option<(Metadata, Archive, Vec<u8>)> {
        let (stored, bytes) = self.charts.get(key)?;
        let metadata = read(&stored.path.display().to_string(), &bytes).ok()?;
        let archive = Archive { path: stored.path, version: version.to_owned(), digest: stored.digest };
        Some((metadata, archive, bytes))
    }

    /// Keeps an archive that is the chart that it should be.
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

/// What an archive says of itself.
fn read(shown: &str, bytes: &[u8]) -> Result<Metadata, HelmError> {
    let entries = archive::entries(shown, bytes)?;
    let none = || HelmError::BadChart { file: shown.to_owned(), said: "it has no Chart.yaml".to_owned() };
    let file = archive::metadata(&entries).ok_or_else(none)?;
    metadata::chart(&format!("{shown}: Chart.yaml"), &file.bytes)
}

/// The name of a file of the cache. What one login may see, another may not.
pub(super) fn key(parts: &[&str], login: Option<&Login>) -> String {
    let mut hasher = Hasher::default();
    parts.iter().for_each(|part| hasher.text(part));
    if let Some(login) = login {
        hasher.text(&login.id().to_string());
    }
    hasher.finish().to_string()
}

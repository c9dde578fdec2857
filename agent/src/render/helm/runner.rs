//! The one place that runs Helm and fetches charts, for the whole process.
//!
//! I/O: HTTP, disk, a subprocess.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use holdfast_diff::digest::Hasher;
use reqwest::Url;
use semver::Version;
use tokio::sync::{Mutex, OnceCell, Semaphore};
use tracing::{debug, warn};

use super::cache::Cache;
use super::dependencies::{self, Folder};
use super::metadata::{self, Metadata};
use super::oci::Registry;
use super::repository::{self, Index};
use super::web::{self, Web};
use super::{Chart, ChartSource, HelmError, Limits, Login, NEEDED, archive, command, range, tree};

/// How Helm is run, and where charts are kept.
pub struct Runner {
    program: PathBuf,
    pub(super) limits: Limits,
    pub(super) permits: Semaphore,
    /// Folders of single runs.
    work: PathBuf,
    charts: Cache,
    indexes: PathBuf,
    web: Web,
    version: OnceCell<Version>,
    /// When each index was asked for.
    asked: Mutex<HashMap<String, Arc<Mutex<Option<Instant>>>>>,
}

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
    /// `program` is a path, or a name that is looked for in `PATH` here and now. Everything below `cache` can be deleted
    /// while nothing runs.
    pub fn new(program: &Path, cache: &Path, limits: Limits) -> Self {
        let work = cache.join("helm-runs");
        clean(&work);
        Self {
            program: found(program),
            permits: Semaphore::new(limits.parallel.max(1)),
            limits,
            work,
            charts: Cache::at(cache.join("charts")),
            indexes: cache.join("chart-indexes"),
            web: Web::default(),
            version: OnceCell::new(),
            asked: Mutex::default(),
        }
    }

    /// The version of Helm, of which the first call finds out. An error is not remembered: a mended image is seen.
    pub async fn version(&self) -> Result<&Version, HelmError> {
        self.version.get_or_try_init(|| self.ask_version()).await
    }

    async fn ask_version(&self) -> Result<Version, HelmError> {
        let home = self.folder()?;
        let arguments = ["version", "--template", "{{.Version}}"].map(OsString::from);
        let output = command::run(&self.program, &arguments, home.path(), &self.limits).await?;
        let program = self.program.display().to_string();
        let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let Some(version) = range::version(&found) else {
            let found = found.chars().take(100).collect::<String>();
            let said = format!("it says that it is version {found:?}");
            return Err(HelmError::HelmMissing { program, said, needed: NEEDED });
        };
        if range::version(NEEDED).is_some_and(|needed| version < needed) {
            return Err(HelmError::HelmTooOld { program, found, needed: NEEDED });
        }
        debug!(program, %version, "Found Helm");
        Ok(version)
    }

    /// Runs Helm with these arguments, in a home of its own.
    pub(super) async fn run(
        &self,
        arguments: &[OsString],
        home: &Path,
    ) -> Result<command::Output, HelmError> {
        command::run(&self.program, arguments, home, &self.limits).await
    }

    /// A folder that nobody else can read and that is gone afterwards.
    pub(super) fn folder(&self) -> Result<tempfile::TempDir, HelmError> {
        let failed = HelmError::io("make a folder for Helm in the cache folder");
        std::fs::create_dir_all(&self.work).map_err(&failed)?;
        let prefix = format!("{}-", std::process::id());
        tempfile::Builder::new().prefix(&prefix).tempdir_in(&self.work).map_err(failed)
    }

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
                folder: None,
            });
        };
        let root = root.canonicalize().map_err(HelmError::io("read the tree"))?;
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
        if !added && !tree.linked {
            return Ok(Chart { name, version, digest: None, place, root, _folder: None });
        }
        let folder = self.folder()?;
        archive::unpack(&tree.files, folder.path())?;
        let place = folder.path().to_path_buf();
        Ok(Chart { name, version, digest: None, root: place.clone(), place, _folder: Some(folder) })
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
                self.from_repository(url, name, version, login).await
            }
            ChartSource::Oci { url, version, login, plain_http } => {
                self.from_registry(url, version, login, plain_http).await
            }
        }
    }

    async fn from_repository(
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
        let index = self.index(&download, &base).await?;
        let entry = index.choose(&base, name, wanted)?;
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

    async fn from_registry(
        &self,
        url: &str,
        wanted: &str,
        login: Option<&Login>,
        plain: bool,
    ) -> Result<(Metadata, Archive, Vec<u8>), HelmError> {
        let download = Download { web: &self.web, login };
        let registry = Registry::of(&download, url, plain)?;
        let version = registry.choose(wanted).await?;
        let key = key(&[url.trim_end_matches('/'), "", &version], login);
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

    /// The index of a repository. Those who ask at the same time wait for one answer.
    async fn index(&self, download: &Download<'_>, base: &Url) -> Result<Index, HelmError> {
        let key = key(&[base.as_str().trim_end_matches('/')], download.login);
        let slot = self.asked.lock().await.entry(key.clone()).or_default().clone();
        let mut asked = slot.lock().await;
        let path = self.indexes.join(format!("{key}.json"));
        let known = load(&path);
        if let Some(known) = &known
            && asked.is_some_and(|at| at.elapsed() < self.limits.index_age)
        {
            return Ok(known.clone());
        }
        let index = repository::index(download, base, known.clone()).await?;
        if known.as_ref() != Some(&index) {
            store(&path, &index)?;
        }
        *asked = Some(Instant::now());
        Ok(index)
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
fn key(parts: &[&str], login: Option<&Login>) -> String {
    let mut hasher = Hasher::default();
    parts.iter().for_each(|part| hasher.text(part));
    if let Some(login) = login {
        hasher.text(&login.id().to_string());
    }
    hasher.finish().to_string()
}

fn load(path: &Path) -> Option<Index> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn store(path: &Path, index: &Index) -> Result<(), HelmError> {
    let failed = HelmError::io("keep an index in the cache folder");
    let text = serde_json::to_vec(index).map_err(|error| failed(error.into()))?;
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(&failed)?;
    let aside = tempfile::NamedTempFile::new_in(folder).map_err(&failed)?;
    std::fs::write(aside.path(), text).map_err(&failed)?;
    aside.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// A name is looked for in `PATH`: Helm itself runs without one.
fn found(program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        return std::path::absolute(program).unwrap_or_else(|_| program.to_path_buf());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file()).unwrap_or_else(|| program.to_path_buf())
}

/// Removes what a process that is no more left behind: there are values in it.
fn clean(work: &Path) {
    let Ok(entries) = work.read_dir() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.split('-').next()?.parse::<u32>().ok());
        let alive =
            pid.is_some_and(|pid| pid != std::process::id() && Path::new(&format!("/proc/{pid}")).exists());
        if !alive && let Err(error) = std::fs::remove_dir_all(entry.path()) {
            warn!(folder = %entry.path().display(), %error, "Cannot remove what a run of Helm left");
        }
    }
}

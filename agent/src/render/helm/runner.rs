//! Runs Helm for the whole process. No other module does.
//!
//! Leaves fetching charts to `fetch` and rendering them to `template`. I/O: disk, a subprocess.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdfast_diff::{range, visible};
use semver::Version;
use tokio::sync::OnceCell;
use tracing::debug;

use super::cache::Cache;
use super::repository::Indexes;
use super::web::Web;
use super::{HelmError, Limits, NEEDED, command};
use crate::disk::leftovers;
use crate::http::Guard;
use crate::registry::{Options, Registries};

/// Helm does not start with less memory: 96 MiB are enough for a small chart.
const MEMORY: u64 = 128 * 1024 * 1024;
/// Maximum number of tags of a chart that are read.
const TAGS: usize = 50_000;
/// Maximum number of tries of one request to a registry.
const TRIES: u32 = 2;

/// The configuration of Helm, and the caches of charts.
pub struct Runner {
    program: PathBuf,
    pub(super) limits: Limits,
    /// Temporary folders of single runs.
    work: PathBuf,
    pub(super) charts: Cache,
    pub(super) indexes: Indexes,
    pub(super) web: Web,
    pub(super) registries: Registries,
    version: OnceCell<Version>,
}

impl Runner {
    /// `program` is a path, or a name that is looked up in `PATH` once. Everything below `cache` can be deleted while nothing
    /// runs. `guard` decides which servers may be connected to.
    pub fn new(program: &Path, cache: &Path, limits: Limits, guard: Arc<Guard>) -> Self {
        let work = cache.join("helm-runs");
        leftovers::of_dead_processes(&work, "");
        Self {
            program: found(program),
            indexes: Indexes::at(cache.join("chart-indexes"), limits.index_age),
            limits: Limits { memory: limits.memory.max(MEMORY), ..limits },
            work,
            charts: Cache::at(cache.join("charts")),
            web: Web::new(guard.clone()),
            registries: Registries::new(Options { guard, tags: TAGS, tries: TRIES, ..Options::default() }),
            version: OnceCell::new(),
        }
    }

    /// Returns the version of Helm, which the first call reads. An error is not cached, so that a repaired image works.
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
            let said = format!("its version is \"{}\"", visible::line(&found));
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

    /// Creates a private folder that is deleted when it is dropped.
    pub fn folder(&self) -> Result<tempfile::TempDir, HelmError> {
        let failed = HelmError::io("make a folder for Helm in the cache folder");
        std::fs::create_dir_all(&self.work).map_err(&failed)?;
        let prefix = format!("{}-", std::process::id());
        tempfile::Builder::new()
            .prefix(&prefix)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&self.work)
            .map_err(failed)
    }
}

/// Looks up a name in `PATH`: Helm itself runs without one.
fn found(program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        return std::path::absolute(program).unwrap_or_else(|_| program.to_path_buf());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file()).unwrap_or_else(|| program.to_path_buf())
}

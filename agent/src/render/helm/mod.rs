//! Charts, rendered by Helm itself: fetches them, runs Helm, and explains its errors.
//!
//! Independent of a cluster and of Syncs: values in, text out. Leaves reading the objects, patches, and the values that stay live
//! to the pipeline. I/O: HTTP, disk, a subprocess.

mod archive;
pub(super) mod cache;
mod command;
mod dependencies;
mod download;
mod error;
mod fetch;
pub mod hooks;
mod ignored;
mod index;
mod login;
mod metadata;
mod oci;
mod repository;
mod runner;
mod said;
mod scan;
mod template;
mod tree;
mod values;
mod vendored;
mod volatile;
pub(super) mod web;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;

pub use error::HelmError;
pub use login::Login;
pub use runner::Runner;
pub use values::{ValuesPart, merge};
pub use volatile::{Volatile, volatile};

use super::File;

/// The oldest supported version of Helm.
const NEEDED: &str = "3.14";

/// The limits of charts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum duration of one run of Helm.
    pub time: Duration,
    /// Maximum output, in bytes.
    pub output: u64,
    /// Maximum memory of Helm, in bytes. Less than 128 MiB counts as that.
    pub memory: u64,
    /// Maximum size of an archive, in bytes.
    pub archive: u64,
    /// Runs of Helm at the same time.
    pub parallel: usize,
    /// Indexes are fetched again after this time.
    pub index_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_mins(1),
            output: 32 * 1024 * 1024,
            memory: 512 * 1024 * 1024,
            archive: 20 * 1024 * 1024,
            parallel: 2,
            index_age: Duration::from_secs(30),
        }
    }
}

/// The location of a chart.
#[derive(Clone, Copy)]
pub enum ChartSource<'a> {
    /// A folder on disk, below the root of its tree. Missing dependencies are fetched, with the login whose URL is a prefix of
    /// theirs.
    Folder { path: &'a Path, root: &'a Path, logins: &'a [(String, Login)] },
    /// A chart repository over HTTP. The version is a range.
    Repository { url: &'a str, name: &'a str, version: &'a str, login: Option<&'a Login> },
    /// `oci://host/path/chart`. The version is a range.
    Oci { url: &'a str, version: &'a str, login: Option<&'a Login>, plain_http: bool },
}

/// A chart on disk, until this is dropped.
#[derive(Debug)]
pub struct Chart {
    pub name: String,
    /// The version in its `Chart.yaml`.
    pub version: String,
    /// SHA-256 of its archive, 64 hex digits; `None` for one in Git, which the commit identifies.
    pub digest: Option<String>,
    /// Dependencies that were fetched for it.
    pub made_of: Vec<Fetched>,
    /// An archive of the cache, or a folder.
    place: PathBuf,
    /// The root of what is read of a folder.
    root: PathBuf,
    /// The temporary folder of the chart, if it has one.
    _folder: Option<TempDir>,
}

/// A dependency of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub name: String,
    pub version: String,
    /// SHA-256 of its archive, 64 hex digits.
    pub digest: String,
}

/// The parameters of a render. Has no `Debug`: values may be secret.
#[derive(Clone, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of Helm, and any of them can be set")]
pub struct Release {
    pub name: String,
    /// The template of the name, if the name is empty.
    pub name_template: Option<String>,
    pub namespace: String,
    /// As [`merge`] makes it.
    pub values: Value,
    /// Leave out the folder `crds/` of the chart.
    pub skip_crds: bool,
    /// Leave out the hooks of the chart.
    pub skip_hooks: bool,
    /// Leave out the test hooks of the chart.
    pub skip_tests: bool,
    /// Do not check the values against the schemas of the chart.
    pub skip_schema_validation: bool,
    /// `v1.36.1`; `None` for the version that Helm was built with.
    pub kube_version: Option<String>,
    /// `apps/v1`, `example.com/v1/Queue`. Helm adds these to its built-in list.
    pub api_versions: Vec<String>,
}

/// The result of rendering a chart. Has no `Debug`: it contains Secrets.
pub struct Rendered {
    /// One for each document, with the path of its template, in the order in which Helm prints them.
    pub files: Vec<File>,
    /// A second render, if it differs: see [`volatile`].
    pub again: Option<Vec<File>>,
}

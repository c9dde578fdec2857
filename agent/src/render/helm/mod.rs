//! Charts, rendered by the real Helm: fetched, templated, and what Helm means put into the words of Holdfast.
//!
//! Knows neither a cluster nor a Sync: values in, text out. Leaves reading the objects, patches and what is kept from live
//! objects to the pipeline. I/O: HTTP, disk, a subprocess.

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

/// The oldest Helm that is used.
const NEEDED: &str = "3.14";

/// What charts may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One run of Helm.
    pub time: Duration,
    /// What it prints, in bytes.
    pub output: u64,
    /// What it writes to in memory, in bytes. Less than 128 MiB counts as that.
    pub memory: u64,
    /// An archive, in bytes.
    pub archive: u64,
    /// How many run at the same time.
    pub parallel: usize,
    /// An index that was asked for less than this ago is not asked for again.
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

/// Where a chart is.
#[derive(Clone, Copy)]
pub enum ChartSource<'a> {
    /// A folder on disk, below the root of the tree that it is from. What it is made of and does not have is fetched, with
    /// the login whose URL its place begins with.
    Folder { path: &'a Path, root: &'a Path, logins: &'a [(String, Login)] },
    /// A chart repository over HTTP. The version is a range.
    Repository { url: &'a str, name: &'a str, version: &'a str, login: Option<&'a Login> },
    /// `oci://host/path/chart`. The version is a range.
    Oci { url: &'a str, version: &'a str, login: Option<&'a Login>, plain_http: bool },
}

/// A chart on disk, as long as this lives.
#[derive(Debug)]
pub struct Chart {
    pub name: String,
    /// The version that it says itself.
    pub version: String,
    /// SHA-256 of its archive, 64 hex digits; none for one in git, which its commit tells.
    pub digest: Option<String>,
    /// What was fetched for it: dependencies that are not in git.
    pub made_of: Vec<Fetched>,
    /// An archive of the cache, or a folder.
    place: PathBuf,
    /// The root of what is read of a folder.
    root: PathBuf,
    /// Where it was put together.
    _folder: Option<TempDir>,
}

/// A chart that another one is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub name: String,
    pub version: String,
    /// SHA-256 of its archive, 64 hex digits.
    pub digest: String,
}

/// What a chart is rendered for. Has no `Debug`: values may be secret.
#[derive(Clone, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of Helm, and any of them can be set")]
pub struct Release {
    pub name: String,
    /// Makes the name, if it is empty.
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
    /// `v1.36.1`. None: what Helm was built with.
    pub kube_version: Option<String>,
    /// `apps/v1`, `example.com/v1/Queue`. Helm adds these to what it knows.
    pub api_versions: Vec<String>,
}

/// What a chart renders to. Has no `Debug`: it has Secrets.
pub struct Rendered {
    /// One for each document, with the path of its template, in the order in which Helm prints them.
    pub files: Vec<File>,
    /// A second render, if it is another one: see [`volatile`].
    pub again: Option<Vec<File>>,
}

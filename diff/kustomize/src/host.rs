//! The inputs of a build: the files of the repository, remote bases and charts.
//!
//! The caller implements it; by default everything but files is refused. Pure.

use serde::Deserialize;
use serde_json::{Map, Value};

use holdfast_documents::files::{FileKind, Files, FilesError};

/// Provides the inputs of a build.
pub trait Host: Files {
    /// Returns the path, in the same files, of the content of a URL: a folder for a Git URL (that of the
    /// kustomization in it), a file for an HTTP URL.
    fn remote(&self, url: &str) -> Result<String, FilesError> {
        Err(FilesError(format!(
            "remote resources are not allowed: vendor `{url}` into the repository, or allow it by \
             --allow-remote-bases"
        )))
    }

    /// Returns the path, in the same files, of the file at an HTTP URL; `None` if it is not a file, but may be a Git
    /// repository.
    fn remote_file(&self, url: &str) -> Result<Option<String>, FilesError> {
        let at = self.remote(url)?;
        let place = self.resolve(&at)?;
        Ok(place.filter(|place| place.kind == FileKind::File).map(|_| at))
    }

    /// Returns the YAML of a rendered chart of `helmCharts`; `folder` is that of the kustomization.
    fn chart(&self, chart: &HelmChart, folder: &str) -> Result<Vec<u8>, FilesError> {
        let _ = folder;
        Err(FilesError(format!(
            "the chart `{}` cannot be rendered: no chart renderer is configured",
            chart.name
        )))
    }
}

/// An entry of `helmCharts`, with the globals and the namespace that apply to it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the flags of helm template")]
pub struct HelmChart {
    pub name: String,
    /// Empty for the chart in the folder, or for the newest version.
    pub version: String,
    /// Empty if the chart is in the repository; otherwise an HTTP or OCI URL.
    pub repo: String,
    /// Empty for a generated name.
    pub release_name: String,
    pub namespace: String,
    /// Relative to the folder of the kustomization; each overrides those before it, and `values_file`.
    pub additional_values_files: Vec<String>,
    /// Relative to the folder of the kustomization; empty for the file of the chart.
    pub values_file: String,
    pub values_inline: Map<String, Value>,
    /// How `values_inline` and the values of the file are combined.
    pub values_merge: ValuesMerge,
    #[serde(rename = "includeCRDs")]
    pub include_crds: bool,
    pub skip_hooks: bool,
    pub api_versions: Vec<String>,
    pub kube_version: String,
    pub name_template: String,
    pub skip_tests: bool,
    pub debug: bool,
    pub devel: bool,
    /// The folder of charts, relative to that of the kustomization; `charts` by default.
    pub chart_home: String,
    /// Only used by Helm itself.
    pub config_home: String,
}

/// How inline values of a chart are combined with those of its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValuesMerge {
    /// Inline values override the file.
    #[default]
    #[serde(alias = "")]
    Override,
    /// The file overrides inline values.
    Merge,
    /// The file is not read.
    Replace,
}

impl HelmChart {
    /// Returns the files with values that are read.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let replaced = self.values_merge == ValuesMerge::Replace && !self.values_inline.is_empty();
        let own = Some(self.values_file.as_str()).filter(|file| !file.is_empty() && !replaced);
        own.into_iter().chain(self.additional_values_files.iter().map(String::as_str))
    }
}

//! What a build asks of the outside: the files of the repository, remote bases and charts.
//!
//! The agent implements it; by default everything but files is refused. Pure.

use serde::Deserialize;
use serde_json::{Map, Value};

use holdfast_documents::files::{FileKind, Files, FilesError};

/// Everything a build asks of the outside.
pub trait Host: Files {
    /// The path in these same files at which what a URL names was made available: a folder for a git URL (that of the
    /// kustomization in it), a file for one of http.
    fn remote(&self, url: &str) -> Result<String, FilesError> {
        Err(FilesError(format!(
            "remote resources are not allowed: vendor `{url}` into the repository, or allow it by \
             --allow-remote-bases"
        )))
    }

    /// The path in these same files of the file that a URL of http names; `None` if there is no file, but perhaps a git
    /// repository.
    fn remote_file(&self, url: &str) -> Result<Option<String>, FilesError> {
        let at = self.remote(url)?;
        let place = self.resolve(&at)?;
        Ok(place.filter(|place| place.kind == FileKind::File).map(|_| at))
    }

    /// The YAML that a chart of `helmCharts` renders to; `folder` is that of the kustomization.
    fn chart(&self, chart: &HelmChart, folder: &str) -> Result<Vec<u8>, FilesError> {
        let _ = folder;
        Err(FilesError(format!(
            "the chart `{}` cannot be rendered here: nothing that renders charts is at hand",
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
    /// Empty for what is there, or for the newest.
    pub version: String,
    /// Empty if the chart is in the repository; else a URL of http or oci.
    pub repo: String,
    /// Empty for one that helm makes up.
    pub release_name: String,
    pub namespace: String,
    /// Relative to the folder of the kustomization; each overrules those before it, and `values_file`.
    pub additional_values_files: Vec<String>,
    /// Relative to the folder of the kustomization; empty for that of the chart.
    pub values_file: String,
    pub values_inline: Map<String, Value>,
    /// How `values_inline` and the values of the file come together.
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
    /// The folder of charts, relative to that of the kustomization: `charts` unless it is set.
    pub chart_home: String,
    /// Only helm itself would use it.
    pub config_home: String,
}

/// What the inline values of a chart are to the values of its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValuesMerge {
    /// Inline values overrule the file.
    #[default]
    #[serde(alias = "")]
    Override,
    /// The file overrules inline values.
    Merge,
    /// The file is not read.
    Replace,
}

impl HelmChart {
    /// The files with values that are read.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let replaced = self.values_merge == ValuesMerge::Replace && !self.values_inline.is_empty();
        let own = Some(self.values_file.as_str()).filter(|file| !file.is_empty() && !replaced);
        own.into_iter().chain(self.additional_values_files.iter().map(String::as_str))
    }
}

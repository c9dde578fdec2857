//! What a build asks of the outside: the files of the repository, remote bases and charts.
//!
//! The agent implements it; by default everything but files is refused. Pure.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::files::{Files, FilesError};

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

/// Values of a chart, from one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values<'a> {
    /// The chart's own file, as if it were given to helm once more.
    OfChart,
    /// A file, relative to the folder of the kustomization.
    File(&'a str),
    Inline(&'a Map<String, Value>),
}

impl HelmChart {
    /// The values in the order in which they are laid over one another, and over those of the chart.
    pub fn values(&self) -> Vec<Values<'_>> {
        let inline = Values::Inline(&self.values_inline);
        let file = match self.values_file.as_str() {
            "" => Values::OfChart,
            file => Values::File(file),
        };
        let mut values = match self.values_merge {
            _ if self.values_inline.is_empty() => vec![file],
            ValuesMerge::Override => vec![file, inline],
            ValuesMerge::Merge => vec![inline, file],
            ValuesMerge::Replace => vec![inline],
        };
        values.extend(self.additional_values_files.iter().map(|file| Values::File(file)));
        values
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{HelmChart, Values};

    fn word(values: Values<'_>) -> &str {
        match values {
            Values::OfChart => "chart",
            Values::File(file) => file,
            Values::Inline(_) => "inline",
        }
    }

    #[expect(clippy::unwrap_used, reason = "a test")]
    fn check(chart: serde_json::Value, expected: &str) {
        let chart: HelmChart = serde_json::from_value(chart).unwrap();
        assert_eq!(chart.values().into_iter().map(word).collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn values_are_laid_over_one_another_as_values_merge_says() {
        check(json!({}), "chart");
        check(json!({"valuesFile": "v", "additionalValuesFiles": ["a", "b"]}), "v a b");
        check(json!({"valuesInline": {"k": 1}, "additionalValuesFiles": ["a"]}), "chart inline a");
        check(json!({"valuesInline": {"k": 1}, "valuesFile": "v", "valuesMerge": "override"}), "v inline");
        check(json!({"valuesInline": {"k": 1}, "valuesFile": "v", "valuesMerge": "merge"}), "inline v");
        check(json!({"valuesInline": {"k": 1}, "valuesFile": "v", "valuesMerge": "replace"}), "inline");
    }
}

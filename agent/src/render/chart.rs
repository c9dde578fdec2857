//! The Helm renderer: a chart of the tree or from elsewhere, with the values that the Sync names.
//!
//! Leaves fetching and running to `helm`. Must be called where it may block. I/O: through Helm.

use std::path::Path;
use std::sync::Arc;

use holdfast_diff::files::{Entry, FileKind, Files, FilesError, Walk, join};
use holdfast_diff::object::Manifest;
use holdfast_diff::yaml::{self, Duplicates};
use serde_json::Value;
use tokio::runtime::Handle;

use super::helm::hooks::{self, Phase, Placed};
use super::helm::{self, ChartSource, HelmError, Login, Release, Runner, ValuesPart, Volatile};
use super::{File, Inputs, Object, RenderError, Rendered};
use crate::api::{ChartStatus, HelmOptions};
use crate::disk::Beneath;
use crate::error::StageError as _;

/// Bytes of a chart in the tree.
const LIMIT: usize = 100 * 1024 * 1024;

/// What a release is called, and what it is told of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Target {
    pub name: String,
    pub namespace: String,
    /// `v1.36.1`
    pub kube_version: Option<String>,
    pub api_versions: Vec<String>,
    /// True if something of it was applied before.
    pub installed: bool,
}

/// Helm, and the runtime on which it runs.
#[derive(Clone)]
pub struct Charts {
    pub runner: Arc<Runner>,
    pub runtime: Handle,
}

/// Renders the chart of a Sync: the one that was fetched, or the one in the folder.
pub fn render(
    charts: &Charts,
    files: &dyn Files,
    folder: &str,
    options: Option<&HelmOptions>,
    inputs: &Inputs,
) -> Result<Rendered, RenderError> {
    let options = options.cloned().unwrap_or_default();
    let values = options.values.as_ref().map(|values| Value::Object(values.0.clone()));
    let parts = parts(files, folder, &options, inputs)?;
    let target = &inputs.target;
    let release = Release {
        name: options.release_name.clone().unwrap_or_else(|| target.name.clone()),
        name_template: None,
        namespace: options.namespace.clone().unwrap_or_else(|| target.namespace.clone()),
        values: helm::merge(&parts, values.as_ref())?,
        skip_crds: options.skip_crds || options.include_crds == Some(false),
        skip_hooks: false,
        skip_tests: false,
        kube_version: options.kube_version.clone().or_else(|| target.kube_version.clone()),
        api_versions: if options.api_versions.is_empty() {
            target.api_versions.clone()
        } else {
            options.api_versions.clone()
        },
    };
    let Charts { runner, runtime } = charts;
    let rendered = if let Some(chart) = &inputs.chart {
        runtime.block_on(runner.template(chart, &release))?
    } else {
        let root = runner.folder()?;
        let place = export(files, folder, root.path())?;
        let source = ChartSource::Folder { path: &place, root: root.path(), logins: &inputs.logins };
        let chart = runtime.block_on(runner.fetch(source))?;
        runtime.block_on(runner.template(&chart, &release))?
    };
    let manifests = manifests(rendered.files)?;
    let volatile = match rendered.again {
        Some(again) => helm::volatile(&manifests, &self::manifests(again)?)?,
        None => Vec::new(),
    };
    let phase = if target.installed { Phase::Upgrade } else { Phase::Install };
    let Placed { manifests, hooks: _, left_out } = hooks::place(manifests, phase);
    let mut warnings: Vec<String> = volatile.iter().map(told).collect();
    let unused = left_out.into_iter().filter(|(_, events)| !events.contains("test"));
    warnings
        .extend(unused.map(|(object, events)| format!("{object} is a hook for {events} and is not applied")));
    let objects =
        manifests.into_iter().map(|Manifest { value, origin, .. }| Object { value, origin }).collect();
    let chart = inputs.chart.as_ref().map(|chart| ChartStatus {
        name: chart.name.clone(),
        version: chart.version.clone(),
        digest: chart.digest.as_ref().map(|digest| format!("sha256:{digest}")),
    });
    Ok(Rendered { objects, warnings, volatile, chart, ..Rendered::default() })
}

/// The values from elsewhere, in their order.
fn parts(
    files: &dyn Files,
    folder: &str,
    options: &HelmOptions,
    inputs: &Inputs,
) -> Result<Vec<ValuesPart>, RenderError> {
    let mut parts = Vec::new();
    for (from, read) in options.values_from.iter().zip(&inputs.values) {
        let Some(file) = &from.file else {
            parts.extend(read.clone());
            continue;
        };
        let path = join(folder, file)
            .ok_or_else(|| FilesError(format!("valuesFrom: {file} climbs out of the repository")))?;
        match files.read(&path)? {
            Some(text) => {
                let target_path = from.target_path.clone();
                parts.push(ValuesPart { name: path, text: text.to_vec(), target_path });
            }
            None if from.optional => {}
            None => {
                return Err(FilesError(format!(
                    "valuesFrom: there is no file {path}; correct it, or set optional: true"
                ))
                .into());
            }
        }
    }
    Ok(parts)
}

/// Puts a folder of the tree, and the charts beside it that it is made of, onto the disk.
pub(super) fn export(files: &dyn Files, folder: &str, root: &Path) -> Result<std::path::PathBuf, FilesError> {
    let to = Beneath::open(root).map_err(|error| FilesError(format!("cannot copy {folder}: {error}")))?;
    let mut copying = Copying { files, to, walk: Walk::default(), size: 0 };
    let mut wanted = vec![folder.to_owned()];
    let mut done = Vec::new();
    while let Some(folder) = wanted.pop() {
        if done.contains(&folder) {
            continue;
        }
        copying.folder(&folder)?;
        for beside in beside(files, &folder)? {
            wanted.push(beside);
        }
        done.push(folder);
    }
    Ok(root.join(folder))
}

/// The charts in the tree that a chart is made of: `file://../common`.
fn beside(files: &dyn Files, folder: &str) -> Result<Vec<String>, FilesError> {
    let mut found = Vec::new();
    for name in ["Chart.yaml", "requirements.yaml"] {
        let path = join(folder, name).unwrap_or_default();
        let Some(bytes) = files.read(&path)? else { continue };
        let (documents, _) = yaml::read(&path, &bytes);
        let dependencies =
            documents.iter().filter_map(|document| document.value.get("dependencies")?.as_array());
        for dependency in dependencies.flatten() {
            let repository = dependency.get("repository").and_then(Value::as_str).unwrap_or_default();
            if let Some(path) = repository.strip_prefix("file://") {
                found.extend(join(folder, path));
            }
        }
    }
    Ok(found)
}

/// Files on their way to the disk.
struct Copying<'a> {
    files: &'a dyn Files,
    to: Beneath,
    walk: Walk,
    /// Bytes that were written.
    size: usize,
}

impl Copying<'_> {
    fn folder(&mut self, folder: &str) -> Result<(), FilesError> {
        let failed = |error: std::io::Error| FilesError(format!("cannot copy {folder}: {error}"));
        self.to.make_folder(folder).map_err(failed)?;
        for Entry { name, kind } in self.files.list(folder)?.unwrap_or_default() {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            self.walk.visit(&path)?;
            if kind == FileKind::Folder {
                self.folder(&path)?;
                continue;
            }
            let bytes = self.files.read(&path)?.unwrap_or_default();
            self.size += bytes.len();
            if self.size > LIMIT {
                return Err(FilesError(format!("the chart in {folder} has more than {LIMIT} bytes")));
            }
            self.to.write(&path, &bytes).map_err(failed)?;
        }
        Ok(())
    }
}

fn manifests(files: Vec<File>) -> Result<Vec<Manifest>, RenderError> {
    let (mut all, mut errors) = (Vec::new(), Vec::new());
    for File { path, bytes } in files {
        // Helm lets a key stand twice, and the last one counts.
        let (manifests, mistakes) = yaml::manifests_with(&path, &bytes, Duplicates::LastWins);
        all.extend(manifests);
        errors.extend(mistakes.into_iter().map(|mistake| mistake.to_string()));
    }
    if errors.is_empty() { Ok(all) } else { Err(RenderError::of(errors)) }
}

fn told(Volatile { object, paths }: &Volatile) -> String {
    format!(
        "the chart makes another {} of {object} each time: the live value is kept; give it a value of its own",
        paths.join(", ")
    )
}

impl From<HelmError> for RenderError {
    fn from(error: HelmError) -> Self {
        Self { class: error.class(), name: error.name(), errors: vec![error.to_string()] }
    }
}

/// A login for the host of a chart.
pub fn login(data: &std::collections::BTreeMap<String, Vec<u8>>, url: &str) -> Result<Login, HelmError> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    Login::from_secret(data, host)
}

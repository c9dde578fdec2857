//! The Helm renderer: a chart of the tree or from elsewhere, with the values that the Sync names.
//!
//! Requests the rendered chart from the outside. Pure, except for its surroundings.

use holdfast_diff::budget::Resource;
use holdfast_diff::files::{Files, FilesError, join};
use holdfast_diff::object::Manifest;
use holdfast_diff::weight;
use holdfast_diff::yaml::{self, YamlError};
use serde_json::Value;

use super::ask::{Answer, Ask, ChartFrom};
use super::chart_files::collect;
use super::helm::hooks::{self, Phase, Placed};
use super::helm::{self, HelmError, Login, Release, ValuesPart, Volatile};
use super::surroundings::Surroundings;
use super::{File, Inputs, Object, RenderError, Rendered};
use crate::api::HelmOptions;
use crate::secret_data::Data;

/// Renders the chart of a Sync: the one that was fetched, or the one in the folder.
pub fn render(
    files: &Surroundings<'_>,
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
        skip_schema_validation: options.skip_schema_validation,
        kube_version: options.kube_version.clone().or_else(|| target.kube_version.clone()),
        api_versions: if options.api_versions.is_empty() {
            target.api_versions.clone()
        } else {
            options.api_versions.clone()
        },
    };
    let from = if inputs.fetched.is_some() {
        ChartFrom::Given
    } else {
        ChartFrom::Folder { path: folder.to_owned(), files: collect(files, folder)?, logins: true }
    };
    let Answer::Template { files: rendered, again } =
        files.answers().get(Ask::Template(from, Box::new(release)))?
    else {
        return Err(RenderError::internal("a chart was answered by something else"));
    };
    let (manifests, mut warnings) = manifests(files, rendered)?;
    let volatile = match again {
        Some(again) => helm::volatile(&manifests, &self::manifests(files, again)?.0)?,
        None => Vec::new(),
    };
    let phase = if target.installed { Phase::Upgrade } else { Phase::Install };
    let Placed { manifests, hooks: _, left_out } = hooks::place(manifests, phase, &target.namespace);
    warnings.extend(volatile.iter().map(described));
    let unused = left_out.into_iter().filter(|(_, events)| !events.contains("test"));
    warnings
        .extend(unused.map(|(object, events)| format!("{object} is a hook for {events} and is not applied")));
    let objects =
        manifests.into_iter().map(|Manifest { value, origin, .. }| Object { value, origin }).collect();
    Ok(Rendered { objects, warnings, volatile, chart: inputs.fetched.clone(), ..Rendered::default() })
}

/// The values from the cluster and from files, in their order.
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
            .ok_or_else(|| FilesError(format!("valuesFrom: {file} leads out of the repository")))?;
        match files.read(&path)? {
            Some(text) => {
                let target_path = from.target_path.clone();
                parts.push(ValuesPart { name: path, text: text.to_vec(), target_path });
            }
            None if from.optional => {}
            None => {
                return Err(FilesError(format!(
                    "valuesFrom: file {path} not found; correct it, or set optional: true"
                ))
                .into());
            }
        }
    }
    Ok(parts)
}

/// Returns the objects of a chart, and warnings about what is left out.
fn manifests(host: &Surroundings<'_>, files: &[File]) -> Result<(Vec<Manifest>, Vec<String>), RenderError> {
    let (mut all, mut warnings, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for File { path, bytes } in files {
        // Helm accepts duplicate keys, and uses the last one.
        let (manifests, mistakes, lost) = yaml::manifests_of_program(path, bytes);
        host.spend(Resource::Objects, manifests.len())?;
        host.spend(Resource::Memory, manifests.iter().map(|manifest| weight::bytes(&manifest.value)).sum())?;
        all.extend(manifests);
        let rendered =
            |lost: YamlError| format!("{}:{}: as rendered: {}", lost.file, lost.line, lost.problem);
        warnings.extend(lost.into_iter().map(rendered));
        errors.extend(mistakes.into_iter().map(|mistake| mistake.to_string()));
    }
    if errors.is_empty() { Ok((all, warnings)) } else { Err(RenderError::of(errors)) }
}

fn described(Volatile { object, paths }: &Volatile) -> String {
    format!(
        "the chart generates another {} of {object} at each render; the live value is kept; set a fixed value",
        paths.join(", ")
    )
}

impl From<HelmError> for RenderError {
    fn from(error: HelmError) -> Self {
        Self::of_stage(error.to_string(), &error)
    }
}

/// A login for the host of a chart.
pub fn login(data: &Data, url: &str) -> Result<Login, HelmError> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    Login::from_secret(data, host)
}

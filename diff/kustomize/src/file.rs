//! The kustomization file: strict parsing, with the line and the nearest known field of a mistake, and
//! the conversion of deprecated fields to their successors.
//!
//! Leaves the effect of the fields to `target`. Pure.

pub mod fields;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::KustomizeError;
use super::generate::{GeneratorArgs, GeneratorOptions};
use super::host::HelmChart;
use super::own;
use super::read::beyond_first;
use super::shape::{Misfit, Position, Strictness, fit};
use holdfast_documents::yaml::Duplicates;

/// The permitted names of a kustomization file.
pub const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

const VERSION: &str = "kustomize.config.k8s.io/v1beta1";
const COMPONENT_VERSION: &str = "kustomize.config.k8s.io/v1alpha1";

/// The kinds of a kustomization file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileType {
    #[default]
    Kustomization,
    Component,
}

/// The fields of a kustomization, without deprecated ones that have a successor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Kustomization {
    #[serde(skip)]
    pub file_type: FileType,
    pub openapi: BTreeMap<String, String>,
    pub name_prefix: String,
    pub name_suffix: String,
    pub namespace: String,
    pub common_labels: BTreeMap<String, String>,
    pub labels: Vec<Value>,
    pub common_annotations: BTreeMap<String, String>,
    pub patches_strategic_merge: Vec<String>,
    pub patches_json6902: Vec<Value>,
    pub patches: Vec<Value>,
    pub images: Vec<Value>,
    pub replacements: Vec<Value>,
    pub replicas: Vec<Value>,
    pub vars: Vec<Value>,
    pub sort_options: Option<Value>,
    pub resources: Vec<String>,
    pub components: Vec<String>,
    pub crds: Vec<String>,
    pub config_map_generator: Vec<GeneratorArgs>,
    pub secret_generator: Vec<GeneratorArgs>,
    pub helm_globals: HelmGlobals,
    pub helm_charts: Vec<HelmChart>,
    pub generator_options: Option<GeneratorOptions>,
    pub configurations: Vec<String>,
    pub generators: Vec<String>,
    pub transformers: Vec<String>,
    pub validators: Vec<String>,
    pub build_metadata: Vec<String>,
    /// The lines of fields and of the items of lists: `resources`, `resources[2]`.
    #[serde(skip)]
    lines: BTreeMap<String, u32>,
}

/// Settings of all charts of a kustomization.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HelmGlobals {
    pub chart_home: String,
    pub config_home: String,
}

/// A parsed kustomization, and warnings for its author.
pub struct Reading {
    pub kustomization: Kustomization,
    pub warnings: Vec<String>,
}

impl Kustomization {
    /// Returns the line of the item at `index` of a field.
    pub fn line_of(&self, field: &str, index: usize) -> u32 {
        let item = self.lines.get(&format!("{field}[{index}]"));
        item.or_else(|| self.lines.get(field)).copied().unwrap_or(1)
    }
}

/// Parses a kustomization file; `file` is its path, for messages.
pub fn read(file: &str, text: &[u8]) -> Result<Reading, KustomizeError> {
    let document = own::first(file, text, Duplicates::LastWins)?;
    let Some(document) = document else { return Err(empty(file)) };
    let mut reading = of_value(file, document.value, Position::root(&document.tree))?;
    reading.warnings.extend(beyond_first(file, text));
    Ok(reading)
}

/// Reads a kustomization from a value.
pub fn of_value(file: &str, value: Value, place: Position<'_, '_>) -> Result<Reading, KustomizeError> {
    let fitted = fit(value, fields::KUSTOMIZATION, Strictness::Strict, place);
    let fitted = fitted.map_err(|misfits| misfit(file, misfits))?;
    let Value::Object(mut fields) = fitted else { return Err(empty(file)) };
    let warnings = deprecated(&fields).map(|text| format!("{file}: {text}")).collect();
    let mut lines = lines(&fields, place);
    let file_type = file_type(&fields).map_err(|(field, message)| {
        let line = lines.get(field).copied().unwrap_or(1);
        KustomizeError { file: file.to_owned(), line, message }
    })?;
    modernise(&mut fields, &mut lines);
    if fields.iter().all(|(name, value)| is_zero(name, value)) {
        return Err(empty(file));
    }
    let read: Result<Kustomization, _> = serde_json::from_value(Value::Object(fields));
    let mut kustomization = read.map_err(|error| KustomizeError::in_file(file, error.to_string()))?;
    kustomization.file_type = file_type;
    kustomization.lines = lines;
    Ok(Reading { kustomization, warnings })
}

/// Combines all mistakes of a file into one error, at the first line of them.
pub fn misfit(file: &str, misfits: Vec<Misfit>) -> KustomizeError {
    let line = misfits.iter().map(|misfit| misfit.line).min().unwrap_or(0);
    let messages: Vec<_> = misfits.into_iter().map(|misfit| misfit.message).collect();
    KustomizeError { file: file.to_owned(), line, message: messages.join("; ") }
}

fn empty(file: &str) -> KustomizeError {
    KustomizeError::in_file(file, "the kustomization is empty: give it resources, or remove the file")
}

fn lines(fields: &Map<String, Value>, place: Position) -> BTreeMap<String, u32> {
    let mut lines = BTreeMap::new();
    for (name, value) in fields {
        let place = place.field(name);
        lines.insert(name.clone(), place.line);
        for index in 0..value.as_array().map_or(0, Vec::len) {
            lines.insert(format!("{name}[{index}]"), place.item(index).line);
        }
    }
    lines
}

/// Returns the kind of the file; else the invalid field, and why.
fn file_type(fields: &Map<String, Value>) -> Result<FileType, (&'static str, String)> {
    let text = |name| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let (file_type, kind, version) = match text("kind") {
        "" | "Kustomization" => (FileType::Kustomization, "Kustomization", VERSION),
        "Component" => (FileType::Component, "Component", COMPONENT_VERSION),
        other => {
            let message = format!("kind is `{other}`, but must be Kustomization or Component");
            return Err(("kind", message));
        }
    };
    match text("apiVersion") {
        "" => Ok(file_type),
        found if found == version => Ok(file_type),
        found => {
            Err(("apiVersion", format!("apiVersion is `{found}`, but that of a {kind} must be {version}")))
        }
    }
}

/// True for fields that leave a kustomization empty.
fn is_zero(name: &str, value: &Value) -> bool {
    match value {
        _ if matches!(name, "kind" | "apiVersion") => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Returns the warnings of kustomize for fields that have a successor.
fn deprecated(fields: &Map<String, Value>) -> impl Iterator<Item = String> {
    const SUCCESSORS: [(&str, &str); 6] = [
        ("bases", "resources"),
        ("commonLabels", "labels"),
        ("imageTags", "images"),
        ("patchesJson6902", "patches"),
        ("patchesStrategicMerge", "patches"),
        ("vars", "replacements"),
    ];
    let there = SUCCESSORS.into_iter().filter(|(old, _)| fields.contains_key(*old));
    there.map(|(old, new)| format!("`{old}` is deprecated: use `{new}` instead"))
}

/// Moves deprecated fields to their successors.
fn modernise(fields: &mut Map<String, Value>, lines: &mut BTreeMap<String, u32>) {
    move_list(fields, lines, "bases", "resources");
    move_list(fields, lines, "imageTags", "images");
    let old = "helmChartInflationGenerator";
    let charts = fields.get_mut(old).and_then(Value::as_array_mut);
    let mut globals = Map::new();
    for chart in charts.into_iter().flatten().filter_map(Value::as_object_mut) {
        modernise_chart(chart, &mut globals);
    }
    if !globals.is_empty() && !fields.contains_key("helmGlobals") {
        fields.insert("helmGlobals".to_owned(), Value::Object(globals));
    }
    move_list(fields, lines, old, "helmCharts");
    for generator in ["configMapGenerator", "secretGenerator"] {
        let generators = fields.get_mut(generator).and_then(Value::as_array_mut);
        generators.into_iter().flatten().filter_map(Value::as_object_mut).for_each(move_env);
    }
}

/// Appends the items of the field `old` to those of the field `new`.
fn move_list(fields: &mut Map<String, Value>, lines: &mut BTreeMap<String, u32>, old: &str, new: &str) {
    let Some(Value::Array(items)) = fields.remove(old) else { return };
    if items.is_empty() {
        return;
    }
    let list = fields.entry(new).or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(list) = list else { return };
    for (index, item) in items.into_iter().enumerate() {
        if let Some(line) = lines.get(&format!("{old}[{index}]")).copied() {
            lines.insert(format!("{new}[{}]", list.len()), line);
        }
        list.push(item);
    }
}

/// Renames the fields of the old form of a chart. Kustomize ignores the others too.
fn modernise_chart(chart: &mut Map<String, Value>, globals: &mut Map<String, Value>) {
    const NAMES: [(&str, &str); 7] = [
        ("chartName", "name"),
        ("chartVersion", "version"),
        ("chartRepoUrl", "repo"),
        ("values", "valuesFile"),
        ("valuesLocal", "valuesInline"),
        ("valuesMerge", "valuesMerge"),
        ("releaseName", "releaseName"),
    ];
    let mut old = std::mem::take(chart);
    for (from, to) in [("helmHome", "configHome"), ("chartHome", "chartHome")] {
        if let Some(home) = old.remove(from).filter(|home| home.as_str() != Some("")) {
            globals.insert(to.to_owned(), home);
        }
    }
    for (from, to) in NAMES {
        if let Some(value) = old.remove(from) {
            chart.insert(to.to_owned(), value);
        }
    }
}

/// Appends the one file of `env` to those of `envs`.
fn move_env(generator: &mut Map<String, Value>) {
    let Some(env) = generator.remove("env").filter(|env| env.as_str() != Some("")) else { return };
    let envs = generator.entry("envs").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(envs) = envs {
        envs.push(env);
    }
}

#[cfg(test)]
mod tests;

//! ApplicationSet: the Applications that its generators make, as far as these are lists, folders and files. Pure, beside the files
//! that it is given.

use holdfast_diff::files::{EntryKind, Files, Walk};
use holdfast_diff::yaml;
use serde_json::{Map, Value, json};

use super::super::found::{Found, Index};
use super::super::note::{Level, Note, Notes};
use super::{owner, template};
use crate::wildcard::fits;

/// Maximum number of Applications of one set.
const APPLICATIONS: usize = 1000;
/// Maximum number of nested generators.
const DEPTH: usize = 3;
/// Maximum bytes of a file of a generator.
const BYTES: usize = 1024 * 1024;

type Parameters = Map<String, Value>;

/// What the generators of a set need.
struct Set<'s> {
    go: bool,
    files: Option<&'s dyn Files>,
}

/// Makes the Applications of a set, unless they are among the objects.
pub fn expand(index: &Index, found: &Found, files: Option<&dyn Files>, all: &mut Vec<Note>) -> Vec<Found> {
    if found.kind() != "ApplicationSet" || has_applications(index, found) {
        return Vec::new();
    }
    let refuse = |all: &mut Vec<Note>, field: &str, text: String| {
        Notes::about(found.key(), all).add(Level::Refused, field, text);
    };
    let spec = &found.value["spec"];
    if spec.get("templatePatch").is_some_and(|patch| !patch.is_null()) {
        let text = "a patch with templates is not read; import from the cluster, where the Applications are"
            .to_owned();
        refuse(all, "spec.templatePatch", text);
        return Vec::new();
    }
    let set = Set { go: spec["goTemplate"] == true, files };
    let mut made = Vec::new();
    for (at, generator) in spec["generators"].as_array().into_iter().flatten().enumerate() {
        let field = format!("spec.generators[{at}]");
        let parameters = match set.generate(generator, DEPTH) {
            Ok(parameters) => parameters,
            Err(why) => {
                refuse(all, &field, why);
                continue;
            }
        };
        for parameters in parameters {
            if made.len() >= APPLICATIONS {
                refuse(
                    all,
                    &field,
                    format!(
                        "it makes more than {APPLICATIONS} Applications; import from the cluster, one namespace at a time"
                    ),
                );
                return made;
            }
            match application(found, spec, generator, &parameters, set.go) {
                Ok(application) => made.push(application),
                Err(why) => refuse(all, &field, why),
            }
        }
    }
    made
}

fn has_applications(index: &Index, found: &Found) -> bool {
    index.of("Application").any(|application| {
        application.namespace() == found.namespace() && owner(application) == Some(found.name())
    })
}

/// Says what becomes of a set.
pub fn remarks(index: &Index, found: &Found, all: &mut Vec<Note>) {
    let mut notes = Notes::about(found.key(), all);
    if has_applications(index, found) {
        notes.changed(
            "spec.generators",
            "its Applications of now are imported; a new folder, cluster or item makes no Sync by itself: generate them in your pipeline, or use a Sync over the folder above",
        );
    }
    if found.value.pointer("/spec/strategy").is_some_and(|strategy| strategy["type"] == "RollingSync") {
        notes.missing("spec.strategy", "the order of Applications is dependsOn of the Syncs");
    }
}

/// An Application of the template.
fn application(
    found: &Found,
    spec: &Value,
    generator: &Value,
    parameters: &Parameters,
    go: bool,
) -> Result<Found, String> {
    let mut whole = spec["template"].clone();
    let of_generator =
        generator.as_object().into_iter().flatten().find_map(|(_, generator)| generator.get("template"));
    if let Some(own) = of_generator {
        lay(&mut whole, own);
    }
    let filled = template::fill(&whole, parameters, go).map_err(|error| error.to_string())?;
    let mut metadata = filled["metadata"].clone();
    metadata["namespace"] = Value::from(found.namespace());
    metadata["ownerReferences"] =
        json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": found.name()}]);
    let value = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": filled["spec"]});
    let mut application = Found::new(value, found.origin.clone(), found.namespace());
    application.via = Some(found.key());
    Ok(application)
}

/// Lays one value over another; what says nothing is left out.
fn lay(into: &mut Value, over: &Value) {
    match (into, over) {
        (Value::Object(into), Value::Object(over)) => {
            for (name, value) in over {
                lay(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (_, Value::String(text)) if text.is_empty() => {}
        (into, over) => *into = over.clone(),
    }
}

impl Set<'_> {
    /// The parameters of each Application.
    fn generate(&self, generator: &Value, depth: usize) -> Result<Vec<Parameters>, String> {
        let kinds: Vec<&String> = generator
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
            .filter(|name| *name != "selector")
            .collect();
        let [kind] = kinds[..] else { return Err("it must have exactly one generator".to_owned()) };
        let from = &generator[kind.as_str()];
        let found = match kind.as_str() {
            "list" => list(from)?,
            "git" => self.git(from)?,
            "matrix" if depth > 1 => self.matrix(from, depth - 1)?,
            "matrix" => return Err("it is nested too deep".to_owned()),
            other => {
                return Err(format!(
                    "the generator {other} is not expanded; import from the cluster, where its Applications are, or write its items as a list"
                ));
            }
        };
        select(found, &generator["selector"])
    }

    /// Every combination of two generators, of which the second sees what the first gives.
    fn matrix(&self, from: &Value, depth: usize) -> Result<Vec<Parameters>, String> {
        let Some([one, other]) = from["generators"].as_array().map(Vec::as_slice) else {
            return Err("a matrix has two generators".to_owned());
        };
        let mut all = Vec::new();
        for first in self.generate(one, depth)? {
            let filled = template::fill(other, &first, self.go).map_err(|error| error.to_string())?;
            for second in self.generate(&filled, depth)? {
                let mut both = first.clone();
                both.extend(second);
                all.push(both);
                if all.len() > APPLICATIONS {
                    return Ok(all);
                }
            }
        }
        Ok(all)
    }

    fn git(&self, from: &Value) -> Result<Vec<Parameters>, String> {
        let Some(files) = self.files else {
            return Err("it reads a repository; name a working tree of it with --tree".to_owned());
        };
        let paths = |name: &str, exclude: bool| -> Vec<String> {
            let entries = from[name].as_array().into_iter().flatten();
            let entries = entries.filter(|entry| (entry["exclude"] == true) == exclude);
            entries.filter_map(|entry| Some(entry["path"].as_str()?.trim_matches('/').to_owned())).collect()
        };
        let (folders, documents) = (paths("directories", false), paths("files", false));
        let (no_folders, no_documents) = (paths("directories", true), paths("files", true));
        let matches =
            |patterns: &[String], path: &str| patterns.iter().any(|pattern| is_match(pattern, path));
        let prefix = from["pathParamPrefix"].as_str().filter(|prefix| !prefix.is_empty());
        let mut all = Vec::new();
        let mut walk = Walk::default();
        let mut open = vec![String::new()];
        let mut found = Vec::new();
        while let Some(folder) = open.pop() {
            let entries = files.list(&folder).map_err(|error| error.to_string())?.unwrap_or_default();
            for entry in entries.into_iter().filter(|entry| !entry.name.starts_with('.')) {
                let path = if folder.is_empty() { entry.name } else { format!("{folder}/{}", entry.name) };
                walk.visit(&path).map_err(|error| error.to_string())?;
                match entry.kind {
                    EntryKind::Folder => {
                        if matches(&folders, &path) && !matches(&no_folders, &path) {
                            found.push((path.clone(), false));
                        }
                        open.push(path);
                    }
                    EntryKind::File if matches(&documents, &path) && !matches(&no_documents, &path) => {
                        found.push((path, true));
                    }
                    _ => {}
                }
            }
        }
        found.sort();
        for (path, is_file) in found {
            let folder = if is_file { path.rsplit_once('/').map_or("", |(folder, _)| folder) } else { &path };
            let mut place = json!({
                "path": folder,
                "basename": last(folder),
                "basenameNormalized": template::normalized(last(folder)),
                "segments": folder.split('/').collect::<Vec<_>>(),
            });
            if is_file {
                place["filename"] = Value::from(last(&path));
                place["filenameNormalized"] = Value::from(template::normalized(last(&path)));
            }
            for mut parameters in if is_file { contents(files, &path)? } else { vec![Parameters::new()] } {
                match prefix {
                    Some(prefix) => drop(parameters.insert(prefix.to_owned(), json!({"path": place}))),
                    None => drop(parameters.insert("path".to_owned(), place.clone())),
                }
                if from["values"].is_object() {
                    let values = template::fill(&from["values"], &parameters, self.go)
                        .map_err(|error| error.to_string())?;
                    parameters.insert("values".to_owned(), values);
                }
                all.push(parameters);
            }
            if all.len() > APPLICATIONS {
                break;
            }
        }
        Ok(all)
    }
}

/// The items of a list.
fn list(from: &Value) -> Result<Vec<Parameters>, String> {
    if from.get("elementsYaml").is_some_and(|text| text.as_str().is_some_and(|text| !text.is_empty())) {
        return Err("elementsYaml is a template of items, which is not read; write elements".to_owned());
    }
    let elements = from["elements"].as_array().into_iter().flatten();
    Ok(elements.filter_map(Value::as_object).take(APPLICATIONS + 1).cloned().collect())
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The parameters in a file: a mapping, or a list of mappings.
fn contents(files: &dyn Files, path: &str) -> Result<Vec<Parameters>, String> {
    let bytes = files.read(path).map_err(|error| error.to_string())?.unwrap_or_default();
    if bytes.len() > BYTES {
        return Err(format!("{path} has {} bytes; files over {BYTES} bytes are not read", bytes.len()));
    }
    let (documents, errors) = yaml::read(path, &bytes);
    if let Some(error) = errors.first() {
        return Err(error.to_string());
    }
    match documents.into_iter().next().map(|document| document.value) {
        Some(Value::Object(fields)) => Ok(vec![fields]),
        Some(Value::Array(items)) => {
            Ok(items.into_iter().filter_map(|item| item.as_object().cloned()).collect())
        }
        _ => Err(format!("{path} is no mapping")),
    }
}

/// Compares a path with a pattern: `*` is within a folder, `**` is any number of folders.
fn is_match(pattern: &str, path: &str) -> bool {
    fn rest(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((&"**", after)), _) => {
                rest(after, path) || path.split_first().is_some_and(|(_, below)| rest(pattern, below))
            }
            (Some((one, after)), Some((name, below))) => {
                fits(one.as_bytes(), name.as_bytes()) && rest(after, below)
            }
            _ => false,
        }
    }
    let mut parts: Vec<&str> = pattern.split('/').collect();
    // Several in a row are one, so that the search stays short.
    parts.dedup_by(|one, other| *one == "**" && *other == "**");
    parts.iter().filter(|part| **part == "**").count() <= 4
        && rest(&parts, &path.split('/').collect::<Vec<_>>())
}

/// A parameter by its name, or by the names of the mappings that it is in.
fn selected<'p>(parameters: &'p Parameters, name: &str) -> Option<&'p Value> {
    parameters.get(name).or_else(|| {
        let mut names = name.split('.');
        let first = parameters.get(names.next()?)?;
        names.try_fold(first, |at, name| at.get(name))
    })
}

/// The parameters that a selector selects.
fn select(found: Vec<Parameters>, selector: &Value) -> Result<Vec<Parameters>, String> {
    if selector.get("matchExpressions").is_some_and(|all| all.as_array().is_some_and(|all| !all.is_empty())) {
        return Err("matchExpressions of a selector are not read; import from the cluster".to_owned());
    }
    let labels: Vec<(&String, &Value)> = selector["matchLabels"].as_object().into_iter().flatten().collect();
    let has = |parameters: &Parameters| {
        labels.iter().all(|(name, value)| selected(parameters, name) == Some(*value))
    };
    Ok(if labels.is_empty() { found } else { found.into_iter().filter(has).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_folders() {
        assert!(
            is_match("apps/*", "apps/web")
                && !is_match("apps/*", "apps/web/base")
                && !is_match("apps/*", "apps")
        );
        assert!(is_match("apps/**/config.json", "apps/a/b/config.json"));
        assert!(is_match("apps/**/config.json", "apps/config.json"));
        assert!(is_match("*", "apps") && is_match("**", "a/b"));
    }
}

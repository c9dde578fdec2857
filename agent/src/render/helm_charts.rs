//! Renders `helmCharts` of a kustomization, as kustomize runs Helm for them.
//!
//! Leaves fetching and running to the outside. Pure, except for the files that it reads.

use holdfast_diff::files::{Files, FilesError, join};
use holdfast_kustomize::{HelmChart, ValuesMerge};
use holdfast_kustomize::{read, value};
use serde_json::{Map, Value};

use super::ask::{Answer, Answers, Ask, ChartFrom};
use super::chart_files::collect;
use super::helm::{self, HelmError, Release, ValuesPart};
use super::{File, NO_HELM, RenderError};

/// Every version, including prereleases.
const ANY: &str = ">0.0.0-0";

/// Returns the YAML that a chart renders to; `folder` is that of the kustomization.
pub fn render(
    files: &dyn Files,
    answers: &Answers<'_>,
    wanted: &HelmChart,
    folder: &str,
) -> Result<Vec<u8>, FilesError> {
    if !answers.charts {
        return Err(FilesError(NO_HELM.to_owned()));
    }
    let failed = |error: HelmError| FilesError(format!("helmCharts, {}: {error}", wanted.name));
    let refused =
        |error: RenderError| FilesError(format!("helmCharts, {}: {}", wanted.name, error.errors.join("; ")));
    let from = || source(files, wanted, folder);
    let own = || match answers.get(Ask::Values(from()?)).map_err(refused)? {
        Answer::Values(text) => Ok(text.clone()),
        _ => Err(FilesError("the values of a chart were answered by something else".to_owned())),
    };
    let values = helm::merge(&parts(files, wanted, folder, own)?, None).map_err(failed)?;
    let ask = Ask::Template(from()?, Box::new(release(wanted, values)));
    let Answer::Template { files: rendered, again: _ } = answers.get(ask).map_err(refused)? else {
        return Err(FilesError("a chart was answered by something else".to_owned()));
    };
    let mut text = Vec::new();
    for File { bytes, .. } in rendered {
        text.extend_from_slice(b"---\n");
        text.extend_from_slice(bytes);
        if !bytes.ends_with(b"\n") {
            text.push(b'\n');
        }
    }
    Ok(text)
}

/// Where the chart comes from.
fn source(files: &dyn Files, wanted: &HelmChart, folder: &str) -> Result<ChartFrom, FilesError> {
    let HelmChart { name, version, repo, .. } = wanted;
    let version = if version.is_empty() && wanted.devel { ANY } else { version };
    let version = version.to_owned();
    if repo.is_empty() {
        let home = if wanted.chart_home.is_empty() { "charts" } else { &wanted.chart_home };
        let path = join(folder, &format!("{home}/{name}"));
        let path = path.ok_or_else(|| FilesError(format!("{home} leads out of the repository")))?;
        return Ok(ChartFrom::Folder { files: collect(files, &path)?, path, logins: false });
    }
    if repo.starts_with("oci://") {
        return Ok(ChartFrom::Oci { url: format!("{}/{name}", repo.trim_end_matches('/')), version });
    }
    Ok(ChartFrom::Repository { url: repo.clone(), name: name.clone(), version })
}

fn release(wanted: &HelmChart, values: Value) -> Release {
    let HelmChart { release_name, name_template, .. } = wanted;
    let has_template = release_name.is_empty() && !name_template.is_empty();
    Release {
        name: if release_name.is_empty() { "release-name".to_owned() } else { release_name.clone() },
        name_template: has_template.then(|| name_template.clone()),
        namespace: wanted.namespace.clone(),
        values,
        skip_crds: !wanted.include_crds,
        skip_hooks: wanted.skip_hooks,
        skip_tests: wanted.skip_tests,
        skip_schema_validation: false,
        kube_version: Some(wanted.kube_version.clone()).filter(|version| !version.is_empty()),
        api_versions: wanted.api_versions.clone(),
    }
}

/// Returns the values for Helm. Inline values and those of the file are merged before Helm reads them: a value that one of them
/// removes with `null` has the default of the chart.
fn parts(
    files: &dyn Files,
    wanted: &HelmChart,
    folder: &str,
    own: impl Fn() -> Result<Vec<u8>, FilesError>,
) -> Result<Vec<ValuesPart>, FilesError> {
    let HelmChart { values_file, values_inline: inline, values_merge, .. } = wanted;
    let of_file = || match values_file.as_str() {
        "" => Ok(part("values.yaml of the chart".to_owned(), own()?)),
        file => read_file(files, folder, file),
    };
    let mut parts = match values_merge {
        _ if inline.is_empty() => vec![of_file()?],
        ValuesMerge::Override => vec![laid(map(&of_file()?)?, inline)],
        ValuesMerge::Merge => vec![laid(inline.clone(), &map(&of_file()?)?)],
        ValuesMerge::Replace => vec![inlined(inline.clone())],
    };
    for file in &wanted.additional_values_files {
        parts.push(read_file(files, folder, file)?);
    }
    Ok(parts)
}

fn part(name: String, text: Vec<u8>) -> ValuesPart {
    ValuesPart { name, text, target_path: None }
}

fn inlined(values: Map<String, Value>) -> ValuesPart {
    part("valuesInline".to_owned(), Value::Object(values).to_string().into_bytes())
}

fn read_file(files: &dyn Files, folder: &str, file: &str) -> Result<ValuesPart, FilesError> {
    let path = join(folder, file).ok_or_else(|| FilesError(format!("{file} leads out of the repository")))?;
    let missing = || FilesError(format!("{path}, which helmCharts names, does not exist"));
    let text = files.read(&path)?.ok_or_else(missing)?.to_vec();
    Ok(part(path, text))
}

/// The values of a file, as kustomize reads YAML.
fn map(part: &ValuesPart) -> Result<Map<String, Value>, FilesError> {
    let failed = |said: String| FilesError(said);
    let nodes = read::nodes(&part.name, &part.text).map_err(|error| failed(error.to_string()))?;
    match nodes.first().map(|(node, _)| value::value(node)).transpose() {
        Ok(None | Some(Value::Null)) => Ok(Map::new()),
        Ok(Some(Value::Object(map))) => Ok(map),
        Ok(Some(_)) => Err(failed(format!("{}: values are a map, such as `replicas: 2`", part.name))),
        Err(error) => Err(failed(format!("{}: {error}", part.name))),
    }
}

fn laid(mut below: Map<String, Value>, above: &Map<String, Value>) -> ValuesPart {
    lay(&mut below, above);
    inlined(below)
}

/// Merges values over others: maps are merged, other values are replaced, and `null` removes.
fn lay(below: &mut Map<String, Value>, above: &Map<String, Value>) {
    for (key, value) in above {
        match (below.get_mut(key), value) {
            (_, Value::Null) => drop(below.remove(key)),
            (Some(Value::Object(below)), Value::Object(above)) => lay(below, above),
            _ => drop(below.insert(key.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_takes_away_and_is_not_told_to_helm() {
        let (below, above) = (
            json!({"a": {"b": 1, "c": 2}, "d": [1], "e": null}),
            json!({"a": {"b": null}, "d": [2], "f": {}}),
        );
        let laid = laid(below.as_object().unwrap().clone(), above.as_object().unwrap());
        let laid: Value = serde_json::from_slice(&laid.text).unwrap();
        assert_eq!(laid, json!({"a": {"c": 2}, "d": [2], "e": null, "f": {}}));
    }
}

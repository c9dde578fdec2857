//! What `helmCharts` of a kustomization asks for, as kustomize asks Helm for it.
//!
//! Leaves fetching and running to `helm`. Must be called where it may block. I/O: through Helm.

use holdfast_diff::files::{Files, FilesError, join};
use holdfast_diff::kustomize::host::{HelmChart, ValuesMerge};
use holdfast_diff::kustomize::{read, value};
use serde_json::{Map, Value};

use super::File;
use super::chart::{Charts, export};
use super::helm::{self, Chart, ChartSource, HelmError, Release, ValuesPart};

/// Every version, prereleases too.
const ANY: &str = ">0.0.0-0";

/// The YAML that a chart renders to; `folder` is that of the kustomization.
pub fn render(
    charts: &Charts,
    files: &dyn Files,
    wanted: &HelmChart,
    folder: &str,
) -> Result<Vec<u8>, FilesError> {
    let failed = |error: HelmError| FilesError(format!("helmCharts, {}: {error}", wanted.name));
    let Charts { runner, runtime } = charts;
    let HelmChart { name, version, repo, .. } = wanted;
    let root = runner.folder().map_err(failed)?;
    let oci = format!("{}/{name}", repo.trim_end_matches('/'));
    let version = if version.is_empty() && wanted.devel { ANY } else { version };
    let place;
    let source = if repo.is_empty() {
        let home = if wanted.chart_home.is_empty() { "charts" } else { &wanted.chart_home };
        let path = join(folder, &format!("{home}/{name}"));
        let path = path.ok_or_else(|| FilesError(format!("{home} climbs out of the repository")))?;
        place = export(files, &path, root.path())?;
        ChartSource::Folder { path: &place, root: root.path(), logins: &[] }
    } else if repo.starts_with("oci://") {
        ChartSource::Oci { url: &oci, version, login: None, plain_http: false }
    } else {
        ChartSource::Repository { url: repo, name, version, login: None }
    };
    let chart = runtime.block_on(runner.fetch(source)).map_err(failed)?;
    let values = helm::merge(&parts(files, wanted, folder, &chart)?, None).map_err(failed)?;
    let rendered = runtime.block_on(runner.template(&chart, &release(wanted, values))).map_err(failed)?;
    let mut text = Vec::new();
    for File { bytes, .. } in rendered.files {
        text.extend_from_slice(b"---\n");
        text.extend_from_slice(&bytes);
        text.push(b'\n');
    }
    Ok(text)
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
        kube_version: Some(wanted.kube_version.clone()).filter(|version| !version.is_empty()),
        api_versions: wanted.api_versions.clone(),
    }
}

/// The values that Helm is given. Inline values and those of the file come together before Helm sees them: what one takes
/// away by null is then as the chart has it.
fn parts(
    files: &dyn Files,
    wanted: &HelmChart,
    folder: &str,
    chart: &Chart,
) -> Result<Vec<ValuesPart>, FilesError> {
    let HelmChart { values_file, values_inline: inline, values_merge, .. } = wanted;
    let of_file = || match values_file.as_str() {
        "" => {
            let text = chart.values().map_err(|error| FilesError(error.to_string()))?;
            Ok(part("values.yaml of the chart".to_owned(), text.unwrap_or_default()))
        }
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
    let path =
        join(folder, file).ok_or_else(|| FilesError(format!("{file} climbs out of the repository")))?;
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

/// Lays values over others: maps are merged, everything else is replaced, and null takes away.
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

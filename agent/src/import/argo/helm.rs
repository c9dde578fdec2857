//! The chart of an Application: values, parameters, files. Pure.

use holdfast_diff::yaml;
use serde_json::{Value, json};

use super::super::fields::Fields;
use super::super::found::Found;
use super::super::note::{Note, Notes};
use super::super::output::Draft;
use super::super::words;
use super::{Argo, git};

/// Where a chart is used.
pub struct Place<'p> {
    pub app: &'p Found,
    /// Folder of the source.
    pub path: &'p str,
    pub url: &'p str,
    pub revision: &'p str,
    /// The name by which value files refer to the repository of the Sync.
    pub reference: Option<&'p str>,
}

/// Sets a chart of a chart repository.
pub fn chart(
    argo: &Argo<'_>,
    url: &str,
    name: &str,
    version: Option<&str>,
    draft: &mut Draft,
    all: &mut Vec<Note>,
) {
    let (plain, had_password) = words::without_password(url);
    if had_password {
        words::password_note(&mut Notes::about(&draft.from, all), "spec.source.repoURL");
    }
    let plain = if plain.contains("://") { plain } else { format!("oci://{plain}") };
    draft.set("render.helm.chart.repository", plain.trim_end_matches('/'));
    draft.set("render.helm.chart.name", name);
    draft.set("render.helm.chart.version", version.filter(|version| *version != "*"));
    if let Some(secret) = git::login(argo.index, url) {
        let name = git::secret_of(secret, draft, "render.helm.chart.secretRef", all);
        draft.set("render.helm.chart.secretRef.name", name);
    }
}

/// Sets what the section `helm` says.
pub fn set(place: &Place<'_>, from: &Fields<'_>, has_chart: bool, draft: &mut Draft, notes: &mut Notes<'_>) {
    if !from.is_set() && !has_chart {
        return;
    }
    if !has_chart {
        draft.set("render.type", "Helm");
    }
    let release =
        from.text("releaseName").map_or_else(|| place.app.name().to_owned(), |name| env(place, name));
    draft.set("render.helm.releaseName", release);
    draft.set("render.helm.namespace", from.text("namespace"));
    draft.set("render.helm.kubeVersion", from.text("kubeVersion"));
    draft.set("render.helm.apiVersions", from.texts("apiVersions"));
    for (theirs, ours) in [("skipCrds", "skipCRDs"), ("skipSchemaValidation", "skipSchemaValidation")] {
        if from.flag(theirs) == Some(true) {
            draft.set(&format!("render.helm.{ours}"), true);
        }
    }
    if from.flag("skipTests") == Some(true) {
        notes.not_needed(from.path_of("skipTests"), "test hooks are not applied");
    }
    if from.text("version").is_some() {
        notes.not_needed(from.path_of("version"), "charts are rendered by the Helm of the agent");
    }
    if from.flag("passCredentials") == Some(true) {
        notes.missing(from.path_of("passCredentials"), "credentials are not sent to another host");
    }
    value_files(place, from, has_chart, draft, notes);
    let mut values = values(place, from, notes);
    for parameter in from.items("parameters") {
        let (Some(name), value) = (parameter.text("name"), parameter.text("value").unwrap_or_default())
        else {
            continue;
        };
        parameter.take("value");
        let value = env(place, value);
        let value =
            if parameter.flag("forceString") == Some(true) { Value::from(value) } else { typed(&value) };
        if !put(&mut values, name, value) {
            notes.missing(
                parameter.path(),
                format!("the path {name} is not set; write it to render.helm.values"),
            );
        }
    }
    draft.set("render.helm.values", values);
    for parameter in from.items("fileParameters") {
        let (Some(name), Some(path)) = (parameter.text("name"), parameter.text("path")) else { continue };
        if has_chart {
            notes.missing(parameter.path(), "a file of the chart is not read; copy it to the repository");
        } else {
            draft.push(
                "render.helm.valuesFrom",
                json!({"file": path.trim_start_matches("./"), "targetPath": name}),
            );
        }
    }
}

/// The values in the Application itself.
fn values(place: &Place<'_>, from: &Fields<'_>, notes: &mut Notes<'_>) -> Value {
    let object = from.take("valuesObject").filter(|object| object.is_object());
    let text = from.text("values");
    if let Some(object) = object {
        if text.is_some() {
            notes.not_needed(from.path_of("values"), "valuesObject has precedence, in Argo CD as well");
        }
        return object.clone();
    }
    let Some(text) = text else { return json!({}) };
    let name = format!("{} of {}", from.path_of("values"), place.app.key());
    let (documents, errors) = yaml::read(&name, text.as_bytes());
    let value = documents.into_iter().next().map(|document| document.value);
    match value.filter(|value| errors.is_empty() && (value.is_object() || value.is_null())) {
        Some(Value::Null) => json!({}),
        Some(value) => value,
        None => {
            let why = errors.first().map_or_else(|| "it is no mapping".to_owned(), ToString::to_string);
            notes.missing(from.path_of("values"), format!("the values are not read: {why}"));
            json!({})
        }
    }
}

fn value_files(
    place: &Place<'_>,
    from: &Fields<'_>,
    has_chart: bool,
    draft: &mut Draft,
    notes: &mut Notes<'_>,
) {
    let optional = from.flag("ignoreMissingValueFiles") == Some(true);
    let files = from.below("valueFiles");
    for file in from.texts("valueFiles") {
        let file = env(place, file);
        let below = match file.strip_prefix('$') {
            Some(named) => {
                let (name, path) = named.split_once('/').unwrap_or((named, ""));
                if place.reference != Some(name) {
                    notes.missing(
                        files.path(),
                        format!("{file} is in another repository than the rest; copy it to that of the Sync, and name it in render.helm.valuesFrom"),
                    );
                    continue;
                }
                from_root(place, has_chart, path)
            }
            None if file.contains("://") => {
                notes.missing(files.path(), format!("{file} is fetched from a server; copy it to the repository, and name it in render.helm.valuesFrom"));
                continue;
            }
            None if file.contains(['*', '?', '[']) => {
                notes.missing(
                    files.path(),
                    format!("{file} is a pattern; name each file in render.helm.valuesFrom"),
                );
                continue;
            }
            None if has_chart => {
                notes.missing(files.path(), format!("{file} is in the chart; copy it to the repository, and name it in render.helm.valuesFrom"));
                continue;
            }
            None => match file.strip_prefix('/') {
                Some(path) => from_root(place, has_chart, path),
                None => file.trim_start_matches("./").to_owned(),
            },
        };
        let mut entry = json!({"file": below});
        if optional {
            entry["optional"] = Value::from(true);
        }
        draft.push("render.helm.valuesFrom", entry);
    }
}

/// A file of the repository, relative to the folder of the Sync.
fn from_root(place: &Place<'_>, has_chart: bool, file: &str) -> String {
    if has_chart {
        return file.to_owned();
    }
    let below = file.strip_prefix(place.path).and_then(|rest| rest.strip_prefix('/'));
    let levels = place.path.split('/').filter(|name| !name.is_empty() && *name != ".").count();
    below.map_or_else(|| format!("{}{file}", "../".repeat(levels)), str::to_owned)
}

/// Fills in the variables that Argo CD sets.
pub fn env(place: &Place<'_>, text: &str) -> String {
    if !text.contains("ARGOCD_") {
        return text.to_owned();
    }
    let variables = [
        ("ARGOCD_APP_SOURCE_TARGET_REVISION", place.revision),
        ("ARGOCD_APP_SOURCE_REPO_URL", place.url),
        ("ARGOCD_APP_SOURCE_PATH", place.path),
        ("ARGOCD_APP_PROJECT_NAME", place.app.at("/spec/project")),
        ("ARGOCD_APP_NAMESPACE", place.app.at("/spec/destination/namespace")),
        ("ARGOCD_APP_NAME", place.app.name()),
    ];
    let mut text = text.to_owned();
    for (name, value) in variables {
        text = text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
    }
    text
}

/// The value of `--set`.
fn typed(text: &str) -> Value {
    if let Some(list) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return list.split(',').filter(|item| !item.is_empty()).map(|item| typed(item.trim())).collect();
    }
    match text {
        "true" => Value::from(true),
        "false" => Value::from(false),
        "null" => Value::Null,
        "0" => Value::from(0),
        _ if text.starts_with('0') => Value::from(text),
        _ => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
    }
}

/// Sets a value at a path of `--set`: `a.b\.c`. Returns false for a path that is not understood.
fn put(values: &mut Value, path: &str, value: Value) -> bool {
    let mut names = vec![String::new()];
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => names.last_mut().into_iter().for_each(|name| name.extend(letters.next())),
            '.' => names.push(String::new()),
            '[' | ']' | '{' | '}' | ',' | '=' => return false,
            letter => names.last_mut().into_iter().for_each(|name| name.push(letter)),
        }
    }
    if names.iter().any(String::is_empty) || names.len() > 50 {
        return false;
    }
    let mut at = values;
    for name in names {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[name];
    }
    *at = value;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_values_at_their_paths() {
        let mut values = json!({"image": {"tag": "v1"}, "list": 1});
        let text = |text: &str| typed(text);
        assert!(put(&mut values, "image.tag", text("v2")));
        assert!(put(&mut values, r"annotations.external-dns\.io/host", text("a.test")));
        assert!(put(&mut values, "replicas", text("3")));
        assert!(put(&mut values, "zip", text("0123")));
        assert!(put(&mut values, "on", text("true")));
        assert!(put(&mut values, "args", text("{a, 2}")));
        assert!(!put(&mut values, "list[0].name", text("x")));
        let expected = json!({"image": {"tag": "v2"}, "list": 1, "annotations": {"external-dns.io/host": "a.test"},
            "replicas": 3, "zip": "0123", "on": true, "args": ["a", 2]});
        assert_eq!(values, expected);
    }
}

//! Whole renders of small trees: what is left out, what is reported, and what passes from one renderer to the next unchanged.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_diff::files::{Entry, EntryKind, FileKind, FilesError, Resolved};
use serde_json::{Value, json};

use super::*;

/// Files by path; an entry without text is a broken symlink.
struct Table(BTreeMap<String, Option<String>>);

fn table(files: &[(&str, Option<&str>)]) -> Table {
    Table(files.iter().map(|(path, text)| ((*path).to_owned(), text.map(str::to_owned))).collect())
}

impl Files for Table {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        let folder = if path.is_empty() { String::new() } else { format!("{path}/") };
        let kind = match self.0.get(path) {
            Some(Some(_)) => FileKind::File,
            Some(None) => return Err(FilesError(format!("the target of the symlink {path} does not exist"))),
            None if self.0.keys().any(|file| file.starts_with(&folder)) => FileKind::Folder,
            None => return Ok(None),
        };
        Ok(Some(Resolved { path: path.to_owned(), kind }))
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        self.resolve(path)?;
        Ok(self.0.get(path).and_then(|text| Some(text.as_deref()?.as_bytes().into())))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        let mut found: Vec<Entry> = Vec::new();
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        for (file, text) in self.0.iter().filter_map(|(file, text)| Some((file.strip_prefix(&prefix)?, text)))
        {
            let (name, kind) = match file.split_once('/') {
                Some((name, _)) => (name, EntryKind::Folder),
                None if text.is_none() => (file, EntryKind::Dangling),
                None => (file, EntryKind::File),
            };
            if found.iter().all(|entry| entry.name != name) {
                found.push(Entry { name: name.to_owned(), kind });
            }
        }
        Ok(Some(found))
    }
}

fn rendered(files: &Table, options: &Value) -> Result<Rendered, String> {
    let options: Render = serde_json::from_value(options.clone()).map_err(|error| error.to_string())?;
    let vars = options.substitute.as_ref().map(|substitute| substitute.vars.clone()).unwrap_or_default();
    let inputs = Inputs { vars, ..Inputs::default() };
    let (answers, limits) = (Answers::default(), Limits::default());
    let job = Job { folder: "", options: &options, inputs: &inputs, keys: None, answers: &answers, limits };
    of_files(files, &job).map_err(|error| error.to_string())
}

fn names(rendered: Result<Rendered, String>) -> Result<Vec<String>, String> {
    let name = |object: Object| object.value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    rendered.map(|rendered| rendered.objects.into_iter().map(name).collect())
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

#[test]
fn a_catalogue_renders_without_what_is_no_manifest() {
    let files = table(&[
        ("a.yaml", Some(MAP)),
        ("latest", None),
        (".hidden.yaml", None),
        (".ci/x.yaml", None),
        ("old.yaml", None),
        ("trivy.yaml", Some("severity: [HIGH]\n")),
        ("charts/web/templates/a.yaml", Some("{{ if .x }}\n")),
    ]);
    let said = rendered(&files, &json!({})).err().unwrap_or_default();
    assert!(said.starts_with("3 errors in Git: "), "{said}");
    for part in ["symlink old.yaml does not exist", "trivy.yaml:1: ", "charts/web/templates/a.yaml:1:"] {
        assert!(said.contains(part), "{part} {said}");
    }
    assert_eq!(said.matches("spec.render.plain.exclude").count(), 3, "{said}");
    let exclude = json!({"plain": {"exclude": ["/old.yaml", "trivy.yaml", "charts/"]}});
    assert_eq!(names(rendered(&files, &exclude)), Ok(vec!["a".to_owned()]));
}

#[test]
fn objects_pass_between_renderers_as_values() {
    let text = "apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  annotations: {config.kubernetes.io/local-config: 'true', config.kubernetes.io/index: '0'}
data:
  '<<': \"a\\N b\\L\\x7f\\x9b\"
  'null': \"${name}\"
  '1': '2026-01-05'
";
    let files = table(&[
        ("a.yaml", Some(text)),
        ("b.yaml", Some("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n")),
    ]);
    let options = json!({
        "kustomize": {"images": [{"name": "web", "newTag": "2"}]},
        "helm": {"patches": [{"patch": "- {op: add, path: /metadata/labels, value: {x: \"${name}\"}}", "target": {"kind": "ConfigMap"}}]},
        "substitute": {"vars": {"name": "web"}},
    });
    let found = rendered(&files, &options).map(|rendered| rendered.objects).map_err(|error| error.clone());
    let values: Vec<Value> = found.unwrap_or_default().into_iter().map(|object| object.value).collect();
    let annotations = json!({"config.kubernetes.io/local-config": "true", "config.kubernetes.io/index": "0"});
    assert_eq!(
        values,
        [
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "a", "annotations": annotations, "labels": {"x": "web"}},
                "data": {"<<": "a\u{85} b\u{2028}\u{7f}\u{9b}", "null": "web", "1": "2026-01-05"},
            }),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "a", "namespace": "default", "labels": {"x": "web"}},
            }),
        ]
    );
}

#[test]
fn names_that_no_variable_can_have_are_refused_where_they_are_declared_and_used() {
    let files = table(&[(
        "a.yaml",
        Some("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: pre-${app-name}-post\n"),
    )]);
    let said =
        rendered(&files, &json!({"substitute": {"vars": {"app-name": "web"}}})).err().unwrap_or_default();
    for part in [
        "spec.render.substitute.vars: `app-name` cannot be the name of a variable",
        "a.yaml:5: /data/x: `${app-name}` cannot be the name of a variable",
    ] {
        assert!(said.contains(part), "{part} {said}");
    }
}

#[test]
fn quoted_strings_stay_strings_where_that_is_asked_for() {
    let text = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: a
  annotations: {id: \"${n}\", json: '${n}'}
spec:
  replicas: ${n}
  paused: \"${flag}\"
  text: |-
    ${n}
  brace: \"${open}\"
  kept: \"$${n}\"
";
    let vars = json!({"n": "711111111117", "flag": "true", "open": "{"});
    let object = |files: &Table, quoted: &str| {
        let options = json!({"substitute": {"vars": vars, "quoted": quoted}});
        rendered(files, &options)
            .map(|rendered| rendered.objects.into_iter().map(|object| object.value).collect::<Vec<_>>())
    };
    let expected = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "a", "annotations": {"id": "711111111117", "json": "711111111117"}},
        "spec": {"replicas": 711_111_111_117_u64, "paused": "true", "text": "711111111117", "brace": "{", "kept": "${n}"},
    });
    for files in [
        table(&[("b.yaml", Some(MAP)), ("a.yaml", Some(text))]),
        table(&[
            ("kustomization.yaml", Some("resources: [b.yaml, a.yaml]\n")),
            ("b.yaml", Some(MAP)),
            ("a.yaml", Some(text)),
        ]),
    ] {
        let found = object(&files, "Text").unwrap_or_default();
        assert!(found.contains(&expected), "{found:?}");
        assert!(object(&files, "Yaml").is_err());
    }
    let wrong = text.replace("${flag}", "${flga}");
    let said = object(&table(&[("a.yaml", Some(wrong.as_str()))]), "Text").err().unwrap_or_default();
    assert!(said.contains("a.yaml:8: /spec/paused: `${flga}` is not set"), "{said}");
}

#[test]
fn a_number_in_a_string_is_told_with_its_line() {
    let files = table(&[(
        "a.yaml",
        Some(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    b: \"${account}\"\n",
        ),
    )]);
    let vars = json!({"account": "711111111117", "quote": "\""});
    let said = rendered(&files, &json!({"substitute": {"vars": vars}})).err().unwrap_or_default();
    let part = "a.yaml:6: /metadata/annotations/b: `${account}` becomes a number";
    assert!(said.contains(part) && said.contains("${quote}${account}${quote}"), "{said}");
}

#[test]
fn hundreds_of_mistakes_are_a_few_lines() {
    let mut files = BTreeMap::new();
    for number in 0..263 {
        let text = match number % 3 {
            0 => "severity: [HIGH]\n".to_owned(),
            1 => "- a\n".to_owned(),
            _ => MAP.replace("kind", "knid"),
        };
        files.insert(format!("some/long/folder/of/files/{number}.yaml"), Some(text));
    }
    let error = rendered(&Table(files), &json!({})).err().unwrap_or_default();
    assert!(error.starts_with("263 errors in Git: ") && error.len() < 1000, "{} {error}", error.len());
    assert_eq!(error.matches(" times: ").count(), 3, "{error}");
}

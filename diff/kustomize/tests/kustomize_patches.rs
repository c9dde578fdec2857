//! What patches do, against answers of kubectl.
//!
//! A case is a file of `tests/patches`: lines `-- path --` begin the files of a kustomization with one file of
//! resources and its patches; behind `-- expected --` is what `kubectl kustomize` of Kubernetes 1.36 prints, and
//! `-- error --` says that it refuses. `tests/kustomize/merge.txt` holds resources and patches by themselves. I/O: reads
//! the cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use holdfast_kustomize::parts::{Json6902, Patch, PatchStep, strategic_merge};
use holdfast_kustomize::parts::{Merged, strategic};
use holdfast_kustomize::parts::{Resources, Schema, Transform};
use holdfast_kustomize::value::value;
use holdfast_kustomize::yaml;
use holdfast_kustomize::{KustomizeError, Map, Node, read};
use serde::Deserialize;
use serde_json::Value;

#[test]
fn every_patch_does_what_it_does_in_kubectl() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/patches");
    let mut cases: Vec<_> =
        fs::read_dir(folder).expect("cases").map(|entry| entry.expect("a case").path()).collect();
    cases.sort();
    assert!(cases.len() > 150, "only {} cases", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| check(case)).collect();
    assert!(wrong.is_empty(), "{} of {} cases differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn a_merge_gives_what_that_of_kustomize_gives() {
    let text = include_str!("merge.txt");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("##")).collect();
    let (cases, rest) = lines.as_chunks::<3>();
    assert!(cases.len() > 150 && rest.is_empty());
    let wrong: Vec<String> = cases.iter().filter_map(check_merge).collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn check_merge([dest, patch, answer]: &[&str; 3]) -> Option<String> {
    let first = |text: &str| read::nodes("", text.as_bytes()).expect("a document").remove(0).0;
    let mut node = first(dest);
    let merged = strategic(&mut node, &first(patch), &Schema::kubernetes());
    let ours = merged.and_then(|merged| match merged {
        Merged::Deleted => Ok("deleted".to_owned()),
        Merged::Kept => value(&node).map(|value| value.to_string()),
    });
    let ours = ours.unwrap_or_else(|_| "error".to_owned());
    let same = *answer == ours
        || serde_json::from_str::<Value>(answer)
            .is_ok_and(|answer| Some(answer) == serde_json::from_str(&ours).ok());
    (!same).then(|| format!("{dest}\n{patch}\n  kustomize: {answer}\n  ours: {ours}"))
}

type Files = BTreeMap<String, String>;

/// What is wrong with a case, if something is.
fn check(case: &Path) -> Option<String> {
    let name = case.file_stem()?.to_string_lossy().into_owned();
    let mut files = unpack(&fs::read_to_string(case).expect("a readable case"));
    let expected = files.remove("expected");
    let error = files.remove("error");
    assert_ne!(expected.is_some(), error.is_some(), "{name} has an answer, and only one");
    let expected = expected.map(|text| values(&text));
    match (expected, build(&files)) {
        (Some(expected), Ok(ours)) if expected == ours => None,
        (None, Err(error)) if !error.message.is_empty() => None,
        (Some(expected), Ok(ours)) => {
            let [expected, ours] =
                [expected, ours].map(|values| serde_json::to_string_pretty(&values).expect("JSON"));
            let diff = similar::TextDiff::from_lines(&expected, &ours);
            Some(format!("{name}:\n{}", diff.unified_diff().header("kubectl", "ours")))
        }
        (Some(_), Err(error)) => Some(format!("{name}: ours refuses: {error}")),
        (None, ours) => Some(format!("{name}: kubectl refuses, and ours gives {ours:?}")),
    }
}

/// The objects of a text, by name and kind: the order is that of another step.
fn values(text: &str) -> BTreeMap<String, Value> {
    let (documents, errors) = yaml::read("expected", text.as_bytes());
    assert_eq!(errors, [], "{text}");
    documents.into_iter().map(|document| key(document.value)).collect()
}

fn key(value: Value) -> (String, Value) {
    (format!("{} {}", value["kind"], value["metadata"]["name"]), value)
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Kustomization {
    patches: Vec<Patch>,
    patches_strategic_merge: Vec<String>,
    patches_json6902: Vec<Json6902>,
}

fn build(files: &Files) -> Result<BTreeMap<String, Value>, KustomizeError> {
    let (documents, _) = yaml::read("kustomization.yaml", files["kustomization.yaml"].as_bytes());
    let kustomization = documents.into_iter().next().expect("a kustomization").value;
    let mut resources = Resources::default();
    for resource in read::resources("resources.yaml", files["resources.yaml"].as_bytes())? {
        resources.append(resource)?;
    }
    for step in steps(&serde_json::from_value(kustomization).expect("a kustomization"), files)? {
        step.transform(&mut resources)?;
    }
    let objects = resources.list.into_iter().map(|mut resource| {
        resource.touch();
        texts(resource.edit());
        value(resource.node()).map(key)
    });
    objects.collect()
}

fn steps(kustomization: &Kustomization, files: &Files) -> Result<Vec<PatchStep>, KustomizeError> {
    let schema = Schema::kubernetes();
    let Kustomization { patches, patches_strategic_merge, patches_json6902 } = kustomization;
    let mut steps = Vec::new();
    if !patches_strategic_merge.is_empty() {
        let entries = patches_strategic_merge.iter().map(|path| (path.as_str(), files[path].as_str()));
        steps.push(strategic_merge(entries, &schema)?);
    }
    for patch in patches {
        let text = patch.path.as_ref().map_or(&patch.patch, |path| &files[path]).clone();
        steps.push(Patch { patch: text, ..patch.clone() }.step(&schema)?);
    }
    for patch in patches_json6902 {
        let text = patch.path.as_ref().map_or(&patch.patch, |path| &files[path]).clone();
        steps.push(Json6902 { patch: text, ..patch.clone() }.step(&schema)?);
    }
    Ok(steps)
}

/// What the last step of a build does to annotations.
fn texts(node: &mut Node) {
    let Some(metadata) = node.get_mut("metadata").and_then(Node::as_map_mut) else { return };
    if metadata.get("annotations").is_some_and(Node::is_empty) {
        metadata.remove("annotations");
    }
    let annotations = metadata.get_mut("annotations").and_then(Node::as_map_mut);
    for (_, value) in annotations.into_iter().flat_map(Map::iter_mut) {
        let text = value.as_scalar().map(|scalar| scalar.text.clone());
        *value = Node::string(text.unwrap_or_default());
    }
}

fn unpack(text: &str) -> Files {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match line.trim_end().strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) {
            Some(path) => files.push((path.to_owned(), String::new())),
            None => files.last_mut().expect("a case begins with a path").1.push_str(line),
        }
    }
    files.into_iter().collect()
}

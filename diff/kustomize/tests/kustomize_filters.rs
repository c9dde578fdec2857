//! What each transformer of a kustomization does, against answers of kubectl.
//!
//! A case is a file of `tests/filters`: lines `-- path --` begin the files of a repository whose
//! root is built; behind `-- expected --` is what `kubectl kustomize` of Kubernetes 1.36 prints, and `--
//! error --` says that it refuses. I/O: reads the cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use holdfast_kustomize::files::{Entry, EntryKind, FileKind, Files, FilesError, Resolved, join};
use holdfast_kustomize::yaml;
use holdfast_kustomize::{Host, Options, build};

#[test]
fn every_transformer_does_what_that_of_kubectl_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filters");
    let mut cases: Vec<_> =
        fs::read_dir(folder).expect("cases").map(|entry| entry.expect("a case").path()).collect();
    cases.sort();
    assert!(cases.len() > 90, "only {} cases", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| check(case)).collect();
    assert!(wrong.is_empty(), "{} of {} cases differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// What is wrong with a case, if something is.
fn check(case: &Path) -> Option<String> {
    let name = case.file_stem()?.to_string_lossy().into_owned();
    let mut files = unpack(&fs::read_to_string(case).expect("a readable case"));
    let expected = files.0.remove("expected");
    let error = files.0.remove("error");
    assert_ne!(expected.is_some(), error.is_some(), "{name} has an answer, and only one");
    let ours = build(&files, "", &Options::default()).map(|output| {
        let documents: Vec<String> = output.resources.iter().map(|(value, _)| yaml::write(value)).collect();
        documents.join("---\n")
    });
    match (expected, ours) {
        (Some(expected), Ok(ours)) if expected == ours => None,
        (None, Err(_)) => None,
        (Some(expected), Ok(ours)) => {
            let diff = similar::TextDiff::from_lines(&expected, &ours);
            Some(format!("{name}:\n{}", diff.unified_diff().header("kubectl", "ours")))
        }
        (Some(_), Err(error)) => Some(format!("{name}: ours refuses: {error}")),
        (None, Ok(ours)) => Some(format!("{name}: kubectl refuses, and ours renders:\n{ours}")),
    }
}

/// The files of a case.
struct Memory(BTreeMap<String, String>);

fn unpack(text: &str) -> Memory {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match line.trim_end().strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) {
            Some(path) => files.push((path.to_owned(), String::new())),
            None => files.last_mut().expect("a case begins with a path").1.push_str(line),
        }
    }
    Memory(files.into_iter().collect())
}

impl Host for Memory {}

impl Files for Memory {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        let Some(path) = join("", path) else { return Ok(None) };
        let is_folder = path.is_empty() || self.0.keys().any(|file| file.starts_with(&format!("{path}/")));
        let kind = if is_folder { FileKind::Folder } else { FileKind::File };
        Ok((is_folder || self.0.contains_key(&path)).then_some(Resolved { path, kind }))
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        Ok(self.0.get(path).map(|text| text.as_bytes().into()))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let names = self.0.keys().filter_map(|file| file.strip_prefix(&prefix)?.split('/').next());
        let entry = |name: &str| Entry { name: name.to_owned(), kind: EntryKind::File };
        Ok(Some(names.map(entry).collect()))
    }
}

//! The files of a chart in the tree and of the charts in the tree that it depends on: gathered, and written to disk for Helm.
//!
//! I/O: disk, in [`write`].

use std::path::PathBuf;

use holdfast_diff::files::{Entry, EntryKind, Files, FilesError, Walk, join};
use holdfast_diff::yaml;
use serde_json::Value;
use tempfile::TempDir;

use super::File;
use super::helm::HelmError;
use super::ignore::HelmIgnored;
use crate::disk::Beneath;

/// Maximum size of a chart in the tree, in bytes.
const LIMIT: usize = 32 * 1024 * 1024;

/// Gathers the files of a chart in the tree, and of the charts in the tree that it depends on.
pub fn collect(files: &dyn Files, folder: &str) -> Result<Vec<File>, FilesError> {
    let mut copying = Copying { files, found: Vec::new(), walk: Walk::default(), size: 0 };
    let mut wanted = vec![folder.to_owned()];
    let mut done = Vec::new();
    while let Some(folder) = wanted.pop() {
        if done.contains(&folder) {
            continue;
        }
        let ignored = HelmIgnored::of(files, &folder)?;
        copying.folder(&folder, &ignored)?;
        for beside in beside(files, &folder)? {
            wanted.push(beside);
        }
        done.push(folder);
    }
    Ok(copying.found)
}

/// Writes the files of a chart below a folder on disk. Returns that folder and the chart's own folder.
pub fn write(root: TempDir, files: &[File], folder: &str) -> Result<(TempDir, PathBuf), HelmError> {
    let failed = |error: std::io::Error| HelmError::Io { doing: "write a chart", said: error.to_string() };
    let to = Beneath::open(root.path()).map_err(failed)?;
    to.make_folder(folder).map_err(failed)?;
    for File { path, bytes } in files {
        to.write(path, bytes).map_err(failed)?;
    }
    let place = root.path().join(folder);
    Ok((root, place))
}

/// Returns the charts in the tree that a chart depends on:
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

/// Gathers files from the tree.
struct Copying<'a> {
    files: &'a dyn Files,
    found: Vec<File>,
    walk: Walk,
    /// The size of the gathered files, in bytes.
    size: usize,
}

impl Copying<'_> {
    fn folder(&mut self, folder: &str, ignored: &HelmIgnored) -> Result<(), FilesError> {
        for Entry { name, kind } in self.files.list(folder)?.unwrap_or_default() {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            self.walk.visit(&path)?;
            if kind == EntryKind::Folder {
                self.folder(&path, ignored)?;
                continue;
            }
            let bytes = match self.files.read(&path) {
                Ok(bytes) => bytes.unwrap_or_default(),
                Err(_) if ignored.has(&path) => continue,
                Err(error) => return Err(error),
            };
            self.size += bytes.len();
            if self.size > LIMIT {
                return Err(FilesError(format!("the chart in {folder} has more than {LIMIT} bytes")));
            }
            self.found.push(File { path, bytes: bytes.to_vec() });
        }
        Ok(())
    }
}

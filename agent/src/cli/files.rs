//! Files of a working tree, and Syncs in files, for the verbs that do not use Git. I/O: disk reads.

use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use holdfast_diff::files::name;
use holdfast_diff::files::{Entry, EntryKind, FileKind, Files, FilesError, Resolved, check_content, join};
use holdfast_diff::object::Manifest;
use holdfast_diff::yaml::{self, Tree};
use kube::{CustomResourceExt as _, Resource as _};

use super::shape::{self, Misfit};
use crate::api::{Sync, names};
use crate::render::plain::{self, Unit};

/// Maximum size of a file.
const LIMIT: u64 = 50 * 1024 * 1024;

/// A working tree on disk. Nothing outside it is read.
pub struct Disk {
    root: PathBuf,
}

impl Disk {
    /// Returns the tree below a folder.
    pub fn new(root: &Path) -> anyhow::Result<Self> {
        let root = root.canonicalize().with_context(|| format!("cannot read {}", root.display()))?;
        Ok(Self { root })
    }

    /// Returns the repository that contains a folder, and the path of the folder in it: up to the next `.git`, or else
    /// the whole disk.
    pub fn around(folder: &Path) -> anyhow::Result<(Self, String)> {
        let folder = folder.canonicalize().with_context(|| format!("cannot read {}", folder.display()))?;
        let root = folder.ancestors().find(|above| above.join(".git").exists());
        let root = root.or(folder.ancestors().last()).unwrap_or(&folder).to_path_buf();
        let below = folder.strip_prefix(&root).unwrap_or(&folder).to_string_lossy().into_owned();
        Ok((Self { root }, below))
    }

    /// Returns the normalised path of `spec.path`.
    pub fn folder(&self, below: Option<&str>) -> anyhow::Result<String> {
        let below = below.unwrap_or_default();
        let clean = join("", below).with_context(|| format!("spec.path {below} leads out of the tree"))?;
        match self.resolve(&clean)? {
            Some(Resolved { path, kind: FileKind::Folder }) => Ok(path),
            Some(_) => bail!("{below} is a file, not a folder"),
            None => bail!("{below} not found in {}", self.root.display()),
        }
    }

    fn real(&self, path: &str) -> Result<Option<PathBuf>, FilesError> {
        let whole = self.root.join(path);
        match whole.canonicalize() {
            Ok(real) if real.starts_with(&self.root) => match self.submodule(&real) {
                Some(submodule) => Err(FilesError(format!(
                    "{} is a submodule, which is not read; commit its files, or create another Sync for its repository",
                    submodule.display()
                ))),
                None => Ok(Some(real)),
            },
            Ok(real) => {
                Err(FilesError(format!("the symlink {path} leads out of the tree, to {}", real.display())))
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                match whole.symlink_metadata() {
                    Ok(_) => Err(FilesError(format!("the target of the symlink {path} does not exist"))),
                    Err(_) => Ok(None),
                }
            }
            Err(error) => Err(FilesError(format!("cannot read {path}: {error}"))),
        }
    }
}

impl Disk {
    /// Returns the nested repository that contains a path.
    fn submodule(&self, real: &Path) -> Option<PathBuf> {
        let below = real.ancestors().take_while(|above| *above != self.root);
        let inner = below.filter(|folder| folder.join(".git").exists()).last()?;
        Some(inner.strip_prefix(&self.root).unwrap_or(inner).to_path_buf())
    }
}

impl Files for Disk {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        let Some(real) = self.real(path)? else { return Ok(None) };
        let kind = if real.is_dir() { FileKind::Folder } else { FileKind::File };
        let path = real.strip_prefix(&self.root).unwrap_or(&real).to_string_lossy().into_owned();
        Ok(Some(Resolved { path, kind }))
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        let Some(real) = self.real(path)?.filter(|real| real.is_file()) else { return Ok(None) };
        let failed = |error: std::io::Error| FilesError(format!("cannot read {path}: {error}"));
        let size = real.metadata().map_err(failed)?.len();
        if size > LIMIT {
            return Err(FilesError(format!(
                "{path} has {size} bytes; files over {LIMIT} bytes are not read"
            )));
        }
        let bytes = std::fs::read(real).map_err(failed)?;
        check_content(path, &bytes)?;
        Ok(Some(bytes.into()))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        let Some(real) = self.real(path)?.filter(|real| real.is_dir()) else { return Ok(None) };
        let failed = |error: std::io::Error| FilesError(format!("cannot read {path}: {error}"));
        let mut found = Vec::new();
        for entry in real.read_dir().map_err(failed)? {
            let raw = entry.map_err(failed)?.file_name();
            if raw == ".git" {
                continue;
            }
            let name = name::check(raw.as_bytes()).map_err(|why| {
                FilesError(format!("{} in {path} {why}; rename it", name::shown(raw.as_bytes())))
            })?;
            let name = name.to_owned();
            let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let kind = match self.resolve(&below) {
                Ok(None) => continue,
                Ok(Some(place)) => place.kind.into(),
                Err(_) if self.root.join(&below).is_symlink() => EntryKind::Dangling,
                Err(_) if self.root.join(&below).join(".git").exists() => EntryKind::Submodule,
                Err(error) => return Err(error),
            };
            found.push(Entry { name, kind });
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Some(found))
    }
}

/// A file of a working tree: its path from the root, and its bytes.
#[derive(Clone, Debug)]
pub struct File {
    pub path: String,
    pub bytes: Vec<u8>,
}

/// Reads the files below a folder that the plain renderer reads.
pub fn read(tree: &Disk, folder: &str) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for unit in plain::units(tree, folder, None)? {
        let Unit::File(path) = unit else { continue };
        let bytes = tree.read(&path)?.unwrap_or_default().to_vec();
        files.push(File { path, bytes });
    }
    Ok(files)
}

/// Reads a Sync from a file. Every value that the API server would refuse is an error with its line and field.
pub fn sync(file: &Path) -> anyhow::Result<Sync> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    sync_of(&file.display().to_string(), &bytes)
}

fn sync_of(name: &str, bytes: &[u8]) -> anyhow::Result<Sync> {
    let mut syncs = syncs_of(name, bytes)?.into_iter();
    let Some(sync) = syncs.next() else {
        bail!("{name} contains no Sync (kind Sync of holdfast.dev/v1alpha1)")
    };
    if syncs.next().is_some() {
        bail!("{name} contains more than one Sync; write each to its own file");
    }
    sync
}

/// Reads all Syncs of a file; an invalid one is an error.
pub fn syncs_of(name: &str, bytes: &[u8]) -> anyhow::Result<Vec<anyhow::Result<Sync>>> {
    let (manifests, mistakes) = yaml::manifests(name, bytes);
    if !mistakes.is_empty() {
        bail!("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
    let syncs = manifests.into_iter().filter(|manifest| manifest.kind.is(names::GROUP, "Sync"));
    Ok(syncs.map(|manifest| checked(name, bytes, manifest)).collect())
}

/// Reads a Sync that the API server would accept.
fn checked(name: &str, bytes: &[u8], manifest: Manifest) -> anyhow::Result<Sync> {
    let Manifest { api_version, origin, value, .. } = manifest;
    if api_version != Sync::api_version(&()) {
        bail!("{origin}: apiVersion: must be {}, but is {api_version}", Sync::api_version(&()));
    }
    let (documents, _) = yaml::read(name, bytes);
    let document = documents.iter().rfind(|document| document.line <= origin.line);
    let schema = serde_json::to_value(Sync::crd()).unwrap_or_default();
    let schema = &schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let root = document.filter(|document| document.line == origin.line).map(|_| Tree::ROOT);
    let nothing = Tree::default();
    let found = shape::misfits(&value, schema, document.map_or(&nothing, |document| &document.tree), root);
    let line = |Misfit { line, message }: &Misfit| {
        format!("{}:{}: {message}", origin.file, line.unwrap_or(origin.line))
    };
    if !found.is_empty() {
        bail!("{}", found.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
    serde_json::from_value(value).with_context(|| format!("{origin}: the Sync is not valid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        let read = sync_of("s.yaml", text.as_bytes());
        read.err().map(|error| error.to_string().lines().map(str::to_owned).collect()).unwrap_or_default()
    }

    #[test]
    fn all_that_does_not_fit_in_a_sync_is_told_with_line_and_field() {
        let text = "apiVersion: holdfast.dev/v1alpha1
kind: Sync
metadata: {name: shop}
spec:
  source: {git: {ref: {branch: 1}}}
  prune: \"yes\"
  aproval: Always
  interval: [5m]
  approval: Sometimes
  render:
    kustomize:
      enableHelm: maybe
      patches:
      - patch: {a: b}
    helm:
      values: {any: [thing]}
      skipSchemaValidation: 1
  suspend: {reason: x, until: tomorrow}
  timeout: 5 parsecs
extra: {}
";
        let expected = [
            "s.yaml:5: spec.source.git.ref.branch: must be a string, but is a number; quote it",
            "s.yaml:5: spec.source.git.url: is missing; add it",
            "s.yaml:6: spec.prune: must be true or false, but is a string",
            "s.yaml:7: spec.aproval: unknown field; did you mean `approval`?",
            "s.yaml:8: spec.interval: must be a string, but is a list",
            "s.yaml:9: spec.approval: must be one of Never, Irreversible, Deletions, Always, but is \"Sometimes\"",
            "s.yaml:12: spec.render.kustomize.enableHelm: must be true or false, but is a string",
            "s.yaml:14: spec.render.kustomize.patches[0].patch: must be a string, but is a mapping",
            "s.yaml:17: spec.render.helm.skipSchemaValidation: must be true or false, but is a number",
            "s.yaml:18: spec.suspend.until: must be a time such as 2026-01-01T09:00:00Z, but is \"tomorrow\"",
            "s.yaml:19: spec.timeout: must be a duration such as 5m or 1h30m, but is \"5 parsecs\"",
            "s.yaml:20: extra: unknown field",
        ];
        assert_eq!(said(text), expected);
    }

    #[test]
    fn rules_about_several_fields_or_texts_are_checked_too() {
        let text = "apiVersion: holdfast.dev/v1alpha1
kind: Sync
metadata: {name: shop}
spec:
  source:
    git:
      url: github.com/a/b
      ref: {branch: main, tag: v1}
  interval: 2s
  suspend: {reason: \"\"}
  targetNamespace: Shop_1
  drift:
    ignore:
    - paths: [spec/replicas]
    - target: {kind: Deployment}
";
        let expected = [
            "s.yaml:7: spec.source.git.url: must be https://, http://, ssh://, user@host:path or file://, but is \"github.com/a/b\"",
            "s.yaml:8: spec.source.git.ref: must have exactly one of branch, tag, semver, name, commit",
            "s.yaml:9: spec.interval: must be at least 5s, but is \"2s\"",
            "s.yaml:10: spec.suspend.reason: must state the reason, but is \"\"",
            "s.yaml:11: spec.targetNamespace: must be the name of a namespace, but is \"Shop_1\"",
            "s.yaml:14: spec.drift.ignore[0].paths: must be JSON pointers (RFC 6901), which begin with /: /spec/replicas",
            "s.yaml:15: spec.drift.ignore[1]: must have paths, or managers, or both",
        ];
        assert_eq!(said(text), expected);
    }

    #[test]
    fn a_sync_that_fits_is_read() {
        let text = "apiVersion: holdfast.dev/v1alpha1\nkind: Sync\nmetadata: {name: shop}\nspec: {source: {git: {url: \"https://x.test/a\"}}, path: null}\n";
        assert_eq!(said(text), Vec::<String>::new());
        let old = text.replace("v1alpha1", "v1");
        assert_eq!(
            said(&old),
            ["s.yaml:1: apiVersion: must be holdfast.dev/v1alpha1, but is holdfast.dev/v1"]
        );
    }
}

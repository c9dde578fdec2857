//! Files of a working tree, and Syncs in files, for the verbs that need no git. I/O: disk reads.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use holdfast_diff::yaml;

use crate::api::Sync;
use crate::render::{self, File};

/// The folder that `spec.path` names in a working tree.
pub fn folder(root: &Path, below: Option<&str>) -> anyhow::Result<PathBuf> {
    let below = below.unwrap_or_default();
    if below.split('/').any(|part| part == "..") {
        bail!("spec.path {below} climbs out of the tree");
    }
    Ok(root.join(below.trim_start_matches('/')))
}

/// Reads the files below a folder that the renderer reads. Paths are told as they are from `root`.
pub fn read(root: &Path, folder: &Path) -> anyhow::Result<Vec<File>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(path) = open.pop() {
        let metadata = path.symlink_metadata().with_context(|| format!("cannot read {}", path.display()))?;
        if metadata.is_dir() {
            let mut entries: Vec<PathBuf> =
                path.read_dir()?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
            entries.retain(|entry| {
                !entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
            });
            open.extend(entries);
            continue;
        }
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        if metadata.is_symlink() {
            inside(root, &path)?;
        }
        if render::reads(&name) {
            let bytes = std::fs::read(&path).with_context(|| format!("cannot read {name}"))?;
            found.push(File { path: name, bytes });
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Refuses a symlink that leaves the tree.
fn inside(root: &Path, link: &Path) -> anyhow::Result<()> {
    let target =
        link.canonicalize().with_context(|| format!("the symlink {} leads nowhere", link.display()))?;
    if !target.starts_with(root.canonicalize()?) {
        bail!("the symlink {} leads out of the tree, to {}", link.display(), target.display());
    }
    Ok(())
}

/// Reads a Sync from a file, as the API server would: unknown fields are refused, with the line.
pub fn sync(file: &Path) -> anyhow::Result<Sync> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.display().to_string();
    let (manifests, mistakes) = yaml::manifests(&name, &bytes);
    if !mistakes.is_empty() {
        bail!("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
    let mut syncs = manifests.into_iter().filter(|manifest| manifest.kind.is("holdfast.dev", "Sync"));
    let Some(manifest) = syncs.next() else {
        bail!("{name} holds no Sync (kind Sync of holdfast.dev/v1alpha1)")
    };
    if syncs.next().is_some() {
        bail!("{name} holds more than one Sync; give each a file of its own");
    }
    let origin = manifest.origin;
    serde_json::from_value(manifest.value).with_context(|| format!("{origin}: the Sync is not valid"))
}

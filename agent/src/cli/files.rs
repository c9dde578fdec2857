//! Files of a working tree, and Syncs in files, for the verbs that need no git. I/O: disk reads.

use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use holdfast_diff::files::name;
use holdfast_diff::files::{Entry, EntryKind, FileKind, Files, FilesError, Place, check_content, join};
use holdfast_diff::yaml;

use crate::api::Sync;
use crate::render::plain::{self, Unit};

/// The largest file that is read.
const LIMIT: u64 = 50 * 1024 * 1024;

/// A working tree on disk. Nothing outside of it is read.
pub struct Disk {
    root: PathBuf,
}

impl Disk {
    /// The tree below a folder.
    pub fn new(root: &Path) -> anyhow::Result<Self> {
        let root = root.canonicalize().with_context(|| format!("cannot read {}", root.display()))?;
        Ok(Self { root })
    }

    /// The repository that a folder is in, and the folder's path in it: up to the next `.git`, else the whole disk.
    pub fn around(folder: &Path) -> anyhow::Result<(Self, String)> {
        let folder = folder.canonicalize().with_context(|| format!("cannot read {}", folder.display()))?;
        let root = folder.ancestors().find(|above| above.join(".git").exists());
        let root = root.or(folder.ancestors().last()).unwrap_or(&folder).to_path_buf();
        let below = folder.strip_prefix(&root).unwrap_or(&folder).to_string_lossy().into_owned();
        Ok((Self { root }, below))
    }

    /// The clean path that `spec.path` names.
    pub fn folder(&self, below: Option<&str>) -> anyhow::Result<String> {
        let below = below.unwrap_or_default();
        let clean = join("", below).with_context(|| format!("spec.path {below} climbs out of the tree"))?;
        match self.resolve(&clean)? {
            Some(Place { path, kind: FileKind::Folder }) => Ok(path),
            Some(_) => bail!("{below} is a file, not a folder"),
            None => bail!("there is no {below} in {}", self.root.display()),
        }
    }

    fn real(&self, path: &str) -> Result<Option<PathBuf>, FilesError> {
        let whole = self.root.join(path);
        match whole.canonicalize() {
            Ok(real) if real.starts_with(&self.root) => match self.submodule(&real) {
                Some(submodule) => Err(FilesError(format!(
                    "{} is a submodule, and those are not read; commit its files, or make another Sync of its repository",
                    submodule.display()
                ))),
                None => Ok(Some(real)),
            },
            Ok(real) => {
                Err(FilesError(format!("the symlink {path} leads out of the tree, to {}", real.display())))
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                match whole.symlink_metadata() {
                    Ok(_) => Err(FilesError(format!("the symlink {path} leads nowhere"))),
                    Err(_) => Ok(None),
                }
            }
            Err(error) => Err(FilesError(format!("cannot read {path}: {error}"))),
        }
    }
}

impl Disk {
    /// The repository inside of this one that a path is in.
    fn submodule(&self, real: &Path) -> Option<PathBuf> {
        let below = real.ancestors().take_while(|above| *above != self.root);
        let inner = below.filter(|folder| folder.join(".git").exists()).last()?;
        Some(inner.strip_prefix(&self.root).unwrap_or(inner).to_path_buf())
    }
}

impl Files for Disk {
    fn resolve(&self, path: &str) -> Result<Option<Place>, FilesError> {
        let Some(real) = self.real(path)? else { return Ok(None) };
        let kind = if real.is_dir() { FileKind::Folder } else { FileKind::File };
        let path = real.strip_prefix(&self.root).unwrap_or(&real).to_string_lossy().into_owned();
        Ok(Some(Place { path, kind }))
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
    for unit in plain::units(tree, folder)? {
        let Unit::File(path) = unit else { continue };
        let bytes = tree.read(&path)?.unwrap_or_default().to_vec();
        files.push(File { path, bytes });
    }
    Ok(files)
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

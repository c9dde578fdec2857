//! Renders a kustomization on disk, for comparison with the original: `kustomize FOLDER`.
//!
//! The repository is the nearest folder above with a `.git`. I/O: reads files, writes to the standard streams.

#![expect(clippy::disallowed_methods, reason = "an example reads the disk, which the crate does not")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use holdfast_kustomize::Host;
use holdfast_kustomize::files::{Entry, EntryKind, FileKind, Files, FilesError, Resolved};
use holdfast_kustomize::yaml;
use holdfast_kustomize::{Options, build};

fn main() -> ExitCode {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let (text, code) = match render(&folder) {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "error: {message}");
            (String::new(), ExitCode::FAILURE)
        }
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    if written.is_ok() { code } else { ExitCode::FAILURE }
}

fn render(folder: &str) -> Result<String, String> {
    let folder = Path::new(folder).canonicalize().map_err(|error| format!("{folder}: {error}"))?;
    let root = folder.ancestors().find(|above| above.join(".git").exists()).unwrap_or(&folder);
    let inside = folder.strip_prefix(root).map_err(|error| error.to_string())?;
    let disk = Disk { root: root.to_owned() };
    let output =
        build(&disk, &inside.to_string_lossy(), &Options::default()).map_err(|error| error.to_string())?;
    for warning in output.warnings {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    let documents: Vec<_> = output.resources.iter().map(|(value, _)| yaml::write(value)).collect();
    Ok(documents.join("---\n"))
}

/// The files below a folder.
struct Disk {
    root: PathBuf,
}

impl Host for Disk {}

impl Files for Disk {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        let Ok(real) = self.root.join(path).canonicalize() else { return Ok(None) };
        let Ok(inside) = real.strip_prefix(&self.root) else {
            return Err(FilesError(format!("{path} leads out of the repository")));
        };
        let kind = if real.is_dir() { FileKind::Folder } else { FileKind::File };
        Ok(Some(Resolved { path: inside.to_string_lossy().into_owned(), kind }))
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        Ok(std::fs::read(self.root.join(path)).ok().map(Into::into))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        let Ok(entries) = std::fs::read_dir(self.root.join(path)) else { return Ok(None) };
        let entry = |entry: std::fs::DirEntry| {
            let kind = if entry.path().is_dir() { EntryKind::Folder } else { EntryKind::File };
            Entry { name: entry.file_name().to_string_lossy().into_owned(), kind }
        };
        let mut entries: Vec<_> = entries.flatten().map(entry).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(entries))
    }
}

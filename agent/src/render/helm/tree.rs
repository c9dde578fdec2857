//! Charts in folders: their files, with links followed inside of the repository and nowhere else. I/O: disk.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use holdfast_diff::files::name;

use super::HelmError;
use super::archive::Entry;

/// How deep and how large a chart may be. Links can make it much larger than what is on disk.
const DEPTH: usize = 30;
const FILES: usize = 20_000;
const ALL: u64 = 64 * 1024 * 1024;

/// The files of a chart.
pub struct Tree {
    pub files: Vec<Entry>,
    /// True if there are links, which Helm would follow wherever they lead.
    pub linked: bool,
}

/// Reads a chart. The paths begin with `chart/`. Nothing outside of `root` is read.
pub fn read(chart: &Path, root: &Path) -> Result<Tree, HelmError> {
    let root = root.canonicalize().map_err(HelmError::io("read a chart"))?;
    let mut reading = Reading { root, tree: Tree { files: Vec::new(), linked: false }, size: 0 };
    reading.folder(&inside(chart, &reading.root.clone())?, "chart", 0)?;
    Ok(reading.tree)
}

/// A path without links, if it is in `root`, which has none.
pub fn inside(path: &Path, root: &Path) -> Result<PathBuf, HelmError> {
    let real = path.canonicalize().map_err(|error| HelmError::Io {
        doing: "read a chart",
        said: format!("{}: {error}", path.display()),
    })?;
    if real.starts_with(root) {
        return Ok(real);
    }
    Err(HelmError::PathEscapes { path: path.display().to_string() })
}

struct Reading {
    root: PathBuf,
    tree: Tree,
    size: u64,
}

impl Reading {
    fn folder(&mut self, folder: &Path, name: &str, depth: usize) -> Result<(), HelmError> {
        let failed = HelmError::io("read a chart");
        let mut entries: Vec<_> =
            folder.read_dir().map_err(&failed)?.collect::<Result<_, _>>().map_err(&failed)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let raw = entry.file_name();
            let own = name::check(raw.as_bytes())
                .map_err(|why| too_much(&name::shown(raw.as_bytes()), format!("it {why}")))?;
            let name = format!("{name}/{own}");
            let mut path = entry.path();
            if entry.file_type().map_err(&failed)?.is_symlink() {
                self.tree.linked = true;
                path = self.followed(&path)?;
            }
            let metadata = path.metadata().map_err(&failed)?;
            if metadata.is_dir() {
                if depth == DEPTH {
                    return Err(too_much(&name, format!("it is nested deeper than {DEPTH} folders")));
                }
                self.folder(&path, &name, depth + 1)?;
            } else if metadata.is_file() {
                self.size += metadata.len();
                if self.size > ALL || self.tree.files.len() == FILES {
                    return Err(too_much(
                        &name,
                        format!("the chart has more than {ALL} bytes, or {FILES} files"),
                    ));
                }
                let bytes = std::fs::read(&path).map_err(&failed)?;
                self.tree.files.push(Entry { path: name, bytes });
            }
        }
        Ok(())
    }

    fn followed(&self, link: &Path) -> Result<PathBuf, HelmError> {
        let shown = link.strip_prefix(&self.root).unwrap_or(link).display().to_string();
        match link.canonicalize() {
            Ok(target) if target.starts_with(&self.root) => Ok(target),
            Ok(_) => Err(HelmError::SymlinkEscapes { link: shown }),
            Err(error) => Err(HelmError::BadChart {
                file: shown,
                said: format!("the link cannot be followed: {error}"),
            }),
        }
    }
}

fn too_much(file: &str, said: String) -> HelmError {
    HelmError::BadChart { file: file.to_owned(), said }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("web/templates")).unwrap();
        std::fs::write(root.path().join("web/Chart.yaml"), "name: web").unwrap();
        std::fs::write(root.path().join("shared.yaml"), "a: 1").unwrap();
        root
    }

    fn read_web(root: &tempfile::TempDir) -> Result<Tree, HelmError> {
        read(&root.path().join("web"), root.path())
    }

    #[test]
    fn links_inside_of_the_repository_are_followed() {
        let root = folder();
        assert!(!read_web(&root).unwrap().linked);
        symlink("../../shared.yaml", root.path().join("web/templates/a.yaml")).unwrap();
        let tree = read_web(&root).unwrap();
        let paths: Vec<_> = tree.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["chart/Chart.yaml", "chart/templates/a.yaml"]);
        assert!(tree.linked);
    }

    #[test]
    fn links_that_lead_elsewhere_are_errors() {
        let check = |target: &str, part: &str| {
            let root = folder();
            symlink(target, root.path().join("web/templates/a.yaml")).unwrap();
            let said = read_web(&root).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(said.contains(part), "{target}: {said}");
        };
        check("/etc/passwd", "the symlink web/templates/a.yaml leads out of the repository");
        check("/", "leads out of the repository");
        check("missing", "the link cannot be followed");
        check("..", "nested deeper than 30 folders");
        let root = folder();
        assert!(read(&root.path().join("../../../etc"), root.path()).is_err());
    }
}

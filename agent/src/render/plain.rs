//! The plain renderer: every YAML and JSON file below the path, as kubectl reads it.
//!
//! Leaves the dialect to `holdfast_diff::yaml`. Pure, beside the files that it is given.

use holdfast_diff::files::{Entry, FileKind, Files, FilesError};
use holdfast_diff::yaml;

use super::ignore::Ignored;
use super::{Object, RenderError};

/// Folders that may be inside one another: symlinks can make it endless.
const DEPTH: usize = 64;

/// True for YAML and JSON files that are not hidden.
fn reads(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    !name.starts_with('.')
        && ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// The paths of the files below a folder that are rendered, in their order.
pub fn paths(files: &dyn Files, folder: &str) -> Result<Vec<String>, FilesError> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), Ignored::at_root(files, folder)?, 0)];
    while let Some((folder, above, depth)) = open.pop() {
        if depth > DEPTH {
            return Err(FilesError(format!(
                "{folder} is more than {DEPTH} folders deep: is a symlink in a circle?"
            )));
        }
        let ignored = above.and(files, &folder)?;
        for Entry { name, kind } in files.list(&folder)?.unwrap_or_default() {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let is_folder = kind == FileKind::Folder;
            if ignored.has(&path, is_folder) {
                continue;
            }
            if is_folder && name != ".git" {
                open.push((path, ignored.clone(), depth + 1));
            } else if !is_folder && reads(&name) {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads all files. One mistake anywhere means that nothing is rendered: half a set would be read as deletions.
pub fn render(files: &dyn Files, folder: &str) -> Result<Vec<Object>, RenderError> {
    let mut objects = Vec::new();
    let mut errors = Vec::new();
    for path in paths(files, folder)? {
        let bytes = files.read(&path)?.unwrap_or_default();
        let (manifests, mistakes) = yaml::manifests(&path, &bytes);
        objects.extend(
            manifests.into_iter().map(|manifest| Object { value: manifest.value, origin: manifest.origin }),
        );
        errors.extend(mistakes.into_iter().map(|mistake| mistake.to_string()));
    }
    if errors.is_empty() { Ok(objects) } else { Err(RenderError::of(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_and_other_types_are_not_read() {
        let read = ["a.yaml", "c.YML", "d.json", ".github.yaml", "e.txt", "yaml"].map(reads);
        assert_eq!(read, [true, true, true, false, false, false]);
    }
}

//! The plain renderer: every YAML and JSON file below the path, as kubectl reads it.
//!
//! Leaves the dialect to `holdfast_diff::yaml`. Pure.

use holdfast_diff::yaml;

use super::{File, ManifestSet, RenderError};

/// True for YAML and JSON files that are not hidden.
pub fn reads(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    !name.starts_with('.')
        && ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Reads all files. One mistake anywhere means that nothing is rendered: half a set would be read as deletions.
pub fn render(files: &[File]) -> Result<ManifestSet, RenderError> {
    let mut set = ManifestSet::default();
    let mut errors = Vec::new();
    for File { path, bytes } in files {
        let (manifests, mistakes) = yaml::manifests(path, bytes);
        set.manifests.extend(manifests);
        errors.extend(mistakes.into_iter().map(|mistake| mistake.to_string()));
    }
    if errors.is_empty() { Ok(set) } else { Err(RenderError { errors }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_and_other_types_are_not_read() {
        let read = ["a.yaml", "b/c.YML", "d.json", ".github.yaml", "e.txt", "yaml"].map(reads);
        assert_eq!(read, [true, true, true, false, false, false]);
    }
}

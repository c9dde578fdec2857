//! The plain renderer: every YAML and JSON file below the path, as kubectl reads it. A folder below with a kustomization
//! of its own is rendered by that.
//!
//! Leaves the dialect to `holdfast_diff::yaml`. Pure, beside the files that it is given.

use holdfast_diff::budget::{Exceeded, Resource};
use holdfast_diff::files::{Entry, EntryKind, Files, FilesError, Walk};
use holdfast_diff::object::Manifest;
use holdfast_diff::weight;
use holdfast_diff::yaml::{self, ManifestError};

use super::ignore::Ignored;
use super::kustomize;
use super::surroundings::Surroundings;
use super::{Object, RenderError, Rendered, detect};
use crate::api::{PlainOptions, Render};

/// True for YAML and JSON files that are not hidden.
fn reads(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    !name.starts_with('.')
        && ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// What is rendered below a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    File(String),
    /// A folder with a kustomization of its own.
    Kustomization(String),
}

/// The files and kustomizations below a folder that are rendered, in the order of their paths.
pub fn units(
    files: &dyn Files,
    folder: &str,
    options: Option<&PlainOptions>,
) -> Result<Vec<Unit>, FilesError> {
    let mut found = Vec::new();
    let mut walk = Walk::default();
    let exclude = options.map(|options| &*options.exclude).unwrap_or_default();
    let ignored = Ignored::at_root(files, folder)?.excluding(folder, exclude)?;
    let mut open = vec![(folder.to_owned(), ignored, true)];
    while let Some((folder, above, is_top)) = open.pop() {
        if !is_top && detect::is_kustomization(files, &folder)? {
            found.push((folder.clone(), Unit::Kustomization(folder)));
            continue;
        }
        let ignored = above.and(files, &folder)?;
        for Entry { name, kind } in files.list(&folder)?.unwrap_or_default() {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            walk.visit(&path)?;
            let is_folder = matches!(kind, EntryKind::Folder | EntryKind::Submodule);
            if ignored.has(&path, is_folder) {
                continue;
            }
            match kind {
                EntryKind::Folder if !name.starts_with('.') => open.push((path, ignored.clone(), false)),
                // What is in it may be wanted: that it is not read must be said.
                EntryKind::Submodule if !name.starts_with('.') => drop(files.list(&path)?),
                EntryKind::File | EntryKind::Dangling if reads(&name) => {
                    found.push((path.clone(), Unit::File(path)));
                }
                _ => {}
            }
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, unit)| unit).collect())
}

/// What to do about a file that is no manifest.
const EXCLUDE: &str = "if the file is not a manifest, exclude it with spec.render.plain.exclude";

/// Reads all files. One mistake anywhere means that nothing is rendered: half a set would be read as deletions.
pub fn render(host: &Surroundings<'_>, folder: &str, options: &Render) -> Result<Rendered, RenderError> {
    let mut rendered = Rendered::default();
    let mut errors = Vec::new();
    for unit in units(host, folder, options.plain.as_ref())? {
        match unit {
            Unit::File(path) => {
                // a symlink that leads nowhere
                if let Err(FilesError(said)) = host.resolve(&path) {
                    let has_way_out = said.contains("spec.render.plain.exclude");
                    errors.push(if has_way_out { said } else { format!("{said}; {EXCLUDE}") });
                    continue;
                }
                let bytes = host.read(&path)?.unwrap_or_default();
                let (manifests, mistakes) = yaml::manifests(&path, &bytes);
                let objects =
                    manifests.into_iter().map(|Manifest { value, origin, .. }| Object { value, origin });
                rendered.objects.extend(counted(host, objects.collect()).map_err(|error| at(&path, error))?);
                errors.extend(mistakes.iter().map(described));
            }
            Unit::Kustomization(folder) => match kustomize::render(host, &folder, options.kustomize.as_ref())
            {
                Ok(Rendered { objects, warnings, .. }) => {
                    rendered.objects.extend(objects);
                    rendered.warnings.extend(warnings);
                }
                Err(error) => errors.extend(error.errors),
            },
        }
    }
    if errors.is_empty() { Ok(rendered) } else { Err(RenderError::of(errors)) }
}

/// A mistake, and the way out if the file may be no manifest at all.
fn described(mistake: &ManifestError) -> String {
    if mistake.may_be_no_manifest() { format!("{mistake}; {EXCLUDE}") } else { mistake.to_string() }
}

/// Counts objects that were read.
fn counted(host: &Surroundings<'_>, objects: Vec<Object>) -> Result<Vec<Object>, Exceeded> {
    host.spend(Resource::Objects, objects.len())?;
    host.spend(Resource::Memory, objects.iter().map(|object| weight::bytes(&object.value)).sum())?;
    Ok(objects)
}

fn at(path: &str, error: Exceeded) -> RenderError {
    RenderError::of(vec![format!("{path}: {error}")])
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

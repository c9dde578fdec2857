//! The origins of resources for `buildMetadata`: the path from the outermost kustomization, as written in the files.
//!
//! Leaves how it is printed to `transform::metadata`. Pure.

pub mod record;

use super::remote;
use super::resource::Resource;
use super::transform::metadata::{
    ORIGIN, TRANSFORMATIONS, remove_annotations, set_annotation, transformations,
};
use record::{ConfiguredBy, Provenance};

/// Returns the origin of something to which a kustomization in a folder refers.
pub fn append(trail: &Provenance, path: &str) -> Provenance {
    let mut next = trail.clone();
    match remote::parse(path) {
        Some(spec) => {
            next.repo = spec.repository;
            next.reference = spec.reference;
            // Kustomize uses this for the root of a repository.
            next.path = if spec.folder.is_empty() { "notCloned".to_owned() } else { join("", &spec.folder) };
        }
        None => next.path = join(&trail.path, path),
    }
    next
}

/// Returns the origin of a built-in plugin that a field of a kustomization configures.
pub fn configured(trail: &Provenance, file: &str, kind: &str) -> Provenance {
    let configured_by =
        ConfiguredBy { api_version: "builtin".to_owned(), kind: kind.to_owned(), ..ConfiguredBy::default() };
    Provenance { path: String::new(), configured_in: join(&trail.path, file), configured_by, ..trail.clone() }
}

/// Sets the annotations that the file requests, and removes the others, whatever wrote them.
pub fn annotate(resource: &mut Resource, metadata: &[String]) {
    let asks = |wanted: &str| metadata.iter().any(|option| option == wanted);
    let origin = resource.provenance.take().map(|provenance| provenance.to_yaml());
    let changes = std::mem::take(&mut resource.transformations);
    let changes = (!changes.is_empty()).then(|| transformations(&changes));
    for (option, name, text) in
        [("originAnnotations", ORIGIN, origin), ("transformerAnnotations", TRANSFORMATIONS, changes)]
    {
        match text {
            _ if !asks(option) => remove_annotations(resource, &[name]),
            Some(text) => set_annotation(resource, name, text),
            None => {}
        }
    }
}

/// Joins paths, without `.`, and with `..` only at the start.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

//! `buildMetadata`: annotations with the origin of a resource and its transformations, and the label of
//! kustomize.
//!
//! Leaves the origin to its caller. Pure.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::labels::LabelTransformer;
use crate::Resource;
use crate::fieldspec::FieldSpec;
use crate::node::{Map, Node};
use crate::provenance::record::Provenance;

/// The annotation with the origin of a resource.
pub const ORIGIN: &str = "config.kubernetes.io/origin";
/// The annotation with its transformations.
pub const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// Returns the value of the annotation with the transformations of a resource.
pub fn transformations(all: &[Provenance]) -> String {
    let item = |provenance: &Provenance| {
        let indents = std::iter::once("- ").chain(std::iter::repeat("  "));
        indents
            .zip(provenance.lines())
            .map(|(indent, line)| [indent, &line, "\n"].concat())
            .collect::<String>()
    };
    if all.is_empty() { "[]\n".to_owned() } else { all.iter().map(item).collect() }
}

/// Sets an annotation as kustomize does: all others become strings.
pub fn set_annotation(resource: &mut Resource, name: &str, text: impl Into<SmolStr>) {
    let mut annotations = annotations(resource);
    annotations.set(name, Node::string(text));
    put(resource, annotations);
}

/// Removes annotations as kustomize does: all others become strings, and an empty field is
/// removed.
pub fn remove_annotations(resource: &mut Resource, names: &[&str]) {
    let mut annotations = annotations(resource);
    annotations.retain(|key, _| !names.contains(&&*key.text));
    put(resource, annotations);
}

/// Returns the annotations as strings.
fn annotations(resource: &Resource) -> Map {
    let mut strings = Map::default();
    let map = resource.node().at(&["metadata", "annotations"]).and_then(Node::as_map);
    for (key, value) in map.into_iter().flat_map(Map::iter) {
        let text = value.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default();
        strings.set(key.text.clone(), Node::string(text));
    }
    strings
}

fn put(resource: &mut Resource, annotations: Map) {
    let Node::Map(object) = resource.edit() else { return };
    let metadata = object.entry("metadata", || Node::Map(Map::default()));
    let Node::Map(metadata) = metadata else { return };
    if annotations.is_empty() {
        metadata.remove("annotations");
    } else {
        metadata.set("annotations", Node::Map(annotations));
    }
}

/// Returns the label of resources that kustomize created.
pub fn managed_by() -> LabelTransformer {
    let label = ("app.kubernetes.io/managed-by".to_owned(), MANAGER.to_owned());
    LabelTransformer {
        labels: BTreeMap::from([label]),
        field_specs: vec![FieldSpec::of_path("metadata/labels", true)],
    }
}

const MANAGER: &str = "kustomize-v5.8.1";

#[cfg(test)]
mod tests;

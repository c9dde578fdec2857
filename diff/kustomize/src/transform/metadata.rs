//! `buildMetadata`: annotations that say where a resource is from and what changed it, and the label of
//! kustomize.
//!
//! Leaves knowing where a resource is from to its caller. Pure.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::labels::LabelTransformer;
use crate::Resource;
use crate::fieldspec::FieldSpec;
use crate::node::{Map, Node};
use crate::provenance::record::Provenance;

/// The annotation that says where a resource is from.
pub const ORIGIN: &str = "config.kubernetes.io/origin";
/// The annotation that says what changed it.
pub const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// The value of the annotation that says what changed a resource.
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

/// Sets an annotation as the original does: all others become strings.
pub fn set_annotation(resource: &mut Resource, name: &str, text: impl Into<SmolStr>) {
    let mut annotations = annotations(resource);
    annotations.set(name, Node::string(text));
    put(resource, annotations);
}

/// Takes annotations away as the original does: all others become strings, and where none is left there is no
/// field.
pub fn remove_annotations(resource: &mut Resource, names: &[&str]) {
    let mut annotations = annotations(resource);
    annotations.retain(|key, _| !names.contains(&&*key.text));
    put(resource, annotations);
}

/// The annotations, all of them strings.
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

/// The label that says that kustomize, or what is the same, made a resource.
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

//! Applies a patch to one resource.
//!
//! Pure.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::super::super::bounds::Work;
use super::super::super::error::KustomizeError;
use super::super::super::json6902::{self, Operations};
use super::super::super::merge::{Merged, strategic_noting};
use super::super::super::node::{Map, Node, Scalar, Style, Tag};
use super::super::super::resource::Resource;
use super::super::super::schema::Schema;
use super::super::metadata::{ORIGIN, TRANSFORMATIONS};

/// The result for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    Goes,
}

/// Whether the previous name of a resource is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remember {
    Id,
    Nothing,
}

/// Merges a patch into a resource, whose name, namespace and kind stay unless the patch may change them. Returns the
/// lost values.
pub(super) fn apply_strategic(
    resource: &mut Resource,
    patch: &Resource,
    schema: &Schema,
    work: &Work,
) -> Result<(Fate, Vec<String>), KustomizeError> {
    let kept =
        [&["kind"][..], &["metadata", "name"], &["metadata", "namespace"]].map(|path| resource.text(path));
    let [kind, name, namespace] = kept;
    if patch.allow_name_change || patch.allow_kind_change {
        resource.remember_id();
    }
    let node = resource.edit();
    let (merged, lost) =
        strategic_noting(node, patch.node(), schema, work).map_err(|error| error.or_at(&patch.origin))?;
    if merged == Merged::Deleted || node.is_empty() {
        return Ok((Fate::Goes, Vec::new()));
    }
    let Node::Map(map) = node else { return Ok((Fate::Goes, Vec::new())) };
    if !patch.allow_kind_change {
        set_text(map, "kind", kind);
    }
    if !patch.allow_name_change {
        set_text(metadata(map, &patch.origin)?, "name", name);
    }
    if !namespace.is_empty() {
        set_text(metadata(map, &patch.origin)?, "namespace", namespace);
    } else if let Some(Node::Map(metadata)) = map.get_mut("metadata") {
        metadata.remove("namespace");
    }
    let place = format!("{}: {}", resource.origin, resource.id());
    Ok((Fate::Stays, lost.into_iter().map(|lost| format!("{place}: {lost}")).collect()))
}

fn metadata<'a>(
    map: &'a mut Map,
    origin: &holdfast_documents::object::Origin,
) -> Result<&'a mut Map, KustomizeError> {
    let message = "the patch leaves metadata that is not a mapping: correct it";
    let metadata = map.entry("metadata", || Map::default().into());
    metadata.as_map_mut().ok_or_else(|| KustomizeError::at(origin, message))
}

/// Sets a text, whose type depends on its form unless there were quotes.
fn set_text(map: &mut Map, key: &str, text: SmolStr) {
    match map.get_mut(key) {
        Some(Node::Scalar(scalar)) if scalar.text == text && !scalar.is_null() => {}
        Some(Node::Scalar(scalar)) if scalar.style.is_plain() => *scalar = Scalar::plain(text),
        Some(node) => *node = Node::Scalar(quoted(text)),
        None => map.push(Scalar::string(key), Node::Scalar(quoted(text))),
    }
}

fn quoted(text: SmolStr) -> Scalar {
    Scalar { text, tag: Tag::Str, style: Style::Quoted }
}

/// Applies a JSON patch to a resource.
pub(super) fn apply_json(
    resource: &mut Resource,
    operations: &Operations,
    remember: Remember,
) -> Result<(), KustomizeError> {
    if remember == Remember::Id {
        resource.remember_id();
    }
    // If kustomize would have recorded something, annotations exist to which entries can be added.
    if resource.is_touched()
        && let Some(Node::Map(metadata)) = resource.edit().get_mut("metadata")
    {
        metadata.entry("annotations", || Map::default().into());
    }
    resource.forget_shared();
    show_provenance(resource);
    let is_given = resource.is_given();
    let node = resource.edit();
    if is_given {
        json6902::apply_exactly(node, operations)?;
    } else {
        json6902::apply(node, operations)?;
    }
    if let Node::Map(map) = node {
        map.entry("metadata", || Map::default().into());
    }
    hide_provenance(resource);
    plain_annotations(resource.edit());
    Ok(())
}

/// Writes the state of `buildMetadata` to annotations, as kustomize does: operations can remove it.
fn show_provenance(resource: &mut Resource) {
    let notes =
        [(ORIGIN, resource.provenance.is_some()), (TRANSFORMATIONS, !resource.transformations.is_empty())];
    let annotations = resource.edit().at_mut(&["metadata", "annotations"]).and_then(Node::as_map_mut);
    let Some(annotations) = annotations else { return };
    for (name, _) in notes.iter().filter(|(_, is_noted)| *is_noted) {
        annotations.set(*name, Node::string(""));
    }
}

/// Removes this state from the annotations, and forgets entries that were removed.
fn hide_provenance(resource: &mut Resource) {
    if resource.provenance.is_none() && resource.transformations.is_empty() {
        return;
    }
    let [origin, transformations] = [ORIGIN, TRANSFORMATIONS].map(|name| {
        let annotations = resource.edit().at_mut(&["metadata", "annotations"]).and_then(Node::as_map_mut);
        annotations.is_some_and(|map| map.remove(name).is_some())
    });
    if !origin {
        resource.provenance = None;
    }
    if !transformations {
        resource.transformations.clear();
    }
}

/// Returns a patch as kustomize applies it to the selection of a target: its labels and annotations are texts, so that
/// null deletes none of them, and the version is that of the resource.
pub(super) fn for_target(patch: &Resource) -> Resource {
    let mut patch = patch.clone();
    let node = patch.edit();
    texts(node, "labels");
    texts(node, "annotations");
    if let Node::Map(map) = node {
        map.remove("apiVersion");
        if let Some(Node::Map(metadata)) = map.get_mut("metadata")
            && metadata.get("namespace").is_some_and(Node::is_null)
        {
            metadata.remove("namespace");
        }
    }
    patch
}

/// Returns a patch for another kind than its own, with the version of the resource: the lists of its own kind are
/// merged.
pub(super) fn of_version<'a>(patch: &'a Resource, resource: &Resource) -> Cow<'a, Resource> {
    if patch.gvk().kind == resource.gvk().kind {
        return Cow::Borrowed(patch);
    }
    let mut patch = patch.clone();
    if let Node::Map(map) = patch.edit() {
        map.set("apiVersion", Node::string(resource.gvk().api_version()));
    }
    Cow::Owned(patch)
}

/// Converts all annotations to strings, and removes an empty field.
pub(super) fn plain_annotations(node: &mut Node) {
    texts(node, "annotations");
}

fn texts(node: &mut Node, field: &str) {
    let Some(metadata) = node.get_mut("metadata").and_then(Node::as_map_mut) else { return };
    match metadata.get_mut(field) {
        Some(Node::Map(map)) if !map.is_empty() => {
            for (_, value) in map.iter_mut() {
                let text = value.as_scalar().map(|scalar| scalar.text.clone());
                *value = Node::string(text.unwrap_or_default());
            }
        }
        Some(_) => {
            metadata.remove(field);
        }
        None => {}
    }
}

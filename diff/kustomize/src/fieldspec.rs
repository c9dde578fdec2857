//! Field specs: the field of a group of resources that a transformer changes, and its path.
//!
//! The parts of a path are separated by `/`; `\/` is a slash in a part. Lists in the path are visited item by
//! item, whether or not the part contains `[]`; a list whose part contains it is never created. Pure.

use std::borrow::Cow;

use serde::Deserialize;
use smol_str::SmolStr;

use super::error::KustomizeError;
use super::id::Gvk;
use super::node::{Map, Node, Scalar, Tag};
use super::path::MAX_PARTS;
use super::resource::Resource;

/// A field of the resources of a group, version and kind; an empty part matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct FieldSpec {
    pub group: SmolStr,
    pub version: SmolStr,
    pub kind: SmolStr,
    pub path: SmolStr,
    /// True if a missing field is created.
    pub create: bool,
}

/// The value for a field that is missing or null, if the spec creates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    Never,
    Map,
    Scalar(Tag),
}

impl FieldSpec {
    /// Creates a spec for all resources.
    pub fn of_path(path: &str, create: bool) -> Self {
        Self { path: path.into(), create, ..Self::default() }
    }

    pub fn gvk(&self) -> Gvk {
        Gvk { group: self.group.clone(), version: self.version.clone(), kind: self.kind.clone() }
    }

    /// True if the spec selects resources of this group, version and kind.
    pub fn selects(&self, gvk: &Gvk) -> bool {
        let same = |selected: &SmolStr, own: &SmolStr| selected.is_empty() || selected == own;
        same(&self.kind, &gvk.kind) && same(&self.group, &gvk.group) && same(&self.version, &gvk.version)
    }

    /// Calls `set` for the field of a resource if the spec selects it; for each one, if the path contains
    /// lists.
    ///
    /// # Errors
    /// The path leads through a scalar, or `set` fails.
    pub fn apply(
        &self,
        resource: &mut Resource,
        create: Create,
        set: &mut Setter<'_>,
    ) -> Result<(), KustomizeError> {
        let is_for_all = self.kind.is_empty() && self.group.is_empty() && self.version.is_empty();
        if is_for_all || self.selects(resource.gvk()) {
            self.apply_to_any(resource, create, set)?;
        }
        Ok(())
    }

    /// As [`FieldSpec::apply`], for a resource that is known to be selected.
    ///
    /// # Errors
    /// As [`FieldSpec::apply`].
    pub fn apply_to_any(
        &self,
        resource: &mut Resource,
        create: Create,
        set: &mut Setter<'_>,
    ) -> Result<(), KustomizeError> {
        if !self.create && !is_there(resource.node(), &self.path) {
            return Ok(());
        }
        if resource.is_touched() && self.path.starts_with("metadata/annotations") {
            add_annotations(resource.edit_at(&self.path));
        }
        let create = if self.create { create } else { Create::Never };
        let path = trim_root(&self.path);
        let walked = if path.matches('/').count() < MAX_PARTS {
            walk(resource.edit_at(path), Some(path), create, set)
        } else {
            Err(format!("a path has at most {MAX_PARTS} parts"))
        };
        walked.map_err(|reason| {
            let message = format!("field {} of {}: {reason}", self.path, resource.id());
            KustomizeError::at(&resource.origin, message)
        })
    }
}

/// Changes the value of a field; the error says why it cannot be changed.
pub type Setter<'a> = dyn FnMut(&mut Node) -> Result<(), String> + 'a;

/// False if it is certain that nothing is at a path: its first part is missing.
fn is_there(node: &Node, path: &str) -> bool {
    let first = trim_root(path).split('/').next().unwrap_or_default();
    let plain = !first.ends_with('\\') && !first.ends_with("[]") && !first.is_empty() && !is_index(first);
    !plain || node.get(first).is_some()
}

/// If kustomize records something in the annotations, the field exists and can be changed. Empty annotations are
/// removed at end.
fn add_annotations(node: &mut Node) {
    if let Some(Node::Map(metadata)) = node.get_mut("metadata") {
        metadata.entry("annotations", || Node::Map(Map::default()));
    }
}

/// Removes the leading slash of a path.
fn trim_root(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

fn walk(node: &mut Node, path: Option<&str>, create: Create, set: &mut Setter<'_>) -> Result<(), String> {
    let Some(path) = path else { return set(node) };
    match node {
        Node::Scalar(scalar) if scalar.is_null() => Ok(()),
        Node::Scalar(_) => Err(format!("a mapping or a list is expected, not {}", node.describe())),
        Node::Seq(items) => items.iter_mut().try_for_each(|item| walk(item, Some(path), create, set)),
        Node::Map(map) => walk_map(map, path, create, set),
    }
}

fn walk_map(map: &mut Map, path: &str, create: Create, set: &mut Setter<'_>) -> Result<(), String> {
    let (part, rest) = split_part(path);
    let name = part.strip_suffix("[]").unwrap_or(&part);
    let is_list = name.len() < part.len();
    let name = name.trim();
    if name.is_empty() {
        return Err("a part of the path is empty".to_owned());
    }
    if is_index(name) {
        return Err(format!("{name} is for a list, but the value is a mapping"));
    }
    let empty = match create {
        Create::Scalar(tag) if rest.is_none() => Node::Scalar(Scalar { tag, ..Scalar::string("") }),
        _ if is_list => Node::Seq(Vec::new()),
        _ => Node::Map(Map::default()),
    };
    let creates = create != Create::Never && !is_list;
    let field = if creates { Some(map.entry(name, || empty.clone())) } else { map.get_mut(name) };
    let Some(field) = field else { return Ok(()) };
    if field.is_null() && (creates || is_list) {
        fill_null(field, empty);
    }
    walk(field, rest, create, set)
}

/// A created value replaces null; a scalar keeps its text.
fn fill_null(field: &mut Node, empty: Node) {
    match (field, empty) {
        (Node::Scalar(Scalar { tag, .. }), Node::Scalar(Scalar { tag: new, .. })) => *tag = new,
        (field, empty) => *field = empty,
    }
}

/// Returns the first part of a path, and the rest.
pub fn split_part(path: &str) -> (Cow<'_, str>, Option<&str>) {
    let Some((first, rest)) = path.split_once('/') else { return (Cow::Borrowed(path), None) };
    let Some(head) = first.strip_suffix('\\') else { return (Cow::Borrowed(first), Some(rest)) };
    let mut part = head.to_owned();
    let mut rest = rest;
    loop {
        part.push('/');
        match rest.split_once('/') {
            None => return (Cow::Owned(part + rest), None),
            Some((next, behind)) => {
                rest = behind;
                let Some(head) = next.strip_suffix('\\') else {
                    return (Cow::Owned(part + next), Some(behind));
                };
                part.push_str(head);
            }
        }
    }
}

/// True if a part is an item of a list, which kustomize searches in mappings without effect.
fn is_index(part: &str) -> bool {
    part == "-"
        || part == "*"
        || part.parse::<i64>().is_ok()
        || (part.starts_with('[') && part.ends_with(']'))
}

/// Sets an entry of a mapping to a string. Null stays null.
pub fn set_entry(node: &mut Node, key: &str, value: &str) -> Result<(), String> {
    match node {
        Node::Map(map) => {
            map.entry(key, Node::null).assign(Node::string(value));
            Ok(())
        }
        Node::Scalar(scalar) if scalar.is_null() => Ok(()),
        other => Err(format!("a mapping is expected, not {}", other.describe())),
    }
}

/// Returns the text of a scalar that will be replaced; null has one too.
pub fn scalar_text(node: &Node) -> Result<&SmolStr, String> {
    let scalar = node.as_scalar().ok_or_else(|| format!("a scalar is expected, not {}", node.describe()))?;
    Ok(&scalar.text)
}

#[cfg(test)]
mod tests;

//! ValueAddTransformer: one value for fields of many resources, or for a part of a file path in them.
//!
//! Leaves reading `targetFilePath`, and the default of the value, to its caller. Pure.

use serde::Deserialize;
use smol_str::SmolStr;

use super::namespace::{NamespaceMetadata, NamespaceTransformer};
use crate::bounds::Growth;
use crate::node::{Map, Node, Scalar};
use crate::path::{MAX_PARTS, Part, split};
use crate::rewrite::set_text;
use crate::{KustomizeError, Resource, Resources, Selector, Transform};

/// A value and where it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ValueAddTransformer {
    /// The caller has taken spaces away at both ends, and for none has put the name of the kustomization's
    /// folder.
    pub value: SmolStr,
    pub targets: Vec<ValueTarget>,
    pub target_file_path: String,
}

/// A field of the resources that a selector selects; of all, if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ValueTarget {
    pub selector: Option<Selector>,
    pub field_path: String,
    /// The position of the value in a file path, from 1; the value is all of the field if it is 0.
    pub file_path_position: i64,
}

impl ValueAddTransformer {
    /// Finds what is missing or cannot be.
    ///
    /// # Errors
    /// If there is no target, or one without a field or with a position below 0.
    pub fn check(&self) -> Result<(), KustomizeError> {
        let wrong = |target: &ValueTarget| match target {
            ValueTarget { field_path, .. } if field_path.is_empty() => Some("fieldPath is missing"),
            ValueTarget { file_path_position: ..0, .. } => Some("filePathPosition is below 0"),
            _ => None,
        };
        let mistake = if self.targets.is_empty() {
            Some("there are no targets")
        } else {
            self.targets.iter().find_map(wrong)
        };
        mistake.map_or(Ok(()), |mistake| Err(KustomizeError::new(format!("ValueAddTransformer: {mistake}"))))
    }
}

impl Transform for ValueAddTransformer {
    fn rules(&self) -> usize {
        1 + self.targets.len()
    }

    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        self.check()?;
        let growth = Growth::default();
        for target in &self.targets {
            let selected = match &target.selector {
                Some(selector) => resources.select(selector)?,
                None => (0..resources.list.len()).collect(),
            };
            for at in selected {
                growth.add(self.value.len()).map_err(KustomizeError::new)?;
                self.add(&mut resources.list[at], target)?;
            }
        }
        resources.grew(&growth);
        Ok(())
    }
}

impl ValueAddTransformer {
    fn add(&self, resource: &mut Resource, target: &ValueTarget) -> Result<(), KustomizeError> {
        if target.field_path == "metadata/namespace" {
            let metadata = NamespaceMetadata { namespace: self.value.clone() };
            return NamespaceTransformer { metadata, ..NamespaceTransformer::default() }.apply(resource);
        }
        let parts: Vec<String> = split_field(&target.field_path);
        let position = usize::try_from(target.file_path_position).unwrap_or_default();
        let added = lookup_or_create(resource.edit(), &parts).and_then(|node| match node {
            None if position > 0 => Err("there is no file path below null".to_owned()),
            None => Ok(()),
            Some(node) => {
                let old = node.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default();
                let text = match position.checked_sub(1) {
                    None => self.value.clone(),
                    Some(position) => insert_part(&old, position, &self.value).into(),
                };
                set_text(node, text)
            }
        });
        added.map_err(|reason| {
            let message = format!("field {} of {}: {reason}", target.field_path, resource.id());
            KustomizeError::at(&resource.origin, message)
        })
    }
}

/// As [`split`], but a slash in front makes an empty part, which is nothing.
fn split_field(path: &str) -> Vec<String> {
    let parts = split(path, '/').into_iter().map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// What is at a path, created where it is missing; `None` below null.
fn lookup_or_create<'a>(node: &'a mut Node, path: &[String]) -> Result<Option<&'a mut Node>, String> {
    if path.len() > MAX_PARTS {
        return Err(format!("a path has at most {MAX_PARTS} parts"));
    }
    let mut node = node;
    for (at, part) in path.iter().enumerate() {
        if node.is_null() {
            return Ok(None);
        }
        let empty = match path.get(at + 1).map(|next| Part::parse(next)).transpose()? {
            None => Node::Scalar(Scalar::plain("")),
            Some(next) if next.is_item() => Node::Seq(Vec::new()),
            Some(_) => Node::Map(Map::default()),
        };
        let wrong = |node: &Node| format!("{part} does not fit {}", node.describe());
        node = match (Part::parse(part)?, node) {
            (Part::Field(field), Node::Map(map)) => map.entry(field, || empty),
            (Part::Index(index), Node::Seq(items)) => match items.get_mut(index) {
                Some(item) => item,
                None => return Ok(None),
            },
            (Part::Last, Node::Seq(items)) => items.last_mut().ok_or("there is no last item")?,
            (Part::With(field, value), Node::Seq(items)) => item_with(items, field, value),
            (_, node) => return Err(wrong(node)),
        };
    }
    Ok(Some(node))
}

/// The first item whose field has a value, or a new one.
fn item_with<'a>(items: &'a mut Vec<Node>, field: &str, value: &str) -> &'a mut Node {
    let is = |item: &Node| {
        let found = if field.is_empty() { Some(item) } else { item.get(field) };
        found.and_then(Node::as_scalar).is_some_and(|scalar| scalar.text == value)
    };
    let at = items.iter().position(is).unwrap_or_else(|| {
        let value = Node::Scalar(Scalar::plain(value));
        let named = |value| Node::Map([(Scalar::string(field), value)].into_iter().collect());
        items.push(if field.is_empty() { value } else { named(value) });
        items.len() - 1
    });
    &mut items[at]
}

/// Puts a part into a file path; a position behind its end is the end.
fn insert_part(path: &str, position: usize, part: &str) -> String {
    if part.is_empty() {
        return path.to_owned();
    }
    let (root, relative) = path.strip_prefix('/').map_or(("", path), |relative| ("/", relative));
    let mut parts: Vec<&str> = relative.split('/').filter(|part| !part.is_empty()).collect();
    parts.insert(position.min(parts.len()), part);
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::insert_part;

    #[test]
    fn a_part_of_a_file_path_has_a_position() {
        for (path, position, expected) in [
            ("", 0, "PEACH"),
            ("/", 3, "/PEACH"),
            ("pie", 0, "PEACH/pie"),
            ("/pie", 0, "/PEACH/pie"),
            ("raw", 1, "raw/PEACH"),
            ("/raw", 1, "/raw/PEACH"),
            ("a/nice/warm/pie", 3, "a/nice/warm/PEACH/pie"),
            ("/a/nice/warm/pie", 3, "/a/nice/warm/PEACH/pie"),
            ("/a/nice/warm/pie", 99, "/a/nice/warm/pie/PEACH"),
        ] {
            assert_eq!(insert_part(path, position, "PEACH"), expected, "{path} {position}");
        }
    }
}

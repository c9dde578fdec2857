//! Lists whose items are matched by the values of keys: finding, setting, removing and appending, as kustomize does.
//!
//! Items are in a store and are referred to by their index, since an item can be in two lists at a time. The key `""`
//! stands for a plain value. Pure.

use smol_str::SmolStr;

use super::super::node::Node;
use super::{Failure, Step};

/// The index of an item in the store.
pub(super) type Id = usize;

/// Returns the text of a scalar of any type; empty for other values.
pub(super) fn text(node: &Node) -> &str {
    node.as_scalar().map_or("", |scalar| scalar.text.as_str())
}

/// True for a value that cannot be an item of a merged list.
pub(super) fn is_empty(node: &Node) -> bool {
    node.is_null() || node.as_map().is_some_and(super::Map::is_empty)
}

#[derive(Default)]
pub(super) struct Store(pub Vec<Node>);

impl Store {
    pub fn add(&mut self, node: Node) -> Id {
        self.0.push(node);
        self.0.len() - 1
    }

    pub fn add_all(&mut self, nodes: Vec<Node>) -> Vec<Id> {
        nodes.into_iter().map(|node| self.add(node)).collect()
    }

    /// Returns the first item of a list in which all keys have their values.
    pub fn find(&self, list: &[Id], keys: &[SmolStr], values: &[SmolStr]) -> Option<Id> {
        let has_all = |node: &Node| {
            keys.len() == values.len()
                && keys
                    .iter()
                    .zip(values)
                    .all(|(key, value)| node.get(key).is_some_and(|it| text(it) == value))
        };
        let is_plain = keys.first().is_none_or(SmolStr::is_empty);
        list.iter().copied().find(|id| match &self.0[*id] {
            node if is_plain => values.first().is_some_and(|value| text(node) == value),
            node => node.as_map().is_some() && has_all(node),
        })
    }

    /// Replaces all items that have the values of the keys by an item, or appends it; without an item, removes them.
    /// Empty items are removed as well. An empty value matches every value.
    pub fn set(
        &self,
        list: &mut Vec<Id>,
        item: Option<Id>,
        keys: &[SmolStr],
        values: &[SmolStr],
    ) -> Step<()> {
        let is_keyed = keys.first().is_some_and(|key| !key.is_empty())
            && values.first().is_some_and(|value| !value.is_empty());
        let mut found = false;
        let mut new = Vec::with_capacity(list.len() + 1);
        for id in list.iter().copied() {
            let node = &self.0[id];
            if is_empty(node) {
                continue;
            }
            let is_other = is_keyed && node.as_map().is_none();
            if is_other || !matches(node, keys, values)? {
                if is_other || !values.is_empty() {
                    new.push(id);
                }
                continue;
            }
            found = true;
            new.extend(item);
        }
        if let Some(item) = item.filter(|item| !found && !self.0[*item].is_null()) {
            new.push(item);
        }
        *list = new;
        Ok(())
    }

    /// Moves all items of a list into another, each to the position of the one with the same values of the keys.
    pub fn append(&self, to: &mut Vec<Id>, from: &[Id], keys: &[SmolStr]) -> Step<()> {
        for id in from.iter().copied() {
            let node = &self.0[id];
            if keys.first().is_none_or(SmolStr::is_empty) {
                self.set(to, Some(id), &[SmolStr::default()], &[text(node).into()])?;
                continue;
            }
            let mut values = Vec::with_capacity(keys.len());
            for key in keys {
                if !node.is_null() && node.as_map().is_none() {
                    return Failure::new(format!("{} in a list of mappings: remove it", node.describe()));
                }
                match node.get(key) {
                    Some(value) => values.push(text(value).into()),
                    None => to.push(id),
                }
            }
            if keys.len() > 1 {
                self.set(to, None, keys, &values)?;
            }
            self.set(to, Some(id), keys, &values)?;
        }
        Ok(())
    }
}

/// True if all keys with a value have it in the node. Further keys match if one before them did.
fn matches(node: &Node, keys: &[SmolStr], values: &[SmolStr]) -> Step<bool> {
    let plain = [SmolStr::default()];
    let keys = if keys.is_empty() { &plain } else { keys };
    let mut last = false;
    for (at, key) in keys.iter().enumerate() {
        if let Some(value) = values.get(at) {
            last = has(node, key, value)?;
        }
        if !last {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has(node: &Node, key: &str, value: &str) -> Step<bool> {
    match (key, node) {
        ("", Node::Scalar(scalar)) => Ok(scalar.text == value),
        ("", _) => Failure::new(format!("{} in a list of plain values: remove it", node.describe())),
        (_, Node::Map(map)) => Ok(map.get(key).is_some_and(|it| value.is_empty() || text(it) == value)),
        _ => Failure::new(format!("{} in a list of mappings: remove it", node.describe())),
    }
}

//! The state of a build: resources, the tables of transformers, and vars.
//!
//! Leaves the order of the steps to `target`. Pure.

use std::collections::{HashMap, HashSet};

use smol_str::SmolStr;

use super::bounds;
use super::config::TransformerConfig;
use super::error::KustomizeError;
use super::id::{Gvk, ResId};
use super::node::{Map, Node, Scalar};
use super::resource::{Behavior, Resource};
use super::resources::{COMPARED, Resources};
use super::transform::vars::VarSet;

/// Relative cost of a merge: all texts of both objects are written again.
const WRITTEN_ANEW: usize = 4;

/// The result of a kustomization and its bases so far.
#[derive(Default)]
pub struct Accumulator {
    pub resources: Resources,
    pub config: TransformerConfig,
    pub vars: VarSet,
}

impl Accumulator {
    /// Adds the result of a base or a component.
    pub fn merge(&mut self, other: Self) -> Result<(), KustomizeError> {
        let Self { resources, config, vars } = other;
        self.resources.given |= resources.given;
        self.resources.append_all(resources.list)?;
        self.merge_config(&config)?;
        self.vars.merge(vars)
    }

    /// Adds tables of transformers.
    pub fn merge_config(&mut self, config: &TransformerConfig) -> Result<(), KustomizeError> {
        self.config = std::mem::take(&mut self.config).merge(config)?;
        Ok(())
    }
}

impl Resources {
    /// Appends resources with new identities.
    pub fn append_all(&mut self, resources: Vec<Resource>) -> Result<(), KustomizeError> {
        /// Number of resources from which an index is faster.
        const MANY: usize = 8;
        if self.given {
            self.list.extend(resources);
            return Ok(());
        }
        if resources.len() < MANY {
            return resources.into_iter().try_for_each(|resource| self.append(resource));
        }
        self.work.take(self.list.len() + resources.len())?;
        let mut known: HashSet<_> = self.list.iter().map(|there| key(there.id())).collect();
        for resource in resources {
            if known.insert(key(resource.id())) {
                self.list.push(resource);
            } else {
                self.append(resource)?;
            }
        }
        Ok(())
    }

    /// Adds a generated resource: as a new one, or into the one that has or had its name.
    pub fn absorb(&mut self, mut resource: Resource) -> Result<(), KustomizeError> {
        self.work.take(self.list.len() / COMPARED).map_err(|error| error.or_at(&resource.origin))?;
        let found = self.with_any_id(|id| id.is_same(resource.id()));
        let at = match (&found[..], resource.behavior) {
            ([], Behavior::Merge | Behavior::Replace) => {
                let message = format!(
                    "{} does not exist, so that nothing can be merged or replaced: name one that does, or remove \
                     `behavior`",
                    resource.id()
                );
                return Err(KustomizeError::at(&resource.origin, message));
            }
            ([], _) => return self.append(resource),
            ([at], Behavior::Merge | Behavior::Replace) => *at,
            ([at], _) => {
                let message = format!(
                    "{} is already in {}: set `behavior` to merge or replace, or rename it",
                    resource.id(),
                    self.list[*at].origin
                );
                return Err(KustomizeError::at(&resource.origin, message));
            }
            _ => {
                let message = format!("several resources are or were {}: rename all but one", resource.id());
                return Err(KustomizeError::at(&resource.origin, message));
            }
        };
        let old = &self.list[at];
        let behavior = resource.behavior;
        let weight = WRITTEN_ANEW * (bounds::effort(old.node()) + bounds::effort(resource.node()));
        self.work.take(weight).map_err(|error| error.or_at(&resource.origin))?;
        take_metadata(&mut resource, old);
        if behavior == Behavior::Merge {
            for field in ["data", "binaryData"] {
                merge_texts(&mut resource, old, &[field]);
            }
        }
        if old.id().is_same(resource.id()) {
            self.list[at] = resource;
            return Ok(());
        }
        let message = format!("{} cannot take the place of {}", resource.id(), old.id());
        Err(KustomizeError::at(&resource.origin, message))
    }

    /// Removes resources that became empty.
    pub fn drop_empty(&mut self) {
        self.list.retain(|resource| !resource.node().is_empty());
    }
}

/// Returns a key that is equal for equal identities.
fn key(id: &ResId) -> (Gvk, SmolStr, SmolStr) {
    (id.gvk.clone(), id.effective_namespace().into(), id.name.clone())
}

/// Copies the name, the previous names, and missing labels and annotations of another resource to a generated one.
fn take_metadata(resource: &mut Resource, old: &Resource) {
    merge_texts(resource, old, &["metadata", "labels"]);
    merge_texts(resource, old, &["metadata", "annotations"]);
    let (name, namespace) = (old.name().clone(), old.namespace().clone());
    if let Some(metadata) = resource.edit().get_mut("metadata").and_then(Node::as_map_mut) {
        metadata.set("name", Node::string(name));
        if namespace.is_empty() {
            metadata.remove("namespace");
        } else {
            metadata.set("namespace", Node::string(namespace));
        }
    }
    resource.previous.clone_from(&old.previous);
    resource.prefixes.clone_from(&old.prefixes);
    resource.suffixes.clone_from(&old.suffixes);
    resource.referred_by.clone_from(&old.referred_by);
    resource.var_names.clone_from(&old.var_names);
    if resource.behavior == Behavior::Merge && old.provenance.is_some() {
        resource.provenance.clone_from(&old.provenance);
    }
    resource.transformations.clone_from(&old.transformations);
    resource.behavior = old.behavior;
    resource.needs_hash &= old.needs_hash;
    resource.allow_name_change = old.allow_name_change;
    resource.allow_kind_change = old.allow_kind_change;
}

/// Sets a mapping to the texts of `old`, which its own override. It is removed if there are none.
fn merge_texts(resource: &mut Resource, old: &Resource, path: &[&str]) {
    let Some((field, parents)) = path.split_last() else { return };
    let texts = |node: &Node| -> Vec<(SmolStr, SmolStr)> {
        let map = node.at(path).and_then(Node::as_map);
        // Labels and annotations that are null keep their text, data does not.
        let scalar =
            |value: &Node| value.as_scalar().filter(|found| !parents.is_empty() || !found.is_null()).cloned();
        let raw = |(key, value): (&Scalar, &Node)| {
            (key.text.clone(), scalar(value).map(|scalar| scalar.text).unwrap_or_default())
        };
        map.into_iter().flat_map(Map::iter).map(raw).collect()
    };
    let mut merged: Vec<(SmolStr, SmolStr)> = Vec::new();
    let mut places: HashMap<SmolStr, usize> = HashMap::new();
    for (key, text) in texts(old.node()).into_iter().chain(texts(resource.node())) {
        if let Some(at) = places.get(&key) {
            merged[*at].1 = text;
        } else {
            places.insert(key.clone(), merged.len());
            merged.push((key, text));
        }
    }
    let merged: Map =
        merged.into_iter().map(|(key, text)| (Scalar::string(key), Node::string(text))).collect();
    let Some(parent) = resource.edit().at_mut(parents).and_then(Node::as_map_mut) else { return };
    if merged.is_empty() {
        parent.remove(field);
    } else {
        parent.set(*field, merged.into());
    }
}

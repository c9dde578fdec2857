//! Objects that get another name because their content changes: a generated object with a hash in its name, or a Job
//! with the version in its name. Such a rename is permitted if every reference follows. Pure.

use std::collections::HashMap;

use holdfast_diff::object::{Manifest, ObjectId};
use serde_json::Value;

/// Length of the hash that kustomize appends to a name.
const HASH: usize = 10;
/// Kinds that contain data or other objects: under another name they would be other objects.
const HOLDERS: [&str; 5] =
    ["PersistentVolume", "PersistentVolumeClaim", "StatefulSet", "Namespace", "CustomResourceDefinition"];

/// Objects with their names before and after.
#[derive(Default)]
pub struct Renames<'m> {
    pairs: Vec<(&'m Manifest, &'m Manifest)>,
    names: HashMap<String, String>,
}

impl<'m> Renames<'m> {
    /// Finds the objects that were renamed, and removes them from the removed and the new ones. Ambiguous
    /// pairs are skipped. `is_set` tests whether one text became the other by an expected change, and `is_explained`
    /// does so for objects.
    pub fn find(
        gone: &mut Vec<&'m Manifest>,
        new: &mut Vec<&'m Manifest>,
        is_set: impl Fn(&str, &str) -> bool,
        is_explained: impl Fn(&Manifest, &Manifest) -> bool,
    ) -> Self {
        let is_rename = |was: &Manifest, now: &Manifest| {
            let (one, other) = (name(was), name(now));
            may_be_renamed(was, now)
                && (is_generated(was) && is_hashed(one, other) || is_set(one, other))
                && is_explained(was, now)
        };
        let mut found = Self::default();
        for was in std::mem::take(gone) {
            let mut meant = new.iter().enumerate().filter(|(_, now)| is_rename(was, now));
            match (meant.next(), meant.next()) {
                (Some((at, _)), None) => {
                    let now = new.remove(at);
                    found.names.insert(name(was).to_owned(), name(now).to_owned());
                    found.pairs.push((was, now));
                }
                _ => gone.push(was),
            }
        }
        found
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&'m Manifest, &'m Manifest)> {
        self.pairs.iter().copied()
    }

    /// True if one text is the name before, and the other one the name after.
    pub fn is_renamed(&self, one: &str, other: &str) -> bool {
        self.names.get(one).is_some_and(|now| now == other)
    }

    /// Returns the old names that are still in use, each with an object that uses it.
    pub fn left(&self, after: &[Manifest]) -> Vec<(String, ObjectId)> {
        let mut left = Vec::new();
        if !self.names.is_empty() {
            for manifest in after {
                let mut found = Vec::new();
                texts(&manifest.value, &mut |text| {
                    if self.names.contains_key(text) && !found.iter().any(|known| known == text) {
                        found.push(text.to_owned());
                    }
                });
                left.extend(found.into_iter().map(|name| (name, manifest.id())));
            }
        }
        left
    }
}

/// True for two objects of one kind in one namespace that contain no data.
fn may_be_renamed(was: &Manifest, now: &Manifest) -> bool {
    let namespace = |manifest: &Manifest| manifest.value.pointer("/metadata/namespace").cloned();
    was.kind == now.kind
        && namespace(was) == namespace(now)
        && !HOLDERS.iter().any(|kind| was.value["kind"] == **kind)
}

/// True for kinds to whose names kustomize appends a hash.
fn is_generated(manifest: &Manifest) -> bool {
    manifest.kind.is("", "ConfigMap") || manifest.kind.is("", "Secret")
}

/// True for two names that only differ in a hash at their ends.
fn is_hashed(one: &str, other: &str) -> bool {
    let split = |name: &str| {
        let (base, hash) = name.rsplit_once('-')?;
        let is_hash =
            hash.len() == HASH && hash.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        is_hash.then(|| base.to_owned())
    };
    split(one).is_some_and(|base| split(other) == Some(base))
}

fn name(manifest: &Manifest) -> &str {
    manifest.value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn texts(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, each)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, each)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

//! The objects of another tool that an import reads, and where each was found. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::note::{Note, Notes};

/// Maximum number of objects of one import.
pub const OBJECTS: usize = 10_000;
/// Maximum memory of one object in bytes, estimated.
const MEMORY: usize = 16 * 1024 * 1024;

/// An object of another tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub value: Value,
    /// `file.yaml:12`, or `the cluster`.
    pub origin: String,
    /// Name of the object whose path led to this one, if it was found by following a path.
    pub via: Option<Key>,
}

/// Kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

impl From<&Key> for String {
    fn from(key: &Key) -> Self {
        key.to_string()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl Found {
    /// Returns an object of the cluster or of a file. `namespace` is for objects that do not set one.
    pub fn new(mut value: Value, origin: impl Into<String>, namespace: &str) -> Self {
        let metadata = value.get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = metadata {
            metadata.entry("namespace").or_insert_with(|| Value::from(namespace));
        }
        Self { value, origin: origin.into(), via: None }
    }

    pub fn key(&self) -> Key {
        Key::new(self.at("/kind"), self.at("/metadata/namespace"), self.name())
    }

    pub fn kind(&self) -> &str {
        self.at("/kind")
    }

    /// The API group.
    pub fn group(&self) -> &str {
        self.at("/apiVersion").split_once('/').map_or("", |(group, _)| group)
    }

    pub fn name(&self) -> &str {
        self.at("/metadata/name")
    }

    pub fn namespace(&self) -> &str {
        self.at("/metadata/namespace")
    }

    /// A text, empty if there is none.
    pub fn at(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts("annotations")
    }

    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.value.get("metadata")?.get("annotations")?.get(name)?.as_str()
    }

    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts("labels")
    }

    pub fn label(&self, name: &str) -> Option<&str> {
        self.value.get("metadata")?.get("labels")?.get(name)?.as_str()
    }

    fn texts(&self, field: &str) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.value.get("metadata").and_then(|metadata| metadata.get(field));
        let fields = fields.and_then(Value::as_object).into_iter().flatten();
        fields.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }
}

/// There are too many objects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there are more than {OBJECTS} objects to import; the first one that is left out is {0}; import one namespace (-n) or one \
     folder (-f) at a time"
)]
pub struct TooMany(String);

/// All objects, by kind, namespace and name.
#[derive(Debug, Default)]
pub struct Index {
    all: BTreeMap<Key, Found>,
    /// Objects that cannot be imported, and why.
    refused: BTreeMap<Key, String>,
}

impl Index {
    /// Indexes objects.
    pub fn new(found: impl IntoIterator<Item = Found>) -> Result<Self, TooMany> {
        let mut index = Self::default();
        for found in found {
            index.insert(found)?;
        }
        Ok(index)
    }

    /// Adds an object. Returns false if it was there. An object that is found with several contents is none of them.
    pub fn insert(&mut self, found: Found) -> Result<bool, TooMany> {
        let key = found.key();
        if self.refused.contains_key(&key) {
            return Ok(false);
        }
        if holdfast_diff::weight::bytes(&found.value) > MEMORY {
            let why = format!("{} takes more than {MEMORY} bytes of memory; split it", found.origin);
            self.refused.insert(key, why);
            return Ok(false);
        }
        if let Some(known) = self.all.get_mut(&key) {
            if known.value == found.value {
                known.via = known.via.take().or(found.via);
                return Ok(false);
            }
            let why = format!(
                "it is in {} and, with another content, in {}; name the files of one cluster only, with -f",
                known.origin, found.origin
            );
            self.all.remove(&key);
            self.refused.insert(key, why);
            return Ok(false);
        }
        if self.all.len() >= OBJECTS {
            return Err(TooMany(key.to_string()));
        }
        self.all.insert(key, found);
        Ok(true)
    }

    /// Remarks about the objects that cannot be imported.
    pub fn refused(&self, notes: &mut Vec<Note>) {
        for (key, why) in &self.refused {
            Notes::about(key, notes).refused("", why);
        }
    }

    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Found> {
        self.all.get(&Key::new(kind, namespace, name))
    }

    /// All objects of a kind, by namespace and name.
    pub fn of<'i>(&'i self, kind: &'i str) -> impl Iterator<Item = &'i Found> {
        self.all.iter().filter(move |(key, _)| key.kind == kind).map(|(_, found)| found)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Found> {
        self.all.values()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(name: &str, value: u32, origin: &str) -> Found {
        let object =
            json!({"apiVersion": "a/v1", "kind": "K", "metadata": {"name": name}, "spec": {"v": value}});
        Found::new(object, origin, "ns")
    }

    fn refused(index: &Index) -> Vec<String> {
        let mut notes = Vec::new();
        index.refused(&mut notes);
        notes.into_iter().map(|note| format!("{}: {}", note.object, note.text)).collect()
    }

    #[test]
    fn an_object_with_two_contents_is_refused_with_both_places() {
        let same = [found("a", 1, "x.yaml:1"), found("a", 1, "y.yaml:1")];
        let index = Index::new(same).expect("they are few");
        assert_eq!(index.get("K", "ns", "a").map(|found| &*found.origin), Some("x.yaml:1"));
        let different = [found("a", 1, "x.yaml:1"), found("a", 2, "y.yaml:1"), found("a", 1, "x.yaml:1")];
        let index = Index::new(different).expect("they are few");
        assert!(index.is_empty());
        assert_eq!(
            refused(&index),
            [
                "K ns/a: it is in x.yaml:1 and, with another content, in y.yaml:1; name the files of one cluster only, with -f"
            ]
        );
    }

    #[test]
    fn more_objects_than_the_limit_are_an_error_that_names_the_first() {
        let many = (0..=OBJECTS).map(|at| found(&format!("o{at:06}"), 1, "x"));
        let error = Index::new(many).expect_err("there are too many");
        assert!(error.to_string().contains("K ns/o010000"), "{error}");
    }

    #[test]
    fn a_huge_object_is_refused_by_name() {
        let object = json!({"kind": "K", "metadata": {"name": "big"}, "spec": {"t": "x".repeat(MEMORY)}});
        let index = Index::new([Found::new(object, "x.yaml:3", "ns")]).expect("it is one");
        assert!(refused(&index)[0].starts_with("K ns/big: x.yaml:3 takes more than"));
    }
}

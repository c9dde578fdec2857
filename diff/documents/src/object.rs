//! A manifest: the identity of an object, its value, and its origin in Git.
//!
//! Leaves reading bytes to `yaml` and comparing values to `plan`. Pure.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An API group and kind, without the version: two versions of one kind are the same objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKind {
    /// Empty for the core group.
    pub group: String,
    pub kind: String,
}

impl GroupKind {
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { group: group.into(), kind: kind.into() }
    }

    /// True if this is `kind` in the API group `group`.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

/// `Deployment.apps`, `ConfigMap`: the form of KEP-3659.
impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.kind)
        } else {
            write!(f, "{}.{}", self.kind, self.group)
        }
    }
}

/// The identity of an object in one cluster. Cluster-scoped objects have an empty namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    #[serde(flatten)]
    pub kind: Arc<GroupKind>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl ObjectId {
    pub fn new(kind: Arc<GroupKind>, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

/// `Deployment.apps shop/web`, `Namespace shop`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// A place in the config repository: the file relative to the root of the tree, and the line
/// (from 1) on which the object starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    pub file: Arc<str>,
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One rendered object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// As written in Git, for example `apps/v1`.
    pub api_version: String,
    pub kind: Arc<GroupKind>,
    /// Empty if Git sets none.
    pub namespace: String,
    pub name: String,
    pub origin: Origin,
    /// The whole object.
    pub value: Value,
}

impl Manifest {
    /// Returns the version in `apiVersion`.
    pub fn version(&self) -> &str {
        self.api_version.rsplit('/').next().unwrap_or(&self.api_version)
    }

    /// Returns the identity before the scope of the kind is known: a namespaced object without a namespace has an empty
    /// one here.
    pub fn id(&self) -> ObjectId {
        ObjectId::new(self.kind.clone(), &self.namespace, &self.name)
    }

    /// Returns the value of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.value.get("metadata")?.get("annotations")?.get(name)?.as_str()
    }
}

//! The schemas for strategic merges: which lists are merged, and by which keys.
//!
//! The built-in types come from a table that is generated from the OpenAPI document of an API server
//! (`schema/table.txt`), and, for old repositories, from a second table of kinds that no longer exist
//! (`schema/past.txt`). A kustomization can set its own document (`openapi`), which replaces both, or is merged below
//! or above them, depending on what the build has used before. Pure.

mod inline;
mod layers;
mod openapi;
mod table;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use smol_str::SmolStr;

use super::error::KustomizeError;
use super::id::Gvk;
use super::scope;

pub use inline::{Inline, is_schema};

/// All types, cheap to clone.
#[derive(Clone, Debug)]
pub struct Schema {
    types: Arc<Types>,
}

/// The schema of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    fields: HashMap<SmolStr, ShapeId>,
    /// The schema of all fields that are not listed, as in a map.
    values: Option<ShapeId>,
    /// The schema of all items of a list.
    items: Option<ShapeId>,
    /// The keys by which the items of a list are merged; none for plain values.
    keys: Option<Vec<SmolStr>>,
    /// True for a definition that is referred to but missing.
    is_absent: bool,
}

/// What a build has used of the built-in types before a kustomization sets its own document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Used {
    #[default]
    Nothing,
    /// A kind that is not built in was searched for its scope.
    Scopes,
    /// A patch was merged.
    Types,
}

type ShapeId = usize;

#[derive(Clone, Debug, Default)]
struct Types {
    shapes: Vec<Shape>,
    /// By `group/version` and kind.
    kinds: HashMap<(SmolStr, SmolStr), ShapeId>,
    /// The definitions by their names.
    names: HashMap<SmolStr, ShapeId>,
    /// Definitions that are referred to but missing.
    absent: HashMap<SmolStr, ShapeId>,
    /// For the kinds of a custom document: whether they are namespaced.
    namespaced: HashMap<(SmolStr, SmolStr), bool>,
}

impl Schema {
    /// Returns the types of Kubernetes.
    pub fn kubernetes() -> Self {
        static TABLE: LazyLock<Schema> = LazyLock::new(|| {
            let tables = [include_str!("schema/table.txt"), include_str!("schema/past.txt")];
            Schema { types: Arc::new(table::read(&tables.concat())) }
        });
        TABLE.clone()
    }

    /// Returns these types for a build that has used the built-in types before. As in kustomize, the built-in types
    /// have precedence if only a kind that is not among them was searched, and this document has precedence if a patch
    /// was merged.
    #[must_use]
    pub fn after(self, used: Used) -> Self {
        let built_in = Self::kubernetes();
        let types = match used {
            Used::Nothing => return self,
            Used::Scopes => self.types.below(&built_in.types),
            Used::Types => built_in.types.below(&self.types),
        };
        Self { types: Arc::new(types) }
    }

    /// Returns only the types of an OpenAPI document in YAML or JSON: the field `openapi.path` of a kustomization.
    ///
    /// # Errors
    ///
    /// The file is not an OpenAPI document.
    pub fn with_openapi(file: &str, bytes: &[u8]) -> Result<Self, KustomizeError> {
        openapi::read(file, bytes).map(|types| Self { types: Arc::new(types) })
    }

    /// Returns the types of a built-in version: the field `openapi.version` of a kustomization.
    pub fn with_version(version: &str) -> Result<Self, KustomizeError> {
        if matches!(version, "" | "v1.21.2") {
            return Ok(Self::kubernetes());
        }
        let message = format!(
            "openapi.version `{version}` is not built in: drop the field, or name a file in openapi.path"
        );
        Err(KustomizeError::new(message))
    }

    /// Returns the schema of a kind.
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<&Shape> {
        self.types.get(*self.types.kinds.get(&(api_version.into(), kind.into()))?)
    }

    /// Returns the schema of a field.
    pub fn field(&self, shape: &Shape, name: &str) -> Option<&Shape> {
        self.types.get(shape.fields.get(name).copied().or(shape.values)?)
    }

    /// Returns the schema of the items of a list.
    pub fn items(&self, shape: &Shape) -> Option<&Shape> {
        self.types.get(shape.items?)
    }

    /// Returns the kinds that are cluster-scoped in a custom document, and are not built in.
    pub fn cluster_scoped(&self) -> HashSet<Gvk> {
        let kinds = self.types.namespaced.iter().filter(|(_, is_namespaced)| !**is_namespaced);
        let kinds = kinds.map(|((api_version, kind), _)| Gvk::new(api_version, kind));
        kinds.filter(|gvk| !scope::is_built_in(gvk)).collect()
    }
}

impl Types {
    fn get(&self, id: ShapeId) -> Option<&Shape> {
        self.shapes.get(id).filter(|shape| !shape.is_absent)
    }
}

impl Shape {
    /// Returns the keys by which the items of a list are merged, none for plain values; `None` if the list is
    /// replaced.
    pub fn merge_keys(&self) -> Option<&[SmolStr]> {
        self.keys.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::{Schema, Shape};

    /// The keys of the list at a path of a kind; None if it is not merged.
    fn keys(schema: &Schema, kind: (&str, &str), path: &[&str]) -> Option<String> {
        let mut shape: Option<&Shape> = schema.kind(kind.0, kind.1);
        for part in path {
            shape = if *part == "[]" { schema.items(shape?) } else { schema.field(shape?, part) };
        }
        Some(shape?.merge_keys()?.join(" "))
    }

    #[test]
    fn lists_are_merged_by_the_keys_of_the_api_server() {
        let schema = Schema::kubernetes();
        let pod = ["spec", "template", "spec"];
        let at = |more: &[&'static str]| [&pod[..], more].concat();
        let deployment = ("apps/v1", "Deployment");
        for (path, expected) in [
            (at(&["containers"]), Some("name")),
            (at(&["containers", "[]", "ports"]), Some("containerPort protocol")),
            (at(&["topologySpreadConstraints"]), Some("topologyKey whenUnsatisfiable")),
            (at(&["tolerations"]), None),
            (at(&["containers", "[]", "args"]), None),
            (vec!["metadata", "finalizers"], Some("")),
            (vec!["metadata", "ownerReferences"], Some("uid")),
        ] {
            assert_eq!(keys(&schema, deployment, &path).as_deref(), expected, "{path:?}");
        }
        assert_eq!(keys(&schema, ("v1", "Service"), &["spec", "ports"]).as_deref(), Some("port protocol"));
        assert_eq!(keys(&schema, ("v1", "ConfigMap"), &["metadata", "finalizers"]).as_deref(), Some(""));
    }

    #[test]
    fn kinds_that_are_gone_merge_as_they_did() {
        let schema = Schema::kubernetes();
        let path = ["spec", "jobTemplate", "spec", "template", "spec", "containers"];
        assert_eq!(keys(&schema, ("batch/v1beta1", "CronJob"), &path).as_deref(), Some("name"));
        let ingress = ("networking.k8s.io/v1beta1", "Ingress");
        assert_eq!(keys(&schema, ingress, &["metadata", "finalizers"]).as_deref(), Some(""));
        assert_eq!(keys(&schema, ingress, &["spec", "rules"]), None);
    }

    #[test]
    fn all_types_that_the_tables_name_are_there() {
        let text = [include_str!("schema/table.txt"), include_str!("schema/past.txt")].concat();
        let named = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let word = line.split(' ').filter(|word| !word.is_empty()).nth(if line.starts_with("kind ") {
                3
            } else {
                1
            })?;
            let word = word.trim_matches(['[', ']', '{', '}']);
            (!word.is_empty() && word != "-").then_some(word)
        });
        for name in named {
            assert!(text.lines().any(|line| line == name), "{name} is named, and is not there");
        }
    }
}

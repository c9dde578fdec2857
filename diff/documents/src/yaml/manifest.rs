//! Converts documents to manifests: unpacks lists, and refuses everything that is not completely an object.
//!
//! A document that looks like an object and is not one is never skipped: it is an error with its
//! place and, if a key is misspelt, the intended key. Pure.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::near::nearest;
use super::tree::{NodeId, Tree};
use super::utf16;
use super::{Document, Duplicates, Extent, Read, YamlError, read_noting};
use crate::object::{GroupKind, Manifest, Origin};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error(transparent)]
    Yaml(#[from] YamlError),
    #[error("{origin}: {problem}")]
    Object { origin: Origin, problem: ManifestProblem },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestProblem {
    #[error("this is {0}, not a Kubernetes object: correct it")]
    NotAnObject(&'static str),
    #[error("this document has neither apiVersion nor kind, so it is not a Kubernetes object: add them")]
    Foreign,
    #[error(
        "this is a {0} of kustomize, not an object: name its file kustomization.yaml, or move it out of the \
         synced path"
    )]
    Kustomize(String),
    #[error("`{field}` is missing{}", meant(.field, .near.as_deref()))]
    Missing { field: &'static str, near: Option<String> },
    #[error("`metadata.name` is missing: generateName would make a new object at every sync, so set a name")]
    GenerateName,
    #[error("`{field}` is {found}, but must be {expected}")]
    Type { field: String, found: &'static str, expected: &'static str },
    #[error(
        "apiVersion `{0}` is malformed: write group/version, for example apps/v1, or v1 for the core group"
    )]
    ApiVersion(String),
    #[error("kind `{0}` is malformed: write a name such as Deployment")]
    Kind(String),
}

/// Returns what to do about a missing field: correct a misspelt key, or add it.
fn meant(field: &str, near: Option<&str>) -> String {
    let key = field.rsplit('.').next().unwrap_or(field);
    match near {
        Some(near) => format!(": `{near}` is set instead; did you mean `{key}`?"),
        None => ": add it".to_owned(),
    }
}

/// Reads the objects of a file, and all of its mistakes.
///
/// The manifests are only complete if there are no errors.
pub fn manifests(file: &str, text: &[u8]) -> (Vec<Manifest>, Vec<ManifestError>) {
    let (manifests, errors, _) = manifests_with(file, text, Duplicates::Refuse);
    (manifests, errors)
}

/// As [`manifests`], for the output of a program: if a mapping has a key twice, the last value is used. Lost values
/// are returned last.
pub fn manifests_of_program(file: &str, text: &[u8]) -> (Vec<Manifest>, Vec<ManifestError>, Vec<YamlError>) {
    manifests_with(file, text, Duplicates::LastWins)
}

fn manifests_with(
    file: &str,
    text: &[u8],
    duplicates: Duplicates,
) -> (Vec<Manifest>, Vec<ManifestError>, Vec<YamlError>) {
    let utf8 = utf16::to_utf8(text);
    let read = read_noting(file, utf8.as_deref().unwrap_or(text), Extent::All, duplicates);
    let Read { documents, errors, lost } = read;
    let errors = errors.into_iter().map(ManifestError::Yaml).collect();
    let mut reader = Reader { file: file.into(), manifests: Vec::new(), errors };
    for Document { value, tree, .. } in documents {
        reader.object(value, Position { tree: &tree, node: Some(Tree::ROOT), line: 1 });
    }
    reader.errors.sort_by_key(ManifestError::line);
    (reader.manifests, reader.errors, lost)
}

/// Returns the object, or the objects of a list, and all mistakes. All of them have the given origin.
pub fn manifest(value: Value, origin: &Origin) -> (Vec<Manifest>, Vec<ManifestError>) {
    let mut reader = Reader { file: origin.file.clone(), manifests: Vec::new(), errors: Vec::new() };
    reader.object(value, Position { tree: &Tree::default(), node: None, line: origin.line });
    (reader.manifests, reader.errors)
}

impl ManifestError {
    /// True if the file may not be a manifest, but, for example, the settings of a tool.
    pub fn may_be_no_manifest(&self) -> bool {
        match self {
            Self::Yaml(_) => true,
            Self::Object { problem, .. } => {
                matches!(problem, ManifestProblem::NotAnObject(_) | ManifestProblem::Foreign)
            }
        }
    }

    /// Returns the line of the mistake, from 1.
    pub fn line(&self) -> u32 {
        match self {
            Self::Yaml(error) => error.line,
            Self::Object { origin, .. } => origin.line,
        }
    }
}

struct Reader {
    file: Arc<str>,
    manifests: Vec<Manifest>,
    errors: Vec<ManifestError>,
}

/// The position of a value. A merged or generated value has no node and uses the line of its parent.
#[derive(Clone, Copy)]
struct Position<'t, 'a> {
    tree: &'t Tree<'a>,
    node: Option<NodeId>,
    line: u32,
}

impl Position<'_, '_> {
    fn at(self, node: Option<NodeId>) -> Self {
        let node = node.and_then(|id| Some((id, self.tree.node(id)?.line)));
        Self { node: node.map(|(id, _)| id), line: node.map_or(self.line, |(_, line)| line), ..self }
    }

    fn here(self) -> Self {
        self.at(self.node)
    }

    /// Returns the position of the value of `key`.
    fn field(self, key: &str) -> Self {
        self.at(self.node.and_then(|id| self.tree.entry(id, key)).map(|(_, value)| value))
    }

    /// Returns the line of `key`.
    fn line_of(self, key: &str) -> u32 {
        self.at(self.node.and_then(|id| self.tree.entry(id, key)).map(|(name, _)| name)).line
    }

    fn item(self, index: usize) -> Self {
        self.at(self.node.and_then(|id| self.tree.item(id, index)))
    }
}

impl Reader {
    /// Adds an object, or the objects of a list.
    fn object(&mut self, value: Value, place: Position) {
        let place = place.here();
        let Value::Object(mut fields) = value else {
            return self.error(place.line, ManifestProblem::NotAnObject(describe(&value)));
        };
        let Some((api_version, kind)) = self.type_meta(&fields, place) else { return };
        if kind.group == "kustomize.config.k8s.io" {
            return self.error(place.line, ManifestProblem::Kustomize(kind.kind));
        }
        if kind.kind.ends_with("List") && fields.contains_key("items") {
            return self.list(fields, place, (&api_version, &kind.kind));
        }
        let Some((namespace, name)) = self.object_meta(&fields, place) else { return };
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            settle(metadata);
        }
        self.manifests.push(Manifest {
            api_version,
            kind: Arc::new(kind),
            namespace,
            name,
            origin: Origin { file: self.file.clone(), line: place.line },
            value: Value::Object(fields),
        });
    }

    /// Adds the objects of a list. Those of a typed list, such as a `ConfigMapList`, need not have a kind.
    fn list(&mut self, mut fields: Map<String, Value>, place: Position, (api_version, kind): (&str, &str)) {
        let items = fields.remove("items").unwrap_or_default();
        let of = kind.strip_suffix("List").unwrap_or_default();
        match items {
            Value::Array(items) => {
                let list = place.field("items");
                for (index, mut item) in items.into_iter().enumerate() {
                    if let Value::Object(fields) = &mut item
                        && !of.is_empty()
                        && ["apiVersion", "kind"].iter().all(|key| is_unset(fields.get(*key)))
                    {
                        fields.insert("apiVersion".to_owned(), api_version.into());
                        fields.insert("kind".to_owned(), of.into());
                    }
                    self.object(item, list.item(index));
                }
            }
            Value::Null => {}
            other => self.wrong_type(place.line_of("items"), "items", &other, "a list"),
        }
    }

    /// Returns apiVersion and kind. `None`, with an error, if they are invalid.
    fn type_meta(&mut self, fields: &Map<String, Value>, place: Position) -> Option<(String, GroupKind)> {
        const KEYS: [&str; 2] = ["apiVersion", "kind"];
        if KEYS.iter().all(|key| !fields.contains_key(*key) && nearest(key, fields.keys()).is_none()) {
            self.error(place.line, ManifestProblem::Foreign);
            return None;
        }
        let [api_version, kind] = KEYS.map(|key| self.text(fields, key, key, place));
        let (api_version, kind) = (api_version?, kind?);
        if !is_api_version(&api_version) {
            self.error(place.line_of("apiVersion"), ManifestProblem::ApiVersion(api_version));
            return None;
        }
        if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            self.error(place.line_of("kind"), ManifestProblem::Kind(kind));
            return None;
        }
        let group = api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
        Some((api_version, GroupKind { group, kind }))
    }

    /// Returns namespace and name. `None`, with errors, if the API server would refuse the metadata.
    fn object_meta(&mut self, fields: &Map<String, Value>, place: Position) -> Option<(String, String)> {
        let metadata = match fields.get("metadata") {
            Some(Value::Object(metadata)) => metadata,
            Some(other) => {
                self.wrong_type(place.line_of("metadata"), "metadata", other, "a mapping");
                return None;
            }
            None => {
                self.missing("metadata", "metadata", fields, place);
                return None;
            }
        };
        let place = Position { line: place.line, ..place.field("metadata") };
        let errors = self.errors.len();
        let name = if metadata.contains_key("name") || !metadata.contains_key("generateName") {
            self.text(metadata, "name", "metadata.name", place)
        } else {
            self.error(place.line_of("generateName"), ManifestProblem::GenerateName);
            None
        };
        let namespace = match metadata.get("namespace") {
            unset if is_unset(unset) => None,
            _ => self.text(metadata, "namespace", "metadata.namespace", place),
        };
        for (key, field) in [("labels", "metadata.labels"), ("annotations", "metadata.annotations")] {
            self.strings(metadata.get(key), field, Position { line: place.line_of(key), ..place.field(key) });
        }
        (errors == self.errors.len()).then(|| (namespace.unwrap_or_default(), name.unwrap_or_default()))
    }

    /// Returns the string `key` of `fields`, whose full name is `field`.
    fn text(
        &mut self,
        fields: &Map<String, Value>,
        key: &str,
        field: &'static str,
        place: Position,
    ) -> Option<String> {
        match fields.get(key) {
            Some(Value::String(text)) if !text.is_empty() => return Some(text.clone()),
            Some(Value::String(_)) => self.error(
                place.line_of(key),
                ManifestProblem::Type { field: field.to_owned(), found: "empty", expected: "a name" },
            ),
            Some(other) => self.wrong_type(place.line_of(key), field, other, "a string: quote it"),
            None => self.missing(key, field, fields, place),
        }
        None
    }

    /// Checks that a map, if it exists, only contains strings.
    fn strings(&mut self, map: Option<&Value>, field: &str, place: Position) {
        match map {
            None | Some(Value::Null) => {}
            Some(Value::Object(entries)) => {
                for (key, value) in entries.iter().filter(|(_, value)| !value.is_string() && !value.is_null())
                {
                    let field = format!("{field}.{key}");
                    self.wrong_type(place.line_of(key), &field, value, "a string: quote it");
                }
            }
            Some(other) => self.wrong_type(place.line, field, other, "a mapping"),
        }
    }

    fn missing(&mut self, key: &str, field: &'static str, fields: &Map<String, Value>, place: Position) {
        let near = nearest(key, fields.keys()).map(str::to_owned);
        let line = near.as_deref().map_or(place.line, |near| place.line_of(near));
        self.error(line, ManifestProblem::Missing { field, near });
    }

    fn wrong_type(&mut self, line: u32, field: &str, found: &Value, expected: &'static str) {
        let problem = ManifestProblem::Type { field: field.to_owned(), found: describe(found), expected };
        self.error(line, problem);
    }

    fn error(&mut self, line: u32, problem: ManifestProblem) {
        let origin = Origin { file: self.file.clone(), line };
        self.errors.push(ManifestError::Object { origin, problem });
    }
}

/// True for values that the API server treats as unset.
fn is_unset(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_null() || value.as_str() == Some(""))
}

/// Converts metadata to the form of the API server: an empty namespace is unset, and a label or annotation that is
/// null is empty.
fn settle(metadata: &mut Map<String, Value>) {
    if metadata.get("namespace").and_then(Value::as_str) == Some("") {
        metadata.remove("namespace");
    }
    for name in ["labels", "annotations"] {
        let entries = metadata.get_mut(name).and_then(Value::as_object_mut);
        for value in entries.into_iter().flat_map(Map::values_mut).filter(|value| value.is_null()) {
            *value = Value::String(String::new());
        }
    }
}

/// Returns the type of a value, for a message.
pub fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// True for `version` and `group/version` in the characters that the API server permits.
pub fn is_api_version(text: &str) -> bool {
    let label = |part: &str, extra: &[u8]| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || extra.contains(&b))
    };
    match text.split_once('/') {
        Some((group, version)) => group.split('.').all(|part| label(part, b"-")) && label(version, b"-"),
        None => label(text, b"-"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_api_version;

    #[test]
    fn an_api_version_leads_to_no_other_path() {
        for good in ["v1", "apps/v1", "holdfast.dev/v1alpha1", "a-b.example.com/v1"] {
            assert!(is_api_version(good), "{good}");
        }
        for bad in ["", "/", "v1?a", "v1/", "../v1", "a../v1", "v1%2fnamespaces", "a/b/c", "V1", "v1#a"] {
            assert!(!is_api_version(bad), "{bad}");
        }
    }
}

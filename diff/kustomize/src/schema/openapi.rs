//! The types of an OpenAPI document, version 2, that a kustomization brings.
//!
//! Only what a merge asks for is read. Pure.

use std::collections::HashMap;

use serde_json::Value;
use smol_str::SmolStr;

use super::super::error::KustomizeError;
use super::{Shape, ShapeId, Types};
use holdfast_documents::pointer::unescape;

/// The longest chain of definitions that are nothing but a reference.
const MAX_REFERENCES: usize = 16;

pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Types, KustomizeError> {
    let document = document(file, bytes)?;
    let empty = serde_json::Map::new();
    let definitions = document["definitions"].as_object().unwrap_or(&empty);
    let mut reader = Reader { definitions, ids: HashMap::new(), types: Types::default() };
    // all definitions have their place before any is read, so that they can name one another
    for name in definitions.keys() {
        reader.ids.insert(name, reader.types.shapes.len());
        reader.types.names.insert(name.as_str().into(), reader.types.shapes.len());
        reader.types.shapes.push(Shape::default());
    }
    for (id, (_, definition)) in definitions.iter().enumerate() {
        reader.types.shapes[id] = reader.shape(definition);
        for kind in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            reader.types.kinds.insert(group_version_kind(kind), id);
        }
    }
    reader.types.namespaced = namespaced(&document["paths"]);
    Ok(reader.types)
}

fn document(file: &str, bytes: &[u8]) -> Result<Value, KustomizeError> {
    if bytes.starts_with(b"{") {
        return serde_json::from_slice(bytes)
            .map_err(|error| KustomizeError::in_file(file, format!("not an OpenAPI document: {error}")));
    }
    let (documents, errors) = holdfast_documents::yaml::read(file, bytes);
    match (errors.into_iter().next(), documents.into_iter().next()) {
        (Some(error), _) => Err(KustomizeError {
            file: file.to_owned(),
            line: error.line,
            message: error.problem.to_string(),
        }),
        (None, Some(document)) => Ok(document.value),
        (None, None) => Ok(Value::Null),
    }
}

struct Reader<'a> {
    definitions: &'a serde_json::Map<String, Value>,
    ids: HashMap<&'a str, ShapeId>,
    types: Types,
}

impl Reader<'_> {
    fn shape(&mut self, schema: &Value) -> Shape {
        shape(schema, &mut |schema| self.target(schema))
    }

    /// Where the type stands that a schema names, or that it is. None for definitions that name one another in a cycle.
    fn target(&mut self, schema: &Value) -> Option<ShapeId> {
        let mut name = reference(schema);
        for _ in 0..MAX_REFERENCES {
            let Some(found) = name else { break };
            let Some(definition) = self.definitions.get(&found) else { return Some(self.absent(&found)) };
            name = reference(definition);
            if name.is_none() {
                return self.ids.get(found.as_str()).copied();
            }
        }
        if name.is_some() {
            return None;
        }
        let shape = self.shape(schema);
        self.types.shapes.push(shape);
        Some(self.types.shapes.len() - 1)
    }

    /// The place of a definition that is not there.
    fn absent(&mut self, name: &str) -> ShapeId {
        let Types { shapes, absent, .. } = &mut self.types;
        *absent.entry(name.into()).or_insert_with(|| {
            shapes.push(Shape { is_absent: true, ..Shape::default() });
            shapes.len() - 1
        })
    }
}

/// What a schema says; `target` finds the place of a schema within it.
pub(super) fn shape(schema: &Value, target: &mut dyn FnMut(&Value) -> Option<ShapeId>) -> Shape {
    let mut shape = Shape::default();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(id) = target(property) {
            shape.fields.insert(name.into(), id);
        }
    }
    if schema["additionalProperties"].is_object() {
        shape.values = target(&schema["additionalProperties"]);
    }
    let is_list = schema["type"] == "array" || schema["type"] == serde_json::json!(["array"]);
    if is_list && schema["items"].is_object() {
        shape.items = target(&schema["items"]);
    }
    shape.keys = keys(schema);
    shape
}

/// The name of the definition that a schema refers to.
pub(super) fn reference(schema: &Value) -> Option<String> {
    let name = schema["$ref"].as_str()?.strip_prefix("#/definitions/")?;
    Some(unescape(name).into_owned())
}

fn keys(schema: &Value) -> Option<Vec<SmolStr>> {
    let strategy = schema["x-kubernetes-patch-strategy"].as_str()?;
    if !strategy.split(',').any(|word| word == "merge") {
        return None;
    }
    Some(match schema["x-kubernetes-list-map-keys"].as_array() {
        Some(keys) => keys.iter().filter_map(Value::as_str).map(SmolStr::from).collect(),
        None => schema["x-kubernetes-patch-merge-key"].as_str().map(SmolStr::from).into_iter().collect(),
    })
}

fn group_version_kind(of: &Value) -> (SmolStr, SmolStr) {
    let part = |name: &str| of[name].as_str().unwrap_or_default();
    let group_version = match part("group") {
        "" => part("version").into(),
        group => format!("{group}/{}", part("version")).into(),
    };
    (group_version, part("kind").into())
}

/// Which kinds have a namespace, by the paths that they are read at.
fn namespaced(paths: &Value) -> HashMap<(SmolStr, SmolStr), bool> {
    let mut namespaced = HashMap::new();
    for (path, item) in paths.as_object().into_iter().flatten() {
        let of = &item["get"]["x-kubernetes-group-version-kind"];
        if of.is_object() {
            *namespaced.entry(group_version_kind(of)).or_insert(false) |=
                path.contains("namespaces/{namespace}");
        }
    }
    namespaced
}

#[cfg(test)]
mod tests {
    use super::super::Schema;

    const DOCUMENT: &str = "\
definitions:
  example.Shop:
    type: object
    properties:
      spec: {$ref: '#/definitions/example.Spec'}
    x-kubernetes-group-version-kind: [{group: example.com, kind: Shop, version: v1}]
  example.Spec:
    properties:
      shelves:
        type: array
        x-kubernetes-patch-strategy: merge
        x-kubernetes-patch-merge-key: name
        items:
          properties:
            goods: {type: array, x-kubernetes-patch-strategy: replace, items: {type: string}}
            loop: {$ref: '#/definitions/example.Spec'}
            gone: {$ref: '#/definitions/example.Gone'}
paths:
  /apis/example.com/v1/shops:
    get: {x-kubernetes-group-version-kind: {group: example.com, kind: Shop, version: v1}}
";

    #[test]
    fn a_document_takes_the_place_of_the_table() -> Result<(), Box<dyn std::error::Error>> {
        let schema = Schema::with_openapi("schema.yaml", DOCUMENT.as_bytes())?;
        assert!(schema.kind("apps/v1", "Deployment").is_none());
        let shop = schema.kind("example.com/v1", "Shop").ok_or("no kind")?;
        let shelves =
            schema.field(shop, "spec").and_then(|spec| schema.field(spec, "shelves")).ok_or("no field")?;
        assert_eq!(shelves.merge_keys(), Some(&["name".into()][..]));
        let shelf = schema.items(shelves).ok_or("no items")?;
        assert!(schema.field(shelf, "goods").is_some_and(|goods| goods.merge_keys().is_none()));
        let again = schema.field(shelf, "loop").and_then(|spec| schema.field(spec, "shelves"));
        assert_eq!(again, Some(shelves));
        assert!(schema.field(shelf, "gone").is_none());
        assert!(schema.cluster_scoped().contains(&crate::Gvk::new("example.com/v1", "Shop")));
        Ok(())
    }

    #[test]
    fn what_is_no_document_is_an_error_with_its_place() {
        let said = Schema::with_openapi("schema.yaml", b"a: 1\nb: [").map_err(|error| error.to_string());
        assert!(said.as_ref().is_err_and(|said| said.starts_with("schema.yaml:2: ")), "{said:?}");
    }
}

//! Schemas in comments of a resource or a patch, such as `items: # {"x-kubernetes-patch-merge-key":"name",...}`, each
//! of which replaces the schema of the value.
//!
//! Kustomize reads every comment that is a JSON object as a schema, even if it is meant for another program, and
//! treats unknown fields in it as a part of the schema. Leaves the position of comments to the reader. Pure.

use std::collections::HashMap;

use serde_json::Value;
use smol_str::SmolStr;

use super::super::node::Node;
use super::{Schema, Shape, ShapeId, openapi};

/// Fields of a schema that have no effect if they are empty. Any other field counts, whatever its value is.
const EMPTY: [&str; 22] = [
    "$ref",
    "$schema",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "default",
    "description",
    "enum",
    "format",
    "id",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minimum",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "properties",
    "title",
];

/// The types, and the comments of two objects.
pub struct Inline<'s> {
    base: &'s Schema,
    /// The schemas in comments, numbered after those of the base.
    own: Vec<Shape>,
    /// By the text of the comment.
    roots: HashMap<SmolStr, ShapeId>,
}

/// True for a comment, starting at its `#`, that kustomize treats as a schema.
pub fn is_schema(comment: &str) -> bool {
    read(comment).is_some()
}

fn read(comment: &str) -> Option<Value> {
    let text = comment.trim_start_matches('#').trim_start();
    if !text.starts_with('{') {
        return None;
    }
    // Text after the object is ignored.
    let value = serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok()?;
    let says = |(name, value): (&String, &Value)| {
        let is_empty = value.is_null() || *value == "" || *value == false;
        !is_empty || !EMPTY.contains(&name.as_str())
    };
    (value.as_object()?.iter().any(says) && is_sound(&value)).then_some(value)
}

/// False for an object that is not a schema, since a field of it has a value of another type.
fn is_sound(schema: &Value) -> bool {
    let Some(fields) = schema.as_object() else { return false };
    fields.iter().all(|(name, value)| match name.as_str() {
        _ if value.is_null() => true,
        "type" => {
            value.is_string() || value.as_array().is_some_and(|types| types.iter().all(Value::is_string))
        }
        "$ref" | "$schema" | "id" | "description" | "format" | "title" | "pattern" => value.is_string(),
        "properties" => value.as_object().is_some_and(|fields| fields.values().all(is_sound)),
        "items" => is_sound(value) || value.as_array().is_some_and(|items| items.iter().all(is_sound)),
        "additionalProperties" => value.is_boolean() || is_sound(value),
        _ => true,
    })
}

impl<'s> Inline<'s> {
    /// Returns the types with the schemas in comments of these objects.
    pub fn new(base: &'s Schema, nodes: [&Node; 2]) -> Self {
        let mut inline = Self { base, own: Vec::new(), roots: HashMap::new() };
        nodes.into_iter().for_each(|node| inline.collect(node));
        inline
    }

    fn collect(&mut self, node: &Node) {
        match node {
            Node::Scalar(_) => {}
            Node::Seq(items) => items.iter().for_each(|item| self.collect(item)),
            Node::Map(map) => {
                for (_, comment) in map.schemas() {
                    if !self.roots.contains_key(comment)
                        && let Some(schema) = read(comment)
                    {
                        let id = self.add(&schema).unwrap_or_else(|| self.push(Shape::default()));
                        self.roots.insert(comment.clone(), id);
                    }
                }
                map.iter().for_each(|(_, value)| self.collect(value));
            }
        }
    }

    /// Returns the id of a schema. `None` if it refers to a missing definition.
    fn add(&mut self, schema: &Value) -> Option<ShapeId> {
        if let Some(name) = openapi::reference(schema) {
            return self.base.types.names.get(name.as_str()).copied();
        }
        let shape = openapi::shape(schema, &mut |schema| self.add(schema));
        Some(self.push(shape))
    }

    fn push(&mut self, shape: Shape) -> ShapeId {
        self.own.push(shape);
        self.base.types.shapes.len() + self.own.len() - 1
    }

    fn get(&self, id: ShapeId) -> Option<&Shape> {
        match id.checked_sub(self.base.types.shapes.len()) {
            None => self.base.types.get(id),
            Some(own) => self.own.get(own),
        }
    }

    /// Returns the schema in the comment at a key, in the first of two mappings that has one.
    pub fn comment(&self, mappings: [&[(SmolStr, SmolStr)]; 2], key: &str) -> Option<&Shape> {
        let (_, comment) = mappings.into_iter().flatten().find(|(name, _)| name == key)?;
        self.get(*self.roots.get(comment)?)
    }

    /// Returns the schema of a kind.
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<&Shape> {
        self.base.kind(api_version, kind)
    }

    /// Returns the schema of a field.
    pub fn field(&self, shape: &Shape, name: &str) -> Option<&Shape> {
        self.get(shape.fields.get(name).copied().or(shape.values)?)
    }

    /// Returns the schema of the items of a list.
    pub fn items(&self, shape: &Shape) -> Option<&Shape> {
        self.get(shape.items?)
    }
}

#[cfg(test)]
mod tests {
    use super::is_schema;

    #[test]
    fn an_object_of_json_is_a_schema_unless_it_says_nothing() {
        for schema in [
            r#"# {"type":"array"}"#,
            r#"##{"a":1} and more"#,
            r#"# {"$imagepolicy": "default:x"}"#,
            r#"# {"type":""}"#,
            r#"# {"properties":{}}"#,
            r#"# {"foo":null}"#,
        ] {
            assert!(is_schema(schema), "{schema}");
        }
        for other in [
            "# {}",
            "# hello",
            "# [{}]",
            r#"# {"a":1,}"#,
            "# {type: array}",
            r#"# {"type":5}"#,
            r#"# {"properties":5}"#,
            r#"# {"description":""}"#,
            r#"# {"items":null}"#,
            r#"# {"nullable":false}"#,
        ] {
            assert!(!is_schema(other), "{other}");
        }
    }
}

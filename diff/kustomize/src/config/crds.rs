//! The content of `crds`: OpenAPI definitions of custom resources, whose extensions mark the fields with
//! names, labels and annotations.
//!
//! Leaves reading the files to its caller. Pure.

use serde_json::{Map, Value};

use super::{NameReference, TransformerConfig, merge_reference, merge_spec};
use crate::error::KustomizeError;
use crate::fieldspec::FieldSpec;

/// Maximum depth of references between definitions; a definition that refers to itself never ends.
const DEPTH: usize = 32;
/// Maximum number of fields in the definitions of a file, with references followed.
const FIELDS: usize = 20_000;

/// Returns the configuration of a file of definitions.
///
/// # Errors
/// The file is not a mapping of definitions, or a definition refers to itself.
pub fn from_definitions(file: &Value) -> Result<TransformerConfig, KustomizeError> {
    let definitions = match file {
        Value::Null => return Ok(TransformerConfig::default()),
        Value::Object(definitions) => definitions,
        _ => return Err(KustomizeError::new("crds: OpenAPI definitions by their names are expected")),
    };
    let mut reader = Reader { definitions, fields: 0 };
    let mut config = TransformerConfig::default();
    for (name, definition) in definitions {
        let Some(properties) = properties(name, definition)? else { continue };
        if ["kind", "apiVersion", "metadata"].iter().all(|field| properties.contains_key(*field)) {
            let kind = name.rsplit('.').next().unwrap_or_default();
            let mut found = TransformerConfig::default();
            reader.read(&mut found, kind, name, &mut Vec::new())?;
            config = config.merge(&found)?;
        }
    }
    Ok(config)
}

struct Reader<'a> {
    definitions: &'a Map<String, Value>,
    fields: usize,
}

impl<'a> Reader<'a> {
    /// Reads the definition of a type, whose fields are below `path` of a kind.
    fn read(
        &mut self,
        config: &mut TransformerConfig,
        kind: &str,
        name: &str,
        path: &mut Vec<&'a str>,
    ) -> Result<(), KustomizeError> {
        let definitions = self.definitions;
        let Some(definition) = definitions.get(name) else { return Ok(()) };
        for (field, property) in properties(name, definition)?.into_iter().flatten() {
            self.fields += 1;
            if path.len() > DEPTH || self.fields > FIELDS {
                return Err(KustomizeError::new(format!("crds: the definition {name} refers to itself")));
            }
            path.push(field);
            read_field(config, kind, property, path)?;
            if let Some(reference) =
                property.get("$ref").and_then(Value::as_str).filter(|name| !name.is_empty())
            {
                self.read(config, kind, reference, path)?;
            }
            path.pop();
        }
        Ok(())
    }
}

fn read_field(
    config: &mut TransformerConfig,
    kind: &str,
    property: &Value,
    path: &[&str],
) -> Result<(), KustomizeError> {
    let extension = |name: &str| property.get(format!("x-kubernetes-{name}")).and_then(Value::as_str);
    let spec = |path: String| FieldSpec { kind: kind.into(), path: path.into(), ..FieldSpec::default() };
    let path = path.join("/");
    if extension("annotation").is_some() {
        merge_spec(&mut config.common_annotations, &spec(path.clone()))?;
    }
    if extension("label-selector").is_some() {
        merge_spec(&mut config.common_labels, &spec(path.clone()))?;
    }
    if extension("identity").is_some() {
        merge_spec(&mut config.name_prefix, &spec(path.clone()))?;
    }
    if let (Some(version), Some(kind)) = (extension("object-ref-api-version"), extension("object-ref-kind")) {
        let key = extension("object-ref-name-key").unwrap_or("name");
        let reference = NameReference {
            version: version.into(),
            kind: kind.into(),
            field_specs: vec![spec(format!("{path}/{key}"))],
            ..NameReference::default()
        };
        merge_reference(&mut config.name_reference, &reference)?;
    }
    Ok(())
}

/// Returns the properties of a definition: `Schema.properties`.
fn properties<'a>(
    name: &str,
    definition: &'a Value,
) -> Result<Option<&'a Map<String, Value>>, KustomizeError> {
    let wrong = || {
        let message = format!(
            "crds: {name} is not an OpenAPI definition (a mapping with Schema): list definitions as \
             `kubectl get --raw /openapi/v2` has them, not CustomResourceDefinitions"
        );
        KustomizeError::new(message)
    };
    let mut value = definition;
    for field in ["schema", "properties"] {
        let map = match value {
            Value::Null => return Ok(None),
            Value::Object(map) => map,
            _ => return Err(wrong()),
        };
        // Go ignores case here.
        let found = map
            .get(field)
            .or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(field)).map(|(_, value)| value));
        value = found.unwrap_or(&Value::Null);
    }
    match value {
        Value::Null => Ok(None),
        Value::Object(map) if map.values().all(|property| property.is_object() || property.is_null()) => {
            Ok(Some(map))
        }
        _ => Err(wrong()),
    }
}

//! JSON patches (RFC 6902) as kustomize's library applies them, which is less strict than the RFC: `replace` sets a
//! missing field, `copy` of a missing field results in null, and negative indices count from the end.
//!
//! Leaves pointers to `pointer`. Pure.

mod pointer;

use serde_json::{Map, Value};

use super::bounds::{self, Room};
use super::error::KustomizeError;
use super::node::Node;
use super::own;
use super::value;
use holdfast_documents::yaml::Duplicates;

use pointer::locate;

/// The operations of a patch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operations {
    list: Vec<Operation>,
}

/// One operation, as written.
type Operation = Map<String, Value>;

impl Operations {
    /// Parses a patch, as JSON if it starts with `[`, or else the first document of a YAML text.
    ///
    /// # Errors
    ///
    /// The text is invalid, or not a list of mappings.
    pub fn read(file: &str, text: &str) -> Result<Self, KustomizeError> {
        let is_list = |list: Vec<Value>| {
            let operations =
                list.into_iter().map(|item| if let Value::Object(map) = item { Some(map) } else { None });
            operations.collect::<Option<Vec<_>>>()
        };
        let list = match document(file, text)? {
            Value::Null => Some(Vec::new()),
            Value::Array(list) => is_list(list),
            _ => None,
        };
        let message = "a JSON patch is a list of operations (`- op: add`): correct it";
        list.map(|list| Self { list }).ok_or_else(|| KustomizeError::in_file(file, message))
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

fn document(file: &str, text: &str) -> Result<Value, KustomizeError> {
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(|error| KustomizeError {
            file: file.to_owned(),
            line: u32::try_from(error.line()).unwrap_or(0),
            message: format!("no JSON: {error}"),
        });
    }
    let document = own::first(file, text.as_bytes(), Duplicates::LastWins)?;
    Ok(document.map_or(Value::Null, |document| document.value))
}

/// Applies all operations to a resource, or none.
///
/// # Errors
///
/// An operation that cannot be applied, with its number and path.
pub fn apply(node: &mut Node, operations: &Operations) -> Result<(), KustomizeError> {
    *node = value::node(&patched(node, operations)?);
    Ok(())
}

/// As [`apply`], without kustomize's conversion of numbers to floats.
///
/// # Errors
///
/// As [`apply`].
pub fn apply_exactly(node: &mut Node, operations: &Operations) -> Result<(), KustomizeError> {
    *node = value::written(&patched(node, operations)?);
    Ok(())
}

fn patched(node: &Node, operations: &Operations) -> Result<Value, KustomizeError> {
    let (mut document, mut room) = (value::value(node)?, Room::default());
    for (at, operation) in operations.list.iter().enumerate() {
        run(&mut document, operation, &mut room).map_err(|problem| {
            let text =
                |field: &str| operation.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            KustomizeError::new(format!("operation {} ({} {}): {problem}", at + 1, text("op"), text("path")))
        })?;
    }
    if !document.is_object() {
        return Err(KustomizeError::new("the patch leaves no object: correct the operation on its top"));
    }
    Ok(document)
}

fn run(document: &mut Value, operation: &Operation, room: &mut Room) -> Result<(), String> {
    let text = |field: &str| {
        let text = operation.get(field).and_then(Value::as_str);
        text.ok_or_else(|| format!("it has no {field}: add one, as text"))
    };
    let value = || operation.get("value").cloned().unwrap_or_default();
    match operation.get("op").and_then(Value::as_str).unwrap_or_default() {
        "add" => add(document, text("path")?, value()),
        "remove" => locate(document, text("path")?)?.remove().map(drop),
        "replace" => match text("path")? {
            "" => {
                *document = value();
                if document.is_object() || document.is_array() {
                    Ok(())
                } else {
                    Err("only an object can be the top".into())
                }
            }
            path => {
                bounds::depth(path.matches('/').count(), &value())?;
                locate(document, path)?.replace(value())
            }
        },
        "move" => {
            let moved = locate(document, text("from")?)?.remove()?;
            add(document, text("path")?, moved)
        }
        "copy" => {
            let copied = locate(document, text("from")?)?.get()?.cloned().unwrap_or_default();
            room.take(document, &copied)?;
            add(document, text("path")?, copied)
        }
        "test" => test(document, text("path")?, operation.get("value")),
        other => Err(format!("unknown operation `{other}`: write add, remove, replace, move, copy or test")),
    }
}

/// Sets a field, or inserts an item, unless it would be nested too deeply.
fn add(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    bounds::depth(path.matches('/').count(), &value)?;
    locate(document, path)?.add(value)
}

fn test(document: &mut Value, path: &str, expected: Option<&Value>) -> Result<(), String> {
    let found = match path {
        "" => Some(&*document),
        path => locate(document, path)?.into_value()?,
    };
    // Null equals a missing value.
    if found.unwrap_or(&Value::Null) == expected.unwrap_or(&Value::Null) {
        return Ok(());
    }
    let found = found.map_or("nothing".to_owned(), |found| format!("`{found}`"));
    Err(format!("the test fails: the value is {found}"))
}

//! Ways through a document: `/a/0/b~1c`, to a field of a mapping or an index of a list.
//!
//! Pure.

use serde_json::{Map, Value};

/// Where a path ends: in a mapping, or in a list.
pub(super) enum Slot<'a> {
    Field(&'a mut Map<String, Value>, String),
    Item(&'a mut Vec<Value>, String),
}

/// Finds the collection that holds what a path names.
pub(super) fn locate<'a>(document: &'a mut Value, path: &str) -> Result<Slot<'a>, String> {
    let missing = || format!("`{path}` leads to nothing: correct the path, or add what is above it first");
    // what stands before the first slash does not count
    let (_, parts) = path.split_once('/').ok_or_else(missing)?;
    let mut parts = parts.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
    let last = parts.next_back().ok_or_else(missing)?;
    let mut here = document;
    for part in parts {
        here = match here {
            Value::Object(fields) => fields.get_mut(&part),
            Value::Array(items) => index(&part, items.len()).ok().and_then(|at| items.get_mut(at)),
            _ => None,
        }
        .ok_or_else(missing)?;
    }
    match here {
        Value::Object(fields) => Ok(Slot::Field(fields, last)),
        Value::Array(items) => Ok(Slot::Item(items, last)),
        _ => Err(missing()),
    }
}

/// A position in a list of `length` items; a negative one counts from the end.
fn index(text: &str, length: usize) -> Result<usize, String> {
    let wrong = || {
        format!(
            "`{text}` is no index of a list of {length}: write one from 0 to {}",
            length.saturating_sub(1)
        )
    };
    let at: i64 = text.parse().map_err(|_| wrong())?;
    let length = i64::try_from(length).map_err(|_| wrong())?;
    let at = if at < 0 { at + length } else { at };
    usize::try_from(at).ok().filter(|_| at < length).ok_or_else(wrong)
}

impl<'a> Slot<'a> {
    /// What is there; a field that is not there is nothing, an index that is not there an error.
    pub fn get(&self) -> Result<Option<&Value>, String> {
        match self {
            Self::Field(fields, name) => Ok(fields.get(name)),
            Self::Item(items, at) => index(at, items.len()).map(|at| items.get(at)),
        }
    }

    pub fn into_value(self) -> Result<Option<&'a Value>, String> {
        match self {
            Self::Field(fields, name) => Ok(fields.get(&name)),
            Self::Item(items, at) => index(&at, items.len()).map(|at| items.get(at)),
        }
    }

    /// Sets a field, or inserts an item; the index `-` is behind the last.
    pub fn add(self, value: Value) -> Result<(), String> {
        match self {
            Self::Field(fields, name) => {
                fields.insert(name, value);
            }
            Self::Item(items, at) if at == "-" => items.push(value),
            Self::Item(items, at) => {
                let at = index(&at, items.len() + 1)?;
                items.insert(at, value);
            }
        }
        Ok(())
    }

    /// Sets a field, whether it is there or not, or an item that is there.
    pub fn replace(self, value: Value) -> Result<(), String> {
        match self {
            Self::Field(fields, name) => {
                fields.insert(name, value);
            }
            Self::Item(items, at) => {
                let at = index(&at, items.len())?;
                items[at] = value;
            }
        }
        Ok(())
    }

    /// Takes out what is there.
    pub fn remove(self) -> Result<Value, String> {
        match self {
            Self::Field(fields, name) => fields
                .remove(&name)
                .ok_or_else(|| format!("there is no `{name}` to remove: drop the operation")),
            Self::Item(items, at) => index(&at, items.len()).map(|at| items.remove(at)),
        }
    }
}

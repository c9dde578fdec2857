//! Pointers into a document: `/a/0/b~1c`, to a field of a mapping or an index of a list.
//!
//! Pure.

use serde_json::{Map, Value};

/// The end of a path: in a mapping, or in a list.
pub(super) enum Slot<'a> {
    Field(&'a mut Map<String, Value>, String),
    Item(&'a mut Vec<Value>, String),
}

/// Finds the collection that contains the value at a path.
pub(super) fn locate<'a>(document: &'a mut Value, path: &str) -> Result<Slot<'a>, String> {
    let missing = || format!("`{path}` leads to nothing: correct the path, or add what is above it first");
    // Text before the first slash is ignored.
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

/// Returns a position in a list of `length` items; a negative one counts from the end.
fn index(text: &str, length: usize) -> Result<usize, String> {
    let wrong = || {
        format!(
            "`{text}` is not an index of a list of {length}: write one from 0 to {}",
            length.saturating_sub(1)
        )
    };
    let at: i64 = text.parse().map_err(|_| wrong())?;
    let length = i64::try_from(length).map_err(|_| wrong())?;
    let at = if at < 0 { at + length } else { at };
    usize::try_from(at).ok().filter(|_| at < length).ok_or_else(wrong)
}

impl<'a> Slot<'a> {
    /// Returns the value; a missing field is `None`, a missing index is an error.
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

    /// Sets a field, or inserts an item; the index `-` is after the last item.
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

    /// Sets a field, whether it exists or not, or an existing item.
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

    /// Removes and returns the value.
    pub fn remove(self) -> Result<Value, String> {
        match self {
            Self::Field(fields, name) => fields.remove(&name).ok_or_else(|| {
                format!("`{name}` does not exist, so it cannot be removed: remove the operation")
            }),
            Self::Item(items, at) => index(&at, items.len()).map(|at| items.remove(at)),
        }
    }
}

//! Removes values that others may write from differences, and from any part of an object. Pure.

use serde_json::{Map, Value};

use super::Ignored;
use super::pattern::NEW;
use crate::compare::{self, Difference, by_name};
use crate::fields::{self, Owner};
use crate::pointer::{push, segments};

/// Returns the owners of the value at a path, in segments.
type Owners<'a> = dyn Fn(&[String]) -> Vec<Owner> + 'a;

impl Ignored {
    /// Returns a difference between a live object and the result of an apply, without values that others may write.
    ///
    /// `None` if nothing else differs. A map or list that exists on one side only counts as equal to the other side
    /// if it contains nothing else.
    pub fn strip(&self, difference: Difference, live: &Value) -> Option<Difference> {
        let mut path: Vec<String> = segments(&difference.path).collect();
        if !self.touches(&path) {
            return Some(difference);
        }
        let owners = |path: &[String]| fields::owners(live, &pointer(path));
        let Difference { path: place, before, after } = difference;
        if before.is_none() && is_item(&path, live) {
            path.pop();
            path.push(NEW.to_owned());
            let covered = self.covers_owned(&path, Vec::new);
            return (!covered).then_some(Difference { path: place, before, after });
        }
        let old = before.as_ref().and_then(|value| self.rest(&mut path, value, Some(value), &owners));
        let new = after.as_ref().and_then(|value| self.rest(&mut path, value, before.as_ref(), &owners));
        let equal = match (&old, &new) {
            (Some(old), Some(new)) => compare::values(old, new).is_empty(),
            (old, new) => old.is_none() && new.is_none(),
        };
        (!equal).then_some(Difference { path: place, before: old, after: new })
    }

    /// Returns the value of one owner at a path, without what the owner may write.
    pub(crate) fn rest_of(
        &self,
        path: &[String],
        value: &Value,
        live: &Value,
        owner: &Owner,
    ) -> Option<Value> {
        if self.is_empty() {
            return Some(value.clone());
        }
        self.rest(&mut path.to_vec(), value, Some(live), &|_| vec![owner.clone()])
    }

    /// Returns a value without the covered leaves, and without maps and lists that become empty.
    /// Indices count in `live`.
    fn rest(
        &self,
        path: &mut Vec<String>,
        value: &Value,
        live: Option<&Value>,
        owners: &Owners,
    ) -> Option<Value> {
        if !self.touches(path) {
            return Some(value.clone());
        }
        match value {
            Value::Object(object) if !object.is_empty() => {
                let mut rest = Map::new();
                for (name, field) in object {
                    path.push(name.clone());
                    let field = self.rest(path, field, live.and_then(|live| live.get(name)), owners);
                    path.pop();
                    rest.extend(field.map(|field| (name.clone(), field)));
                }
                (!rest.is_empty()).then_some(Value::Object(rest))
            }
            Value::Array(items) if !items.is_empty() => {
                let live = live.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let rest: Vec<Value> = items
                    .iter()
                    .zip(pair(items, live))
                    .filter_map(|(item, at)| {
                        self.rest_of_item(path, item, at.map(|at| (at, &live[at])), owners)
                    })
                    .collect();
                (!rest.is_empty()).then_some(Value::Array(rest))
            }
            leaf => {
                let emptied = (leaf.is_object() || leaf.is_array()) && self.names_below(path);
                let gone = emptied || self.covers_owned(path, || owners(path));
                (!gone).then(|| leaf.clone())
            }
        }
    }

    /// Returns a list item without what is covered. A new item is kept completely or not at all; a name is kept as long
    /// as anything else is.
    fn rest_of_item(
        &self,
        path: &mut Vec<String>,
        item: &Value,
        live: Option<(usize, &Value)>,
        owners: &Owners,
    ) -> Option<Value> {
        path.push(live.map_or_else(|| NEW.to_owned(), |(at, _)| at.to_string()));
        let mut rest = match live {
            Some((_, live)) => self.rest(path, item, Some(live), owners),
            None => (!self.covers_owned(path, Vec::new)).then(|| item.clone()),
        };
        path.pop();
        if let (Some(Value::Object(rest)), Some(name)) = (&mut rest, item.get("name")) {
            rest.insert("name".to_owned(), name.clone());
        }
        rest
    }
}

/// Returns the position of each item in the live list: by name, or by index.
fn pair(items: &[Value], live: &[Value]) -> Vec<Option<usize>> {
    paired_by_name(items, live)
        .unwrap_or_else(|| (0..items.len()).map(|at| (at < live.len()).then_some(at)).collect())
}

/// Returns the position of each item in the live list by its name, if all items of both have a unique one.
pub(super) fn paired_by_name(items: &[Value], live: &[Value]) -> Option<Vec<Option<usize>>> {
    by_name(items)?;
    let live = by_name(live)?;
    let place = |item: &Value| Some(live.get(item.get("name")?.as_str()?)?.0);
    Some(items.iter().map(place).collect())
}

/// True if the path is that of a list item.
fn is_item(path: &[String], live: &Value) -> bool {
    path.split_last().is_some_and(|(_, list)| live.pointer(&pointer(list)).is_some_and(Value::is_array))
}

/// Returns a path as a JSON pointer.
pub fn pointer(path: &[String]) -> String {
    path.iter().fold(String::new(), |mut pointer, segment| {
        push(&mut pointer, segment);
        pointer
    })
}

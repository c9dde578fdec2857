//! Fields and list items of an object that are not in its manifest. If the API server refuses the apply because one of them
//! conflicts with the manifest, it is removed too. Pure.

use serde_json::{Map, Value};

use super::Owners;
use super::merge::{is_mergeable, place, remove};
use super::sets::{self, Set, members, unite};
use crate::fields::position;

/// One value that is not in the manifest, at the highest path that the manifest lacks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra {
    /// The segments of its path, with positions of items in the object.
    pub path: Vec<String>,
    /// The field set that holds it and what is below.
    pub set: Set,
    /// True if the key of an item was changed: it has the content of an item of the manifest that the object lacks. An apply would
    /// add the item of the manifest and keep this one.
    pub renamed: bool,
}

/// Returns the values of an object that are not in its manifest, without metadata and status. `applied` is the result of an apply
/// of the manifest, if that is known: the API server stores some values in another form than Git.
pub fn extras(owners: &Owners, object: &Value, manifest: &Value, applied: Option<&Value>) -> Vec<Extra> {
    let mut found = Vec::new();
    let mut search = Search { path: Vec::new(), elements: Vec::new(), found: &mut found };
    search.walk(object, manifest, applied, &owners.sets());
    found.retain(|extra| !matches!(extra.path[0].as_str(), "metadata" | "status" | "apiVersion" | "kind"));
    found
}

impl Extra {
    /// Returns the distance to a field that a refusal names, as in `spec.ports[1].name`: 0 if one contains the other, and else the
    /// number of levels from the field up to the common parent. `None` if they have no common parent.
    pub fn nearness(&self, field: &str) -> Option<usize> {
        let field: Vec<&str> = field.split(['.', '[', ']']).filter(|part| !part.is_empty()).collect();
        if field.is_empty() || field == ["<nil>"] {
            return Some(0);
        }
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let same = |(own, named): &(&String, &&str)| {
            own.as_str() == **named || (is_number(own) && (is_number(named) || named.is_empty()))
        };
        let meets = self.path.iter().zip(&field).take_while(same).count();
        if meets == self.path.len() || meets == field.len() {
            return Some(0);
        }
        // The same key in two maps of an object, such as `data` and `binaryData`.
        let is_twin =
            self.path.len() == field.len() && self.path.iter().zip(&field).skip(1).all(|pair| same(&pair));
        (meets > 0 || is_twin).then(|| field.len() - meets)
    }
}

/// Returns the fields of an object that a manifest sets to `null`, which removes them. The `handed` paths are left out: charts set
/// them to `null` to leave them to an autoscaler.
pub fn nulled(owners: &Owners, object: &Value, manifest: &Value, handed: &[Vec<String>]) -> Set {
    let mut found = Set::new();
    nulled_below(object, manifest, &owners.sets(), &mut Vec::new(), &mut found);
    sets::filter(&found, object, &mut Vec::new(), &|path| !handed.iter().any(|handed| handed == path))
}

fn nulled_below(
    object: &Value,
    manifest: &Value,
    held: &[&Set],
    elements: &mut Vec<String>,
    found: &mut Set,
) {
    let mut step = |element: String, value: &Value, said: &Value| {
        let below: Vec<&Set> = held.iter().filter_map(|set| set.get(&element)?.as_object()).collect();
        elements.push(element);
        if said.is_null() {
            let whole = below.iter().fold(sets::of(value), |whole, set| itself(unite(&whole, set)));
            *found = unite(found, &sets::at(elements, whole));
        } else {
            nulled_below(value, said, &below, elements, found);
        }
        elements.pop();
    };
    match (object, manifest) {
        (Value::Object(object), Value::Object(manifest)) => {
            for (name, said) in manifest {
                if let Some(value) = object.get(name).filter(|value| !value.is_null()) {
                    step(format!("f:{name}"), value, said);
                }
            }
        }
        (Value::Array(items), Value::Array(manifest)) if is_mergeable(held) => {
            for said in manifest {
                if let Some((at, element)) = place(items, said, held) {
                    step(element, &items[at], said);
                }
            }
        }
        _ => {}
    }
}

/// The field set of some extras.
pub fn set_of<'a>(extras: impl IntoIterator<Item = &'a Extra>) -> Set {
    extras.into_iter().fold(Set::new(), |all, extra| unite(&all, &extra.set))
}

/// Returns an object without the fields of a set.
pub fn less(object: &Value, set: &Set) -> Value {
    let mut value = object.clone();
    remove(&mut value, &set.clone().into(), &[]);
    value
}

/// True if a live item has all values of an item in Git (`own`), except for the key. `made` is the item in Git in the form that the
/// API server stores.
fn is_same_but_for_key(own: &Value, made: Option<&Value>, item: &Value, key: &Map<String, Value>) -> bool {
    let (Some(own), true) = (own.as_object(), item.is_object()) else { return false };
    let mut rest = own.iter().filter(|(name, _)| !key.contains_key(*name)).peekable();
    // An item with more fields was not made of the one in Git.
    let made_fields = made.and_then(Value::as_object);
    let is_known =
        |name: &String| key.contains_key(name) || made_fields.is_none_or(|made| made.contains_key(name));
    let has_no_more = item.as_object().is_some_and(|item| item.keys().all(is_known));
    let is_same =
        rest.peek().is_some() && rest.all(|(name, said)| holds(item.get(name), said, field(made, name)));
    has_no_more && is_same
}

/// True if a live value has all that Git sets (`said`), in the form of Git or in the form that the API server stores (`made`):
/// `null` if it leaves the value out, `None` if its form is not known.
fn holds(value: Option<&Value>, said: &Value, made: Option<&Value>) -> bool {
    if made.is_some_and(|made| made == value.unwrap_or(&Value::Null)) {
        return true;
    }
    let Some(value) = value else { return said.is_null() };
    match (value, said) {
        (Value::Object(value), Value::Object(said)) => {
            said.iter().all(|(name, said)| holds(value.get(name), said, field(made, name)))
        }
        (Value::Array(value), Value::Array(said)) => {
            let item = |at: usize| made.map(|made| made.get(at).unwrap_or(&Value::Null));
            let mut items = value.iter().zip(said).enumerate();
            value.len() == said.len() && items.all(|(at, (value, said))| holds(Some(value), said, item(at)))
        }
        (value, said) => value == said,
    }
}

/// A field of a value as the API server stores it; `null` if it has none.
fn field<'v>(made: Option<&'v Value>, name: &str) -> Option<&'v Value> {
    made.map(|made| made.get(name).unwrap_or(&Value::Null))
}

/// Finds the item of a list that has the same key as an item of a manifest.
fn item_at<'v>(items: &'v [Value], own: &Value, key: &Map<String, Value>) -> Option<&'v Value> {
    let is_it =
        |item: &&Value| key.keys().all(|name| own.get(name).is_none_or(|own| item.get(name) == Some(own)));
    items.iter().find(is_it)
}

/// The key of an element of a field set: `k:{"name":"x"}`.
fn key_of(element: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(element.strip_prefix("k:")?).ok()
}

struct Search<'a> {
    path: Vec<String>,
    elements: Vec<String>,
    found: &'a mut Vec<Extra>,
}

impl Search<'_> {
    fn walk(&mut self, object: &Value, manifest: &Value, applied: Option<&Value>, held: &[&Set]) {
        match (object, manifest) {
            (Value::Object(object), Value::Object(manifest)) => {
                for (name, value) in object {
                    let said = manifest.get(name).filter(|said| !said.is_null());
                    let applied = applied.and_then(|applied| applied.get(name));
                    self.step((name.clone(), format!("f:{name}")), value, (said, applied), held, false);
                }
            }
            (Value::Array(items), Value::Array(manifest)) if is_mergeable(held) => {
                let mut said: Vec<Option<&Value>> = vec![None; items.len()];
                let mut missing = Vec::new();
                for own in manifest {
                    let at = place(items, own, held).map(|(at, _)| at);
                    match at.or_else(|| items.iter().position(|item| item == own)) {
                        Some(at) => said[at] = Some(own),
                        None => missing.push(own),
                    }
                }
                for (at, item) in items.iter().enumerate() {
                    let element = held.iter().flat_map(|set| members(set)).map(|(key, _)| key);
                    let Some(element) = element.into_iter().find(|key| position(items, key) == Some(at))
                    else {
                        continue;
                    };
                    let made = applied.and_then(Value::as_array);
                    let renamed = key_of(element).is_some_and(|key| {
                        missing.iter().any(|own| {
                            let made = made.and_then(|made| item_at(made, own, &key));
                            is_same_but_for_key(own, made, item, &key)
                        })
                    });
                    let applied = made.and_then(|made| made.get(position(made, element)?));
                    self.step((at.to_string(), element.clone()), item, (said[at], applied), held, renamed);
                }
            }
            _ => {}
        }
    }

    fn step(
        &mut self,
        (segment, element): (String, String),
        value: &Value,
        (said, applied): (Option<&Value>, Option<&Value>),
        held: &[&Set],
        renamed: bool,
    ) {
        let below: Vec<&Set> = held.iter().filter_map(|set| set.get(&element)?.as_object()).collect();
        self.path.push(segment);
        self.elements.push(element);
        if let Some(said) = said {
            self.walk(value, said, applied, &below);
        } else if self.path.len() == 1 && value.is_object() {
            // The entries of `binaryData` conflict with those of `data` one by one.
            self.walk(value, &Value::Object(Map::new()), None, &below);
        } else {
            let whole = below.iter().fold(sets::of(value), |whole, set| itself(unite(&whole, set)));
            let set = sets::at(&self.elements, whole);
            self.found.push(Extra { path: self.path.clone(), set, renamed });
        }
        self.elements.pop();
        self.path.pop();
    }
}

/// A node that holds its own path too.
fn itself(mut node: Set) -> Set {
    if !node.is_empty() {
        node.insert(".".to_owned(), Set::new().into());
    }
    node
}

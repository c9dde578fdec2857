//! What an object has beside what a manifest says: fields, and items of lists, that stand where the manifest says something
//! else. Where the API server refuses the apply because of one, it goes too. Pure.

use serde_json::Value;

use super::Owners;
use super::merge::{is_mergeable, place, remove};
use super::sets::{self, Set, members, unite};
use crate::fields::position;

/// One value that a manifest says nothing of, as far up as it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra {
    /// The segments of its path, with positions of items in the object.
    pub path: Vec<String>,
    /// The field set that holds it and what is below.
    pub set: Set,
    /// It is an item of the manifest under another name, and the one of the manifest is not there: it was renamed, and an
    /// apply brings the one of the manifest back beside it.
    pub renamed: bool,
}

/// What an object, as an apply of a manifest makes it, has beside the manifest. Metadata and status are left out.
pub fn extras(owners: &Owners, object: &Value, manifest: &Value) -> Vec<Extra> {
    let mut found = Vec::new();
    let mut search = Search { path: Vec::new(), elements: Vec::new(), found: &mut found };
    search.walk(object, manifest, &owners.sets());
    found.retain(|extra| !matches!(extra.path[0].as_str(), "metadata" | "status" | "apiVersion" | "kind"));
    found
}

impl Extra {
    /// How near it is to the field that a refusal names, as in `spec.ports[1].name`: 0 if one holds the other, and else how
    /// many levels up from the field both meet. `None` if they meet nowhere.
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
        (meets > 0).then(|| field.len() - meets)
    }
}

/// What an object has where a manifest has `null`, which asks for its removal. The paths that are handed over are an
/// autoscaler's: charts have `null` there to leave them to it.
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

/// The field set that holds some extras.
pub fn set_of<'a>(extras: impl IntoIterator<Item = &'a Extra>) -> Set {
    extras.into_iter().fold(Set::new(), |all, extra| unite(&all, &extra.set))
}

/// An object without what a field set holds.
pub fn less(object: &Value, set: &Set) -> Value {
    let mut value = object.clone();
    remove(&mut value, &set.clone().into(), &[]);
    value
}

/// True if everything that an item says but its name is in another one too.
fn is_same_but_for_name(own: &Value, other: &Value) -> bool {
    let (Some(own), Some(other)) = (own.as_object(), other.as_object()) else { return false };
    let mut rest = own.iter().filter(|(name, _)| *name != "name").peekable();
    own.contains_key("name")
        && rest.peek().is_some()
        && rest.all(|(name, value)| other.get(name).is_some_and(|theirs| holds(theirs, value)))
}

/// True if a value has everything that another says.
fn holds(value: &Value, said: &Value) -> bool {
    match (value, said) {
        (Value::Object(value), Value::Object(said)) => {
            said.iter().all(|(name, said)| value.get(name).is_some_and(|value| holds(value, said)))
        }
        (Value::Array(value), Value::Array(said)) => {
            value.len() == said.len() && value.iter().zip(said).all(|(value, said)| holds(value, said))
        }
        (value, said) => value == said,
    }
}

struct Search<'a> {
    path: Vec<String>,
    elements: Vec<String>,
    found: &'a mut Vec<Extra>,
}

impl Search<'_> {
    fn walk(&mut self, object: &Value, manifest: &Value, held: &[&Set]) {
        match (object, manifest) {
            (Value::Object(object), Value::Object(manifest)) => {
                for (name, value) in object {
                    let said = manifest.get(name).filter(|said| !said.is_null());
                    self.step((name.clone(), format!("f:{name}")), value, said, held, false);
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
                    let renamed = missing.iter().any(|own| is_same_but_for_name(own, item));
                    self.step((at.to_string(), element.clone()), item, said[at], held, renamed);
                }
            }
            _ => {}
        }
    }

    fn step(
        &mut self,
        (segment, element): (String, String),
        value: &Value,
        said: Option<&Value>,
        held: &[&Set],
        renamed: bool,
    ) {
        let below: Vec<&Set> = held.iter().filter_map(|set| set.get(&element)?.as_object()).collect();
        self.path.push(segment);
        self.elements.push(element);
        if let Some(said) = said {
            self.walk(value, said, &below);
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

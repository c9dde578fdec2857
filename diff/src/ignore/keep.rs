//! Computes the manifest to apply so that live values that others may write are kept.
//!
//! A value is kept without being applied if another manager or no manager owns it. A value that only Holdfast
//! owns would be removed, so the manifest must contain its live value. The same holds for a part of an atomic value,
//! which is always written as a whole. Follows "Server-Side Apply" of the Kubernetes documentation. Pure.

use serde_json::{Map, Value};

use super::pattern::NEW;
use super::strip::paired_by_name;
use super::{Ignored, holds_identity, is_identity};
use crate::fields::{Standing, applied, entries, extract, position, standing, text};

impl Ignored {
    /// Returns the manifest with the live values that others may write, or without them if they are kept without being
    /// applied.
    ///
    /// A new list item is taken from Git unchanged. The identity of an object and its marks of ownership are never changed.
    ///
    /// # Caveats
    /// The owners at the time of the apply count: if fields are taken over before (see
    /// [`takeover`](crate::takeover)), `live` must have `metadata.managedFields` as they are after that.
    pub fn keep_live(&self, manifest: &Value, live: &Value) -> Value {
        if self.is_empty() {
            return manifest.clone();
        }
        let ours = applied(live).map(|(_, fields)| fields);
        let others = entries(live)
            .filter_map(|entry| Some((text(entry, "manager")?, entry.get("fieldsV1")?)))
            .filter(|(_, fields)| ours.is_none_or(|ours| !std::ptr::eq(ours, *fields)))
            .collect();
        let keeper = Keeper { ignored: self, live, ours, others };
        keeper.value(&mut Vec::new(), Some(manifest), Some(live)).unwrap_or_else(|| manifest.clone())
    }
}

struct Keeper<'a> {
    ignored: &'a Ignored,
    live: &'a Value,
    /// The fields that Holdfast applied.
    ours: Option<&'a Value>,
    /// The managers and field sets of all other entries.
    others: Vec<(&'a str, &'a Value)>,
}

impl Keeper<'_> {
    /// Returns what to apply at a path, whose indices count in the live object.
    fn value(&self, path: &mut Vec<String>, manifest: Option<&Value>, live: Option<&Value>) -> Option<Value> {
        if is_identity(path) || !self.ignored.touches(path) {
            return manifest.cloned();
        }
        if self.covers(path) && !holds_identity(path) {
            return self.kept(path, live);
        }
        match (manifest, live) {
            (Some(Value::Object(_)), _) | (None, Some(Value::Object(_))) => {
                let (manifest, live) = (manifest.and_then(Value::as_object), live.and_then(Value::as_object));
                self.object(path, manifest, live).map(Value::Object)
            }
            (Some(Value::Array(_)), _) | (None, Some(Value::Array(_))) => {
                let (manifest, live) = (manifest.and_then(Value::as_array), live.and_then(Value::as_array));
                let kept = self.array(
                    path,
                    manifest.map_or(&[][..], Vec::as_slice),
                    live.map_or(&[][..], Vec::as_slice),
                );
                (manifest.is_some() || !kept.is_empty()).then_some(Value::Array(kept))
            }
            _ => manifest.cloned(),
        }
    }

    fn object(
        &self,
        path: &mut Vec<String>,
        manifest: Option<&Map<String, Value>>,
        live: Option<&Map<String, Value>>,
    ) -> Option<Map<String, Value>> {
        let mut kept = Map::new();
        let more = live
            .into_iter()
            .flatten()
            .filter(|(name, _)| manifest.is_none_or(|own| !own.contains_key(*name)));
        for (name, _) in manifest.into_iter().flatten().chain(more) {
            path.push(name.clone());
            let (own, lives) = (manifest.and_then(|own| own.get(name)), live.and_then(|live| live.get(name)));
            let field = self.value(path, own, lives);
            path.pop();
            kept.extend(field.map(|field| (name.clone(), field)));
        }
        (manifest.is_some() || !kept.is_empty()).then_some(kept)
    }

    fn array(&self, path: &mut Vec<String>, manifest: &[Value], live: &[Value]) -> Vec<Value> {
        let places = self.places(path, manifest, live);
        let mut kept: Vec<Value> = manifest
            .iter()
            .zip(&places)
            .filter_map(|(item, at)| self.item(path, item, at.map(|at| (at, &live[at]))))
            .collect();
        // Of fields that Git does not have, only complete items are kept: a single field would restore a removed item.
        for (at, item) in live.iter().enumerate().filter(|(at, _)| !places.contains(&Some(*at))) {
            path.push(at.to_string());
            if self.covers(path) {
                kept.extend(self.kept(path, Some(item)));
            }
            path.pop();
        }
        kept
    }

    fn item(&self, path: &mut Vec<String>, item: &Value, live: Option<(usize, &Value)>) -> Option<Value> {
        path.push(live.map_or_else(|| NEW.to_owned(), |(at, _)| at.to_string()));
        let mut kept = match live {
            Some((_, live)) => self.value(path, Some(item), Some(live)),
            None => (!self.covers(path)).then(|| item.clone()),
        };
        path.pop();
        if let (Some(Value::Object(kept)), Some(name)) = (&mut kept, item.get("name")) {
            kept.insert("name".to_owned(), name.clone());
        }
        kept
    }

    /// True if a path is covered completely. A rule with managers only covers what one of them owns.
    fn covers(&self, path: &[String]) -> bool {
        self.ignored.0.iter().filter(|rule| rule.covers(path)).any(|rule| {
            rule.managers.is_empty()
                || self.others.iter().filter(|(manager, _)| rule.means(manager)).any(|(_, fields)| {
                    match standing(self.live, fields, path) {
                        Standing::Nothing => false,
                        Standing::Above => self.sets(path).next().is_none(),
                        Standing::At(_) => self.sets(path).all(is_leaf),
                    }
                })
        })
    }

    fn all(&self) -> impl Iterator<Item = &Value> {
        self.ours.into_iter().chain(self.others.iter().map(|(_, fields)| *fields))
    }

    /// Returns the field sets that contain a path, from there on. A deeper set shows that one that ends here or above
    /// is of a map that was empty, and not of an atomic value.
    fn sets<'p>(&self, path: &'p [String]) -> impl Iterator<Item = &Value> + use<'_, 'p> {
        self.all().filter_map(move |fields| match standing(self.live, fields, path) {
            Standing::At(set) => Some(set),
            Standing::Nothing | Standing::Above => None,
        })
    }

    /// Returns what has to be applied at a path that is covered.
    fn kept(&self, path: &[String], live: Option<&Value>) -> Option<Value> {
        let live = live?;
        if self.sets(path).next().is_none() {
            let is_part = |fields| matches!(standing(self.live, fields, path), Standing::Above);
            return self.all().any(is_part).then(|| live.clone());
        }
        let Standing::At(ours) = standing(self.live, self.ours?, path) else { return None };
        let others: Vec<&Value> = self.sets(path).filter(|set| !std::ptr::eq(*set, ours)).collect();
        without(ours, &others).map(|left| extract(live, &left))
    }

    /// Returns the position of each item in the live list: by name, by the key of the field sets, or by index.
    fn places(&self, path: &[String], items: &[Value], live: &[Value]) -> Vec<Option<usize>> {
        if let Some(places) = paired_by_name(items, live) {
            return places;
        }
        let elements = self.elements(path);
        if elements.is_empty() {
            return (0..items.len()).map(|at| (at < live.len()).then_some(at)).collect();
        }
        let mut places = vec![None; items.len()];
        for fits in [is_item, may_be_item] {
            for element in &elements {
                let Some(place) = position(live, element).filter(|at| !places.contains(&Some(*at))) else {
                    continue;
                };
                let free = |at: &usize| places[*at].is_none() && fits(&items[*at], element);
                if let Some(at) = (0..items.len()).find(free) {
                    places[at] = Some(place);
                }
            }
        }
        places
    }

    /// Returns the items of a list as the field sets name them: by key or by value. Empty for an atomic list.
    fn elements(&self, path: &[String]) -> Vec<&str> {
        let mut elements: Vec<&str> = self
            .sets(path)
            .filter_map(Value::as_object)
            .flat_map(|set| set.keys().map(String::as_str))
            .filter(|element| element.starts_with("k:") || element.starts_with("v:"))
            .collect();
        elements.sort_unstable();
        elements.dedup();
        elements
    }
}

fn is_item(item: &Value, element: &str) -> bool {
    position(std::slice::from_ref(item), element).is_some()
}

/// True if an item does not contradict an element: Git may omit defaults of keys.
fn may_be_item(item: &Value, element: &str) -> bool {
    let key = element.strip_prefix("k:").and_then(|key| serde_json::from_str::<Map<String, Value>>(key).ok());
    key.is_some_and(|key| {
        item.is_object() && key.iter().all(|(name, value)| item.get(name).is_none_or(|own| own == value))
    })
}

fn is_leaf(set: &Value) -> bool {
    set.as_object().is_none_or(Map::is_empty)
}

/// Returns the part of a field set that none of the others has. A list item of which a part remains keeps its key.
fn without(set: &Value, others: &[&Value]) -> Option<Value> {
    if others.is_empty() {
        return Some(set.clone());
    }
    let mut left = Map::new();
    for (element, inner) in set.as_object()? {
        let theirs: Vec<&Value> = others.iter().filter_map(|other| other.get(element)).collect();
        let Some(mut rest) = without(inner, &theirs) else { continue };
        if let (Some(key), Some(rest)) = (element.strip_prefix("k:"), rest.as_object_mut()) {
            let key: Map<String, Value> = serde_json::from_str(key).ok()?;
            rest.extend(key.into_iter().map(|(name, _)| (format!("f:{name}"), Value::Object(Map::new()))));
        }
        left.insert(element.clone(), rest);
    }
    left.keys().any(|element| element != ".").then_some(Value::Object(left))
}

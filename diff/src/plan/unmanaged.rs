//! Unmanaged fields: fields and list items that other managers added to an object of a Sync, and that are not in Git.
//!
//! Found in `metadata.managedFields`, so a value without a manager, such as a default, is not one, and neither is a
//! value that admission set during an apply of Holdfast. Well-known controllers are listed in `known`. Pure.

mod known;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::compare::{BOOKKEEPING, Difference};
use crate::digest::{Digest, Hasher};
use crate::fields::{MANAGER, Owner, entries, extract, owner, position, step, text};
use crate::ignore::{Ignored, pointer};
use crate::mask::{Masks, mask};
use crate::object::GroupKind;

/// True for a field manager that is a controller.
pub(crate) fn is_controller(manager: &str) -> bool {
    known::is_controller(manager)
}

/// Maps whose keys several tools share, so that each key is an unmanaged field; and the parents of these maps.
const SHARED: [&str; 7] =
    ["annotations", "binaryData", "data", "labels", "metadata", "nodeSelector", "stringData"];

/// One field or list item that another manager added.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unmanaged {
    /// RFC 6901, with indices of the live object.
    pub path: String,
    /// The value that the manager wrote. Values of Secrets are masked.
    pub value: Value,
    pub owner: Owner,
    /// Digest of the value before it was masked.
    #[serde(skip)]
    digest: Digest,
}

/// Returns the unmanaged fields of a live object of a kind, by path, and for one path the newest first.
pub fn unmanaged(kind: &GroupKind, live: &Value, ignored: &Ignored) -> Vec<Unmanaged> {
    let is_ours = |entry: &&Value| text(entry, "manager") == Some(MANAGER);
    let ours: Vec<&Value> = entries(live).filter(is_ours).filter_map(|entry| entry.get("fieldsV1")).collect();
    let mut found = Vec::new();
    for entry in entries(live).filter(|entry| !is_ours(entry)) {
        let Some((owner, fields)) = owner(entry).zip(entry.get("fieldsV1").and_then(Value::as_object)) else {
            continue;
        };
        if owner.subresource.as_deref() == Some("status") || known::is_controller(&owner.manager) {
            continue;
        }
        let mut search = Search { kind, ignored, owner: &owner, path: Vec::new(), found: &mut found };
        search.walk(fields, &ours, live);
    }
    found.sort_by(|one, other| one.path.cmp(&other.path).then_with(|| other.owner.time.cmp(&one.owner.time)));
    found.dedup_by(|later, newest| later.path == newest.path && later.digest == newest.digest);
    found
}

/// Returns a digest of the paths and values, which changes if they change. `None` if there are none.
pub fn fingerprint(unmanaged: &[Unmanaged]) -> Option<Digest> {
    if unmanaged.is_empty() {
        return None;
    }
    let mut hasher = Hasher::default();
    for unmanaged in unmanaged {
        hasher.text(&unmanaged.path);
        hasher.text(&unmanaged.digest.to_string());
    }
    Some(hasher.finish())
}

/// The search in the field set of one manager.
struct Search<'a> {
    kind: &'a GroupKind,
    ignored: &'a Ignored,
    owner: &'a Owner,
    path: Vec<String>,
    found: &'a mut Vec<Unmanaged>,
}

impl Search<'_> {
    /// Visits the fields below the current path. `ours` are the field sets of Holdfast there; one that ends above is of
    /// a map that was empty, because an atomic value ends every set.
    fn walk(&mut self, theirs: &Map<String, Value>, ours: &[&Value], value: &Value) {
        for (element, inner) in theirs {
            let Some((segment, child)) = step(value, element) else { continue };
            self.path.push(segment);
            if !is_servers(&self.path) {
                let ours: Vec<&Value> = ours.iter().filter_map(|set| find(set, element, value)).collect();
                match inner.as_object().filter(|inner| !inner.is_empty()) {
                    Some(inner) if !(ours.is_empty() && self.is_unit(element, inner, child)) => {
                        self.walk(inner, &ours, child);
                    }
                    _ if ours.is_empty() => self.push(&extract(child, inner), child),
                    _ => {}
                }
            }
            self.path.pop();
        }
    }

    /// True if the fields of a manager at the current path are one unmanaged field: a list item that it added, or
    /// a field that is neither a list nor a map of shared keys.
    fn is_unit(&self, element: &str, theirs: &Map<String, Value>, value: &Value) -> bool {
        if !element.starts_with("f:") {
            return theirs.contains_key(".");
        }
        let is_shared = self.path.last().is_some_and(|name| SHARED.contains(&name.as_str()));
        let is_spec = self.path == ["spec"];
        !(value.is_array() || is_shared || is_spec)
    }

    fn push(&mut self, value: &Value, live: &Value) {
        let Some(value) = self.ignored.rest_of(&self.path, value, live, self.owner) else { return };
        let digest = Digest::of(&value);
        let difference = Difference { path: pointer(&self.path), before: None, after: Some(value) };
        let Difference { path, before: _, after } = mask(self.kind, &Masks::default(), difference);
        let value = after.unwrap_or_default();
        self.found.push(Unmanaged { path, value, owner: self.owner.clone(), digest });
    }
}

/// Returns the part of a field set at the element that another set names.
fn find<'a>(set: &'a Value, element: &str, value: &Value) -> Option<&'a Value> {
    let set = set.as_object()?;
    set.get(element).or_else(|| {
        let items = value.as_array()?;
        let at = position(items, element)?;
        set.iter().find(|(other, _)| position(items, other) == Some(at)).map(|(_, inner)| inner)
    })
}

/// True for fields that belong to the server and to controllers, whichever manager wrote them.
fn is_servers(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["status"] => true,
        ["metadata", name] => BOOKKEEPING.contains(name),
        ["metadata", "annotations", name] => known::is_annotation(name),
        ["metadata", "labels", name] => known::is_label(name),
        _ => false,
    }
}

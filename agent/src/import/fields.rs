//! Reads the fields of an object and remembers which ones: fields that no mapping read are reported, so that no field is dropped
//! silently. Pure.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::note::{Advice, Level};

/// A value of an object, and its path: `spec.patches[0].target`.
#[derive(Clone, Debug)]
pub struct Fields<'v> {
    value: &'v Value,
    path: String,
    read: Rc<RefCell<BTreeSet<String>>>,
}

/// A field that no mapping read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    pub path: String,
    pub level: Level,
    pub text: String,
}

/// What is said of a field that no table names.
const UNKNOWN: &str = "has no counterpart; check what it does there, and remove it if you do not need it";

const NULL: &Value = &Value::Null;

impl<'v> Fields<'v> {
    /// Returns the field `name` of an object, to be read.
    pub fn of(object: &'v Value, name: &str) -> Self {
        Self { value: object.get(name).unwrap_or(NULL), path: name.to_owned(), read: Rc::default() }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the path of a field below.
    pub fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    pub fn is_set(&self) -> bool {
        !is_empty(self.value)
    }

    /// Returns a field, whose own fields are to be read. It is null if there is none.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let value = self.value.get(name).unwrap_or(NULL);
        Self { value, path: self.path_of(name), read: self.read.clone() }
    }

    /// Returns the items of a list, whose fields are to be read.
    pub fn items(&self, name: &str) -> Vec<Self> {
        let items = self.value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let path = |at: usize| format!("{}[{at}]", self.path_of(name));
        let item = |(at, value)| Self { value, path: path(at), read: self.read.clone() };
        items.iter().enumerate().map(item).collect()
    }

    /// Reads this value with everything in it.
    pub fn whole(&self) -> &'v Value {
        self.read.borrow_mut().insert(self.path.clone());
        self.value
    }

    /// Reads a field with everything in it; `None` if it is missing or null.
    pub fn take(&self, name: &str) -> Option<&'v Value> {
        Some(self.below(name).whole()).filter(|value| !value.is_null())
    }

    /// Reads a text; another value is left unread.
    pub fn text(&self, name: &str) -> Option<&'v str> {
        let text = self.value.get(name)?.as_str()?;
        self.below(name).whole();
        (!text.is_empty()).then_some(text)
    }

    /// Reads a flag; another value is left unread.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let flag = self.value.get(name)?.as_bool()?;
        self.below(name).whole();
        Some(flag)
    }

    /// Reads a list of texts; others are left unread.
    pub fn texts(&self, name: &str) -> Vec<&'v str> {
        self.items(name).iter().filter_map(Self::as_text).collect()
    }

    fn as_text(&self) -> Option<&'v str> {
        let text = self.value.as_str()?;
        self.whole();
        Some(text)
    }

    /// Reads a mapping of texts; other values are left unread.
    pub fn map(&self, name: &str) -> Map<String, Value> {
        let below = self.below(name);
        let fields = below.value.as_object().into_iter().flatten();
        let fields = fields.filter(|(_, value)| value.is_string());
        fields.map(|(key, _)| (key.clone(), below.below(key).whole().clone())).collect()
    }

    /// Returns the fields that no mapping read, with what a table says of them.
    pub fn unread(&self, advice: &[Advice]) -> Vec<Unread> {
        let mut found = Vec::new();
        self.search(advice, &mut found);
        found
    }

    fn search(&self, advice: &[Advice], found: &mut Vec<Unread>) {
        if is_empty(self.value) || self.read.borrow().contains(&self.path) {
            return;
        }
        let pattern = pattern(&self.path);
        if let Some((_, level, text)) = advice.iter().find(|(path, ..)| *path == pattern) {
            found.push(Unread { path: self.path.clone(), level: *level, text: (*text).to_owned() });
            return;
        }
        if !self.is_mixed(&pattern, advice) {
            let text = UNKNOWN.to_owned();
            found.push(Unread { path: self.path.clone(), level: Level::Missing, text });
            return;
        }
        match self.value {
            Value::Object(fields) => fields.keys().for_each(|name| self.below(name).search(advice, found)),
            Value::Array(items) => {
                for (at, value) in items.iter().enumerate() {
                    let path = format!("{}[{at}]", self.path);
                    Self { value, path, read: self.read.clone() }.search(advice, found);
                }
            }
            _ => {}
        }
    }

    /// True if something below was read, or has an advice of its own.
    fn is_mixed(&self, pattern: &str, advice: &[Advice]) -> bool {
        let below = |path: &str, of: &str| {
            path.strip_prefix(of).is_some_and(|rest| rest.starts_with('.') || rest.starts_with('['))
        };
        self.read.borrow().iter().any(|path| below(path, &self.path))
            || advice.iter().any(|(path, ..)| below(path, pattern))
    }
}

/// True for values that say nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A path without the numbers of items: `spec.patches[].target`.
fn pattern(path: &str) -> String {
    let mut parts = path.split('[');
    let mut pattern = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        pattern.push('[');
        pattern.push_str(part.trim_start_matches(|letter: char| letter.is_ascii_digit()));
    }
    pattern
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_no_mapping_reads_is_reported_with_its_path() {
        let object = json!({"spec": {
            "url": "https://x", "interval": 5, "gone": null, "none": [],
            "ref": {"branch": "main", "tag": "v1"},
            "patches": [{"patch": "a", "options": {"x": true}}, {"patch": "b"}],
            "install": {"remediation": {"retries": 3}, "crds": "Skip"},
            "new": {"deep": {"er": 1}},
        }});
        let spec = Fields::of(&object, "spec");
        assert_eq!(spec.text("url"), Some("https://x"));
        assert_eq!(spec.text("interval"), None, "a number is no text");
        assert_eq!(spec.below("ref").text("branch"), Some("main"));
        let patches: Vec<_> = spec.items("patches").iter().filter_map(|patch| patch.text("patch")).collect();
        assert_eq!(patches, ["a", "b"]);
        let table: &[Advice] = &[
            ("spec.install.remediation", Level::Missing, "no rollback"),
            ("spec.patches[].options", Level::Changed, "differs"),
        ];
        let mut found: Vec<_> =
            spec.unread(table).into_iter().map(|unread| (unread.path, unread.level)).collect();
        found.sort();
        let expected = [
            ("spec.install.crds", Level::Missing),
            ("spec.install.remediation", Level::Missing),
            ("spec.interval", Level::Missing),
            ("spec.new", Level::Missing),
            ("spec.patches[0].options", Level::Changed),
            ("spec.ref.tag", Level::Missing),
        ];
        assert_eq!(found, expected.map(|(path, level)| (path.to_owned(), level)));
    }
}

//! The resources that an import writes: built field by field, each name once in a namespace. Pure.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_diff::yaml;
use serde_json::{Map, Value, json};

/// A resource that is being built.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    kind: &'static str,
    pub namespace: String,
    pub name: String,
    labels: Map<String, Value>,
    annotations: Map<String, Value>,
    spec: Value,
    /// The object of the other tool that it is made from.
    pub from: String,
    /// Sources that it reads, by kind, namespace and name.
    pub sources: Vec<(String, String, String)>,
    /// The project of Argo CD that it is made from; empty for other tools.
    pub project: String,
    /// Fields that replace others once the other tool is gone; `null` removes one.
    later: Value,
}

impl Draft {
    pub fn new(kind: &'static str, namespace: &str, name: &str, from: impl Into<String>) -> Self {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let (labels, annotations) = (Map::new(), Map::new());
        let (spec, later) = (json!({}), json!({}));
        let (from, sources) = (from.into(), Vec::new());
        Self {
            kind,
            namespace,
            name,
            labels,
            annotations,
            spec,
            from,
            sources,
            project: String::new(),
            later,
        }
    }

    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Sets a field of the spec. `path` has dots: `source.git.url`. Null, an empty list and an empty mapping set nothing.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) {
        let value = value.into();
        let is_empty = match &value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        if !is_empty {
            put(&mut self.spec, path, value);
        }
    }

    /// Sets a field of the spec to one value while the other tool is there, and to another one afterwards.
    pub fn set_for_now(&mut self, path: &str, now: impl Into<Value>, later: impl Into<Value>) {
        put(&mut self.spec, path, now.into());
        put(&mut self.later, path, later.into());
    }

    /// Appends to a list of the spec.
    pub fn push(&mut self, path: &str, value: impl Into<Value>) {
        let at = place(&mut self.spec, path);
        match at {
            Value::Array(items) => items.push(value.into()),
            other => *other = Value::from(vec![value.into()]),
        }
    }

    pub fn get(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.spec, |value, name| value.get(name))
    }

    /// Notes a source that the resource reads.
    pub fn reads(&mut self, kind: &str, namespace: &str, name: &str) {
        self.sources.push((kind.to_owned(), namespace.to_owned(), name.to_owned()));
    }

    pub fn label(&mut self, name: &str, value: &str) {
        self.labels.insert(name.to_owned(), Value::from(value));
    }

    pub fn annotate(&mut self, name: &str, value: &str) {
        self.annotations.insert(name.to_owned(), Value::from(value));
    }

    /// The fields that change once the other tool is gone, as a merge patch.
    pub fn later(&self) -> Option<Value> {
        (self.later != json!({})).then(|| json!({"spec": self.later}))
    }

    /// The resource. `done` has the fields of the time when the other tool is gone.
    pub fn resource(&self, done: bool) -> Value {
        let mut metadata = json!({"name": self.name, "namespace": self.namespace});
        for (field, values) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if !values.is_empty() {
                metadata[field] = Value::Object(values.clone());
            }
        }
        let mut spec = self.spec.clone();
        if done {
            merge(&mut spec, &self.later);
        }
        json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": self.kind, "metadata": metadata, "spec": spec})
    }
}

fn put(into: &mut Value, path: &str, value: Value) {
    *place(into, path) = value;
}

/// The value at a path, which is made.
fn place<'v>(into: &'v mut Value, path: &str) -> &'v mut Value {
    let mut at = into;
    for name in path.split('.') {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[name];
    }
    at
}

/// A merge patch (RFC 7396).
fn merge(into: &mut Value, patch: &Value) {
    let (Some(into), Some(patch)) = (into.as_object_mut(), patch.as_object()) else { return };
    for (name, value) in patch {
        match value {
            Value::Null => drop(into.remove(name)),
            Value::Object(_) => merge(into.entry(name).or_insert_with(|| json!({})), value),
            value => drop(into.insert(name.clone(), value.clone())),
        }
    }
    into.retain(|_, value| value.as_object().is_none_or(|fields| !fields.is_empty()));
}

/// All resources. Each has another name in its kind and namespace.
#[derive(Debug, Default)]
pub struct Drafts {
    all: BTreeMap<(&'static str, String, String), Draft>,
}

impl Drafts {
    /// Adds a resource; if its name is taken, it gets the suffix, and a number if that is taken too. Returns its name.
    pub fn add(&mut self, mut draft: Draft, suffix: &str) -> String {
        let plain = draft.name.clone();
        let mut names = std::iter::once(plain.clone())
            .chain(std::iter::once(format!("{plain}-{suffix}")))
            .chain((2..).map(|number| format!("{plain}-{suffix}-{number}")));
        let taken =
            |name: &String| self.all.contains_key(&(draft.kind, draft.namespace.clone(), name.clone()));
        draft.name = names.find(|name| !taken(name)).unwrap_or(plain);
        let name = draft.name.clone();
        self.all.insert((draft.kind, draft.namespace.clone(), name.clone()), draft);
        name
    }

    pub fn iter(&self) -> impl Iterator<Item = &Draft> {
        self.all.values()
    }

    /// The objects of the other tool that resources are made from.
    pub fn origins(&self) -> BTreeSet<&str> {
        self.iter().map(|draft| draft.from.as_str()).collect()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Draft> {
        self.all.values_mut()
    }

    pub fn get(&self, kind: &'static str, namespace: &str, name: &str) -> Option<&Draft> {
        self.all.get(&(kind, namespace.to_owned(), name.to_owned()))
    }
}

/// Writes resources as YAML documents.
pub fn text(resources: &[Value]) -> String {
    resources.iter().flat_map(|resource| ["---\n".to_owned(), yaml::write_shown(resource)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_its_fields_for_now_and_those_for_later() {
        let mut draft = Draft::new("Sync", "team", "app", "Kustomization team/app");
        draft.set("source.git.url", "https://x");
        draft.set("dependsOn", json!([]));
        draft.set_for_now("approval", "Always", "Irreversible");
        draft.set_for_now("drift.mode", "Report", Value::Null);
        let now = json!({"source": {"git": {"url": "https://x"}}, "approval": "Always", "drift": {"mode": "Report"}});
        let done = json!({"source": {"git": {"url": "https://x"}}, "approval": "Irreversible"});
        assert_eq!((&draft.resource(false)["spec"], &draft.resource(true)["spec"]), (&now, &done));
        assert_eq!(
            draft.later(),
            Some(json!({"spec": {"approval": "Irreversible", "drift": {"mode": null}}}))
        );
    }

    #[test]
    fn no_name_is_given_twice() {
        let mut drafts = Drafts::default();
        let draft = Draft::new("Sync", "team", "app", "x");
        let names = ["", "", ""].map(|_| drafts.add(draft.clone(), "release"));
        assert_eq!(names, ["app", "app-release", "app-release-2"]);
    }
}

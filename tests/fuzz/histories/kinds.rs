//! The kinds that histories are made of. A kind is a base and aspects; an aspect has variants, each a part of the object
//! that excludes the other variants. Which variant of each aspect is in git, or is written by others, is all that a
//! history says of an object. Pure.

mod cluster;
mod custom;
mod network;
mod others;
mod pod;
mod workloads;

use serde_json::{Value, json};

use super::fragment::{self, Path};

/// Stands for the namespace of a history, in whatever is unique in a cluster.
const HERE: &str = "$HERE";

/// A kind of objects.
#[derive(Clone)]
pub struct Kind {
    pub name: &'static str,
    /// What is in the path of requests: `apis/apps/v1`, `deployments`.
    pub api: String,
    pub plural: &'static str,
    /// It is in no namespace.
    pub cluster: bool,
    /// The only name that an object of the kind can have.
    pub only: Option<String>,
    /// The namespace of its objects, if that is in git too.
    pub within: Option<String>,
    /// Everything that git says of every object of the kind, without its name.
    pub base: Value,
    pub aspects: Vec<Aspect>,
    /// `spec.replicas` may be left to others.
    pub scales: bool,
    /// It has a strategic merge patch.
    pub strategic: bool,
}

/// A choice between parts of an object.
#[derive(Clone)]
pub struct Aspect {
    pub name: &'static str,
    /// The places that the variants write to, and that another variant clears.
    pub roots: Vec<Path>,
    /// The first one is what an object begins with; mostly it is nothing at all.
    pub variants: Vec<Value>,
    /// The API server lets it change only by making the object anew.
    pub fixed: bool,
}

impl Aspect {
    fn new(name: &'static str, root: &str, variants: Vec<Value>) -> Self {
        let roots = root.split(' ').map(fragment::path).collect();
        Self { name, roots, variants, fixed: false }
    }

    fn fixed(self) -> Self {
        Self { fixed: true, ..self }
    }
}

impl Kind {
    /// A kind of Kubernetes whose objects are in a namespace.
    fn new(name: &'static str, plural: &'static str, base: Value, mut aspects: Vec<Aspect>) -> Self {
        aspects.extend(metadata());
        let version = base["apiVersion"].as_str().unwrap_or_default();
        let api = if version.contains('/') { format!("apis/{version}") } else { format!("api/{version}") };
        Self {
            name,
            api,
            plural,
            cluster: false,
            only: None,
            within: None,
            base,
            aspects,
            scales: false,
            strategic: true,
        }
    }

    fn in_no_namespace(self) -> Self {
        Self { cluster: true, ..self }
    }

    fn only(self, name: String) -> Self {
        Self { only: Some(name), ..self }
    }

    fn within(self, namespace: String) -> Self {
        Self { within: Some(namespace), ..self }
    }

    fn scaled(self) -> Self {
        Self { scales: true, ..self }
    }

    fn custom(self) -> Self {
        Self { strategic: false, ..self }
    }

    /// The object in which each aspect has one of its variants. Missing ones are the first.
    pub fn object(&self, name: &str, choice: &[usize]) -> Value {
        let mut object = self.base.clone();
        fragment::merge(&mut object, &json!({"metadata": {"name": name}}));
        for (aspect, variant) in self.aspects.iter().zip(choice) {
            if let Some(variant) = aspect.variants.get(*variant) {
                fragment::merge(&mut object, variant);
            }
        }
        object
    }

    /// The part that one variant of an aspect is.
    pub fn part(&self, aspect: usize, variant: usize) -> Value {
        let found = self.aspects.get(aspect).and_then(|aspect| aspect.variants.get(variant));
        found.cloned().unwrap_or_else(|| json!({}))
    }

    pub fn aspect(&self, name: &str) -> Option<usize> {
        self.aspects.iter().position(|aspect| aspect.name == name)
    }

    /// The kind as it is in one history.
    pub fn here(&self, namespace: &str) -> Self {
        let mut kind = self.clone();
        kind.api = kind.api.replace(HERE, namespace);
        kind.only = kind.only.map(|only| only.replace(HERE, namespace));
        kind.within = kind.within.map(|within| within.replace(HERE, namespace));
        let variants = kind.aspects.iter_mut().flat_map(|aspect| &mut aspect.variants);
        for part in variants.chain([&mut kind.base]) {
            replace(part, HERE, namespace);
        }
        kind
    }

    /// The name of an object, of what it is called in its namespace.
    pub fn object_name(&self, name: &str, namespace: &str) -> String {
        match &self.only {
            Some(only) => only.clone(),
            None if self.cluster => format!("{name}-{namespace}"),
            None => name.to_owned(),
        }
    }

    /// The path of the kind's objects.
    pub fn path(&self, namespace: &str) -> String {
        self.path_in(self.home(namespace))
    }

    /// The path of the kind's objects in any namespace.
    pub fn path_in(&self, namespace: &str) -> String {
        let Self { api, plural, .. } = self;
        if self.cluster {
            format!("/{api}/{plural}")
        } else {
            format!("/{api}/namespaces/{namespace}/{plural}")
        }
    }

    /// The namespace of the kind's objects in a history that has this one.
    pub fn home<'a>(&'a self, namespace: &'a str) -> &'a str {
        self.within.as_deref().unwrap_or(namespace)
    }

    /// What kubectl calls the kind.
    pub fn resource(&self) -> String {
        let group = self.api.strip_prefix("apis/").and_then(|rest| rest.split_once('/'));
        group.map_or_else(|| self.plural.to_owned(), |(group, _)| format!("{}.{group}", self.plural))
    }

    /// The kind in manifests.
    pub fn kind(&self) -> &str {
        self.base["kind"].as_str().unwrap_or_default()
    }
}

/// Replaces a text in all texts of a value.
pub fn replace(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) if text.contains(from) => *text = text.replace(from, to),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, from, to)),
        Value::Object(fields) => fields.values_mut().for_each(|value| replace(value, from, to)),
        _ => {}
    }
}

/// Puts a part below a path of fields.
fn below(fields: &[&str], part: Value) -> Value {
    let wrap = |part: Value, field: &&str| Value::Object([((*field).to_owned(), part)].into_iter().collect());
    fields.iter().rev().fold(part, wrap)
}

/// Puts a part below `spec`.
fn spec(part: Value) -> Value {
    below(&["spec"], part)
}

/// Labels and annotations without a meaning, on every kind.
fn metadata() -> Vec<Aspect> {
    vec![
        Aspect::new(
            "label",
            "metadata/labels/tier",
            vec![
                json!({}),
                json!({"metadata": {"labels": {"tier": "front"}}}),
                json!({"metadata": {"labels": {"tier": "back"}}}),
            ],
        ),
        Aspect::new(
            "annotation",
            "metadata/annotations/example.com~1note",
            vec![
                json!({}),
                json!({"metadata": {"annotations": {"example.com/note": "one"}}}),
                json!({"metadata": {"annotations": {"example.com/note": "two"}}}),
                json!({"metadata": {"annotations": {"example.com/note": ""}}}),
            ],
        ),
    ]
}

/// A kind whose objects can only be where an object of another kind is, and that other one.
const PAIRS: [(&str, &str); 2] = [("thing", "definition"), ("inside", "space")];

/// Pairs of kinds of which the second one needs the first.
pub fn pairs(kinds: &[Kind]) -> Vec<[&Kind; 2]> {
    let find = |wanted: &str| kinds.iter().find(|kind| kind.name == wanted);
    PAIRS.iter().filter_map(|(inner, outer)| Some([find(outer)?, find(inner)?])).collect()
}

/// True if objects of the first kind hold those of the second one.
pub fn holds(outer: &Kind, inner: &Kind) -> bool {
    PAIRS.contains(&(inner.name, outer.name))
}

/// All kinds.
pub fn all() -> Vec<Kind> {
    [workloads::kinds(), network::kinds(), others::kinds(), custom::kinds(), cluster::kinds()].concat()
}

pub use custom::DEFINITIONS;

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn variants_are_within_the_roots_of_their_aspect() {
        for kind in all() {
            for aspect in &kind.aspects {
                let all = aspect.variants.iter().flat_map(super::fragment::leaves);
                for (path, _) in all.filter(|(path, _)| !path.is_empty()) {
                    let inside = aspect.roots.iter().any(|root| path.starts_with(root));
                    let is_key = path.iter().any(|step| matches!(step, super::fragment::Step::Item(_)))
                        && super::fragment::show(&path).ends_with("/name");
                    assert!(
                        inside || is_key,
                        "{} {}: {}",
                        kind.name,
                        aspect.name,
                        super::fragment::show(&path)
                    );
                }
            }
        }
    }
}

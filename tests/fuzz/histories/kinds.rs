//! The kinds that histories are made of. A kind is a base and aspects; an aspect has variants, each a part of the object
//! that excludes the other variants. Which variant of each aspect is in git, or is written by others, is all that a
//! history says of an object. Pure.

mod custom;
mod network;
mod others;
mod pod;
mod workloads;

use serde_json::{Value, json};

use super::fragment::{self, Path};

/// A kind of objects.
pub struct Kind {
    pub name: &'static str,
    /// What is in the path of requests: `apis/apps/v1`, `deployments`.
    pub api: &'static str,
    pub plural: &'static str,
    /// Everything that git says of every object of the kind, without its name.
    pub base: Value,
    pub aspects: Vec<Aspect>,
    /// `spec.replicas` may be left to others.
    pub scales: bool,
    /// It has a strategic merge patch.
    pub strategic: bool,
}

/// A choice between parts of an object.
pub struct Aspect {
    pub name: &'static str,
    /// The places that the variants write to, and that somebody who chooses another variant clears.
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

    /// The kind in manifests.
    pub fn kind(&self) -> &str {
        self.base["kind"].as_str().unwrap_or_default()
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

/// Labels and annotations that nobody gives a meaning to, on every kind.
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

/// All kinds.
pub fn all() -> Vec<Kind> {
    [workloads::kinds(), network::kinds(), others::kinds(), custom::kinds()].into_iter().flatten().collect()
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

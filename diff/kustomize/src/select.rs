//! Selects the resources for a patch or a replacement, by regular expressions and label selectors.
//!
//! Every part matches the current or the original identity of a resource, except group, version and kind, which match
//! the current one. Expressions are those of Go and must match a whole text (`pattern`); label selectors are those of
//! Kubernetes (`labels`). Pure.

mod go;
mod labels;
mod pattern;

use serde::Deserialize;
use smol_str::SmolStr;

use self::labels::Requirements;
pub use self::pattern::{Pattern, compile};
use super::error::KustomizeError;
use super::id::{Gvk, ResId};
use super::node::{Map, Node};
use super::resource::Resource;
use super::resources::Resources;

/// Maximum characters of an expression in an error.
const SHOWN: usize = 100;

/// The conditions for a resource; an empty part is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Selector {
    pub group: SmolStr,
    pub version: SmolStr,
    pub kind: SmolStr,
    pub name: SmolStr,
    pub namespace: SmolStr,
    pub label_selector: SmolStr,
    pub annotation_selector: SmolStr,
}

/// A selector whose expressions are compiled.
pub struct Compiled<'a> {
    group: Pattern,
    version: Pattern,
    kind: Pattern,
    name: Pattern,
    namespace: Pattern,
    labels: &'a str,
    annotations: &'a str,
}

impl Selector {
    /// Compiles the expressions. The error names the field and the expression.
    ///
    /// # Errors
    /// An expression is invalid or too large.
    pub fn compile(&self) -> Result<Compiled<'_>, KustomizeError> {
        let Self { group, version, kind, name, namespace, label_selector, annotation_selector } = self;
        Ok(Compiled {
            group: pattern("group", group)?,
            version: pattern("version", version)?,
            kind: pattern("kind", kind)?,
            name: pattern("name", name)?,
            namespace: pattern("namespace", namespace)?,
            labels: label_selector,
            annotations: annotation_selector,
        })
    }
}

impl Compiled<'_> {
    /// True if all parts but the label and annotation selectors match.
    pub fn matches_id(&self, resource: &Resource) -> bool {
        let (now, first) = (resource.id(), resource.original_id());
        let either =
            |pattern: &Pattern, first: &str, now: &str| pattern.matches(first) || pattern.matches(now);
        either(&self.namespace, first.effective_namespace(), now.effective_namespace())
            && either(&self.name, &first.name, &now.name)
            && self.matches_gvk(&now.gvk)
    }

    /// True if group, version, kind, name and namespace of an identity match literally.
    pub fn matches(&self, id: &ResId) -> bool {
        self.matches_gvk(&id.gvk) && self.name.matches(&id.name) && self.namespace.matches(&id.namespace)
    }

    /// True if there is no expression.
    pub fn is_for_any_id(&self) -> bool {
        [&self.group, &self.version, &self.kind, &self.name, &self.namespace].iter().all(|part| part.is_any())
    }

    pub fn matches_gvk(&self, gvk: &Gvk) -> bool {
        self.group.matches(&gvk.group) && self.version.matches(&gvk.version) && self.kind.matches(&gvk.kind)
    }
}

impl Resources {
    /// Returns the positions of the selected resources.
    ///
    /// # Errors
    /// An expression is invalid, or a label or annotation selector is invalid and there is a resource to test
    /// it on.
    pub fn select(&self, selector: &Selector) -> Result<Vec<usize>, KustomizeError> {
        let compiled = selector.compile()?;
        let mut labels = Metadata::new("labels", compiled.labels);
        let mut annotations = Metadata::new("annotations", compiled.annotations);
        let mut selected = Vec::new();
        for (at, resource) in self.list.iter().enumerate() {
            let node = resource.node();
            if compiled.matches_id(resource) && labels.matches(node)? && annotations.matches(node)? {
                selected.push(at);
            }
        }
        Ok(selected)
    }
}

/// True if a label selector matches the labels of an object; with `annotations` as the field, its
/// annotations.
///
/// # Errors
/// The selector is invalid.
pub fn matches_metadata(node: &Node, field: &'static str, selector: &str) -> Result<bool, KustomizeError> {
    Metadata::new(field, selector).matches(node)
}

/// A selector of labels or annotations, parsed when there is a resource to test: kustomize reports
/// mistakes only then.
struct Metadata<'a> {
    field: &'static str,
    text: &'a str,
    parsed: Option<Requirements>,
}

impl<'a> Metadata<'a> {
    fn new(field: &'static str, text: &'a str) -> Self {
        Self { field, text, parsed: None }
    }

    fn matches(&mut self, node: &Node) -> Result<bool, KustomizeError> {
        if self.text.is_empty() {
            return Ok(true);
        }
        let Self { field, text, parsed } = self;
        let requirements = match parsed {
            Some(requirements) => requirements,
            None => parsed.insert(Requirements::parse(text).map_err(|reason| {
                let field = field.trim_end_matches('s');
                KustomizeError::new(format!("{field}Selector {text:?} is not a selector: {reason}"))
            })?),
        };
        let map = node.at(&["metadata", field]).and_then(Node::as_map);
        Ok(requirements.match_all(|key| map.and_then(|map| value(map, key))))
    }
}

/// Returns the text of an entry; empty if it is not a scalar.
fn value<'a>(map: &'a Map, key: &str) -> Option<&'a str> {
    map.get(key).map(|value| value.as_scalar().map_or("", |scalar| &scalar.text))
}

fn pattern(field: &str, text: &str) -> Result<Pattern, KustomizeError> {
    Pattern::new(text).map_err(|reason| {
        let shown: String = text.chars().take(SHOWN).collect();
        let cut = if shown.len() < text.len() { "…" } else { "" };
        KustomizeError::new(format!(
            "{field} \"{}{cut}\" of a selector is not a regular expression: {reason}",
            shown.escape_debug()
        ))
    })
}

#[cfg(test)]
mod tests;

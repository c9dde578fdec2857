//! A resource during a build: its node, and its state, such as its previous names.
//!
//! Kustomize keeps this state in annotations; here it is in fields, and [`Resource::touch`] has the effect that writing
//! an annotation has on the others. Pure.

use std::cell::OnceCell;

use serde_json::Value;
use smol_str::SmolStr;

use super::id::{Gvk, ResId};
use super::node::{Map, Node, Scalar, Style};
use super::provenance::record::Provenance;
use super::value;
use holdfast_documents::object::Origin;

/// What happens to a generated resource whose name already exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    #[default]
    Unspecified,
    Create,
    Replace,
    Merge,
}

/// Whether the previous names of a resource are complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    #[default]
    Whole,
    /// The file has only some of the three annotations with the names.
    Partial,
    /// Another name was added after that, so that the annotations differ in length.
    Contradicting,
}

/// A previous name of a resource: kind, name and effective namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    pub kind: SmolStr,
    pub namespace: SmolStr,
    pub name: SmolStr,
}

/// One resource. Its node only changes through [`Resource::edit`], so that its identity is always up to date.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "five things that a resource remembers, each by itself")]
pub struct Resource {
    node: Node,
    id: OnceCell<ResId>,
    /// Its origin, for messages.
    pub origin: Origin,
    /// Its previous names, oldest first.
    pub previous: Vec<Previous>,
    pub names: Names,
    pub prefixes: Vec<SmolStr>,
    pub suffixes: Vec<SmolStr>,
    pub behavior: Behavior,
    /// True if a hash of its content will be appended to its name.
    pub needs_hash: bool,
    /// The changes that a patch may make: `options` of a patch.
    pub allow_name_change: bool,
    pub allow_kind_change: bool,
    /// The resources that refer to it.
    pub referred_by: Vec<ResId>,
    /// The `vars` whose values it contains.
    pub var_names: Vec<SmolStr>,
    /// Its origin and the transformers that changed it, if `buildMetadata` requests them.
    pub provenance: Option<Provenance>,
    pub transformations: Vec<Provenance>,
    /// Number of groups of shared scalars so far.
    groups: u32,
    /// True once kustomize would have written a build annotation.
    touched: bool,
    /// True for an object of another renderer: it is never removed, and its annotations are kept.
    given: bool,
}

impl Resource {
    pub fn new(node: Node, origin: Origin) -> Self {
        Self {
            node,
            id: OnceCell::new(),
            origin,
            previous: Vec::new(),
            names: Names::default(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            behavior: Behavior::default(),
            needs_hash: false,
            allow_name_change: false,
            allow_kind_change: false,
            referred_by: Vec::new(),
            var_names: Vec::new(),
            provenance: None,
            transformations: Vec::new(),
            groups: 0,
            touched: false,
            given: false,
        }
    }

    /// Creates a resource from an object of another renderer, which is only changed here.
    pub fn given(value: &Value, origin: Origin) -> Self {
        Self { given: true, ..Self::new(value::written(value), origin) }
    }

    pub fn is_given(&self) -> bool {
        self.given
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Returns the node for a change.
    pub fn edit(&mut self) -> &mut Node {
        self.id.take();
        &mut self.node
    }

    /// Returns the node for a change at a path of field names separated by `/`, or below it: the identity stays known
    /// unless the path leads to a part of it.
    pub fn edit_at(&mut self, path: &str) -> &mut Node {
        let mut parts = path.split('/');
        let is_identity = match parts.next() {
            Some("metadata") => !matches!(parts.next(), Some("labels" | "annotations")),
            Some(first) => {
                !first.bytes().all(|byte| byte.is_ascii_alphabetic())
                    || matches!(first, "apiVersion" | "kind" | "")
            }
            None => true,
        };
        if is_identity { self.edit() } else { &mut self.node }
    }

    pub fn into_node(self) -> Node {
        self.node
    }

    /// Returns its current identity.
    pub fn id(&self) -> &ResId {
        self.id.get_or_init(|| ResId {
            gvk: Gvk::new(&self.text(&["apiVersion"]), &self.text(&["kind"])),
            namespace: self.text(&["metadata", "namespace"]),
            name: self.text(&["metadata", "name"]),
        })
    }

    pub fn gvk(&self) -> &Gvk {
        &self.id().gvk
    }

    pub fn name(&self) -> &SmolStr {
        &self.id().name
    }

    pub fn namespace(&self) -> &SmolStr {
        &self.id().namespace
    }

    /// Returns its previous identities, oldest first.
    pub fn previous_ids(&self) -> impl Iterator<Item = ResId> {
        let gvk = self.gvk();
        self.previous.iter().map(move |Previous { kind, namespace, name }| ResId {
            gvk: Gvk { kind: kind.clone(), ..gvk.clone() },
            namespace: namespace.clone(),
            name: name.clone(),
        })
    }

    /// Returns its first identity.
    pub fn original_id(&self) -> ResId {
        let first = self.previous_ids().next();
        first.unwrap_or_else(|| self.id().clone())
    }

    /// Records its current identity before its name, namespace or kind changes. A missing name is not
    /// recorded.
    pub fn remember_id(&mut self) {
        let id = self.id();
        if !id.name.is_empty() {
            let (kind, namespace, name) =
                (id.gvk.kind.clone(), id.effective_namespace().into(), id.name.clone());
            self.previous.push(Previous { kind, namespace, name });
            if self.names == Names::Partial {
                self.names = Names::Contradicting;
            }
        }
        self.touch();
    }

    /// Returns the text at a path of keys; empty if there is none.
    pub fn text(&self, path: &[&str]) -> SmolStr {
        self.node.at(path).and_then(Node::text).cloned().unwrap_or_default()
    }

    /// Returns the entries of `metadata.labels` or `metadata.annotations`.
    pub fn metadata(&self, which: &str) -> impl Iterator<Item = (&SmolStr, &SmolStr)> {
        let map = self.node.at(&["metadata", which]).and_then(Node::as_map);
        map.into_iter()
            .flat_map(Map::iter)
            .filter_map(|(key, value)| Some((&key.text, &value.as_scalar()?.text)))
    }

    pub fn annotation(&self, name: &str) -> Option<&SmolStr> {
        self.metadata("annotations").find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Returns the first of `count` new groups of shared scalars.
    pub fn new_groups(&mut self, count: usize) -> u32 {
        let first = self.groups + 1;
        self.groups = self.groups.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        first
    }

    /// Copies changes of shared scalars to all of their group. Returns the number of scalars that were visited.
    pub fn settle_shared(&mut self) -> usize {
        if self.groups == 0 {
            return 0;
        }
        let mut news: Vec<(u32, Scalar)> = Vec::new();
        let mut visited = 0;
        self.node.for_each_scalar(&mut |scalar| {
            visited += 1;
            if let Style::Shared { group, changed: changed @ true } = &mut scalar.style {
                *changed = false;
                let group = *group;
                news.push((group, scalar.clone()));
            }
        });
        if news.is_empty() {
            return visited;
        }
        self.node.for_each_scalar(&mut |scalar| {
            if let Style::Shared { group, .. } = scalar.style
                && let Some((_, new)) = news.iter().rev().find(|(changed, _)| *changed == group)
            {
                *scalar = new.clone();
            }
        });
        visited
    }

    /// Makes shared scalars independent.
    pub fn forget_shared(&mut self) {
        if std::mem::take(&mut self.groups) > 0 {
            self.node.for_each_scalar(&mut unshare);
        }
    }

    /// Has the effect of recording something in the annotations: all values become strings.
    pub fn touch(&mut self) {
        if self.groups > 0
            && let Some(annotations) = self.node.at_mut(&["metadata", "annotations"])
        {
            annotations.for_each_scalar(&mut unshare);
        }
        if std::mem::replace(&mut self.touched, true) {
            return;
        }
        let annotations = self.node.at_mut(&["metadata", "annotations"]).and_then(Node::as_map_mut);
        for (_, value) in annotations.into_iter().flat_map(Map::iter_mut) {
            // `null` becomes the text `null`, and a value that is not a scalar has no text.
            let text = value.as_scalar().map(|scalar| scalar.text.clone());
            *value = Node::string(text.unwrap_or_default());
        }
    }

    /// True if kustomize would have recorded something in the annotations, which it removes at the end.
    pub fn is_touched(&self) -> bool {
        self.touched
    }
}

fn unshare(scalar: &mut Scalar) {
    if matches!(scalar.style, Style::Shared { .. }) {
        scalar.style = Style::Plain;
    }
}

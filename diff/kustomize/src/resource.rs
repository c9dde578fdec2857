//! A resource on its way through a build: its node, and what a build must remember of it, such as the names that it had.
//!
//! The original keeps this memory in annotations; here it has fields, and [`Resource::touch`] does what writing an
//! annotation does to the others. Pure.

use std::cell::OnceCell;

use serde_json::Value;
use smol_str::SmolStr;

use super::id::{Gvk, ResId};
use super::node::{Map, Node, Scalar, Style};
use super::provenance::record::Provenance;
use super::value;
use holdfast_documents::object::Origin;

/// What happens to a generated resource whose name is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    #[default]
    Unspecified,
    Create,
    Replace,
    Merge,
}

/// Whether the names that a resource had are complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    #[default]
    Whole,
    /// The file has only some of the three annotations that hold them.
    Partial,
    /// Then another name was added, so that the annotations differ in length.
    Contradicting,
}

/// A name that a resource had: kind, name and effective namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    pub kind: SmolStr,
    pub namespace: SmolStr,
    pub name: SmolStr,
}

/// One resource. Its node changes only through [`Resource::edit`], so that its identity is always known.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "five things that a resource remembers, each by itself")]
pub struct Resource {
    node: Node,
    id: OnceCell<ResId>,
    /// Where it was read, for messages.
    pub origin: Origin,
    /// The names that it had, oldest first.
    pub previous: Vec<Previous>,
    pub names: Names,
    pub prefixes: Vec<SmolStr>,
    pub suffixes: Vec<SmolStr>,
    pub behavior: Behavior,
    /// True if a hash of its content is to be appended to its name.
    pub needs_hash: bool,
    /// What a patch may change: `options` of a patch.
    pub allow_name_change: bool,
    pub allow_kind_change: bool,
    /// Who refers to it.
    pub referred_by: Vec<ResId>,
    /// The `vars` whose value it holds.
    pub var_names: Vec<SmolStr>,
    /// Where it is from, and what changed it: kept only if `buildMetadata` asks for it.
    pub provenance: Option<Provenance>,
    pub transformations: Vec<Provenance>,
    /// How many groups of shared scalars there have been.
    groups: u32,
    /// True once a build annotation would have been written.
    touched: bool,
    /// True for an object that something else has rendered: it is never taken out, and its annotations are its own.
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

    /// An object that something else has rendered, and that is only changed here.
    pub fn given(value: &Value, origin: Origin) -> Self {
        Self { given: true, ..Self::new(value::written(value), origin) }
    }

    pub fn is_given(&self) -> bool {
        self.given
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The node, to be changed.
    pub fn edit(&mut self) -> &mut Node {
        self.id.take();
        &mut self.node
    }

    /// The node, to be changed at a path of field names between `/`, or below it: unless it leads to a part of the
    /// identity, that stays known.
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

    /// Its identity as it is now.
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

    /// The identities that it had, oldest first.
    pub fn previous_ids(&self) -> impl Iterator<Item = ResId> {
        let gvk = self.gvk();
        self.previous.iter().map(move |Previous { kind, namespace, name }| ResId {
            gvk: Gvk { kind: kind.clone(), ..gvk.clone() },
            namespace: namespace.clone(),
            name: name.clone(),
        })
    }

    /// Its identity as it was first.
    pub fn original_id(&self) -> ResId {
        let first = self.previous_ids().next();
        first.unwrap_or_else(|| self.id().clone())
    }

    /// Notes the identity that it has now, before its name, namespace or kind changes. A name that is missing is not
    /// noted.
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

    /// The text at a path of keys; empty where there is none.
    pub fn text(&self, path: &[&str]) -> SmolStr {
        self.node.at(path).and_then(Node::text).cloned().unwrap_or_default()
    }

    /// The entries of `metadata.labels` or `metadata.annotations`.
    pub fn metadata(&self, which: &str) -> impl Iterator<Item = (&SmolStr, &SmolStr)> {
        let map = self.node.at(&["metadata", which]).and_then(Node::as_map);
        map.into_iter()
            .flat_map(Map::iter)
            .filter_map(|(key, value)| Some((&key.text, &value.as_scalar()?.text)))
    }

    pub fn annotation(&self, name: &str) -> Option<&SmolStr> {
        self.metadata("annotations").find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The first of `count` new groups of shared scalars.
    pub fn new_groups(&mut self, count: usize) -> u32 {
        let first = self.groups + 1;
        self.groups = self.groups.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        first
    }

    /// Lets what was changed of shared scalars be the same in all of their group. Returns how many scalars it went through.
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

    /// Makes each shared scalar one for itself.
    pub fn forget_shared(&mut self) {
        if std::mem::take(&mut self.groups) > 0 {
            self.node.for_each_scalar(&mut unshare);
        }
    }

    /// Does what the original does to all annotations when it notes something in them: their values become strings.
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
            // `null` becomes the text `null`, and what is no scalar has no text
            let text = value.as_scalar().map(|scalar| scalar.text.clone());
            *value = Node::string(text.unwrap_or_default());
        }
    }

    /// True if the original would have noted something in the annotations, which it takes out at the end.
    pub fn is_touched(&self) -> bool {
        self.touched
    }
}

fn unshare(scalar: &mut Scalar) {
    if matches!(scalar.style, Style::Shared { .. }) {
        scalar.style = Style::Plain;
    }
}

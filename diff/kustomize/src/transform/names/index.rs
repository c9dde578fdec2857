//! An index of names, so that a reference is not compared with every resource. compared with every resource.
//!
//! Pure.

use std::collections::{HashMap, HashSet};

use smol_str::SmolStr;

use crate::config::NameReference;
use crate::fieldspec::FieldSpec;
use crate::id::CLUSTER;
use crate::node::Node;
use crate::scope::is_cluster_scoped;
use crate::{Gvk, KustomizeError, ResId, Resource, Resources};

/// The possible targets of references.
pub(super) struct Index {
    targets: Vec<Target>,
    /// By previous name, in the order of the resources.
    by_name: HashMap<SmolStr, Vec<usize>>,
    /// By the original namespace.
    by_first_namespace: HashMap<SmolStr, Vec<usize>>,
}

struct Target {
    id: ResId,
    namespace: SmolStr,
    first_namespace: SmolStr,
    is_cluster_scoped: bool,
    /// Previous groups, versions and kinds, without duplicates.
    gvks: Vec<Gvk>,
    affixes: Affixes,
}

/// The prefixes and suffixes that were added to a name.
#[derive(Default)]
struct Affixes {
    prefixes: Vec<SmolStr>,
    suffixes: Vec<SmolStr>,
}

/// A resource with references.
pub(super) struct Referrer {
    pub id: ResId,
    namespace: SmolStr,
    is_cluster_scoped: bool,
    /// The namespaces of the service accounts to which a role binding refers.
    others: HashSet<SmolStr>,
    affixes: Affixes,
}

impl Affixes {
    fn of(resource: &Resource) -> Self {
        Self { prefixes: resource.prefixes.clone(), suffixes: resource.suffixes.clone() }
    }
}

impl Referrer {
    /// # Errors
    /// The identity of the resource or its subjects are invalid.
    pub(super) fn new(resource: &Resource) -> Result<Self, KustomizeError> {
        let id = resource.id().clone();
        let wrong = |reason: String| KustomizeError::at(&resource.origin, format!("{id}: {reason}"));
        let api_version = resource.text(&["apiVersion"]);
        if api_version != id.gvk.api_version() {
            return Err(wrong(format!("apiVersion {api_version:?} has an empty group")));
        }
        let others = if id.gvk.kind == "RoleBinding" && !is_cluster_scoped(&id.gvk) {
            account_namespaces(resource.node()).map_err(wrong)?
        } else {
            HashSet::new()
        };
        let namespace = id.effective_namespace().into();
        let is_cluster_scoped = is_cluster_scoped(&id.gvk);
        Ok(Self { id, namespace, is_cluster_scoped, others, affixes: Affixes::of(resource) })
    }
}

/// Returns the namespaces of the service accounts among the subjects.
fn account_namespaces(node: &Node) -> Result<HashSet<SmolStr>, String> {
    let mut found = HashSet::new();
    for subject in node.get("subjects").and_then(Node::as_seq).unwrap_or_default() {
        let Node::Map(subject) = subject else {
            return Err(format!("a subject must be a mapping, not {}", subject.describe()));
        };
        let (Some(namespace), Some(kind)) = (subject.get("namespace"), subject.get("kind")) else { continue };
        let is_string = |node: &Node| node.as_scalar().is_some_and(|scalar| scalar.tag == crate::Tag::Str);
        if !is_string(kind) {
            return Err(format!("the kind of a subject must be a string, not {}", kind.describe()));
        }
        if kind.text().is_some_and(|kind| kind == "ServiceAccount") {
            let text = namespace.text().filter(|_| is_string(namespace));
            found.insert(text.ok_or("the namespace of a subject must be a string")?.clone());
        }
    }
    Ok(found)
}

impl Index {
    pub(super) fn new(resources: &Resources) -> Self {
        let mut by_name: HashMap<SmolStr, Vec<usize>> = HashMap::new();
        let mut by_first_namespace: HashMap<SmolStr, Vec<usize>> = HashMap::new();
        let mut targets = Vec::with_capacity(resources.list.len());
        for (at, resource) in resources.list.iter().enumerate() {
            for previous in &resource.previous {
                let holders = by_name.entry(previous.name.clone()).or_default();
                if holders.last() != Some(&at) {
                    holders.push(at);
                }
            }
            let target = Target::new(resource);
            by_first_namespace.entry(target.first_namespace.clone()).or_default().push(at);
            targets.push(target);
        }
        Self { targets, by_name, by_first_namespace }
    }

    pub(super) fn name(&self, at: usize) -> &SmolStr {
        &self.targets[at].id.name
    }

    pub(super) fn namespace(&self, at: usize) -> &SmolStr {
        &self.targets[at].id.namespace
    }

    /// Returns the resources that had a name and may be referred to, in their order. A namespace that is written with
    /// the name is the original one; if no resource had it, the current one.
    pub(super) fn candidates(
        &self,
        referrer: &Referrer,
        name: &str,
        namespace: Option<&SmolStr>,
    ) -> Vec<usize> {
        let Some(named) = self.by_name.get(name) else { return Vec::new() };
        let reachable = |at: &usize| self.is_reachable(*at, referrer);
        let named = named.iter().copied().filter(reachable);
        let Some(namespace) = namespace else { return named.collect() };
        if namespace == CLUSTER {
            return Vec::new();
        }
        let had = self.by_first_namespace.get(namespace).is_some_and(|all| all.iter().any(reachable));
        named
            .filter(|at| {
                let target = &self.targets[*at];
                namespace == if had { &target.first_namespace } else { &target.namespace }
            })
            .collect()
    }

    /// True if a target had a group, version and kind.
    pub(super) fn was(&self, at: usize, gvk: &Gvk) -> bool {
        self.targets[at].gvks.iter().any(|own| own.is_selected(gvk))
    }

    /// True if both are in one namespace, or one is cluster-scoped.
    pub(super) fn is_near(&self, at: usize, referrer: &Referrer) -> bool {
        let target = &self.targets[at];
        referrer.is_cluster_scoped
            || target.is_cluster_scoped
            || target.id.gvk.kind == "ServiceAccount"
            || target.namespace == referrer.namespace
    }

    fn is_reachable(&self, at: usize, referrer: &Referrer) -> bool {
        let target = &self.targets[at];
        referrer.is_cluster_scoped
            || target.is_cluster_scoped
            || target.namespace == referrer.namespace
            || referrer.others.contains(&target.id.namespace)
    }

    /// True if both have the same prefixes and suffixes, as far as the shorter list goes; with `lenient`,
    /// none equals any.
    pub(super) fn has_same_affixes(&self, at: usize, referrer: &Referrer, lenient: bool) -> bool {
        let same = |own: &[SmolStr], other: &[SmolStr]| {
            if own.is_empty() || other.is_empty() {
                lenient || own.len() == other.len()
            } else {
                own.iter().rev().zip(other.iter().rev()).all(|(own, other)| own == other)
            }
        };
        let (own, other) = (&self.targets[at].affixes, &referrer.affixes);
        same(&own.prefixes, &other.prefixes) && same(&own.suffixes, &other.suffixes)
    }

    /// True if references to both are equal.
    pub(super) fn are_same(&self, one: usize, other: usize, with_namespace: bool) -> bool {
        self.name(one) == self.name(other)
            && (!with_namespace || self.namespace(one) == self.namespace(other))
    }

    pub(super) fn describe(&self, all: &[usize]) -> String {
        let ids: Vec<String> = all.iter().take(5).map(|at| self.targets[*at].id.to_string()).collect();
        ids.join(" or ")
    }
}

impl Target {
    fn new(resource: &Resource) -> Self {
        let id = resource.id().clone();
        let mut gvks: Vec<Gvk> = Vec::new();
        for previous in resource.previous_ids() {
            if !gvks.contains(&previous.gvk) {
                gvks.push(previous.gvk);
            }
        }
        Self {
            namespace: id.effective_namespace().into(),
            first_namespace: resource.original_id().effective_namespace().into(),
            is_cluster_scoped: is_cluster_scoped(&id.gvk),
            gvks,
            affixes: Affixes::of(resource),
            id,
        }
    }
}

/// The fields of each kind with names, in the order of the configuration.
pub(super) struct Fields<'a> {
    targets: Vec<Gvk>,
    by_kind: HashMap<&'a str, Vec<(usize, &'a FieldSpec)>>,
}

pub(super) fn fields_by_kind(references: &[NameReference]) -> Fields<'_> {
    let kinds: HashSet<&str> = specs(references).map(|(_, spec)| spec.kind.as_str()).chain([""]).collect();
    let of_kind = |kind: &str| {
        specs(references).filter(|(_, spec)| spec.kind.is_empty() || spec.kind == kind).collect()
    };
    Fields {
        targets: references.iter().map(NameReference::gvk).collect(),
        by_kind: kinds.into_iter().map(|kind| (kind, of_kind(kind))).collect(),
    }
}

fn specs(references: &[NameReference]) -> impl Iterator<Item = (usize, &FieldSpec)> {
    references
        .iter()
        .enumerate()
        .flat_map(|(at, reference)| reference.field_specs.iter().map(move |spec| (at, spec)))
}

impl<'a> Fields<'a> {
    /// Returns the kinds that fields of a resource refer to, with the fields.
    pub(super) fn of<'s>(&'s self, gvk: &'s Gvk) -> impl Iterator<Item = (&'s Gvk, &'a FieldSpec)> + 's {
        let own = self.by_kind.get(gvk.kind.as_str()).or_else(|| self.by_kind.get(""));
        own.into_iter()
            .flatten()
            .filter(|(_, spec)| spec.selects(gvk))
            .map(|(at, spec)| (&self.targets[*at], *spec))
    }
}

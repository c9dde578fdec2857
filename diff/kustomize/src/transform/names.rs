//! Updates references to resources whose names changed.
//!
//! The configuration lists the fields with names (`nameReference`). The candidates for a name are found in `index`;
//! kind, namespace, and the prefixes and suffixes of both decide here. Pure.

mod index;

use smol_str::SmolStr;

use self::index::{Index, Referrer};
use crate::config::NameReference;
use crate::fieldspec::{Create, FieldSpec};
use crate::node::{Map, Node};
use crate::rewrite::set_text;
use crate::{Gvk, KustomizeError, Resource, Resources, Transform};

/// The transformer of references.
#[derive(Clone, Copy, Debug)]
pub struct NameReferenceTransformer<'a> {
    pub references: &'a [NameReference],
}

impl Transform for NameReferenceTransformer<'_> {
    fn rules(&self) -> usize {
        1 + self.references.iter().map(|reference| reference.field_specs.len()).sum::<usize>()
    }

    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        let fields = index::fields_by_kind(self.references);
        let index = Index::new(resources);
        let mut referrals = Vec::new();
        for resource in &mut resources.list {
            let gvk = resource.original_id().gvk;
            let mut referrer = None;
            for (target, spec) in fields.of(&gvk) {
                if referrer.is_none() {
                    referrer = Some(Referrer::new(resource)?);
                }
                let Some(referrer) = &referrer else { continue };
                let mut fixer = Fixer::new(&index, referrer, target, spec, resource, &mut referrals);
                spec.apply_to_any(resource, Create::Never, &mut |node| fixer.fix(node))?;
            }
        }
        for (at, referrer) in referrals {
            resources.list[at].referred_by.push(referrer);
            resources.list[at].touch();
        }
        Ok(())
    }
}

/// Updates one field of one resource.
struct Fixer<'a> {
    index: &'a Index,
    referrer: &'a Referrer,
    /// The kind that the field refers to.
    target: &'a Gvk,
    /// The role that a role binding refers to.
    role: Option<Gvk>,
    referrals: &'a mut Vec<(usize, crate::ResId)>,
}

impl<'a> Fixer<'a> {
    fn new(
        index: &'a Index,
        referrer: &'a Referrer,
        target: &'a Gvk,
        spec: &FieldSpec,
        resource: &Resource,
        referrals: &'a mut Vec<(usize, crate::ResId)>,
    ) -> Self {
        let role = spec.path.ends_with("roleRef/name").then(|| role_of(resource.node())).flatten();
        Self { index, referrer, target, role, referrals }
    }

    fn fix(&mut self, node: &mut Node) -> Result<(), String> {
        match node {
            Node::Seq(items) => items.iter_mut().try_for_each(|item| self.fix_one(item)),
            node => self.fix_one(node),
        }
    }

    fn fix_one(&mut self, node: &mut Node) -> Result<(), String> {
        match node {
            Node::Scalar(scalar) if scalar.is_null() => Ok(()),
            Node::Scalar(scalar) => {
                let old = scalar.text.clone();
                let Some(found) = self.referral(&old, None, false)? else { return Ok(()) };
                let name = self.index.name(found);
                if *name == old { Ok(()) } else { set_text(node, name.clone()) }
            }
            Node::Map(map) => self.fix_map(map),
            Node::Seq(_) => Err("a string or a mapping is expected, not a list".to_owned()),
        }
    }

    /// Updates `name` and `namespace` of a mapping.
    fn fix_map(&mut self, map: &mut Map) -> Result<(), String> {
        let Some(name) = map.get("name") else {
            return Err("there is no `name` in the mapping: let the field spec lead to one".to_owned());
        };
        let old = name.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default();
        let namespace = map.get("namespace").map(|node| match node.as_scalar() {
            Some(scalar) => scalar.text.clone(),
            None => SmolStr::default(),
        });
        let Some(found) = self.referral(&old, namespace.as_ref(), true)? else { return Ok(()) };
        let (name, namespace) = (self.index.name(found), self.index.namespace(found));
        if *name == old && namespace.is_empty() {
            return Ok(());
        }
        set_field(map, "name", name)?;
        if namespace.is_empty() { Ok(()) } else { set_field(map, "namespace", namespace) }
    }

    /// Returns the resource that a name refers to, and records the reference.
    fn referral(
        &mut self,
        name: &str,
        namespace: Option<&SmolStr>,
        with_namespace: bool,
    ) -> Result<Option<usize>, String> {
        let Self { index, referrer, target, role, .. } = self;
        let mut found = index.candidates(referrer, name, namespace);
        found.retain(|at| {
            index.was(*at, target)
                && role.as_ref().is_none_or(|role| index.was(*at, role))
                && index.is_near(*at, referrer)
        });
        if found.len() > 1 {
            found.retain(|at| index.has_same_affixes(*at, referrer, true));
        }
        if found.len() > 1 {
            found.retain(|at| index.has_same_affixes(*at, referrer, false));
        }
        let Some(first) = found.first().copied() else { return Ok(None) };
        if !found.iter().all(|at| index.are_same(first, *at, with_namespace)) {
            return Err(format!("{name:?} may mean {}: give them different names", index.describe(&found)));
        }
        self.referrals.push((first, self.referrer.id.clone()));
        Ok(Some(first))
    }
}

/// Sets a field to a name. The style of an existing one is kept.
fn set_field(map: &mut Map, field: &str, text: &SmolStr) -> Result<(), String> {
    if let Some(node @ Node::Scalar(_)) = map.get_mut(field) {
        return set_text(node, text.clone());
    }
    map.set(field, Node::string(text.clone()));
    Ok(())
}

/// Returns group and kind of `roleRef`, if both exist.
fn role_of(node: &Node) -> Option<Gvk> {
    let role = node.get("roleRef")?;
    let text =
        |field| Some(role.get(field)?.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default());
    Some(Gvk { group: text("apiGroup")?, version: SmolStr::default(), kind: text("kind")? })
}

#[cfg(test)]
mod tests;

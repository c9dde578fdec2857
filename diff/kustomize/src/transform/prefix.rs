//! PrefixTransformer and SuffixTransformer: add texts before and after the names of resources.
//!
//! Definitions, namespaces and API services keep their names, which are fixed. A resource keeps
//! its previous name, and the added prefixes and suffixes; references to it are updated in
//! `names`. Pure.

use serde::Deserialize;
use smol_str::SmolStr;

use crate::bounds;
use crate::fieldspec::{Create, FieldSpec, scalar_text};
use crate::node::Tag;
use crate::rewrite::set_text;
use crate::{Gvk, KustomizeError, Resource, Resources, Transform};

/// Adds a text before each name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PrefixTransformer {
    pub prefix: SmolStr,
    pub field_specs: Vec<FieldSpec>,
}

/// Adds a text after each name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SuffixTransformer {
    pub suffix: SmolStr,
    pub field_specs: Vec<FieldSpec>,
}

impl Transform for PrefixTransformer {
    fn rules(&self) -> usize {
        1 + self.field_specs.len()
    }

    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        let Self { prefix, field_specs } = self;
        rename(
            resources,
            field_specs,
            prefix,
            |resource| &mut resource.prefixes,
            |name| format!("{prefix}{name}"),
        )
    }
}

impl Transform for SuffixTransformer {
    fn rules(&self) -> usize {
        1 + self.field_specs.len()
    }

    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        let Self { suffix, field_specs } = self;
        rename(
            resources,
            field_specs,
            suffix,
            |resource| &mut resource.suffixes,
            |name| format!("{name}{suffix}"),
        )
    }
}

fn rename(
    resources: &mut Resources,
    specs: &[FieldSpec],
    added: &SmolStr,
    memory: impl Fn(&mut Resource) -> &mut Vec<SmolStr>,
    new_name: impl Fn(&str) -> String,
) -> Result<(), KustomizeError> {
    bounds::name("a prefix or suffix", added).map_err(KustomizeError::new)?;
    for resource in &mut resources.list {
        let gvk = resource.original_id().gvk;
        if keeps_its_name(&gvk) {
            continue;
        }
        for spec in specs.iter().filter(|spec| spec.selects(&gvk)) {
            if spec.path == "metadata/name" && !added.is_empty() {
                memory(resource).push(added.clone());
                resource.remember_id();
            }
            spec.apply(resource, Create::Scalar(Tag::Str), &mut |node| {
                let text = new_name(scalar_text(node)?);
                set_text(node, text)
            })?;
        }
    }
    Ok(())
}

fn keeps_its_name(gvk: &Gvk) -> bool {
    match &*gvk.kind {
        "CustomResourceDefinition" | "Namespace" => true,
        "APIService" => gvk.group == "apiregistration.k8s.io",
        _ => false,
    }
}

//! LabelTransformer: sets labels on all resources, and in the selectors and templates of the field
//! specs.
//!
//! Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::bounds::Growth;
use crate::config::{TransformerConfig, merge_spec, merge_specs};
use crate::fieldspec::{Create, FieldSpec, set_entry};
use crate::node::{Map, Node, Scalar, Style};
use crate::resources::COMPARED;
use crate::{KustomizeError, Resources, Transform};
use holdfast_documents::weight;

/// Labels and where they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LabelTransformer {
    pub labels: BTreeMap<String, String>,
    pub field_specs: Vec<FieldSpec>,
}

/// An entry of `labels` in a kustomization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LabelArgs {
    pub pairs: BTreeMap<String, String>,
    pub include_selectors: bool,
    pub include_templates: bool,
    pub fields: Vec<FieldSpec>,
}

impl LabelArgs {
    /// Returns the transformer for an entry of `labels`.
    ///
    /// # Errors
    /// Its own field specs and those of the configuration disagree.
    pub fn transformer(&self, config: &TransformerConfig) -> Result<LabelTransformer, KustomizeError> {
        let Self { pairs, include_selectors, include_templates, fields } = self;
        let mut field_specs = fields.clone();
        merge_specs(&mut field_specs, &config.labels)?;
        if *include_selectors {
            merge_specs(&mut field_specs, &config.common_labels)?;
        } else {
            if *include_templates {
                merge_specs(&mut field_specs, &config.template_labels)?;
            }
            merge_spec(&mut field_specs, &FieldSpec::of_path("metadata/labels", true))?;
        }
        Ok(LabelTransformer { labels: pairs.clone(), field_specs })
    }
}

impl Transform for LabelTransformer {
    fn rules(&self) -> usize {
        1 + self.field_specs.len()
    }

    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        set_entries(resources, &self.labels, &self.field_specs)
    }
}

/// Sets entries in all mappings of field specs.
pub(super) fn set_entries(
    resources: &mut Resources,
    entries: &BTreeMap<String, String>,
    specs: &[FieldSpec],
) -> Result<(), KustomizeError> {
    if entries.is_empty() {
        return Ok(());
    }
    let growth = Growth::default();
    let Resources { list, work, .. } = &mut *resources;
    for resource in list {
        let first = resource.new_groups(entries.len());
        for spec in specs {
            spec.apply(resource, Create::Map, &mut |node| {
                (first..).zip(entries).try_for_each(|(group, (key, value))| {
                    growth.add(weight::VALUE + key.len() + value.len())?;
                    // The key is searched among all others.
                    let others = node.as_map().map_or(0, Map::len);
                    work.take(others / COMPARED).map_err(|error| error.message)?;
                    set_shared(node, key, value, group)
                })
            })?;
        }
    }
    resources.grew(&growth);
    resources.list.retain(|resource| !resource.node().is_empty());
    Ok(())
}

/// Sets an entry; a new one is shared with all that the same label creates in the resource.
fn set_shared(node: &mut Node, key: &str, value: &str, group: u32) -> Result<(), String> {
    match node {
        Node::Map(map) if !map.contains(key) => {
            let style = Style::Shared { group, changed: false };
            map.push(Scalar::string(key), Node::Scalar(Scalar { style, ..Scalar::string(value) }));
            Ok(())
        }
        node => set_entry(node, key, value),
    }
}

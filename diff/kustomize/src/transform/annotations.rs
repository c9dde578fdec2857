//! AnnotationsTransformer: sets annotations on all resources, and in the templates of the field
//! specs.
//!
//! Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::labels::set_entries;
use crate::fieldspec::FieldSpec;
use crate::{KustomizeError, Resources, Transform};

/// Annotations and where they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AnnotationsTransformer {
    pub annotations: BTreeMap<String, String>,
    pub field_specs: Vec<FieldSpec>,
}

impl Transform for AnnotationsTransformer {
    fn rules(&self) -> usize {
        1 + self.field_specs.len()
    }

    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        set_entries(resources, &self.annotations, &self.field_specs)
    }
}

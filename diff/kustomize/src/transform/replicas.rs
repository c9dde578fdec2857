//! ReplicaCountTransformer: the number of replicas of resources by their name.
//!
//! Pure.

use serde::Deserialize;
use smol_str::{SmolStr, ToSmolStr};

use crate::fieldspec::{Create, FieldSpec, scalar_text};
use crate::node::{Node, Scalar, Tag};
use crate::{KustomizeError, Resources, Transform};

/// A number of replicas and where it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ReplicaCountTransformer {
    pub replica: Replica,
    pub field_specs: Vec<FieldSpec>,
}

/// An entry of `replicas` in a kustomization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Replica {
    /// The name of the resource, or one that it had.
    pub name: SmolStr,
    pub count: i64,
}

impl Transform for ReplicaCountTransformer {
    fn rules(&self) -> usize {
        1 + self.field_specs.len()
    }

    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        let Self { replica: Replica { name, count }, field_specs } = self;
        let number = Node::Scalar(Scalar { tag: Tag::Int, ..Scalar::string(count.to_smolstr()) });
        let mut found = false;
        for spec in field_specs {
            for at in resources.with_any_id(|id| id.name == *name && spec.selects(&id.gvk)) {
                found = true;
                spec.apply(&mut resources.list[at], Create::Scalar(Tag::Int), &mut |node| {
                    scalar_text(node)?;
                    node.assign(number.clone());
                    Ok(())
                })?;
            }
        }
        if found {
            return Ok(());
        }
        let kinds: Vec<String> = field_specs.iter().map(|spec| spec.gvk().to_string()).collect();
        Err(KustomizeError::new(format!(
            "replicas: there is no resource {name:?} of any of the kinds {}: name one, or add its kind to the field specs",
            kinds.join(", ")
        )))
    }
}

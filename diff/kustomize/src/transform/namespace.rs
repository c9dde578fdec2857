//! NamespaceTransformer: sets the namespace of all namespaced resources.
//!
//! In addition to `metadata.namespace` it changes the fields of the field specs, such as the name of a Namespace, and
//! subjects of role bindings. A resource keeps its previous namespace in its state. Pure.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use smol_str::SmolStr;

use crate::bounds;
use crate::fieldspec::{Create, FieldSpec, scalar_text};
use crate::node::{Node, Scalar, Tag};
use crate::scope::is_cluster_scoped;
use crate::{Gvk, KustomizeError, ResId, Resource, Resources, Transform};

/// The namespace and the fields that contain it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NamespaceTransformer {
    pub metadata: NamespaceMetadata,
    pub field_specs: Vec<FieldSpec>,
    /// True if only missing namespaces are set.
    pub unset_only: bool,
    pub set_role_binding_subjects: Subjects,
    /// Cluster-scoped kinds that are not built in.
    #[serde(skip)]
    pub cluster_scoped: HashSet<Gvk>,
}

/// The namespace in a file of the transformer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NamespaceMetadata {
    pub namespace: SmolStr,
}

/// The subjects of role bindings that are changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Subjects {
    /// Those with the name `default`.
    #[default]
    #[serde(alias = "")]
    DefaultOnly,
    AllServiceAccounts,
    None,
}

impl Transform for NamespaceTransformer {
    fn rules(&self) -> usize {
        1 + self.field_specs.len()
    }

    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        if self.metadata.namespace.is_empty() {
            return Ok(());
        }
        bounds::name("namespace", &self.metadata.namespace).map_err(KustomizeError::new)?;
        let mut ids: HashMap<Identity, usize> = HashMap::new();
        for resource in &resources.list {
            *ids.entry(identity(resource.id())).or_default() += 1;
        }
        for resource in &mut resources.list {
            if resource.node().is_empty() || is_from_helm(resource) {
                continue;
            }
            if let Some(count) = ids.get_mut(&identity(resource.id())) {
                *count -= 1;
            }
            resource.remember_id();
            self.apply(resource)?;
            let count = ids.entry(identity(resource.id())).or_default();
            *count += 1;
            if *count > 1 {
                let message =
                    format!("namespace: there are two resources {}: rename one of them", resource.id());
                return Err(KustomizeError::at(&resource.origin, message));
            }
        }
        Ok(())
    }
}

/// Two resources with the same value are the same object.
type Identity = (Gvk, SmolStr, SmolStr);

fn identity(id: &ResId) -> Identity {
    (id.gvk.clone(), id.name.clone(), id.effective_namespace().into())
}

/// True for objects that Helm rendered, whose namespace Helm has set.
fn is_from_helm(resource: &Resource) -> bool {
    resource.annotation("internal.config.kubernetes.io/helm-generated").is_some_and(|value| value == "true")
}

impl NamespaceTransformer {
    /// Sets the namespace of one resource.
    ///
    /// # Errors
    /// A field that must be set is not a scalar.
    pub fn apply(&self, resource: &mut Resource) -> Result<(), KustomizeError> {
        let gvk = resource.gvk().clone();
        if !is_cluster_scoped(&gvk) && !self.cluster_scoped.contains(&gvk) {
            let spec = FieldSpec::of_path("metadata/namespace", true);
            spec.apply(resource, Create::Scalar(Tag::Null), &mut |node| {
                // As in kustomize, an explicit null counts as a namespace here.
                if self.unset_only && !scalar_text(node)?.is_empty() { Ok(()) } else { self.set(node) }
            })?;
        }
        let is_binding = is_role_binding(&gvk.kind);
        if is_binding {
            self.set_subjects(resource)?;
        }
        let is_v1 = resource.text(&["apiVersion"]) == "v1";
        for spec in &self.field_specs {
            let elsewhere = match &*spec.path {
                "metadata/namespace" => true,
                "metadata/name" => !is_v1,
                "subjects/namespace" => is_binding && is_role_binding(&spec.kind),
                _ => false,
            };
            if !elsewhere {
                spec.apply(resource, Create::Scalar(Tag::Str), &mut |node| self.set(node))?;
            }
        }
        Ok(())
    }

    fn set(&self, node: &mut Node) -> Result<(), String> {
        let is_set = !scalar_text(node)?.is_empty() && !node.is_null();
        if !(self.unset_only && is_set) {
            node.assign(Node::string(self.metadata.namespace.clone()));
        }
        Ok(())
    }

    fn set_subjects(&self, resource: &mut Resource) -> Result<(), KustomizeError> {
        let (field, value) = match self.set_role_binding_subjects {
            Subjects::None => return Ok(()),
            Subjects::DefaultOnly => ("name", "default"),
            Subjects::AllServiceAccounts => ("kind", "ServiceAccount"),
        };
        let subjects = match resource.node().get("subjects") {
            Some(subjects) if !subjects.is_null() => resource.edit().get_mut("subjects"),
            _ => return Ok(()),
        };
        let set = match subjects {
            Some(Node::Seq(subjects)) => {
                subjects.iter_mut().try_for_each(|subject| self.set_subject(subject, field, value))
            }
            _ => Err("they are not a list".to_owned()),
        };
        set.map_err(|reason| {
            KustomizeError::at(&resource.origin, format!("subjects of {}: {reason}", resource.id()))
        })
    }

    fn set_subject(&self, subject: &mut Node, field: &str, value: &str) -> Result<(), String> {
        if subject.is_null() {
            return Ok(());
        }
        let description = subject.describe();
        let map =
            subject.as_map_mut().ok_or_else(|| format!("a subject must be a mapping, not {description}"))?;
        let Some(found) = map.get(field).filter(|found| !found.is_null()) else { return Ok(()) };
        if scalar_text(found)? == value {
            self.set(map.entry("namespace", || Node::Scalar(Scalar::null())))?;
        }
        Ok(())
    }
}

fn is_role_binding(kind: &str) -> bool {
    matches!(kind, "RoleBinding" | "ClusterRoleBinding")
}

//! The fields that the transformers of a build change: the built-in tables, and additions of `configurations` and
//! `crds`.
//!
//! Leaves reading files to its caller, the built-in tables to `defaults`, and OpenAPI definitions to `crds`. Pure.

pub mod crds;

use serde::Deserialize;
use smol_str::SmolStr;

use super::error::KustomizeError;
use super::fieldspec::FieldSpec;
use super::id::Gvk;

/// The field specs of each transformer, as in a file of `configurations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TransformerConfig {
    pub name_prefix: Vec<FieldSpec>,
    pub name_suffix: Vec<FieldSpec>,
    pub namespace: Vec<FieldSpec>,
    pub common_labels: Vec<FieldSpec>,
    pub labels: Vec<FieldSpec>,
    pub template_labels: Vec<FieldSpec>,
    pub common_annotations: Vec<FieldSpec>,
    pub name_reference: Vec<NameReference>,
    pub var_reference: Vec<FieldSpec>,
    pub images: Vec<FieldSpec>,
    pub replicas: Vec<FieldSpec>,
}

/// The fields that contain names of resources of one group, version and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NameReference {
    pub group: SmolStr,
    pub version: SmolStr,
    pub kind: SmolStr,
    /// The fields with the names.
    pub field_specs: Vec<FieldSpec>,
}

impl NameReference {
    pub fn gvk(&self) -> Gvk {
        Gvk { group: self.group.clone(), version: self.version.clone(), kind: self.kind.clone() }
    }
}

impl TransformerConfig {
    /// Combines two configurations, neither of which is known to be the built-in tables.
    pub(super) fn join(mut self, other: &Self) -> Result<Self, KustomizeError> {
        for (name, table) in self.tables_mut() {
            merge_specs(table, other.table(name)).map_err(|error| in_table(name, &error))?;
        }
        for reference in &other.name_reference {
            merge_reference(&mut self.name_reference, reference)
                .map_err(|error| in_table("nameReference", &error))?;
        }
        self.sort();
        Ok(self)
    }

    /// Sorts the specs into the order in which kustomize applies them.
    pub fn sort(&mut self) {
        for (_, table) in self.tables_mut() {
            table.sort_by_cached_key(|spec| rank(&spec.gvk()));
        }
        self.name_reference.sort_by_cached_key(|reference| rank(&reference.gvk()));
    }

    /// Returns a table by the name of its field.
    pub fn table_mut(&mut self, name: &str) -> Option<&mut Vec<FieldSpec>> {
        self.tables_mut().into_iter().find(|(own, _)| *own == name).map(|(_, table)| table)
    }

    fn tables_mut(&mut self) -> [(&'static str, &mut Vec<FieldSpec>); 10] {
        [
            ("namePrefix", &mut self.name_prefix),
            ("nameSuffix", &mut self.name_suffix),
            ("namespace", &mut self.namespace),
            ("commonAnnotations", &mut self.common_annotations),
            ("commonLabels", &mut self.common_labels),
            ("labels", &mut self.labels),
            ("templateLabels", &mut self.template_labels),
            ("varReference", &mut self.var_reference),
            ("images", &mut self.images),
            ("replicas", &mut self.replicas),
        ]
    }

    fn table(&self, name: &str) -> &[FieldSpec] {
        match name {
            "namePrefix" => &self.name_prefix,
            "nameSuffix" => &self.name_suffix,
            "namespace" => &self.namespace,
            "commonAnnotations" => &self.common_annotations,
            "commonLabels" => &self.common_labels,
            "labels" => &self.labels,
            "templateLabels" => &self.template_labels,
            "varReference" => &self.var_reference,
            "images" => &self.images,
            "replicas" => &self.replicas,
            _ => &[],
        }
    }
}

/// Adds the specs that do not exist yet.
///
/// # Errors
/// An existing spec for the same field disagrees on whether the field is created.
pub fn merge_specs(specs: &mut Vec<FieldSpec>, others: &[FieldSpec]) -> Result<(), KustomizeError> {
    others.iter().try_for_each(|other| merge_spec(specs, other))
}

/// Adds a spec that does not exist yet.
///
/// # Errors
/// As [`merge_specs`].
pub fn merge_spec(specs: &mut Vec<FieldSpec>, other: &FieldSpec) -> Result<(), KustomizeError> {
    // A spec for some resources is contained in the one for all of them, but not vice versa.
    let there = specs.iter().find(|own| own.path == other.path && other.selects(&own.gvk()));
    match there {
        None => specs.push(other.clone()),
        Some(own) if own.create == other.create => {}
        Some(_) => {
            let message = format!(
                "the field spec of {} for {} has create: {}, and another one has a different value: make them agree",
                other.path,
                other.gvk(),
                other.create
            );
            return Err(KustomizeError::new(message));
        }
    }
    Ok(())
}

fn merge_reference(own: &mut Vec<NameReference>, other: &NameReference) -> Result<(), KustomizeError> {
    let mut found = false;
    for reference in own.iter_mut().filter(|reference| reference.gvk() == other.gvk()) {
        merge_specs(&mut reference.field_specs, &other.field_specs)?;
        found = true;
    }
    if !found {
        own.push(other.clone());
    }
    Ok(())
}

fn in_table(name: &str, error: &KustomizeError) -> KustomizeError {
    KustomizeError::new(format!("{name}: {}", error.message))
}

/// Kinds that are sorted before all others, and kinds that are sorted after them.
pub const ORDER_FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
pub const ORDER_LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

fn rank(gvk: &Gvk) -> (usize, String) {
    let position = |kinds: &[&str]| kinds.iter().position(|kind| *kind == gvk.kind);
    let place = match (position(&ORDER_FIRST), position(&ORDER_LAST)) {
        (_, Some(last)) => ORDER_FIRST.len() + 1 + last,
        (Some(first), None) => first,
        (None, None) => ORDER_FIRST.len(),
    };
    (place, sort_text(gvk))
}

/// Returns the text by which kustomize sorts groups, versions and kinds.
pub fn sort_text(gvk: &Gvk) -> String {
    let or =
        |text: &SmolStr, missing: &'static str| if text.is_empty() { missing.into() } else { text.clone() };
    format!("{}_{}_{}", or(&gvk.group, "~G"), or(&gvk.version, "~V"), or(&gvk.kind, "~K"))
}

#[cfg(test)]
mod tests;

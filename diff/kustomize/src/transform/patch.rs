//! Patches: the kustomization's fields `patches`, `patchesStrategicMerge` and `patchesJson6902`.
//!
//! A text is a strategic merge patch if it contains objects, and a JSON patch if it contains a list of operations.
//! Leaves the application to one resource to `one`. Pure.

mod one;

use std::collections::HashSet;

use serde::Deserialize;

use super::super::bounds::{self, Growth};
use super::super::error::KustomizeError;
use super::super::json6902::Operations;
use super::super::node::Node;
use super::super::read;
use super::super::resource::Resource;
use super::super::resources::Resources;
use super::super::schema::Schema;
use super::super::select::Selector;
use super::super::{ResId, Transform};
use holdfast_documents::weight;

use one::{Fate, Remember, apply_json, apply_strategic, for_target, of_version, plain_annotations};

/// The work of an operation of a JSON patch, relative to testing a rule on a resource.
const OPERATION: usize = 8;

/// An entry of `patches` with its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Patch {
    /// The file of the text; `None` for a text in the kustomization itself.
    pub path: Option<String>,
    pub patch: String,
    pub target: Option<Selector>,
    pub options: Option<PatchOptions>,
}

/// The parts of the identity of a resource that a patch may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PatchOptions {
    pub allow_name_change: bool,
    pub allow_kind_change: bool,
}

/// An entry of `patchesJson6902` with its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Json6902 {
    pub target: Option<Selector>,
    pub path: Option<String>,
    pub patch: String,
}

/// A parsed patch.
#[derive(Clone, Debug)]
pub struct PatchStep {
    schema: Schema,
    content: Content,
    target: Option<Selector>,
    /// For messages: the file, or the text in the kustomization.
    source: String,
    /// Warnings about parts of the text that are not read.
    lost: Vec<String>,
}

#[derive(Clone, Debug)]
enum Content {
    Strategic(Vec<Resource>),
    /// An entry of `patchesStrategicMerge`, which kustomize applies to all resources with the same identity.
    StrategicMerge(Vec<Resource>),
    Json(Operations, Remember),
}

impl Patch {
    /// Parses the patch.
    ///
    /// # Errors
    ///
    /// The text is neither kind of patch, or both.
    pub fn step(&self, schema: &Schema) -> Result<PatchStep, KustomizeError> {
        let (file, text) = match &self.path {
            Some(path) => (path.as_str(), self.patch.as_str()),
            None => ("", self.patch.trim()),
        };
        let mut lost = Vec::new();
        let strategic = read::resources_noting(file, text.as_bytes(), &mut lost);
        let json = if text.is_empty() { None } else { Operations::read(file, text).ok() };
        let content = match (strategic, json) {
            (Ok(patches), Some(json)) if !patches.is_empty() && !json.is_empty() => {
                return Err(KustomizeError::in_file(
                    file,
                    "this is a strategic merge patch and a JSON patch: split it",
                ));
            }
            (Ok(patches), _) => Content::Strategic(self.with_options(patches)),
            (Err(_), Some(json)) => {
                lost = read::beyond_first(file, text.as_bytes()).into_iter().collect();
                Content::Json(json, Remember::Id)
            }
            (Err(error), None) => return Err(error),
        };
        lost.extend(read::lost_value(file, text.as_bytes()));
        Ok(PatchStep {
            schema: schema.clone(),
            content,
            target: self.target.clone(),
            source: file.to_owned(),
            lost,
        })
    }

    fn with_options(&self, mut patches: Vec<Resource>) -> Vec<Resource> {
        let options = self.options.unwrap_or_default();
        for patch in &mut patches {
            patch.allow_name_change |= options.allow_name_change;
            patch.allow_kind_change |= options.allow_kind_change;
            if options != PatchOptions::default() {
                plain_annotations(patch.edit());
            }
        }
        patches
    }
}

impl Json6902 {
    /// Parses the patch.
    ///
    /// # Errors
    ///
    /// The patch has no target, or no operations.
    pub fn step(&self, schema: &Schema) -> Result<PatchStep, KustomizeError> {
        let file = self.path.as_deref().unwrap_or_default();
        let wrong = |message: &str| Err(KustomizeError::in_file(file, message));
        match &self.target {
            Some(target) if !target.name.is_empty() => {}
            _ => return wrong("an entry of patchesJson6902 needs a target with a name: add target.name"),
        }
        let operations = Operations::read(file, &self.patch)?;
        if operations.is_empty() {
            return wrong("the patch has no operations: add one, or drop the patch");
        }
        let content = Content::Json(operations, Remember::Nothing);
        let bytes = self.patch.as_bytes();
        Ok(PatchStep {
            schema: schema.clone(),
            content,
            target: self.target.clone(),
            source: file.to_owned(),
            lost: [read::beyond_first(file, bytes), read::lost_value(file, bytes)]
                .into_iter()
                .flatten()
                .collect(),
        })
    }
}

/// Parses the entries of `patchesStrategicMerge`, each a file and its text.
///
/// # Errors
///
/// A text contains no objects, or none of them does.
pub fn strategic_merge<'a>(
    entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    schema: &Schema,
) -> Result<PatchStep, KustomizeError> {
    let (mut patches, mut lost) = (Vec::new(), Vec::new());
    for (file, text) in entries {
        patches.extend(read::resources_noting(file, text.as_bytes(), &mut lost)?);
        lost.extend(read::lost_value(file, text.as_bytes()));
    }
    if patches.is_empty() {
        return Err(KustomizeError::new("patchesStrategicMerge holds no patch: add one, or drop the field"));
    }
    let content = Content::StrategicMerge(patches);
    Ok(PatchStep { schema: schema.clone(), content, target: None, source: String::new(), lost })
}

impl Transform for PatchStep {
    fn rules(&self) -> usize {
        match &self.content {
            Content::Strategic(patches) | Content::StrategicMerge(patches) => patches.len().max(1),
            Content::Json(..) => 1,
        }
    }

    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        resources.warnings.extend(self.lost.iter().cloned());
        match (&self.content, &self.target) {
            (Content::Strategic(patches), None) => {
                patches.iter().try_for_each(|patch| self.by_identity(resources, patch))
            }
            (Content::Strategic(patches), Some(target)) => match patches.as_slice() {
                [] => Ok(()),
                [patch] => {
                    let selected = resources.select(target)?;
                    self.by_target(resources, &selected, patch)
                }
                _ => Err(KustomizeError::in_file(
                    &self.source,
                    "a target is for one patch, and here are several: give each an entry of its own",
                )),
            },
            (Content::StrategicMerge(patches), _) => patches.iter().try_for_each(|patch| {
                let at = target_of(resources, patch)?;
                self.by_target(resources, &[at], patch)
            }),
            (Content::Json(..), None) => {
                Err(KustomizeError::in_file(&self.source, "a JSON patch names nothing itself: add a target"))
            }
            (Content::Json(operations, remember), Some(target)) => {
                let growth = Growth::default();
                for at in resources.select(target)? {
                    let effort = operations.len() * OPERATION + bounds::effort(resources.list[at].node());
                    resources.work.take(effort)?;
                    let resource = &mut resources.list[at];
                    let before = weight::bytes(resource.node());
                    apply_json(resource, operations, *remember)
                        .and_then(|()| counted(&growth, before, resource))
                        .map_err(|error| self.explain(error, resource))?;
                }
                resources.grew(&growth);
                Ok(())
            }
        }
    }
}

impl PatchStep {
    /// Applies a patch to the resource with its identity.
    fn by_identity(&self, resources: &mut Resources, patch: &Resource) -> Result<(), KustomizeError> {
        let at = target_of(resources, patch)?;
        let Resources { list, work, warnings, merged, .. } = resources;
        *merged = true;
        work.take(bounds::effort(list[at].node()) + bounds::effort(patch.node()))?;
        let resource = &mut list[at];
        let applied = apply_strategic(resource, patch, &self.schema, work);
        let (fate, lost) = applied.map_err(|error| self.explain(error, resource))?;
        warnings.extend(lost);
        if fate == Fate::Goes {
            list.remove(at);
        }
        Ok(())
    }

    /// Applies a patch to the selected resources, and to all others with the same identity.
    fn by_target(
        &self,
        resources: &mut Resources,
        selected: &[usize],
        patch: &Resource,
    ) -> Result<(), KustomizeError> {
        let selected: HashSet<ResId> = selected.iter().map(|at| resources.list[*at].id().clone()).collect();
        let patch = for_target(patch);
        let mut failure = None;
        let growth = Growth::default();
        let Resources { list, work, warnings, merged, .. } = resources;
        *merged |= !selected.is_empty();
        list.retain_mut(|resource| {
            if failure.is_some() || !selected.contains(resource.id()) {
                return true;
            }
            let patch = of_version(&patch, resource);
            let has_version = !resource.gvk().version.is_empty();
            let before = weight::bytes(resource.node());
            let applied = work
                .take(bounds::effort(resource.node()) + bounds::effort(patch.node()))
                .and_then(|()| apply_strategic(resource, &patch, &self.schema, work))
                .and_then(|applied| counted(&growth, before, resource).map(|()| applied));
            match applied {
                Ok((fate, lost)) => {
                    warnings.extend(lost);
                    if let (false, Node::Map(map)) = (has_version, resource.edit()) {
                        map.set("apiVersion", Node::null());
                    }
                    fate == Fate::Stays
                }
                Err(error) => {
                    failure = Some(self.explain(error, resource));
                    true
                }
            }
        });
        resources.grew(&growth);
        failure.map_or_else(|| check_identities(resources), Err)
    }

    /// Adds the place of the patch and the resource to an error.
    fn explain(&self, error: KustomizeError, resource: &Resource) -> KustomizeError {
        let file = if error.file.is_empty() { self.source.clone() } else { error.file };
        let message = format!("{} ({}): {}", resource.id(), resource.origin, error.message);
        KustomizeError { file, line: error.line, message }
    }
}

/// Counts what a patch added to a resource.
fn counted(growth: &Growth, before: usize, resource: &Resource) -> Result<(), KustomizeError> {
    let added = weight::bytes(resource.node()).saturating_sub(before);
    growth.add(added).map_err(KustomizeError::new)
}

/// Returns the only resource with the current or previous identity of a patch.
fn target_of(resources: &Resources, patch: &Resource) -> Result<usize, KustomizeError> {
    let wanted = patch.original_id();
    let found = resources.with_any_id(|id| id.is_same(&wanted));
    let is_exact = |at: usize| resources.list[at].original_id().namespace == wanted.namespace;
    match found.as_slice() {
        [at] => Ok(*at),
        // Of two that only a cluster can distinguish, the one with the namespace as written.
        [one, other] if resources.given && is_exact(*one) != is_exact(*other) => {
            Ok(if is_exact(*one) { *one } else { *other })
        }
        [] => Err(KustomizeError::at(
            &patch.origin,
            format!("there is no {wanted} to patch: correct the patch's kind, apiVersion, name or namespace"),
        )),
        [first, second, ..] => {
            let places = [first, second].map(|at| resources.list[*at].origin.to_string()).join(" and ");
            Err(KustomizeError::at(
                &patch.origin,
                format!("{wanted} to patch is in {places}: rename one of the two"),
            ))
        }
    }
}

/// Checks that no two resources have the same identity after a patch that changes names or kinds.
fn check_identities(resources: &Resources) -> Result<(), KustomizeError> {
    let mut seen = HashSet::new();
    for resource in resources.list.iter().filter(|_| !resources.given) {
        let id = resource.id();
        if !seen.insert((&id.gvk, &id.name, id.effective_namespace())) {
            let message = format!("{id} is duplicated after a patch: a patch must keep names and kinds");
            return Err(KustomizeError::at(&resource.origin, message));
        }
    }
    Ok(())
}

//! The transformers of the fields of a kustomization, in the order of kustomize.
//!
//! Leaves their effect to `transform`, and those of `transformers` to `plugins`. Pure.

pub mod patches;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Transform;
use super::config::TransformerConfig;
use super::error::KustomizeError;
use super::file::fields::REPLACEMENT;
use super::file::misfit;
use super::loader::Loaded;
use super::own;
use super::provenance::record::Provenance;
use super::resource::{Names, Resource};
use super::resources::{COMPARED, Resources};
use super::shape::{Position, Shape, Strictness, fit};
use super::target::Target;
use super::transform::annotations::AnnotationsTransformer;
use super::transform::images::ImageTagTransformer;
use super::transform::labels::{LabelArgs, LabelTransformer};
use super::transform::namespace::{NamespaceMetadata, NamespaceTransformer};
use super::transform::prefix::{PrefixTransformer, SuffixTransformer};
use super::transform::replacements::{Replacement, ReplacementTransformer};
use super::transform::replicas::ReplicaCountTransformer;
use holdfast_documents::object::Origin;
use holdfast_documents::yaml::Duplicates;

const CONTRADICTION: &str = "the annotations internal.config.kubernetes.io/previousNames, previousNamespaces and previousKinds are \
                             not all there, so that the resource cannot be renamed: remove them";

/// A transformer and its origin.
pub struct Step {
    pub transform: Box<dyn Transform>,
    /// The place of its configuration.
    pub origin: Origin,
    /// The origin for `buildMetadata`, if that is requested.
    pub provenance: Option<Provenance>,
}

impl Step {
    pub fn run(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        self.transform.transform(resources).map_err(|error| error.or_at(&self.origin))?;
        let Resources { list, work, .. } = &mut *resources;
        for resource in list {
            if resource.names == Names::Contradicting {
                return Err(KustomizeError::at(&resource.origin, CONTRADICTION));
            }
            let visited = resource.settle_shared();
            work.take(visited / COMPARED).map_err(|error| error.or_at(&self.origin))?;
        }
        if let Some(provenance) = &self.provenance {
            resources.list.iter_mut().for_each(|resource| note(resource, provenance));
        }
        resources.drop_empty();
        Ok(())
    }
}

/// Records what changed a resource. A resource without an origin was created by it.
fn note(resource: &mut Resource, provenance: &Provenance) {
    if resource.provenance.is_some() {
        resource.transformations.push(provenance.clone());
    } else {
        resource.provenance = Some(provenance.clone());
    }
    resource.touch();
}

/// Returns the transformers of the fields of a kustomization.
pub fn built_in(target: &Target, config: &TransformerConfig) -> Result<Vec<Step>, KustomizeError> {
    let mut steps = Steps { target, config, made: Vec::new() };
    steps.strategic_merge()?;
    steps.patches()?;
    steps.names();
    steps.labels()?;
    steps.annotations();
    steps.json_patches()?;
    steps.replicas()?;
    steps.images()?;
    steps.replacements()?;
    Ok(steps.made)
}

struct Steps<'s, 'a> {
    target: &'s Target<'a>,
    config: &'s TransformerConfig,
    made: Vec<Step>,
}

impl Steps<'_, '_> {
    fn push(&mut self, kind: &'static str, field: &str, index: usize, transform: impl Transform + 'static) {
        let origin = self.target.origin(field, index);
        let provenance = self.target.provenance_of(kind);
        self.made.push(Step { transform: Box::new(transform), origin, provenance });
    }

    fn strategic_merge(&mut self) -> Result<(), KustomizeError> {
        let target = self.target;
        let entries = &target.kustomization.patches_strategic_merge;
        if !entries.is_empty() {
            let origin = target.origin("patchesStrategicMerge", 0);
            let transform =
                patches::strategic_merge(entries, "", target).map_err(|error| error.or_at(&origin))?;
            self.push("PatchStrategicMergeTransformer", "patchesStrategicMerge", 0, transform);
        }
        Ok(())
    }

    fn patches(&mut self) -> Result<(), KustomizeError> {
        let target = self.target;
        for (index, entry) in target.kustomization.patches.iter().enumerate() {
            let origin = target.origin("patches", index);
            let transform = patches::patch(entry, target).map_err(|error| error.or_at(&origin))?;
            self.push("PatchTransformer", "patches", index, transform);
        }
        Ok(())
    }

    fn json_patches(&mut self) -> Result<(), KustomizeError> {
        let target = self.target;
        for (index, entry) in target.kustomization.patches_json6902.iter().enumerate() {
            let origin = target.origin("patchesJson6902", index);
            let transform =
                patches::json6902(entry, "patch", target).map_err(|error| error.or_at(&origin))?;
            self.push("PatchJson6902Transformer", "patchesJson6902", index, transform);
        }
        Ok(())
    }

    /// Adds namespace, prefix and suffix.
    fn names(&mut self) {
        let (target, config) = (self.target, self.config);
        let namespace = &target.kustomization.namespace;
        if !namespace.is_empty() {
            let transform = NamespaceTransformer {
                metadata: NamespaceMetadata { namespace: namespace.into() },
                field_specs: config.namespace.clone(),
                cluster_scoped: target.loader.context.schema().cluster_scoped(),
                ..NamespaceTransformer::default()
            };
            self.push("NamespaceTransformer", "namespace", 0, transform);
        }
        let prefix = &target.kustomization.name_prefix;
        if !prefix.is_empty() {
            let transform =
                PrefixTransformer { prefix: prefix.into(), field_specs: config.name_prefix.clone() };
            self.push("PrefixTransformer", "namePrefix", 0, transform);
        }
        let suffix = &target.kustomization.name_suffix;
        if !suffix.is_empty() {
            let transform =
                SuffixTransformer { suffix: suffix.into(), field_specs: config.name_suffix.clone() };
            self.push("SuffixTransformer", "nameSuffix", 0, transform);
        }
    }

    /// Adds `labels`, and then `commonLabels`, for which there is a step even if only the others are set.
    fn labels(&mut self) -> Result<(), KustomizeError> {
        let (target, config) = (self.target, self.config);
        let (labels, common) = (&target.kustomization.labels, &target.kustomization.common_labels);
        if labels.is_empty() && common.is_empty() {
            return Ok(());
        }
        for (index, entry) in labels.iter().enumerate() {
            let origin = target.origin("labels", index);
            let args: LabelArgs = typed(entry).map_err(|error| error.or_at(&origin))?;
            let transform = args.transformer(config).map_err(|error| error.or_at(&origin))?;
            self.push("LabelTransformer", "labels", index, transform);
        }
        let transform =
            LabelTransformer { labels: common.clone(), field_specs: config.common_labels.clone() };
        self.push("LabelTransformer", "commonLabels", 0, transform);
        Ok(())
    }

    fn annotations(&mut self) {
        let annotations = &self.target.kustomization.common_annotations;
        if !annotations.is_empty() {
            let field_specs = self.config.common_annotations.clone();
            let transform = AnnotationsTransformer { annotations: annotations.clone(), field_specs };
            self.push("AnnotationsTransformer", "commonAnnotations", 0, transform);
        }
    }

    fn replicas(&mut self) -> Result<(), KustomizeError> {
        for (index, entry) in self.target.kustomization.replicas.iter().enumerate() {
            let field_specs = self.config.replicas.clone();
            let transform = ReplicaCountTransformer { replica: typed(entry)?, field_specs };
            self.push("ReplicaCountTransformer", "replicas", index, transform);
        }
        Ok(())
    }

    fn replacements(&mut self) -> Result<(), KustomizeError> {
        let target = self.target;
        let entries = &target.kustomization.replacements;
        if !entries.is_empty() {
            let transform = replacements(entries, target);
            let transform = transform.map_err(|error| error.or_at(&target.origin("replacements", 0)))?;
            self.push("ReplacementTransformer", "replacements", 0, transform);
        }
        Ok(())
    }

    fn images(&mut self) -> Result<(), KustomizeError> {
        for (index, entry) in self.target.kustomization.images.iter().enumerate() {
            let field_specs = self.config.images.clone();
            let transform = ImageTagTransformer { image_tag: typed(entry)?, field_specs };
            self.push("ImageTagTransformer", "images", index, transform);
        }
        Ok(())
    }
}

/// Returns the replacements of a list, each of which is in the list or in a file.
pub fn replacements(entries: &[Value], target: &Target) -> Result<ReplacementTransformer, KustomizeError> {
    let mut replacements: Vec<Replacement> = Vec::new();
    for entry in entries {
        let path = entry.get("path").and_then(Value::as_str).unwrap_or_default();
        let is_list =
            |field| entry.get(field).and_then(Value::as_array).is_some_and(|items| !items.is_empty());
        match path {
            "" => replacements.push(typed(entry)?),
            path if entry.get("source").is_some() || is_list("targets") => {
                let message = format!(
                    "a replacement has the file `{path}` and fields of its own: remove one of the two"
                );
                return Err(KustomizeError::new(message));
            }
            path => replacements.extend(replacement_file(&target.loader.open_first(path)?)?),
        }
    }
    Ok(ReplacementTransformer { replacements })
}

/// Returns the replacements in a file: one or several.
fn replacement_file(Loaded { path, bytes }: &Loaded) -> Result<Vec<Replacement>, KustomizeError> {
    const LIST: Shape = Shape::List(&REPLACEMENT);
    let document = own::first(path, bytes, Duplicates::LastWins)?;
    let Some(document) = document else {
        return Err(KustomizeError::in_file(
            path,
            "there is no replacement in this file: add one, or drop the file",
        ));
    };
    let is_list = document.value.is_array();
    let shape = if is_list { LIST } else { REPLACEMENT };
    let fitted = fit(document.value, shape, Strictness::Lenient, Position::root(&document.tree));
    let fitted = fitted.map_err(|misfits| misfit(path, misfits))?;
    if is_list { typed(&fitted) } else { Ok(vec![typed(&fitted)?]) }
}

/// Converts a value that fits a shape to the type of that shape.
pub fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, KustomizeError> {
    T::deserialize(value).map_err(|error| KustomizeError::new(error.to_string()))
}

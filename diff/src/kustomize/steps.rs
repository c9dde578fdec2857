//! The transformers that the fields of a kustomization ask for, in the order of the original.
//!
//! Leaves what they do to `transform`, and those of `transformers` to `plugins`. Pure.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Transform;
use super::config::TransformerConfig;
use super::error::KustomizeError;
use super::resources::Resources;
use super::target::Target;
use super::transform::annotations::AnnotationsTransformer;
use super::transform::images::ImageTagTransformer;
use super::transform::labels::{LabelArgs, LabelTransformer};
use super::transform::namespace::{NamespaceMetadata, NamespaceTransformer};
use super::transform::prefix::{PrefixTransformer, SuffixTransformer};
use super::transform::replicas::ReplicaCountTransformer;
use crate::object::Origin;

/// A transformer and who asks for it.
pub struct Step {
    pub transform: Box<dyn Transform>,
    /// The kind of the built-in plugin, or that of the file.
    pub kind: &'static str,
    /// Where its configuration stands.
    pub origin: Origin,
}

impl Step {
    pub fn run(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        self.transform.transform(resources).map_err(|error| error.or_at(&self.origin))?;
        resources.drop_empty();
        Ok(())
    }
}

/// The transformers of the fields of a kustomization.
pub fn built_in(target: &Target, config: &TransformerConfig) -> Result<Vec<Step>, KustomizeError> {
    let mut steps = Steps { target, config, steps: Vec::new() };
    steps.names();
    steps.labels()?;
    steps.annotations();
    steps.replicas()?;
    steps.images()?;
    Ok(steps.steps)
}

struct Steps<'s, 'a> {
    target: &'s Target<'a>,
    config: &'s TransformerConfig,
    steps: Vec<Step>,
}

impl Steps<'_, '_> {
    fn push(&mut self, kind: &'static str, field: &str, index: usize, transform: impl Transform + 'static) {
        let origin = self.target.origin(field, index);
        self.steps.push(Step { transform: Box::new(transform), kind, origin });
    }

    /// Namespace, prefix and suffix.
    fn names(&mut self) {
        let (target, config) = (self.target, self.config);
        let namespace = &target.kustomization.namespace;
        if !namespace.is_empty() {
            let transform = NamespaceTransformer {
                metadata: NamespaceMetadata { namespace: namespace.into() },
                field_specs: config.namespace.clone(),
                ..NamespaceTransformer::default()
            };
            self.push("NamespaceTransformer", "namespace", 0, transform);
        }
        let prefix = &target.kustomization.name_prefix;
        if !prefix.is_empty() {
            let transform = PrefixTransformer { prefix: prefix.into(), field_specs: config.name_prefix.clone() };
            self.push("PrefixTransformer", "namePrefix", 0, transform);
        }
        let suffix = &target.kustomization.name_suffix;
        if !suffix.is_empty() {
            let transform = SuffixTransformer { suffix: suffix.into(), field_specs: config.name_suffix.clone() };
            self.push("SuffixTransformer", "nameSuffix", 0, transform);
        }
    }

    /// `labels`, and then `commonLabels`, for which there is a step even if only the others are set.
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
        let transform = LabelTransformer { labels: common.clone(), field_specs: config.common_labels.clone() };
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

    fn images(&mut self) -> Result<(), KustomizeError> {
        for (index, entry) in self.target.kustomization.images.iter().enumerate() {
            let field_specs = self.config.images.clone();
            let transform = ImageTagTransformer { image_tag: typed(entry)?, field_specs };
            self.push("ImageTagTransformer", "images", index, transform);
        }
        Ok(())
    }
}

/// A value that was fitted to its shape, as the type that has that shape.
pub fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, KustomizeError> {
    T::deserialize(value).map_err(|error| KustomizeError::new(error.to_string()))
}

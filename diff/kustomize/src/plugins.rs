//! The built-in plugins of kustomize as files, or as text in the kustomization: reads their configuration.
//!
//! Leaves their effect to `generators` and `transform`. Plugins that are programs, and functions in containers, are
//! refused. Pure.

pub mod fields;

use serde_json::{Value, json};

use super::Transform;
use super::error::KustomizeError;
use super::generate::{Generated, GeneratorArgs};
use super::generators::{Generator, What};
use super::hash::HashTransformer;
use super::provenance::record::{ConfiguredBy, Provenance};
use super::read;
use super::resource::Resource;
use super::shape::{Position, Strictness, fit};
use super::steps::{Step, patches, replacements, typed};
use super::target::Target;
use super::transform::annotations::AnnotationsTransformer;
use super::transform::images::ImageTagTransformer;
use super::transform::labels::LabelTransformer;
use super::transform::namespace::NamespaceTransformer;
use super::transform::prefix::{PrefixTransformer, SuffixTransformer};
use super::transform::replicas::ReplicaCountTransformer;
use super::transform::valueadd::{ValueAddTransformer, ValueTarget};
use super::value::value;
use fields::{PLUGINS, VALUE_TARGETS};
use holdfast_documents::object::Origin;

/// Returns the generator that an object of `generators` configures.
pub fn generator(resource: &Resource, target: &Target) -> Result<Generator, KustomizeError> {
    let (kind, config) = configuration(resource)?;
    let origin = resource.origin.clone();
    let provenance = provenance(resource);
    let at = |error: KustomizeError| error.or_at(&resource.origin);
    match kind {
        "ConfigMapGenerator" | "SecretGenerator" => {
            let is_secret = kind == "SecretGenerator";
            let generated = if is_secret { Generated::Secret } else { Generated::ConfigMap };
            Ok(Generator::data(generated, data(&config).map_err(at)?, origin, provenance))
        }
        "HelmChartInflationGenerator" => {
            Generator::chart(typed(&config).map_err(at)?, target, origin, provenance)
        }
        "IAMPolicyGenerator" => {
            Ok(Generator { what: What::Policy(typed(&config).map_err(at)?), origin, provenance })
        }
        _ => Err(at(KustomizeError::new(format!("a {kind} makes nothing: name it in `transformers`")))),
    }
}

/// Returns the transformer that an object of `transformers` or `validators` configures.
pub fn transformer(resource: &Resource, target: &Target) -> Result<Step, KustomizeError> {
    let (kind, config) = configuration(resource)?;
    let at = |error: KustomizeError| error.or_at(&resource.origin);
    let transform: Box<dyn Transform> = match kind {
        "AnnotationsTransformer" => Box::new(typed::<AnnotationsTransformer>(&config).map_err(at)?),
        "HashTransformer" => Box::new(HashTransformer),
        "ImageTagTransformer" => Box::new(typed::<ImageTagTransformer>(&config).map_err(at)?),
        "LabelTransformer" => Box::new(typed::<LabelTransformer>(&config).map_err(at)?),
        "NamespaceTransformer" => Box::new(typed::<NamespaceTransformer>(&config).map_err(at)?),
        "PatchTransformer" => Box::new(patches::patch(&config, target).map_err(at)?),
        "PatchJson6902Transformer" => Box::new(patches::json6902(&config, "jsonOp", target).map_err(at)?),
        "PatchStrategicMergeTransformer" => {
            let paths: Vec<String> = config.get("paths").map_or(Ok(Vec::new()), typed).map_err(at)?;
            let more = config.get("patches").and_then(Value::as_str).unwrap_or_default();
            Box::new(patches::strategic_merge(&paths, more, target).map_err(at)?)
        }
        "PrefixTransformer" => {
            field_specs(&config).map_err(at)?;
            Box::new(typed::<PrefixTransformer>(&config).map_err(at)?)
        }
        "SuffixTransformer" => {
            field_specs(&config).map_err(at)?;
            Box::new(typed::<SuffixTransformer>(&config).map_err(at)?)
        }
        "PrefixSuffixTransformer" => {
            field_specs(&config).map_err(at)?;
            Box::new(Both(typed(&config).map_err(at)?, typed(&config).map_err(at)?))
        }
        "ReplacementTransformer" => {
            let entries = config.get("replacements").and_then(Value::as_array);
            Box::new(replacements(entries.map_or(&[], Vec::as_slice), target).map_err(at)?)
        }
        "ReplicaCountTransformer" => Box::new(typed::<ReplicaCountTransformer>(&config).map_err(at)?),
        "ValueAddTransformer" => Box::new(value_add(&config, target).map_err(at)?),
        _ => {
            return Err(at(KustomizeError::new(format!(
                "a {kind} changes nothing: name it in `generators`"
            ))));
        }
    };
    Ok(Step { transform, origin: resource.origin.clone(), provenance: provenance(resource) })
}

/// Returns the origin of a plugin's file for `buildMetadata`.
fn provenance(resource: &Resource) -> Option<Provenance> {
    let Provenance { path, repo, reference, .. } = resource.provenance.clone()?;
    let configured_by = ConfiguredBy {
        api_version: resource.gvk().api_version(),
        kind: resource.gvk().kind.to_string(),
        name: resource.name().to_string(),
        namespace: resource.namespace().to_string(),
    };
    Some(Provenance { repo, reference, configured_in: path, configured_by, ..Provenance::default() })
}

/// Returns the kind of a built-in plugin, and its fields.
fn configuration(resource: &Resource) -> Result<(&'static str, Value), KustomizeError> {
    let error = |message: String| KustomizeError::at(&resource.origin, message);
    let gvk = resource.gvk();
    if !gvk.group.is_empty() || gvk.version != "builtin" {
        return Err(error(format!(
            "{} is not a built-in plugin of kustomize, and a build never runs programs: render it beforehand, and add the result to `resources`",
            gvk.kind
        )));
    }
    let Some((kind, shape)) = PLUGINS.iter().find(|(kind, _)| gvk.kind == *kind) else {
        let kinds: Vec<_> = PLUGINS.iter().map(|(kind, _)| *kind).collect();
        return Err(error(format!(
            "unknown built-in plugin {}: it must be one of {}",
            gvk.kind,
            kinds.join(", ")
        )));
    };
    let value = value(resource.node()).map_err(|error| error.or_at(&resource.origin))?;
    let fitted = fit(value, *shape, Strictness::Lenient, Position::line(resource.origin.line));
    let fitted = fitted.map_err(|misfits| super::file::misfit(&resource.origin.file, misfits))?;
    Ok((kind, fitted))
}

/// Returns the fields of a generator of ConfigMaps or Secrets, whose name and namespace may be in its metadata.
fn data(config: &Value) -> Result<GeneratorArgs, KustomizeError> {
    let mut args: GeneratorArgs = typed(config)?;
    let metadata = |field: &str| {
        let text = config.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    if args.name.is_empty() {
        args.name = metadata("name");
    }
    if args.namespace.is_empty() {
        args.namespace = metadata("namespace");
    }
    Ok(args)
}

/// The default field specs of prefixes and suffixes, which have none of their own.
fn field_specs(config: &Value) -> Result<(), KustomizeError> {
    if config.get("fieldSpecs").is_some() {
        return Ok(());
    }
    Err(KustomizeError::new("`fieldSpecs` is missing: add it, for example [{path: metadata/name}]"))
}

fn value_add(config: &Value, target: &Target) -> Result<ValueAddTransformer, KustomizeError> {
    let mut transform: ValueAddTransformer = typed(config)?;
    transform.value = transform.value.trim().into();
    if transform.value.is_empty() {
        transform.value = target.loader.root().rsplit('/').next().unwrap_or_default().into();
    }
    if !transform.target_file_path.is_empty() {
        let loaded = target.loader.open_first(&transform.target_file_path)?;
        let nodes = read::nodes(&loaded.path, &loaded.bytes)?;
        let file = nodes.first().map_or(Ok(json!({})), |(node, _)| value(node))?;
        let fitted = fit(file, VALUE_TARGETS, Strictness::Lenient, Position::line(1));
        let fitted = fitted.map_err(|misfits| super::file::misfit(&loaded.path, misfits))?;
        let targets: Vec<ValueTarget> = fitted.get("targets").map_or(Ok(Vec::new()), typed)?;
        transform.targets.extend(targets);
    }
    transform.check()?;
    Ok(transform)
}

/// A prefix and a suffix together.
struct Both(PrefixTransformer, SuffixTransformer);

impl Transform for Both {
    fn transform(&self, resources: &mut super::Resources) -> Result<(), KustomizeError> {
        let Self(prefix, suffix) = self;
        prefix.transform(resources)?;
        suffix.transform(resources)
    }
}

/// Returns the resources of a text in the kustomization.
pub fn inline(text: &str, origin: &Origin) -> Option<Vec<Resource>> {
    let mut resources = read::resources(&origin.file, text.as_bytes()).ok()?;
    for resource in &mut resources {
        resource.origin = origin.clone();
    }
    Some(resources)
}

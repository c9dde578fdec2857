//! A complete build: the public entry point.
//!
//! Leaves the steps to `target`. Pure.

use serde_json::Value;

use super::context::{Context, Options};
use super::error::KustomizeError;
use super::file;
use super::host::Host;
use super::loader::Loader;
use super::node::{Map, Node};
use super::provenance;
use super::read;
use super::resource::Resource;
use super::shape::Position;
use super::steps::typed;
use super::target::Target;
use super::transform::metadata::managed_by;
use super::transform::sort::{SortOptions, SortOrderTransformer};
use super::{Transform as _, value};
use holdfast_documents::object::Origin;

/// The result of a build.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The objects in their order, each with its origin: the file, or the generator.
    pub resources: Vec<(Value, Origin)>,
    pub warnings: Vec<String>,
}

/// Builds the kustomization in a folder.
///
/// # Errors
/// Everything that is an error in kustomize: the first mistake that it would report, with its file and line.
pub fn build(host: &dyn Host, folder: &str, options: &Options) -> Result<Output, KustomizeError> {
    let context = Context::new(host, options);
    let loader = Loader::new(&context, folder)?;
    let target = Target::load(&loader)?;
    let mut resources = target.build()?;
    sort_order(&target)?
        .transform(&mut resources)
        .map_err(|error| error.or_at(&target.origin("sortOptions", 0)))?;
    let metadata = &target.kustomization.build_metadata;
    if metadata.iter().any(|option| option == "managedByLabel") {
        managed_by().transform(&mut resources)?;
    }
    let finish = |resource| finish(resource, metadata).map_err(|error| explain(error, host));
    let resources = resources.list.into_iter().map(finish).collect::<Result<_, _>>()?;
    Ok(Output { resources, warnings: context.warnings.into_inner() })
}

/// Changes objects of another renderer as a kustomization in `folder` with them as its resources would. Unchanged
/// objects, and the order, stay as they are. `name` is the name of the kustomization in messages.
///
/// # Errors
/// As those of [`build`].
pub fn overlay(
    host: &dyn Host,
    folder: &str,
    name: &str,
    fields: serde_json::Map<String, Value>,
    objects: Vec<(Value, Origin)>,
) -> Result<Output, KustomizeError> {
    let options = Options::default();
    let context = Context::new(host, &options);
    let loader = Loader::new(&context, folder)?;
    let reading = file::of_value(name, Value::Object(fields), Position::line(0))?;
    let target = Target::of(&loader, name.to_owned(), reading)?;
    let given = objects.into_iter().map(|(value, origin)| Resource::given(&value, origin)).collect();
    let resources = target.build_on(given)?.list;
    let finish = |resource| finish(resource, &[]).map_err(|error| explain(error, host));
    let resources = resources.into_iter().map(finish).collect::<Result<_, _>>()?;
    Ok(Output { resources, warnings: context.warnings.into_inner() })
}

/// Returns the order that the kustomization sets, or the default one.
fn sort_order(target: &Target) -> Result<SortOrderTransformer, KustomizeError> {
    let options = match &target.kustomization.sort_options {
        Some(options) => typed(options)?,
        None => SortOptions { order: "legacy".to_owned(), legacy_sort_options: None },
    };
    Ok(SortOrderTransformer { sort_options: Some(options) })
}

/// Adds the exact line to the error, if it is about a key that is set twice.
fn explain(error: KustomizeError, host: &dyn Host) -> KustomizeError {
    let bytes = host.read(&error.file).ok().flatten();
    bytes.and_then(|bytes| read::key_set_twice(&error.file, &bytes)).unwrap_or(error)
}

/// Returns the object of a resource.
fn finish(mut resource: Resource, metadata: &[String]) -> Result<(Value, Origin), KustomizeError> {
    provenance::annotate(&mut resource, metadata);
    if !resource.is_given() {
        settle_annotations(&mut resource);
    }
    let value = value::value(resource.node()).map_err(|error| error.or_at(&resource.origin))?;
    Ok((value, resource.origin))
}

/// Annotations in which kustomize keeps its state, and which it removes at the end, whoever wrote them.
const PRIVATE: [&str; 19] = [
    "internal.config.kubernetes.io/previousKinds",
    "internal.config.kubernetes.io/previousNames",
    "internal.config.kubernetes.io/prefixes",
    "internal.config.kubernetes.io/suffixes",
    "internal.config.kubernetes.io/previousNamespaces",
    "internal.config.kubernetes.io/allowNameChange",
    "internal.config.kubernetes.io/allowKindChange",
    "internal.config.kubernetes.io/refBy",
    "internal.config.kubernetes.io/generatorBehavior",
    "internal.config.kubernetes.io/needsHashSuffix",
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/index",
    "internal.config.kubernetes.io/seqindent",
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "internal.config.kubernetes.io/helm-generated",
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
    "config.k8s.io/id",
];

/// Converts all annotations to strings, as kustomize does when it removes its own. An empty field is removed.
fn settle_annotations(resource: &mut Resource) {
    let Some(metadata) = resource.edit().get_mut("metadata").and_then(Node::as_map_mut) else { return };
    let Some(Node::Map(annotations)) = metadata.remove("annotations") else { return };
    let mut settled = Map::default();
    for (key, value) in annotations {
        if PRIVATE.contains(&key.text.as_str()) {
            continue;
        }
        let text = value.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default();
        settled.set(key.text, Node::string(text));
    }
    if !settled.is_empty() {
        metadata.set("annotations", settled.into());
    }
}

//! A build from its first file to its last object: the public entry.
//!
//! Leaves the steps to `target`, and their order within one kustomization. Pure.

use std::cell::{Cell, RefCell};

use serde_json::Value;

use super::error::KustomizeError;
use super::file;
use super::host::Host;
use super::loader::{LoadRestrictions, Loader};
use super::node::{Map, Node};
use super::provenance;
use super::read;
use super::resource::Resource;
use super::schema::{Schema, Used};
use super::scope;
use super::shape::Place;
use super::steps::typed;
use super::target::Target;
use super::transform::metadata::managed_by;
use super::transform::sort::{SortOptions, SortOrderTransformer};
use super::{Transform as _, value};
use holdfast_documents::object::Origin;

/// How to build.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub load_restrictions: LoadRestrictions,
    /// Whether `helmCharts` are rendered; else they are an error.
    pub enable_helm: bool,
}

/// What a kustomization renders to.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The objects in their order, each with the place from which it comes: that of the file, or of the generator.
    pub resources: Vec<(Value, Origin)>,
    pub warnings: Vec<String>,
}

/// What all kustomizations of a build share.
pub struct Context<'a> {
    pub host: &'a dyn Host,
    pub options: &'a Options,
    pub warnings: RefCell<Vec<String>>,
    /// The first schema that a kustomization names, the outermost one before all others.
    schema: RefCell<Option<Schema>>,
    /// What was used of the built-in types so far.
    used: Cell<Used>,
}

impl<'a> Context<'a> {
    fn new(host: &'a dyn Host, options: &'a Options) -> Self {
        let (warnings, schema, used) = Default::default();
        Self { host, options, warnings, schema, used }
    }

    /// What is known of types at this point of the build.
    pub fn schema(&self) -> Schema {
        self.schema.borrow().clone().unwrap_or_else(Schema::kubernetes)
    }

    /// True if no kustomization has named a schema yet.
    pub fn wants_schema(&self) -> bool {
        self.schema.borrow().is_none()
    }

    pub fn set_schema(&self, schema: Schema) {
        self.schema.replace(Some(schema));
    }

    /// Takes the types of a document of one's own, with those that are built in if those were used before.
    pub fn set_document(&self, document: Schema) {
        self.set_schema(document.after(self.used.get()));
    }

    /// Notes that these resources were merged, or else that they are there: whether their kinds have a namespace is looked
    /// for among the types.
    pub fn note_used(&self, resources: &[Resource], are_merged: bool) {
        let used = if are_merged {
            Used::Types
        } else if self.used.get() == Used::Nothing && resources.iter().any(|it| !scope::is_built_in(it.gvk()))
        {
            Used::Scopes
        } else {
            return;
        };
        self.used.set(self.used.get().max(used));
    }
}

/// Builds the kustomization in a folder.
///
/// # Errors
/// All that is an error for kustomize, as the first mistake that it would meet, with its file and line.
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

/// Changes objects that something else has rendered, as a kustomization in `folder` with them as its resources would. What it
/// does not change stays as it is, and in its order. `name` stands for the kustomization in messages.
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
    let reading = file::of_value(name, Value::Object(fields), Place::line(0))?;
    let target = Target::of(&loader, name.to_owned(), reading)?;
    let given = objects.into_iter().map(|(value, origin)| Resource::given(&value, origin)).collect();
    let resources = target.build_on(given)?.list;
    let finish = |resource| finish(resource, &[]).map_err(|error| explain(error, host));
    let resources = resources.into_iter().map(finish).collect::<Result<_, _>>()?;
    Ok(Output { resources, warnings: context.warnings.into_inner() })
}

/// The order that the kustomization asks for, or that of kustomize.
fn sort_order(target: &Target) -> Result<SortOrderTransformer, KustomizeError> {
    let options = match &target.kustomization.sort_options {
        Some(options) => typed(options)?,
        None => SortOptions { order: "legacy".to_owned(), legacy_sort_options: None },
    };
    Ok(SortOrderTransformer { sort_options: Some(options) })
}

/// The mistake with its very line, if it is a key that is set twice.
fn explain(error: KustomizeError, host: &dyn Host) -> KustomizeError {
    let bytes = host.read(&error.file).ok().flatten();
    bytes.and_then(|bytes| read::key_set_twice(&error.file, &bytes)).unwrap_or(error)
}

/// The object of a resource.
fn finish(mut resource: Resource, metadata: &[String]) -> Result<(Value, Origin), KustomizeError> {
    provenance::annotate(&mut resource, metadata);
    if !resource.is_given() {
        settle_annotations(&mut resource);
    }
    let value = value::value(resource.node()).map_err(|error| error.or_at(&resource.origin))?;
    Ok((value, resource.origin))
}

/// Annotations with which the original keeps its memory, and which it takes out at the end whoever wrote them.
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

/// Makes all annotations strings, as the original does when it takes its own out of them. Without any, the field is gone.
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

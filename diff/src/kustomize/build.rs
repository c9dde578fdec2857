//! A build from its first file to its last object: the public entry.
//!
//! Leaves the steps to `target`, and their order within one kustomization. Pure.

use std::cell::RefCell;

use serde_json::Value;

use super::error::KustomizeError;
use super::host::Host;
use super::loader::{LoadRestrictions, Loader};
use super::resource::Resource;
use super::target::Target;
use super::{node, value};
use crate::object::Origin;

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
}

/// Builds the kustomization in a folder.
///
/// # Errors
/// All that is an error for kustomize, as the first mistake that it would meet, with its file and line.
pub fn build(host: &dyn Host, folder: &str, options: &Options) -> Result<Output, KustomizeError> {
    let context = Context { host, options, warnings: RefCell::default() };
    let loader = Loader::new(&context, folder)?;
    let resources = Target::load(&loader)?.build()?;
    let resources = resources.list.into_iter().map(finish).collect::<Result<_, _>>()?;
    Ok(Output { resources, warnings: context.warnings.into_inner() })
}

/// The object of a resource. All annotations have become strings, as when the original takes its own out of them.
fn finish(mut resource: Resource) -> Result<(Value, Origin), KustomizeError> {
    settle_annotations(&mut resource);
    let value = value::to_json(resource.node()).map_err(|error| error.or_at(&resource.origin))?;
    Ok((value, resource.origin))
}

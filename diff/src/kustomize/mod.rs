//! Kustomize in process: a tree of files in, objects out, the same bytes as `kubectl kustomize` gives.
//!
//! No subprocess, no disk, no network: whatever is not in the tree is asked of the [`Host`], which refuses unless it is
//! told otherwise. The behaviour is that of kustomize 5.8, as kubectl 1.36 holds it. Pure.

pub mod accumulate;
pub mod bounds;
pub mod build;
pub mod config;
pub mod defaults;
pub mod error;
pub mod fieldspec;
pub mod file;
pub mod generate;
pub mod generators;
pub mod hash;
pub mod host;
pub mod id;
pub mod json6902;
pub mod loader;
pub mod merge;
pub mod node;
pub mod own;
pub mod path;
pub mod plugins;
pub mod provenance;
pub mod read;
pub mod remote;
pub mod resource;
pub mod resources;
pub mod rewrite;
pub mod scalar;
pub mod schema;
pub mod scope;
pub mod select;
pub mod shape;
pub mod steps;
pub mod tables;
pub mod target;
pub mod transform;
pub mod value;

pub use build::{Options, Output, build, overlay};
pub use config::TransformerConfig;
pub use error::KustomizeError;
pub use fieldspec::FieldSpec;
pub use host::Host;
pub use id::{Gvk, ResId};
pub use loader::LoadRestrictions;
pub use node::{Map, Node, Scalar, Tag};
pub use resource::Resource;
pub use resources::Resources;
pub use schema::Schema;
pub use select::Selector;

/// A step of a build that changes resources.
pub trait Transform {
    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError>;

    /// How many rules are tried on each resource.
    fn rules(&self) -> usize {
        1
    }
}

//! Kustomize in process: a tree of files in, objects out, with the same output as `kubectl kustomize`.
//!
//! No subprocess, no disk, no network: everything outside the tree is requested from the [`Host`], which refuses it
//! unless it is implemented. The behaviour is that of kustomize 5.8, as in kubectl 1.36. Pure.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Arc;
//!
//! use holdfast_kustomize::files::{Entry, EntryKind, FileKind, Files, FilesError, Resolved};
//! use holdfast_kustomize::{Host, Options, build};
//!
//! /// Files in memory. A repository on disk is the same, with other three functions: see `examples/kustomize.rs`.
//! struct Tree(BTreeMap<&'static str, &'static str>);
//!
//! impl Files for Tree {
//!     fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
//!         let kind = if self.0.contains_key(path) { FileKind::File } else { FileKind::Folder };
//!         Ok(Some(Resolved { path: path.to_owned(), kind }))
//!     }
//!
//!     fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
//!         Ok(self.0.get(path).map(|text| text.as_bytes().into()))
//!     }
//!
//!     fn list(&self, _folder: &str) -> Result<Option<Vec<Entry>>, FilesError> {
//!         let entry = |name: &&str| Entry { name: (*name).to_owned(), kind: EntryKind::File };
//!         Ok(Some(self.0.keys().map(entry).collect()))
//!     }
//! }
//!
//! impl Host for Tree {}
//!
//! let tree = Tree(BTreeMap::from([
//!     ("kustomization.yaml", "namePrefix: dev-\nresources: [service.yaml]\n"),
//!     ("service.yaml", "{apiVersion: v1, kind: Service, metadata: {name: web}}"),
//! ]));
//! let output = build(&tree, "", &Options::default())?;
//! let (service, origin) = &output.resources[0];
//! assert_eq!(service["metadata"]["name"], "dev-web");
//! assert_eq!(&*origin.file, "service.yaml");
//! # Ok::<(), holdfast_kustomize::KustomizeError>(())
//! ```
//!
//! Architecture invariant: nothing here knows tokio, kube, a file system, a clock or an environment.

#![deny(clippy::disallowed_methods)]

mod accumulate;
mod bounds;
mod build;
mod config;
mod context;
mod defaults;
mod error;
mod fieldspec;
mod file;
mod generate;
mod generators;
mod gvk;
mod hash;
mod host;
mod id;
mod json6902;
mod loader;
mod merge;
mod node;
mod own;
mod path;
mod plugins;
mod provenance;
pub mod read;
pub mod remote;
mod resource;
mod resources;
mod rewrite;
mod run;
mod scalar;
mod schema;
mod scope;
mod select;
mod shape;
mod steps;
mod tables;
mod target;
mod transform;
pub mod value;

pub use holdfast_documents::{budget, files, object, yaml};

pub use build::{Output, build, overlay};
pub use context::{LoadRestrictions, Options};
pub use error::KustomizeError;
pub use host::{HelmChart, Host, ValuesMerge};
pub use node::{Map, Node, Scalar, Tag};

use id::{Gvk, ResId};
use resource::Resource;
use resources::Resources;
use select::Selector;
use transform::Transform;

/// The parts of a build, for the tests of this crate only: they change with every release.
#[doc(hidden)]
pub mod parts {
    pub use crate::json6902::{Operations, apply};
    pub use crate::merge::{Merged, strategic};
    pub use crate::resources::Resources;
    pub use crate::schema::Schema;
    pub use crate::select::Selector;
    pub use crate::transform::Transform;
    pub use crate::transform::patch::{Json6902, Patch, PatchOptions, PatchStep, strategic_merge};
}

//! Files and YAML documents: the base of every reader of manifests, within limits.
//!
//! [`yaml`] reads, writes and edits documents in the dialect of kubectl, [`files`] is the interface to a repository,
//! [`object`] has the identity and origin of an object, [`pointer`] the path of a field, [`budget`] and [`weight`]
//! limit a render.
//!
//! Architecture invariant: nothing here knows tokio, kube, a file system, a clock or an environment.

#![deny(clippy::disallowed_methods)]

pub mod budget;
pub mod files;
pub mod go_number;
pub mod object;
pub mod pointer;
pub mod visible;
pub mod weight;
pub mod yaml;

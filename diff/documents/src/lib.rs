//! Files and YAML documents: what every reader of manifests needs, within limits.
//!
//! [`yaml`] reads, writes and edits documents in the dialect of kubectl, [`files`] is how a renderer sees a repository,
//! [`object`] is what an object is called and where it comes from, [`pointer`] is the path of a field, [`budget`] and [`weight`] bound what a render may take.
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

//! The pure half of Holdfast: values in, values out.
//!
//! Architecture invariant: nothing here knows tokio, kube, a file system, a clock or an environment.

#![deny(clippy::disallowed_methods)]

pub mod applyset;
pub mod causes;
pub mod compare;
pub mod digest;
pub mod fields;
pub mod handling;
pub mod health;
pub mod ignore;
pub mod image;
pub mod mask;
pub mod needs;
pub mod normalise;
pub mod operation;
pub mod order;
pub mod plan;
pub mod range;
pub mod replacement;
pub mod standing;
pub mod substitute;
pub mod takeover;
pub mod text;
pub mod unmanaged;

pub use holdfast_documents::{budget, files, object, pointer, visible, weight, yaml};

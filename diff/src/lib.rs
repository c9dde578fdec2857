//! The pure half of Holdfast: values in, values out.
//!
//! Architecture invariant: nothing here knows tokio, kube, a file system, a clock or an environment.

#![deny(clippy::disallowed_methods)]

pub mod causes;
pub mod digest;
pub mod handling;
pub mod health;
pub mod ignore;
pub mod image;
pub mod normalise;
pub mod plan;
pub mod range;
pub mod substitute;

pub use holdfast_documents::{budget, files, go_number, object, pointer, visible, weight, yaml};
pub use plan::{
    applyset, compare, fields, items, mask, needs, operation, order, replacement, standing, takeover, text,
    unmanaged,
};

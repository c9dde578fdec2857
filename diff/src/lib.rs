//! The pure half of Holdfast: values in, values out.
//!
//! Architecture invariant: nothing here knows tokio, kube, a file system, a clock or an environment.

pub mod health;
pub mod object;
pub mod yaml;

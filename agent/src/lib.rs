//! Holdfast keeps a Kubernetes cluster fast to git. The modules stand in the order of the pipeline.

pub mod error;

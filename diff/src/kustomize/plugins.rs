//! The built-in plugins of kustomize as files, or as text in the kustomization: which there are and what they take.
//!
//! Leaves what they do to `generate`, `helm` and `transform`. Pure.

pub mod fields;

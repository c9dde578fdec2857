//! The steps of a build that change resources.
//!
//! Leaves the list and order of the steps to `target`. Pure.

pub mod annotations;
pub mod images;
pub mod labels;
pub mod metadata;
pub mod names;
pub mod namespace;
pub mod patch;
pub mod prefix;
pub mod replacements;
pub mod replicas;
pub mod sort;
pub mod valueadd;
pub mod vars;

use super::{KustomizeError, Resources};

/// A step of a build that changes resources.
pub trait Transform {
    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError>;

    /// Returns the number of rules that are tested on each resource.
    fn rules(&self) -> usize {
        1
    }
}

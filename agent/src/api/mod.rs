//! The custom resources of `holdfast.dev/v1alpha1`: types, no behaviour.

mod approval;
pub mod conditions;
mod duration;
pub mod names;
mod sync;

pub use approval::*;
pub use duration::*;
pub use sync::*;

//! Files on disk: writing files with names from outside, the usage of the cache folder, and files that a killed
//! process left. I/O: disk.

mod beneath;
pub mod leftovers;
mod usage;

pub use beneath::Beneath;
pub use usage::{Item, Usage, excess, items};

//! Files on disk: what is written under names that come from outside, what the cache folder holds, and what a kill left in
//! it. I/O: disk.

mod beneath;
pub mod leftovers;
mod usage;

pub use beneath::Beneath;
pub use usage::{Item, Usage, excess, items};

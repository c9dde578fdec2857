//! Files on disk: what is written under names that come from outside. I/O: disk.

mod beneath;

pub use beneath::Beneath;

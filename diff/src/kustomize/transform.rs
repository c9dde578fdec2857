//! The steps of a build that change resources, each by itself.
//!
//! Leaves which steps there are, and their order, to `target`. Pure.

pub mod patch;

//! Images: which tag to take, and how to write it into a file. Pure.

pub mod select;
pub mod edit;
pub mod reference;

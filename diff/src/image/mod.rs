//! Images: which tag to take, and how to write it into a file. Pure.

pub mod edit;
pub mod reference;
pub mod select;

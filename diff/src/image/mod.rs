//! Images: selects a tag, and writes it to a file. Pure.

pub mod edit;
pub mod reference;
pub mod select;

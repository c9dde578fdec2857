//! What a pull request does to a cluster, before it is merged: two plans, how they differ, and the text of it.
//!
//! The values and their texts are pure; `plan` puts the stages together. I/O: through the stages.

pub mod comment;
pub mod diff;
pub mod effect;
pub mod fit;
pub mod markdown;
pub mod offline;
pub mod plan;
pub mod preview;

//! The preview of a pull request: the effect of its merge on a cluster, computed from two plans, and its text.
//!
//! The values and their texts are pure; `plan` composes the stages. I/O: through the stages.

pub mod annotations;
pub mod approve;
pub mod command;
pub mod comment;
pub mod diff;
pub mod effect;
pub mod fit;
pub mod follow;
pub mod fork;
pub mod live;
pub mod markdown;
pub mod marker;
pub mod mentions;
pub mod merge;
pub mod offline;
pub mod origin;
pub mod pass;
pub mod plan;
pub mod preview;
pub mod queue;
pub mod revert;
pub mod status;

//! Image automation, one line a stage: from a tag in the registry to a commit in git.
//!
//! `scan` asks registries and selects, `edits` finds what is to be written (both by the pure half in `holdfast-diff`),
//! `readers` holds back and proves, `publish` commits and pushes. I/O: through the stages.

pub mod message;
pub mod pass;

use crate::forge::PullRequests;
use crate::registry::Registries;

/// The clients of the servers that only images need.
pub struct Images {
    pub registries: Registries,
    pub pull_requests: PullRequests,
}

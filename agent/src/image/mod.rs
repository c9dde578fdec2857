//! Image automation: from a tag in the registry to a commit in Git.
//!
//! `scan` lists tags and selects one, `edits` computes the edits (both with `holdfast-diff`), `readers` proves that only images
//! change, `publish` commits and pushes. I/O: through the stages.

pub mod message;
pub mod pass;

use crate::forge::PullRequests;
use crate::registry::Registries;

/// The clients of the servers that only ImageUpdates use.
pub struct Images {
    pub registries: Registries,
    pub pull_requests: PullRequests,
}

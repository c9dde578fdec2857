//! Image automation: from a tag in the registry to a commit in git. `scan` asks registries, `select` and `edit` decide (in
//! `holdfast-diff`, pure), `publish` commits.

pub mod registry;
pub mod message;
pub mod pull_request;

//! Errors of a policy, for its author: the field, and what to do. Pure.

use crate::range::BadRange;

/// A policy that cannot be used. Fields have the names of the resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("{field}: {pattern} is not a regular expression in the syntax of RE2: {why}")]
    Pattern { field: String, pattern: String, why: String },
    #[error("{field} has {length} bytes, and at most {limit} are read: make it shorter")]
    TooLong { field: String, length: usize, limit: usize },
    #[error(
        "{field} needs the group {group}, and filterTags.pattern has {groups}: write it as (?P<{group}>...)"
    )]
    NoGroup { field: &'static str, group: String, groups: String },
    #[error("policy.newest.group is {group}, but filterTags.pattern does not have this group")]
    NoPattern { group: String },
    #[error(
        "policy.semver.range: {range} is not a range of versions: {source}; write one such as >=1.2.0 <2.0.0"
    )]
    Range { range: String, source: BadRange },
    #[error("policy.semver.range is empty: write * for every release")]
    EmptyRange,
}

/// Returns the beginning of a text that may be long, for an error.
pub(super) fn shortened(text: &str) -> String {
    let mut letters = text.chars();
    let mut shown: String = letters.by_ref().take(100).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

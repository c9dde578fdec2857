//! Pages of lists: which one is the last, and what is remembered of a list between two looks. No I/O.

use holdfast_diff::digest::Digest;
use http::HeaderMap;

/// What is remembered of a list.
#[derive(Clone)]
pub(super) struct Remembered {
    /// Whether there is more than one page.
    pub long: bool,
    pub tag: Option<String>,
    /// Of what the watched request answered.
    pub watched: Digest,
    /// Of all pull requests.
    pub all: Digest,
    /// Where the repository is now, if that is not where it was asked for.
    pub moved: Option<String>,
}

/// True if a page is the last one: no other one is linked, or all items were seen.
pub(super) fn is_last(headers: &HeaderMap, seen: usize) -> bool {
    if let Some(total) = text(headers, "x-total-count").or_else(|| text(headers, "x-total")) {
        return total.trim().parse().is_ok_and(|total: usize| seen >= total);
    }
    // GitHub links nothing where there is one page.
    text(headers, "link").is_none_or(|link| !link.contains("rel=\"next\""))
}

pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(ToOwned::to_owned)
}

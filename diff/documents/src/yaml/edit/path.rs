//! Paths as RFC 6901 writes them.
//!
//! Pure.

/// The path of a field or an item of what stands at `path`.
pub fn child(path: &str, segment: &str) -> String {
    format!("{path}/{}", segment.replace('~', "~0").replace('/', "~1"))
}

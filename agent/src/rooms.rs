//! The limits of each namespace for the runs of its Syncs: memory, and requests to the API server. Only the Syncs of a namespace
//! wait for its limits. No I/O.

use serde_json::Value;

use crate::shares::Shares;

/// Maximum number of concurrent runs of one namespace that render and apply. Runs that wait for a Git server do not count.
const RUNS: u32 = 8;
/// Maximum bytes of rendered objects that the runs of one namespace hold in memory. A larger render runs alone.
const ROOM: usize = 8 * 1024 * 1024;
/// Bytes of one unit.
const UNIT: usize = 16 * 1024;
/// Maximum number of concurrent requests of the runs of one namespace.
const REQUESTS: u32 = 32;
/// The same for drift, whose correction does not wait for other runs.
const DRIFT_REQUESTS: u32 = 16;

/// The shares of all namespaces.
pub struct Rooms {
    pub runs: Shares,
    /// In units: see [`units`].
    pub whole: Shares,
    /// The same for drift.
    pub drift: Shares,
    pub requests: Shares,
    pub drift_requests: Shares,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            runs: Shares::new(RUNS),
            whole: Shares::new(units(ROOM)),
            drift: Shares::new(units(ROOM)),
            requests: Shares::new(REQUESTS),
            drift_requests: Shares::new(DRIFT_REQUESTS),
        }
    }
}

/// The number of units for a number of bytes.
pub fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// Bytes that a value takes in memory, roughly.
pub fn size(value: &Value) -> usize {
    let own = size_of::<Value>();
    own + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| own + name.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_large_counts_as_large() {
        assert!(size(&json!({"data": {"text": "x".repeat(1000)}})) > 1000);
        assert_eq!((units(0), units(1), units(UNIT), units(UNIT + 1)), (0, 1, 1, 2));
        assert_eq!(units(usize::MAX), u32::MAX);
    }
}

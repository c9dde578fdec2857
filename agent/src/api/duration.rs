//! Durations as people write them: Go's `1h30m` or humantime's `1h 30min`. Pure.
use serde::{Deserialize, Serialize};
use schemars::JsonSchema;
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Duration(pub std::time::Duration);

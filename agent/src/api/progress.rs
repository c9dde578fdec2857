//! How far a run of a Sync is that takes long. Types, no behaviour.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the agent is doing, or waits for.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProgressStatus {
    /// Stage of the run: `source`, `render`, `observe`, `plan`, `apply` or `health`.
    pub stage: String,
    /// What is being done: `applying 480 of 600 objects, wave 1 of 2`.
    pub message: String,
    /// Revision that the run works on: `main@sha1:<40 hex>`. Absent before it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Number of objects that are done in this stage. Absent where objects are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<i64>,
    /// Number of objects of this stage. Absent where objects are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// Wave that is being applied, and the number of waves: `1/2`. Absent if there is one wave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<String>,
    /// When the work on this revision began.
    pub since: Timestamp,
}

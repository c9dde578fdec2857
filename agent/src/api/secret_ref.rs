//! How a resource names a Secret. A type, no behaviour.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Reference to a Secret in the same namespace.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// Name of the Secret.
    pub name: String,
}

//! The status of drift: an episode, its objects and their fields.

use std::fmt;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An episode of drift: from the first object that differs until five seconds after the last one was corrected.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftStatus {
    /// When the episode began.
    pub since: Timestamp,
    /// Objects that drifted, as many as there is room for.
    pub objects: Vec<DriftObject>,
    /// Number of objects that are not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
}

/// An object that drifted.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftObject {
    /// API group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace. Empty for objects of the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// State of the object: `Drifted` (it differs), `Corrected` (the value from Git was restored), `Fighting` (it differs and is
    /// corrected at growing intervals, since another client writes the other value again and again) or `Snoozed` (it differs and is not
    /// corrected for a time).
    pub state: DriftState,
    /// When the object came into this state.
    pub since: Timestamp,
    /// Whether the object was deleted. No field manager is known for that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// User who deleted it, if the API server sends its audit events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Fields that drifted.
    pub changes: Vec<DriftChange>,
    /// Number of fields that are not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<i64>,
    /// Further information: who writes the field again and again, or until when the object is snoozed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Entry of `spec.drift.ignore` that would silence this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// File and line in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Digest of the manifest, while the object is not corrected. If the manifest changes, this is no longer drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Why the object could not be corrected: the refusal of the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form of serde")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// State of an object that drifted: `Drifted` (it differs), `Corrected` (the value from Git was restored), `Fighting` (it differs
/// and is corrected at growing intervals, since another client writes the other value again and again) or `Snoozed` (it differs and is
/// not corrected for a time).
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DriftState {
    /// It differs.
    Drifted,
    /// The value from Git was restored.
    Corrected,
    /// It differs and is corrected at growing intervals, since another client writes the other value again and again.
    Fighting,
    /// It differs and is not corrected for a time.
    Snoozed,
}

impl fmt::Display for DriftState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Drifted => "Drifted",
            Self::Corrected => "Corrected",
            Self::Fighting => "Fighting",
            Self::Snoozed => "Snoozed",
        })
    }
}

/// A field that drifted. Values of Secrets are masked, long values are shortened.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftChange {
    /// JSON pointer (RFC 6901) of the field.
    pub path: String,
    /// Value in Git. Absent if Git has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any")]
    pub desired: Option<Value>,
    /// Value in the cluster. Absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any")]
    pub live: Option<Value>,
    /// Field manager that owns the live value: a program, not a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// Operation of the manager: `Apply` or `Update`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Subresource that the manager wrote, such as `scale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresource: Option<String>,
    /// Time of the change (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// User who made the change, if the API server sends its audit events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether another manager added the field, and Git does not have it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unmanaged: bool,
}

/// Any JSON value.
fn any(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

//! `Alert`: send what happens to these Syncs to this receiver. Types, no behaviour.

use std::fmt;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::secret_ref::SecretRef;

/// Sends events about the Syncs and ImageUpdates of its namespace to a receiver.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "holdfast.dev",
    version = "v1alpha1",
    kind = "Alert",
    namespaced,
    status = "AlertStatus",
    doc = "Sends events about the Syncs and ImageUpdates of its namespace to a receiver",
    category = "holdfast",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertSpec {
    /// Syncs and ImageUpdates that this Alert is about. Defaults to all of its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syncs: Option<SyncSelector>,
    /// Events that are sent. Defaults to all but `Applied` and `ImageUpdated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<AlertEvent>>,
    /// Where the events are sent.
    pub receiver: Receiver,
}

/// Selects Syncs and ImageUpdates: those that have all labels, and one of the names.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncSelector {
    /// Labels that a selected object has. Defaults to any labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Names of selected objects. Defaults to any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
}

/// Something that happens to a Sync or an ImageUpdate.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub enum AlertEvent {
    Drifted,
    Failed,
    Unhealthy,
    AwaitingApproval,
    Stale,
    Applied,
    ImageUpdated,
}

impl fmt::Display for AlertEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drifted => "Drifted",
            Self::Failed => "Failed",
            Self::Unhealthy => "Unhealthy",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Stale => "Stale",
            Self::Applied => "Applied",
            Self::ImageUpdated => "ImageUpdated",
        })
    }
}

/// Receiver of events. Exactly one of its fields must be set.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[x_kube(
    validation = Rule::new("[has(self.alertmanager), has(self.slack), has(self.webhook)].filter(set, set).size() == 1")
        .message("must have exactly one of alertmanager, slack, webhook")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receiver {
    /// An Alertmanager, by its API v2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<Alertmanager>,
    /// A channel of Slack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<Slack>,
    /// Any server that accepts events as JSON in a POST request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
}

/// An Alertmanager.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alertmanager {
    /// Base URL of the Alertmanager, such as `http://alertmanager.monitoring:9093`.
    pub url: String,
}

/// A channel of Slack.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slack {
    /// Secret in the namespace of the Alert, with the key `url` of an incoming webhook, or the keys `token` and `channel` of an
    /// app. With a token, the message is edited when the alert changes or ends.
    pub secret_ref: SecretRef,
}

/// A server that accepts events as JSON.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// URL to which events are sent. Redirects are not followed.
    pub url: String,
    /// Secret in the namespace of the Alert, with the key `token`, `headers`, or both. The token signs the body in the header
    /// `X-Signature-256`. `headers` has one `Name: value` on each line. Defaults to no signature and no headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// Observed state of an Alert.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Alerts whose onset the receiver has accepted and whose end it has not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firing: Vec<Firing>,
    /// Notices that the receiver has not accepted yet, the oldest first, in the form of the webhook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "notices")]
    pub pending: Vec<Value>,
    /// Time of the newest event without an end that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_until: Option<Timestamp>,
    /// Number of notices that were dropped because the receiver refused them, or because there was no room for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<i64>,
    /// The condition Ready says whether the receiver accepts notices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// An alert whose onset the receiver has accepted.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Firing {
    /// Event that the alert is about.
    pub event: AlertEvent,
    /// Name of the Sync, or `imageupdate/` and the name of the ImageUpdate.
    pub sync: String,
    /// Onset of the alert.
    pub starts_at: Timestamp,
    /// Digest of the meaning of the last notice. Notices of the same meaning are not sent again.
    pub meaning: String,
    /// Digest of the cause of a failure. Objects that fail by the same cause are one alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Names of the objects that fail by the same cause, if there are several. At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub syncs: Vec<String>,
    /// Identifier of the message at the receiver, if the message can be edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

fn notices(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}})
}

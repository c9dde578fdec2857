//! One change of one object, with the fields that it changes. Values of Secrets are masked. Pure.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::fields::Owner;
use super::operation::Operation;
use super::order::Stage;
use super::takeover::Takeover;
use crate::digest::{Digest, Hasher};
use crate::object::{Manifest, ObjectId, Origin};

/// One field that changes. Values of Secrets are masked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// RFC 6901.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// The owners of the live value, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Owner>,
}

impl FieldChange {
    /// True if Holdfast applied the value, and it is kept without being applied.
    pub fn is_given_up(&self) -> bool {
        self.before.is_some() && self.before == self.after && self.owners.iter().any(Owner::is_holdfast)
    }
}

/// One change of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    pub operation: Operation,
    pub object: ObjectId,
    pub api_version: String,
    /// The reason, in a few words.
    pub reason: String,
    pub fields: Vec<FieldChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// UID of the live object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(rename = "wave", serialize_with = "wave")]
    pub stage: Stage,
    /// The manifest that is applied: exactly what was planned. `None` for deletions.
    #[serde(skip)]
    pub manifest: Option<Arc<Manifest>>,
    /// Fields of other managers that are taken over before the apply.
    #[serde(skip)]
    pub takeover: Option<Takeover>,
    /// Why more than the object itself may be deleted, if it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<String>,
    /// True if data of others would be deleted together with the object.
    #[serde(skip)]
    pub foreign: bool,
    /// Why it is not known whether the API server would accept the replacement of an object that is recreated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// The live object as it was when this was planned.
    #[serde(skip)]
    pub seen: Option<SeenAt>,
    /// The digest that is recorded for the object after the apply; `None`: that of the manifest.
    #[serde(skip)]
    pub satisfies: Option<Digest>,
    /// The manifest sets fields to `null`: afterwards, values that others set there count as drift.
    #[serde(skip)]
    pub has_nulls: bool,
    /// The unmasked effect, for the plan's id.
    #[serde(skip)]
    pub(super) effect: Digest,
}

/// One state of a live object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenAt {
    /// Its resourceVersion, comparable within its kind (KEP-5504).
    pub version: u64,
    /// The fingerprint of the fields that Holdfast owns.
    pub live: Option<Digest>,
    /// The fingerprint of the whole object, if others own the fields that differ.
    pub whole: Option<Digest>,
}

impl Change {
    /// Creates a change with no further details.
    pub(super) fn of(operation: Operation, object: ObjectId, api_version: String, stage: Stage) -> Self {
        Self {
            operation,
            object,
            api_version,
            stage,
            reason: String::new(),
            fields: Vec::new(),
            origin: None,
            uid: None,
            manifest: None,
            takeover: None,
            risk: None,
            foreign: false,
            doubt: None,
            seen: None,
            satisfies: None,
            has_nulls: false,
            effect: Digest::of_bytes(b""),
        }
    }

    /// Returns the change of an object that was observed in this state.
    #[must_use]
    pub fn seen_at(self, seen: Option<SeenAt>) -> Self {
        Self { seen, ..self }
    }

    /// Returns the change with what would be deleted together with the object.
    #[must_use]
    pub fn with_risk(self, risk: Option<String>, foreign: bool) -> Self {
        Self { risk, foreign, ..self }
    }

    /// Returns the change with the digest that is recorded afterwards, and whether the manifest sets fields to `null`.
    #[must_use]
    pub fn satisfying(self, digest: Digest, has_nulls: bool) -> Self {
        Self { satisfies: Some(digest), has_nulls, ..self }
    }

    /// Returns the digest of the meaning of this change, by the same rules as the id of a plan.
    pub fn digest(&self, cluster: &str) -> Digest {
        let mut hasher = Hasher::default();
        hasher.text(cluster);
        self.hash(&mut hasher);
        hasher.finish()
    }

    pub(super) fn hash(&self, hasher: &mut Hasher) {
        hasher.text(self.operation.word());
        hasher.text(&self.object.to_string());
        hasher.text(self.uid.as_deref().filter(|_| self.operation.deletes()).unwrap_or_default());
        hasher.text(&self.effect.to_string());
    }

    /// True if only owners of fields change, and no value.
    pub fn only_ownership(&self) -> bool {
        self.operation == Operation::Update && !self.fields.is_empty() && self.keeps_values()
    }

    /// True if only the marks of ownership change, and no value.
    pub fn only_marks(&self) -> bool {
        matches!(self.operation, Operation::Adopt | Operation::Move) && self.keeps_values()
    }

    fn keeps_values(&self) -> bool {
        self.fields.iter().all(|field| field.before.is_some() && field.before == field.after)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form of serde")]
fn wave<S: Serializer>(stage: &Stage, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i32(stage.wave)
}

//! The plan: what would have to be done so that the cluster is what git says.
//!
//! Drift is a non-empty plan at a revision that is already applied. Pure.

mod refused;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::applyset::MARK;
use crate::compare::{self, Difference};
use crate::digest::{Digest, Hasher};
use crate::fields::{self, MANAGER, Owner};
use crate::mask::{Masks, mask};
use crate::object::{Manifest, ObjectId, Origin};
pub use crate::operation::Operation;
use crate::order::Stage;
use crate::pointer;
use crate::replacement;
use crate::standing::Standing;
use crate::takeover::{Settled, Takeover};
pub use refused::refused;

/// One field that changes. Values of Secrets are masked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// RFC 6901.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// Who owns the live value, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Owner>,
}

impl FieldChange {
    /// True if Holdfast applied the value, and it stays without being applied any more.
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
    /// Why, in a few words.
    pub reason: String,
    pub fields: Vec<FieldChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Of the live object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(rename = "wave", serialize_with = "wave")]
    pub stage: Stage,
    /// What is applied: exactly what was planned. `None` for deletions.
    #[serde(skip)]
    pub manifest: Option<Arc<Manifest>>,
    /// What is taken over from other tools before it is applied.
    #[serde(skip)]
    pub takeover: Option<Takeover>,
    /// Why more may go than the object itself, if it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<String>,
    /// Data that is not of the Sync would go along, if it is deleted.
    #[serde(skip)]
    pub foreign: bool,
    /// Why it is not known whether the API server would accept the replacement of an object that is recreated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// The live object as it was when this was planned.
    #[serde(skip)]
    pub seen: Option<SeenAt>,
    /// What the object is noted to satisfy when this is done; `None`: the manifest.
    #[serde(skip)]
    pub satisfies: Option<Digest>,
    /// Git has `null` in it: what others set there counts too, after this is done.
    #[serde(skip)]
    pub has_nulls: bool,
    /// The unmasked effect, for the plan's id.
    #[serde(skip)]
    effect: Digest,
}

/// One state of a live object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenAt {
    /// Its resourceVersion, comparable within its kind (KEP-5504).
    pub version: u64,
    /// The fingerprint of the fields that we own.
    pub live: Option<Digest>,
    /// The fingerprint of all of it, if others own what differs.
    pub whole: Option<Digest>,
}

impl Change {
    /// The same change, of an object that was seen like this.
    #[must_use]
    pub fn seen_at(self, seen: Option<SeenAt>) -> Self {
        Self { seen, ..self }
    }

    /// The same change, with what would go along.
    #[must_use]
    pub fn with_risk(self, risk: Option<String>, foreign: bool) -> Self {
        Self { risk, foreign, ..self }
    }

    /// The same change, after which the object satisfies more than its manifest says, or must not have what git has as `null`.
    #[must_use]
    pub fn satisfying(self, digest: Digest, has_nulls: bool) -> Self {
        Self { satisfies: Some(digest), has_nulls, ..self }
    }

    /// The digest of this change's meaning, by the same rules as the id of a plan.
    pub fn digest(&self, cluster: &str) -> Digest {
        let mut hasher = Hasher::default();
        hasher.text(cluster);
        self.hash(&mut hasher);
        hasher.finish()
    }

    fn hash(&self, hasher: &mut Hasher) {
        hasher.text(self.operation.word());
        hasher.text(&self.object.to_string());
        hasher.text(self.uid.as_deref().filter(|_| self.operation.deletes()).unwrap_or_default());
        hasher.text(&self.effect.to_string());
    }

    /// True if no value changes, only who owns which field.
    pub fn only_ownership(&self) -> bool {
        self.operation == Operation::Update && !self.fields.is_empty() && self.keeps_values()
    }

    /// True if no value changes, only whose the object is.
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

/// The digest of a plan's meaning: operation, object, UID of what ends, field changes, and the cluster.
/// Neither the commit nor resourceVersions are in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanId(String);

impl PlanId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Changes in the order of apply, deletions last and in reverse order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    pub id: PlanId,
    pub changes: Vec<Change>,
}

impl Plan {
    /// Makes a plan of changes for the cluster whose `kube-system` namespace has this UID.
    pub fn new(cluster: &str, mut changes: Vec<Change>) -> Self {
        changes.sort_by(|one, other| place(one).cmp(&place(other)));
        let mut hasher = Hasher::default();
        hasher.text(cluster);
        changes.iter().for_each(|change| change.hash(&mut hasher));
        Self { id: PlanId(hasher.finish().to_string()), changes }
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Splits off the changes for which `keep` is false; both halves are plans of their own.
    pub fn split(self, cluster: &str, mut keep: impl FnMut(&Change) -> bool) -> (Self, Self) {
        let (kept, rest) = self.changes.into_iter().partition(|change| keep(change));
        (Self::new(cluster, kept), Self::new(cluster, rest))
    }
}

/// Sorts what is applied before what is removed, and both by their stage.
fn place(change: &Change) -> (bool, i64, i64, &ObjectId) {
    let (wave, rank) = (i64::from(change.stage.wave), i64::from(change.stage.rank));
    match change.operation {
        operation if operation.removes() => (true, -wave, -rank, &change.object),
        _ => (false, wave, rank, &change.object),
    }
}

/// What the server says an apply would do to an object that exists.
#[derive(Clone, Debug)]
pub enum Prediction {
    /// The object as it would be.
    Becomes(Value),
    /// What the object is stands against it, and this is the server's word. The replacement is as the server would make it,
    /// if it says so.
    NeedsRecreate {
        replacement: Option<Box<Value>>,
        because: String,
        /// Why it is not known whether the server would accept the replacement.
        doubt: Option<String>,
    },
}

/// What was seen of one desired object.
#[derive(Clone, Debug)]
pub enum Seen {
    Absent,
    /// It was verified before, and neither side changed since.
    Unchanged,
    Exists {
        live: Value,
        prediction: Prediction,
        /// What has to be done about the owners of its fields.
        settled: Box<Settled>,
        standing: Standing,
    },
}

/// Plans one desired object. `None` if there is nothing to do. What `masks` hold is hidden in the change.
pub fn desired(
    manifest: &Arc<Manifest>,
    object: &ObjectId,
    set: &str,
    masks: &Masks,
    seen: Seen,
) -> Option<Change> {
    let stage = Stage::of(manifest);
    let change = |operation, reason: String, fields, effect, uid| Change {
        operation,
        api_version: manifest.api_version.clone(),
        reason,
        fields,
        origin: Some(manifest.origin.clone()),
        uid,
        stage,
        manifest: Some(manifest.clone()),
        takeover: None,
        risk: None,
        foreign: false,
        doubt: None,
        seen: None,
        satisfies: None,
        has_nulls: false,
        effect,
        object: object.clone(),
    };
    match seen {
        Seen::Unchanged => None,
        Seen::Absent => {
            let effect = Digest::of(&compare::essence(&manifest.value));
            Some(change(Operation::Create, "not in the cluster".to_owned(), Vec::new(), effect, None))
        }
        Seen::Exists { live, prediction: Prediction::Becomes(predicted), settled, standing } => {
            let Settled { takeover, handed, kept: _ } = *settled;
            let mut differences = compare::objects(&live, &predicted);
            // What admission writes at every update is no reason for one.
            if differences.iter().all(|difference| is_side_effect(&live, &predicted, &difference.path)) {
                differences.clear();
            }
            let (operation, mut reason) = standing.operation(&live, set);
            if differences.is_empty() || operation == Operation::Adopt {
                let told: BTreeSet<String> =
                    differences.iter().map(|difference| difference.path.clone()).collect();
                differences.extend(
                    taken_over(&live, &predicted).into_iter().filter(|taken| !told.contains(&taken.path)),
                );
            }
            add_handed(&live, &handed, &mut differences, &mut reason);
            if differences.is_empty() && !standing.changes() {
                return None;
            }
            let effect = effect(&differences);
            let fields = describe(object, &live, masks, differences);
            Some(Change { takeover, ..change(operation, reason, fields, effect, uid(&live)) })
        }
        Seen::Exists {
            live, prediction: Prediction::NeedsRecreate { replacement, because, doubt }, ..
        } => {
            let differences = replacement::differences(&live, &manifest.value, replacement.as_deref());
            let effect = effect(&differences);
            let fields = describe(object, &live, masks, differences);
            // The server's words can quote the value.
            let because = masks.hide(&because).into_owned();
            let doubt = doubt.map(|doubt| masks.hide(&doubt).into_owned());
            Some(Change { doubt, ..change(Operation::Recreate, because, fields, effect, uid(&live)) })
        }
    }
}

/// Adds paths that leave git and keep their values.
fn add_handed(live: &Value, handed: &[String], differences: &mut Vec<Difference>, reason: &mut String) {
    for path in handed {
        if !differences.iter().any(|difference| difference.path == *path) {
            let value = live.pointer(path).cloned();
            differences.push(Difference { path: path.clone(), before: value.clone(), after: value });
        }
    }
    if !handed.is_empty() {
        reason.push_str("; git does not set ");
        reason.push_str(&handed.join(", "));
        reason.push_str(" any more, and the live value stays");
    }
}

/// What left git and stays in a live object, since a controller owns it too. `None` if that is nothing.
pub fn kept(
    manifest: &Manifest,
    object: &ObjectId,
    masks: &Masks,
    live: &Value,
    paths: &[String],
) -> Option<Change> {
    let difference =
        |path: &String| Difference { path: path.clone(), before: live.pointer(path).cloned(), after: None };
    let fields = describe(object, live, masks, paths.iter().map(difference).collect());
    (!fields.is_empty()).then(|| Change {
        operation: Operation::Update,
        api_version: manifest.api_version.clone(),
        reason: "left git, and a controller owns it too".to_owned(),
        fields,
        origin: Some(manifest.origin.clone()),
        uid: uid(live),
        stage: Stage::of(manifest),
        manifest: None,
        takeover: None,
        risk: None,
        foreign: false,
        doubt: None,
        seen: None,
        satisfies: None,
        has_nulls: false,
        effect: Digest::of_bytes(b""),
        object: object.clone(),
    })
}

/// What was lost of a live object that was written over: fields that another manager had written and that Holdfast owns now.
/// Fields that were removed are not told apart from those that the write brought.
pub fn overwritten(
    object: &ObjectId,
    api_version: String,
    masks: &Masks,
    before: &Value,
    now: &Value,
) -> Change {
    let ours = |path: &str| fields::owners(now, path).iter().any(|owner| owner.manager == MANAGER);
    let theirs = |path: &str| fields::owners(before, path).iter().any(|owner| owner.manager != MANAGER);
    let mut differences = compare::objects(before, now);
    differences.retain(|Difference { path, before, .. }| before.is_some() && theirs(path) && ours(path));
    let effect = effect(&differences);
    Change {
        operation: Operation::Update,
        api_version,
        reason: "differed from git".to_owned(),
        fields: describe(object, before, masks, differences),
        origin: None,
        uid: None,
        stage: Stage::default(),
        manifest: None,
        takeover: None,
        risk: None,
        foreign: false,
        doubt: None,
        seen: None,
        satisfies: None,
        has_nulls: false,
        effect,
        object: object.clone(),
    }
}

/// Plans the removal of one of our objects that git does not have any more.
pub fn removed(
    object: ObjectId,
    api_version: String,
    uid: String,
    stage: Stage,
    keep: Option<&str>,
) -> Change {
    let (operation, reason) = match keep {
        None => (Operation::Delete, "not in git any more".to_owned()),
        Some(why) => (Operation::Orphan, format!("not in git any more, and kept: {why}")),
    };
    Change {
        operation,
        api_version,
        reason,
        fields: Vec::new(),
        origin: None,
        uid: Some(uid),
        stage,
        manifest: None,
        takeover: None,
        risk: None,
        foreign: false,
        doubt: None,
        seen: None,
        satisfies: None,
        has_nulls: false,
        effect: Digest::of_bytes(b""),
        object,
    }
}

/// True if a path is not what we applied, but what admission made of an apply of ours: the API server notes it as an
/// update by the manager that applied.
fn is_side_effect(live: &Value, predicted: &Value, path: &str) -> bool {
    let owns = |object: &Value, operation: &str| {
        fields::owners(object, path)
            .iter()
            .any(|owner| owner.manager == MANAGER && owner.operation == operation)
    };
    let either = |operation| owns(live, operation) || owns(predicted, operation);
    either("Update") && !either("Apply")
}

/// An apply that changes no value can still change who owns which field; each such field is a difference that a
/// person can read: the same value before and after.
fn taken_over(live: &Value, predicted: &Value) -> Vec<Difference> {
    let own = |object: &Value| fields::applied(object).map(|(_, fields)| leaves(object, fields));
    let (before, after) = (own(live).unwrap_or_default(), own(predicted).unwrap_or_default());
    let mark = format!("/metadata/annotations/{}", pointer::escape(MARK));
    before
        .symmetric_difference(&after)
        .filter(|path| **path != mark)
        .map(|path| Difference {
            path: path.clone(),
            before: live.pointer(path).cloned(),
            after: predicted.pointer(path).cloned(),
        })
        .collect()
}

/// The paths of the scalars that a field set names.
fn leaves(object: &Value, set: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&mut String::new(), &fields::extract(object, set), &mut found);
    found
}

fn collect(path: &mut String, value: &Value, found: &mut BTreeSet<String>) {
    let length = path.len();
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                pointer::push(path, name);
                collect(path, field, found);
                path.truncate(length);
            }
        }
        // Positions in a part of a list are not positions in the list: the list stands for its items.
        _ => {
            found.insert(path.clone());
        }
    }
}

fn effect(differences: &[Difference]) -> Digest {
    let mut hasher = Hasher::default();
    for Difference { path, before, after } in differences {
        hasher.text(path);
        for side in [before, after] {
            match side {
                Some(value) => hasher.value(value),
                None => hasher.bytes(b"-"),
            }
        }
    }
    hasher.finish()
}

fn describe(
    object: &ObjectId,
    live: &Value,
    masks: &Masks,
    differences: Vec<Difference>,
) -> Vec<FieldChange> {
    differences
        .into_iter()
        .map(|difference| {
            let owners = match difference.before {
                Some(_) => fields::owners(live, &difference.path),
                None => Vec::new(),
            };
            let Difference { path, before, after } = mask(&object.kind, masks, difference);
            FieldChange { path, before, after, owners }
        })
        .collect()
}

fn uid(live: &Value) -> Option<String> {
    live.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned)
}

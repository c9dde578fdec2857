//! Changes of what is not in Git: objects that are removed, fields that stay, and values that were overwritten. Pure.

use serde_json::Value;

use super::change::Change;
use super::compare::{self, Difference};
use super::effect::{describe, effect, uid};
use super::fields::{self, MANAGER};
use super::mask::Masks;
use super::operation::Operation;
use super::order::Stage;
use crate::object::{Manifest, ObjectId};

/// Describes the fields that left Git and stay in a live object, since a controller owns them too. `None` if there are none.
pub fn kept(
    manifest: &Manifest,
    object: &ObjectId,
    masks: &Masks,
    live: &Value,
    paths: &[String],
) -> Option<Change> {
    let difference =
        |path: &String| Difference { path: path.clone(), before: live.pointer(path).cloned(), after: None };
    let mut fields = describe(object, live, masks, paths.iter().map(difference).collect());
    // The owners explain why a field stays, which is not because of Holdfast.
    fields.iter_mut().for_each(|field| field.owners.retain(|owner| owner.manager != MANAGER));
    (!fields.is_empty()).then(|| Change {
        reason: "removed from Git, but a controller owns it too".to_owned(),
        fields,
        origin: Some(manifest.origin.clone()),
        uid: uid(live),
        ..Change::of(Operation::Update, object.clone(), manifest.api_version.clone(), Stage::of(manifest))
    })
}

/// Describes the values of a live object that were overwritten: fields that another manager had written and that Holdfast owns now.
/// Removed fields are not distinguished from fields that the write added.
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
        reason: "differed from Git".to_owned(),
        fields: describe(object, before, masks, differences),
        effect,
        ..Change::of(Operation::Update, object.clone(), api_version, Stage::default())
    }
}

/// Plans the removal of an object of the Sync that is no longer in Git.
pub fn removed(
    object: ObjectId,
    api_version: String,
    uid: String,
    stage: Stage,
    keep: Option<&str>,
) -> Change {
    let (operation, reason) = match keep {
        None => (Operation::Delete, "no longer in Git".to_owned()),
        Some(why) => (Operation::Orphan, format!("no longer in Git, and kept: {why}")),
    };
    Change { reason, uid: Some(uid), ..Change::of(operation, object, api_version, stage) }
}

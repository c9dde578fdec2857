//! Plans one object in Git: compares the result of a dry-run apply with the live object. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::change::Change;
use super::compare::{self, Difference};
use super::effect::{describe, effect, is_side_effect, taken_over, uid};
use super::mask::Masks;
use super::operation::Operation;
use super::order::Stage;
use super::replacement;
use super::standing::Standing;
use super::takeover::Settled;
use crate::digest::Digest;
use crate::object::{Manifest, ObjectId};

/// The result of a dry-run apply to an object that exists.
#[derive(Clone, Debug)]
pub enum Prediction {
    /// The object as it would be.
    Becomes(Value),
    /// The API server refuses to change the existing object (`because`), so it must be deleted and created. `replacement` is the
    /// new object in the form of the server, if that is known.
    NeedsRecreate {
        replacement: Option<Box<Value>>,
        because: String,
        /// Why it is not known whether the server would accept the replacement.
        doubt: Option<String>,
    },
}

/// The state of one desired object in the cluster.
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

/// Plans one desired object. `None` if there is nothing to do. The values of `masks` are hidden in the change.
pub fn desired(
    manifest: &Arc<Manifest>,
    object: &ObjectId,
    set: &str,
    masks: &Masks,
    seen: Seen,
) -> Option<Change> {
    let change = |operation, reason: String, fields, effect, uid| Change {
        reason,
        fields,
        origin: Some(manifest.origin.clone()),
        uid,
        manifest: Some(manifest.clone()),
        effect,
        ..Change::of(operation, object.clone(), manifest.api_version.clone(), Stage::of(manifest))
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
            // Fields that admission sets at every update do not require an update.
            if differences.iter().all(|difference| is_side_effect(&live, &predicted, &difference.path)) {
                differences.clear();
            }
            let (operation, mut reason) = standing.operation(&live, set);
            if differences.is_empty() || operation == Operation::Adopt {
                let listed: BTreeSet<String> =
                    differences.iter().map(|difference| difference.path.clone()).collect();
                differences.extend(
                    taken_over(&live, &predicted, &manifest.value)
                        .into_iter()
                        .filter(|taken| !listed.contains(&taken.path)),
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
            // The message of the server can quote the value.
            let because = masks.hide(&because).into_owned();
            let doubt = doubt.map(|doubt| masks.hide(&doubt).into_owned());
            Some(Change { doubt, ..change(Operation::Recreate, because, fields, effect, uid(&live)) })
        }
    }
}

/// Adds paths that leave Git and keep their values.
fn add_handed(live: &Value, handed: &[String], differences: &mut Vec<Difference>, reason: &mut String) {
    for path in handed {
        if !differences.iter().any(|difference| difference.path == *path) {
            let value = live.pointer(path).cloned();
            differences.push(Difference { path: path.clone(), before: value.clone(), after: value });
        }
    }
    if !handed.is_empty() {
        reason.push_str("; Git no longer sets ");
        reason.push_str(&handed.join(", "));
        reason.push_str(", and the live value stays");
    }
}

//! The preview of a merge without a cluster: the render of the base is compared instead of the live objects.
//!
//! Defaults, conversions and refusals of the API server are unknown here. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_diff::handling;
use holdfast_diff::mask::Masks;
use holdfast_diff::object::{Manifest, ObjectId};
use holdfast_diff::order::Stage;
use holdfast_diff::plan::{Plan, Prediction, Seen, desired, removed};
use holdfast_diff::standing::Standing;
use holdfast_diff::takeover::Settled;

/// Returns the plan that changes one render to another. Objects are matched by the group, kind, namespace and name in their
/// manifests. `keep` is the reason if objects that leave Git are kept.
pub fn between(base: &[Manifest], merge: &[Manifest], masks: &Masks, keep: Option<&str>) -> Plan {
    let before: HashMap<ObjectId, &Manifest> =
        base.iter().map(|manifest| (manifest.id(), manifest)).collect();
    let after: HashMap<ObjectId, &Manifest> =
        merge.iter().map(|manifest| (manifest.id(), manifest)).collect();
    let mut changes = Vec::new();
    for (object, manifest) in &after {
        let seen = match before.get(object) {
            None => Seen::Absent,
            Some(base) => Seen::Exists {
                live: base.value.clone(),
                prediction: Prediction::Becomes(manifest.value.clone()),
                settled: Box::new(Settled { takeover: None, handed: Vec::new(), kept: Vec::new() }),
                standing: Standing::Ours,
            },
        };
        let is_new = matches!(seen, Seen::Absent);
        let change = desired(&Arc::new((*manifest).clone()), object, "", masks, seen);
        changes.extend(change.map(|mut change| {
            let reason = if is_new { "new in Git" } else { "changed in Git" };
            reason.clone_into(&mut change.reason);
            change
        }));
    }
    for (object, manifest) in before.iter().filter(|(object, _)| !after.contains_key(object)) {
        let (version, stage) = (manifest.api_version.clone(), Stage::of(manifest));
        let own = handling::keeps(&manifest.value);
        let mut change = removed(object.clone(), version, String::new(), stage, keep.or(own.as_deref()));
        change.origin = Some(manifest.origin.clone());
        changes.push(change);
    }
    Plan::new("", changes)
}

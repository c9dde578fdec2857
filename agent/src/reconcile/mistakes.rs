//! Problems in the source that do not block the sync. They are reported once, in the status and by an Event. Pure.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_diff::handling;
use holdfast_diff::object::ObjectId;
use serde_json::Value;

use crate::cluster::resolve::Desired;

/// Finds problems in the manifests of a Sync. `rules` is the number of its rules in `spec.drift.ignore`.
pub fn mistakes(rules: usize, desired: &[Desired]) -> Vec<String> {
    let mut found = scaled_twice(desired);
    found.extend(marks(desired));
    let matched: BTreeSet<usize> = desired.iter().flat_map(|desired| desired.ignored.rules()).collect();
    found.extend(desired.iter().filter(|desired| desired.has_status).map(|desired| {
        format!(
            "{} ({}): its status is ignored, because only controllers write it; remove it from Git",
            desired.object, desired.manifest.origin
        )
    }));
    found.extend((0..rules).filter(|rule| !matched.contains(rule)).map(|rule| {
        format!(
            "spec.drift.ignore[{rule}] matches no object of this Sync; correct its target, or remove the rule"
        )
    }));
    found
}

/// Annotations with unknown values, each with the first object that has it.
fn marks(desired: &[Desired]) -> Vec<String> {
    let mut found: BTreeMap<String, (&Desired, usize)> = BTreeMap::new();
    for desired in desired {
        for mistake in handling::mistakes(&desired.manifest.value) {
            found.entry(mistake).and_modify(|(_, more)| *more += 1).or_insert((desired, 0));
        }
    }
    let describe = |(mistake, (desired, more)): (String, (&Desired, usize))| {
        let others = if more > 0 { format!(", and {more} more") } else { String::new() };
        format!("{} ({}){others}: {mistake}", desired.object, desired.manifest.origin)
    };
    found.into_iter().map(describe).collect()
}

/// Finds objects whose replicas are in the source although an autoscaler in the source sets them.
fn scaled_twice(desired: &[Desired]) -> Vec<String> {
    let scalers =
        desired.iter().filter(|desired| desired.object.kind.is("autoscaling", "HorizontalPodAutoscaler"));
    scalers
        .filter_map(|scaler| {
            let scaled = desired.iter().find(|other| is_scaled_by(&other.object, scaler))?;
            let ignored = scaled.ignored.covers("/spec/replicas", &[]);
            (scaled.manifest.value.pointer("/spec/replicas").is_some() && !ignored).then(|| {
                format!(
                    "{} sets spec.replicas of {}, and {} ({}) also sets it: remove spec.replicas from Git",
                    scaled.manifest.origin, scaled.object, scaler.object, scaler.manifest.origin
                )
            })
        })
        .collect()
}

fn is_scaled_by(object: &ObjectId, scaler: &Desired) -> bool {
    let Some(target) = scaler.manifest.value.pointer("/spec/scaleTargetRef") else { return false };
    let text = |name: &str| target.get(name).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
    object.namespace == scaler.object.namespace
        && object.kind.is(group, text("kind"))
        && *object.name == *text("name")
}

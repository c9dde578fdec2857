//! Field sets that are written in another API version of a kind. The API server converts the values of an object, and not the field
//! sets: a field that has another place in the other version has no owner there. Pure.

use serde_json::{Value, json};

use super::sets::{self, Set};

/// A field that has another place in another version.
struct Moved {
    from: &'static str,
    path: &'static [&'static str],
    to: &'static str,
    paths: &'static [&'static [&'static str]],
}

const CPU: &[&str] = &["f:spec", "f:targetCPUUtilizationPercentage"];
const METRICS: &[&str] = &["f:spec", "f:metrics"];
const BEHAVIOR: &[&str] = &["f:spec", "f:behavior"];
const OTHER_METRICS: &[&str] = &["f:metadata", "f:annotations", "f:autoscaling.alpha.kubernetes.io/metrics"];
const OTHER_BEHAVIOR: &[&str] =
    &["f:metadata", "f:annotations", "f:autoscaling.alpha.kubernetes.io/behavior"];

const TARGET: &[&str] = &["f:spec", "f:scaleTargetRef"];

/// `autoscaling/v1` has one metric in a field, and keeps the others and the behavior in annotations. Its target is atomic.
const MOVED: [Moved; 6] = [
    Moved { from: "autoscaling/v1", path: CPU, to: "autoscaling/v2", paths: &[METRICS] },
    Moved { from: "autoscaling/v1", path: OTHER_METRICS, to: "autoscaling/v2", paths: &[METRICS] },
    Moved { from: "autoscaling/v1", path: OTHER_BEHAVIOR, to: "autoscaling/v2", paths: &[BEHAVIOR] },
    Moved { from: "autoscaling/v2", path: METRICS, to: "autoscaling/v1", paths: &[CPU, OTHER_METRICS] },
    Moved { from: "autoscaling/v2", path: TARGET, to: "autoscaling/v1", paths: &[TARGET] },
    Moved { from: "autoscaling/v2", path: BEHAVIOR, to: "autoscaling/v1", paths: &[OTHER_BEHAVIOR] },
];

/// Translates a field set into another version: paths that the object does not have there are left out.
pub(super) fn translated(set: &Set, live: &Value, from: &str, to: &str) -> Set {
    let mut translated = set.clone();
    for Moved { path, paths, .. } in moved(from, to) {
        if take(&mut translated, path) {
            for path in *paths {
                translated = sets::unite(&translated, &sets::at(path, Set::new()));
            }
        }
    }
    sets::filter(&translated, live, &mut Vec::new(), &|_| true)
}

/// True if fields of a set are annotations in the other version. An apply in that version would not remove them, although it
/// removes the fields from the set.
pub(super) fn hides(set: &Set, from: &str, to: &str) -> bool {
    let hidden = moved(from, to).filter(|moved| moved.paths.iter().any(|path| path[0] == "f:metadata"));
    hidden.into_iter().any(|moved| take(&mut set.clone(), moved.path))
}

/// A merge patch (RFC 7386) that removes the annotations of a set in which an older version keeps fields of a newer one. An apply
/// does not remove them while any manager, such as the controller that writes the status, owns a field in the newer version.
pub(super) fn removal(set: &Set) -> Option<Value> {
    let all = [OTHER_METRICS, OTHER_BEHAVIOR].into_iter().filter(|path| take(&mut set.clone(), path));
    let nothing: Set =
        all.filter_map(|path| Some((path.last()?.strip_prefix("f:")?.to_owned(), Value::Null))).collect();
    (!nothing.is_empty()).then(|| json!({"metadata": {"annotations": nothing}}))
}

fn moved(from: &str, to: &str) -> impl Iterator<Item = &'static Moved> {
    MOVED.iter().filter(move |moved| moved.from == from && moved.to == to)
}

/// Removes a field from a set, with all that is below it. False if the set does not have it.
fn take(set: &mut Set, path: &[&str]) -> bool {
    let Some((last, above)) = path.split_last() else { return false };
    let mut at = set;
    for element in above {
        let Some(Value::Object(below)) = at.get_mut(*element) else { return false };
        at = below;
    }
    at.remove(*last).is_some()
}

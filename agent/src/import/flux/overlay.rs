//! What Flux lays over rendered objects (patches, images, names), as options of a render. Pure.

use holdfast_diff::yaml;
use serde_json::{Map, Value, json};

use super::super::fields::Fields;
use super::super::note::Notes;
use super::super::output::Draft;
use super::super::words;

const SELECTORS: [&str; 7] =
    ["group", "version", "kind", "name", "namespace", "labelSelector", "annotationSelector"];

/// Sets patches of all forms. `to` is the list that gets them.
pub fn patches(from: &Fields<'_>, draft: &mut Draft, to: &str) {
    for patch in from.items("patches") {
        if let Some(text) = patch.text("patch") {
            push(draft, to, text, selector(&patch.below("target")));
        }
    }
    for patch in from.items("patchesStrategicMerge") {
        let text = yaml::write_to_read(patch.whole());
        push(draft, to, &text, None);
    }
    for patch in from.items("patchesJson6902") {
        let target = selector(&patch.below("target"));
        if let Some(operations) = patch.take("patch") {
            push(draft, to, &yaml::write_to_read(operations), target);
        }
    }
}

fn push(draft: &mut Draft, to: &str, text: &str, target: Option<Value>) {
    let mut patch = json!({"patch": text});
    if let Some(target) = target {
        patch["target"] = target;
    }
    draft.push(to, patch);
}

/// The objects of a patch, as regular expressions.
pub fn selector(from: &Fields<'_>) -> Option<Value> {
    let fields: Map<String, Value> = SELECTORS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), Value::from(from.text(name)?))))
        .collect();
    (!fields.is_empty()).then_some(Value::Object(fields))
}

/// Sets replacements of images.
pub fn images(from: &Fields<'_>, draft: &mut Draft) {
    for image in from.items("images") {
        let fields = ["name", "newName", "newTag", "digest"];
        let fields =
            fields.iter().filter_map(|name| Some(((*name).to_owned(), Value::from(image.text(name)?))));
        draft.push("render.kustomize.images", Value::Object(fields.collect()));
    }
}

/// Sets labels and annotations of all objects.
pub fn common_metadata(from: &Fields<'_>, draft: &mut Draft) {
    let common = from.below("commonMetadata");
    let (labels, annotations) = (common.map("labels"), common.map("annotations"));
    words::common_metadata(draft, &Value::Object(labels), &Value::Object(annotations));
}

/// Sets fields that others may write. The targets of Flux are regular expressions, ours are globs.
pub fn ignore(from: &[Fields<'_>], draft: &mut Draft, notes: &mut Notes<'_>) {
    for rule in from {
        let paths: Vec<&str> = rule.texts("paths");
        let target = rule.below("target");
        let mut ours = Map::new();
        let mut is_plain = true;
        for name in SELECTORS {
            let Some(value) = target.text(name) else { continue };
            match name {
                "labelSelector" => drop(ours.insert(name.to_owned(), Value::from(value))),
                "annotationSelector" => is_plain = false,
                _ => match words::glob(value) {
                    Some(glob) => drop(ours.insert(name.to_owned(), Value::from(glob))),
                    None => is_plain = false,
                },
            }
        }
        if paths.is_empty() {
            continue;
        }
        if !is_plain {
            notes.missing(
                target.path(),
                "targets of drift.ignore are globs and have no annotation selector; write one entry for each kind and name",
            );
            continue;
        }
        let mut entry = json!({"paths": paths});
        if !ours.is_empty() {
            entry["target"] = Value::Object(ours);
        }
        draft.push("drift.ignore", entry);
    }
}

/// Sets health checks in CEL.
pub fn health_checks(from: &Fields<'_>, draft: &mut Draft) {
    for check in from.items("healthCheckExprs") {
        let fields = ["apiVersion", "kind", "current", "failed", "inProgress"];
        let fields =
            fields.iter().filter_map(|name| Some(((*name).to_owned(), Value::from(check.text(name)?))));
        draft.push("health.checks", Value::Object(fields.collect()));
    }
}

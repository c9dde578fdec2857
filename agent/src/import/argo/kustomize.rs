//! What an Application lays over a kustomization. Pure.

use holdfast_diff::yaml;
use serde_json::{Map, Value, json};

use super::super::fields::Fields;
use super::super::note::Notes;
use super::super::output::Draft;
use super::super::words;

const SELECTORS: [&str; 7] =
    ["group", "version", "kind", "name", "namespace", "labelSelector", "annotationSelector"];

/// Sets what the section `kustomize` says.
pub fn set(from: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    if !from.is_set() {
        return;
    }
    draft.set("render.type", "Kustomize");
    for name in ["namePrefix", "nameSuffix"] {
        draft.set(&format!("render.kustomize.{name}"), from.text(name));
    }
    for image in from.texts("images") {
        draft.push("render.kustomize.images", self::image(image));
    }
    let components: Vec<Value> = from.texts("components").into_iter().map(Value::from).collect();
    draft.set("render.kustomize.components", components);
    for patch in from.items("patches") {
        let target = patch.below("target");
        let fields =
            SELECTORS.iter().filter_map(|name| Some(((*name).to_owned(), Value::from(target.text(name)?))));
        let fields: Map<String, Value> = fields.collect();
        let Some(text) = patch.text("patch") else {
            notes.missing(patch.path(), "a patch in a file is not read; write it to render.kustomize.patches, or name it in the kustomization.yaml");
            patch.text("path");
            continue;
        };
        let mut ours = json!({"patch": text});
        if !fields.is_empty() {
            ours["target"] = Value::Object(fields);
        }
        draft.push("render.kustomize.patches", ours);
    }
    for entry in from.items("replicas") {
        let Some(name) = entry.text("name") else { continue };
        let count = entry.take("count").cloned().unwrap_or_default();
        let count =
            count.as_str().and_then(|text| text.parse::<i64>().ok()).map_or(count.clone(), Value::from);
        let operation = json!([{"op": "add", "path": "/spec/replicas", "value": count}]);
        let target = json!({"kind": "Deployment|ReplicaSet|ReplicationController|StatefulSet", "name": name});
        draft.push(
            "render.kustomize.patches",
            json!({"target": target, "patch": yaml::write_to_read(&operation)}),
        );
    }
    metadata(from, draft, notes);
    if let Some(namespace) = from.text("namespace") {
        draft.set("targetNamespace", namespace);
        notes.changed(from.path_of("namespace"), "objects that set another namespace in Git keep it; set namespace in the kustomization.yaml to override it");
    }
    if from.text("version").is_some() {
        notes.not_needed(
            from.path_of("version"),
            "kustomizations are built in the agent, as by the kustomize of kubectl 1.36",
        );
    }
    for field in
        ["ignoreMissingComponents", "forceCommonLabels", "forceCommonAnnotations", "labelIncludeTemplates"]
    {
        if from.flag(field) == Some(true) {
            notes.missing(from.path_of(field), "write it to the kustomization.yaml");
        }
    }
    for field in ["kubeVersion", "apiVersions"] {
        if from.take(field).is_some() {
            notes.missing(
                from.path_of(field),
                "charts of a kustomization see the version and the APIs of the cluster",
            );
        }
    }
}

/// Labels and annotations of all objects. Where kustomize would also set them in selectors or templates, a patch cannot.
fn metadata(from: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    let labels = from
        .take("commonLabels")
        .filter(|labels| labels.as_object().is_some_and(|labels| !labels.is_empty()));
    let without = from.flag("labelWithoutSelector") == Some(true);
    match labels {
        Some(labels) if without => words::common_metadata(draft, labels, &Value::Null),
        Some(labels) => notes.missing(
            from.path_of("commonLabels"),
            format!(
                "these labels are also in selectors, which cannot be changed later; write to the kustomization.yaml: {}",
                json!({"labels": [{"includeSelectors": true, "pairs": labels}]})
            ),
        ),
        None => {}
    }
    let annotations = from.take("commonAnnotations");
    if let Some(annotations) =
        annotations.filter(|annotations| annotations.as_object().is_some_and(|all| !all.is_empty()))
    {
        notes.missing(
            from.path_of("commonAnnotations"),
            format!(
                "these annotations are also in templates of pods; write to the kustomization.yaml: {}",
                json!({"commonAnnotations": annotations})
            ),
        );
    }
}

/// An image as `kustomize edit set image` reads it: `name=new:tag@digest`.
fn image(text: &str) -> Value {
    let (name, new) = text.split_once('=').map_or((None, text), |(name, new)| (Some(name), new));
    let (new, digest) = new.split_once('@').map_or((new, None), |(new, digest)| (new, Some(digest)));
    let tag = new.rfind(':').filter(|at| !new[*at..].contains('/'));
    let (new, tag) = tag.map_or((new, None), |at| (&new[..at], Some(&new[at + 1..])));
    let mut ours = json!({"name": name.unwrap_or(new)});
    if name.is_some_and(|name| name != new) && new != "*" && !new.is_empty() {
        ours["newName"] = Value::from(new);
    }
    if let Some(tag) = tag.filter(|tag| *tag != "*") {
        ours["newTag"] = Value::from(tag);
    }
    if let Some(digest) = digest.filter(|digest| *digest != "*") {
        ours["digest"] = Value::from(digest);
    }
    ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_read_as_kustomize_reads_it() {
        assert_eq!(image("web:1.2"), json!({"name": "web", "newTag": "1.2"}));
        assert_eq!(image("reg.test:5000/web"), json!({"name": "reg.test:5000/web"}));
        assert_eq!(
            image("web=reg.test:5000/web:1.2"),
            json!({"name": "web", "newName": "reg.test:5000/web", "newTag": "1.2"})
        );
        assert_eq!(image("web@sha256:ab"), json!({"name": "web", "digest": "sha256:ab"}));
    }
}

//! Checks what an import made against the CustomResourceDefinitions, so that nothing is printed that the API server would refuse.
//! Pure.

use holdfast_diff::yaml::Tree;
use kube::CustomResourceExt as _;
use serde_json::Value;

use super::super::shape;
use crate::api::{Alert, ImageUpdate, Repository, Sync};
use crate::import::note::{Note, Notes};
use crate::import::output::Draft;

/// Returns the resources that the API server accepts. Another one becomes a remark with its errors.
pub fn valid(drafts: &[&Draft], done: bool, notes: &mut Vec<Note>) -> Vec<Value> {
    let mut resources = Vec::new();
    for draft in drafts {
        let resource = draft.resource(done);
        let errors = errors(draft, &resource);
        if errors.is_empty() {
            resources.push(resource);
        } else {
            let text = format!(
                "its {} would not be valid: {}; correct it there, or write it yourself",
                draft.kind(),
                errors.join("; ")
            );
            Notes::about(&draft.from, notes).refused("", text);
        }
    }
    resources
}

fn errors(draft: &Draft, resource: &Value) -> Vec<String> {
    let definition = match draft.kind() {
        "Sync" => Sync::crd(),
        "ImageUpdate" => ImageUpdate::crd(),
        "Alert" => Alert::crd(),
        _ => Repository::crd(),
    };
    let definition = serde_json::to_value(definition).unwrap_or_default();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let misfits = shape::misfits(resource, schema, &Tree::default(), None);
    let mut errors: Vec<String> = misfits.into_iter().map(|misfit| misfit.message).collect();
    for (field, name, dots) in
        [("metadata.name", &draft.name, true), ("metadata.namespace", &draft.namespace, false)]
    {
        if !is_name(name, dots) {
            errors.push(format!(
                "{field}: {name:?} is no name of a resource (lower case letters, digits and -)"
            ));
        }
    }
    errors
}

fn is_name(name: &str, dots: bool) -> bool {
    let is_label = |label: &str| {
        let inner = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        !label.is_empty()
            && label.bytes().all(|letter| inner(letter) || letter == b'-')
            && label.bytes().next().is_some_and(inner)
            && label.bytes().last().is_some_and(inner)
    };
    let length = if dots { 253 } else { 63 };
    name.len() <= length && if dots { name.split('.').all(is_label) } else { is_label(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_would_refuse_is_a_remark_and_no_resource() {
        let mut good = Draft::new("Sync", "team", "app.v1", "Kustomization team/app.v1");
        good.set("source.git.url", "https://git.test/a");
        let mut bad = Draft::new("Sync", "team", "App", "Kustomization team/App");
        bad.set("source.git.url", "git.test");
        let mut notes = Vec::new();
        let resources = valid(&[&good, &bad], false, &mut notes);
        assert_eq!(resources.len(), 1);
        let text = &notes[0].text;
        assert!(
            text.contains("spec.source.git.url: must be https://") && text.contains("metadata.name: \"App\""),
            "{text}"
        );
    }
}

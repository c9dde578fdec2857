//! Hooks of Argo CD, on objects in Git: what to write in their place. Pure.

use holdfast_diff::object::Manifest;
use serde_json::Value;

use super::super::found::{Found, Key};
use super::super::note::{Note, Notes};

const HOOK: &str = "argocd.argoproj.io/hook";
const DELETE: &str = "argocd.argoproj.io/hook-delete-policy";

/// What to do about each type of hook.
fn advice(hook: &str) -> &'static str {
    match hook {
        "PreSync" => {
            "an object like others; annotate it with holdfast.dev/wave: \"-1\", and a Job also with holdfast.dev/completed: Delete. A Job runs again when its manifest changes"
        }
        "PostSync" => {
            "an object like others; annotate it with holdfast.dev/wave: \"1\" (or a later one), and a Job also with holdfast.dev/completed: Delete. A Job runs again when its manifest changes"
        }
        "Sync" => {
            "an object like others; annotate a Job with holdfast.dev/completed: Delete. A Job runs again when its manifest changes"
        }
        "Skip" => "it would be applied; annotate it with holdfast.dev/apply: Never",
        "SyncFail" => {
            "it would be applied in every case, and not only after a failure; remove it from Git, and let an Alert call what it does (on: [Failed])"
        }
        "PostDelete" | "PreDelete" => {
            "it would be applied in every case, and not only at a deletion; remove it from Git"
        }
        _ => "this type of hook is not known; the object is applied like others",
    }
}

/// Reports the hooks of a rendered object.
pub fn scan(manifest: &Manifest, via: Option<&Key>, all: &mut Vec<Note>) {
    let Some(hooks) = manifest.annotation(HOOK) else { return };
    let name = manifest.value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let object = format!("{} {name} ({})", manifest.kind.kind, manifest.origin);
    let object = via.map_or(object.clone(), |via| format!("{object} of {via}"));
    let mut notes = Notes::about(object, all);
    for hook in hooks.split(',').map(str::trim) {
        notes.missing(format!("metadata.annotations[{HOOK}: {hook}]"), advice(hook));
    }
    if manifest.annotation(DELETE).is_some() {
        notes.missing(
            format!("metadata.annotations[{DELETE}]"),
            "write holdfast.dev/completed: Delete to a Job in its place",
        );
    }
}

/// Reports the hooks that ran in the last sync of an Application.
pub fn of_status(found: &Found, all: &mut Vec<Note>) {
    let resources =
        found.value.pointer("/status/operationState/syncResult/resources").and_then(Value::as_array);
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    for resource in resources.into_iter().flatten().take(1000) {
        let hook = text(resource, "hookType");
        if !hook.is_empty() {
            let object = format!(
                "{} {}/{} of {}",
                text(resource, "kind"),
                text(resource, "namespace"),
                text(resource, "name"),
                found.key()
            );
            Notes::about(object, all).missing(format!("metadata.annotations[{HOOK}: {hook}]"), advice(&hook));
        }
    }
}

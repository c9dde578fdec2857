//! The sync policy of an Application: approval, drift, deletion. Pure.

use serde_json::Value;

use super::super::fields::Fields;
use super::super::found::Found;
use super::super::note::{Level, Notes};
use super::super::output::Draft;
use super::super::steps::observe;

/// Options that need nothing here, and options without a counterpart, with what to do.
const OPTIONS: &[(&str, Level, &str)] = &[
    ("ServerSideApply=true", Level::NotNeeded, "everything is applied with server-side apply"),
    ("ServerSideApply=false", Level::NotNeeded, "everything is applied with server-side apply"),
    ("ApplyOutOfSyncOnly=true", Level::NotNeeded, "only what differs is written"),
    ("PruneLast=true", Level::NotNeeded, "deletions come after all writes"),
    (
        "SkipDryRunOnMissingResource=true",
        Level::NotNeeded,
        "a CustomResourceDefinition and its objects can be in one commit",
    ),
    ("RespectIgnoreDifferences=true", Level::NotNeeded, "ignored fields are never written"),
    (
        "FailOnSharedResource=true",
        Level::NotNeeded,
        "an object that another Sync has is left alone, and reported",
    ),
    (
        "PrunePropagationPolicy=foreground",
        Level::NotNeeded,
        "a deletion is complete when what belongs to the object is gone",
    ),
    ("PrunePropagationPolicy=background", Level::NotNeeded, "deletions are in reverse order"),
    (
        "PrunePropagationPolicy=orphan",
        Level::Missing,
        "mark what must stay with holdfast.dev/prune: Disabled",
    ),
    (
        "CreateNamespace=true",
        Level::Missing,
        "namespaces are not made; the namespace exists already, and should be in Git for a new cluster",
    ),
    ("CreateNamespace=false", Level::NotNeeded, "namespaces are not made"),
    ("Validate=false", Level::Missing, "the API server validates every object; correct what it refuses"),
    ("Validate=true", Level::NotNeeded, "the API server validates every object"),
    (
        "Replace=true",
        Level::Changed,
        "objects are changed by server-side apply; annotate those that may be deleted and created with holdfast.dev/recreate: Allowed",
    ),
    (
        "Force=true",
        Level::Changed,
        "immutable fields are changed with an Approval; annotate the objects that may be replaced without one with holdfast.dev/recreate: Allowed",
    ),
    (
        "Prune=confirm",
        Level::NotNeeded,
        "what cannot be undone waits for an Approval; set approval: Deletions for every deletion",
    ),
    ("Delete=confirm", Level::NotNeeded, "what cannot be undone waits for an Approval"),
    ("ClientSideApplyMigration=true", Level::NotNeeded, "fields of kubectl apply are taken over"),
    ("ClientSideApplyMigration=false", Level::NotNeeded, "fields of kubectl apply are taken over"),
];

/// The finalizer that deletes the objects of an Application with it.
pub const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// Sets the policies.
pub fn set(found: &Found, spec: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    let from = spec.below("syncPolicy");
    let automated = from.below("automated");
    let exists = found.value.pointer("/spec/syncPolicy/automated").is_some_and(Value::is_object);
    automated.whole();
    let is_automatic = exists && automated.flag("enabled") != Some(false);
    let heals = is_automatic && automated.flag("selfHeal") == Some(true);
    let prunes = !is_automatic || automated.flag("prune") == Some(true);
    if !is_automatic {
        notes.changed(
            "spec.syncPolicy.automated",
            "it is synced by hand; the Sync plans by itself, and every change waits for an Approval (approval: Always)",
        );
    }
    if automated.flag("allowEmpty") == Some(true) {
        notes.changed(
            "spec.syncPolicy.automated.allowEmpty",
            "the deletion of everything because nothing is rendered waits for an Approval",
        );
    }
    let mut prune = prunes;
    let mut keeps = !has_finalizer(found);
    for option in from.texts("syncOptions") {
        match option {
            "Prune=false" => prune = false,
            "Delete=false" => keeps = true,
            _ => match OPTIONS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(option)) {
                Some((_, level, text)) => {
                    notes.add(*level, format!("spec.syncPolicy.syncOptions[{option}]"), *text);
                }
                None => notes.missing(
                    format!("spec.syncPolicy.syncOptions[{option}]"),
                    "this option is not known; check what it does",
                ),
            },
        }
    }
    draft.set("prune", prune);
    let deletion = match (keeps, prune) {
        (true, _) => Some("Orphan"),
        (false, false) => Some("Prune"),
        (false, true) => None,
    };
    observe(draft, (!is_automatic).then_some("Always"), (!heals).then_some("Report"), deletion);
    if from.take("retry").is_some() {
        notes.not_needed("spec.syncPolicy.retry", "what failed is repeated by itself, after growing pauses");
    }
    if from.take("managedNamespaceMetadata").is_some() {
        notes.missing(
            "spec.syncPolicy.managedNamespaceMetadata",
            "write the Namespace with its labels and annotations to Git",
        );
    }
}

/// True if deleting the Application deletes its objects.
pub fn has_finalizer(found: &Found) -> bool {
    let finalizers = found.value.pointer("/metadata/finalizers").and_then(Value::as_array);
    finalizers.into_iter().flatten().filter_map(Value::as_str).any(|name| name.starts_with(FINALIZER))
}

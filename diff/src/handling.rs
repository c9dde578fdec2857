//! Annotations of an object in Git that change how it is handled: kept when it leaves Git, never applied, or merged with fields of
//! other managers. Pure.
//!
//! Annotations of other tools have the meaning that they have there: Helm (`helm.sh/resource-policy`), Argo CD
//! (`argocd.argoproj.io/sync-options`), Flux (`kustomize.toolkit.fluxcd.io/…`, in labels too), kpt and Config Sync, and kapp. Case
//! does not matter.

use serde_json::{Map, Value};

const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
const FLUX: &str = "kustomize.toolkit.fluxcd.io/";
const HOLDFAST: &str = "holdfast.dev/";

/// The effect of one mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// None: it requests the default.
    Nothing,
    /// The object is kept when it leaves Git, and when the Sync is deleted.
    Keep,
    /// A person must agree to its deletion.
    Confirm,
    /// The object is created, and not changed afterwards.
    IfNotPresent,
    /// The object is not changed at all.
    Never,
    /// The object is not changed, and is kept.
    LeaveAndKeep,
    /// Fields of other managers that are not in Git are kept.
    Merge,
    /// None: another annotation of Holdfast has this effect.
    Instead(&'static str),
    /// The mark is unknown.
    Unknown,
}

/// Keys, their values, and their effects.
const MARKS: [(&str, &str, Effect); 28] = [
    ("holdfast.dev/prune", "Disabled", Effect::Keep),
    ("holdfast.dev/prune", "Enabled", Effect::Nothing),
    ("holdfast.dev/apply", "Always", Effect::Nothing),
    ("holdfast.dev/apply", "IfNotPresent", Effect::IfNotPresent),
    ("holdfast.dev/apply", "Never", Effect::Never),
    ("holdfast.dev/recreate", "Allowed", Effect::Nothing),
    ("holdfast.dev/recreate", "Orphan", Effect::Nothing),
    ("holdfast.dev/completed", "Delete", Effect::Nothing),
    ("holdfast.dev/substitute", "Disabled", Effect::Nothing),
    ("holdfast.dev/substitute", "Enabled", Effect::Nothing),
    ("helm.sh/resource-policy", "keep", Effect::Keep),
    ("kustomize.toolkit.fluxcd.io/substitute", "disabled", Effect::Nothing),
    ("kustomize.toolkit.fluxcd.io/substitute", "enabled", Effect::Nothing),
    ("client.lifecycle.config.k8s.io/deletion", "detach", Effect::Keep),
    ("cli-utils.sigs.k8s.io/on-remove", "keep", Effect::Keep),
    ("configmanagement.gke.io/managed", "disabled", Effect::LeaveAndKeep),
    ("configmanagement.gke.io/managed", "enabled", Effect::Nothing),
    ("kapp.k14s.io/delete-strategy", "orphan", Effect::Keep),
    ("kustomize.toolkit.fluxcd.io/prune", "disabled", Effect::Keep),
    ("kustomize.toolkit.fluxcd.io/prune", "enabled", Effect::Nothing),
    ("kustomize.toolkit.fluxcd.io/reconcile", "disabled", Effect::LeaveAndKeep),
    ("kustomize.toolkit.fluxcd.io/reconcile", "enabled", Effect::Nothing),
    ("kustomize.toolkit.fluxcd.io/ssa", "Override", Effect::Nothing),
    ("kustomize.toolkit.fluxcd.io/ssa", "Merge", Effect::Merge),
    ("kustomize.toolkit.fluxcd.io/ssa", "IfNotPresent", Effect::IfNotPresent),
    ("kustomize.toolkit.fluxcd.io/ssa", "Ignore", Effect::Never),
    ("kustomize.toolkit.fluxcd.io/force", "disabled", Effect::Nothing),
    ("kustomize.toolkit.fluxcd.io/force", "enabled", Effect::Instead("holdfast.dev/recreate: Allowed")),
];

/// Options of one object in Argo CD, and their effects.
const OPTIONS: [(&str, Effect); 8] = [
    ("Prune=false", Effect::Keep),
    ("Prune=true", Effect::Nothing),
    ("Prune=confirm", Effect::Confirm),
    ("Delete=false", Effect::Keep),
    ("Delete=true", Effect::Nothing),
    ("Delete=confirm", Effect::Confirm),
    ("Replace=true", Effect::Instead("holdfast.dev/recreate: Allowed")),
    ("Force=true", Effect::Instead("holdfast.dev/recreate: Allowed")),
];

/// Other options of Argo CD, which concern only Argo CD itself.
const OF_NO_CONCERN: [&str; 13] = [
    "Validate",
    "SkipDryRunOnMissingResource",
    "ApplyOutOfSyncOnly",
    "PruneLast",
    "PrunePropagationPolicy",
    "Replace",
    "Force",
    "ServerSideApply",
    "ClientSideApplyMigration",
    "CreateNamespace",
    "FailOnSharedResource",
    "RespectIgnoreDifferences",
    "IgnoreExtraneous",
];

/// Annotations of Holdfast whose values are free, or that it writes itself.
const FREE: [&str; 6] = ["wave", "sync", "mark", "reconcile-at", "unban", "snooze"];

/// When an object is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Applied {
    #[default]
    Always,
    IfNotPresent,
    Never,
}

/// Returns the mark that keeps an object when it leaves Git, as messages show it.
pub fn keeps(object: &Value) -> Option<String> {
    asks(object, |effect| matches!(effect, Effect::Keep | Effect::LeaveAndKeep))
}

/// Returns the mark that requires an Approval for the deletion of an object, as messages show it.
pub fn confirms(object: &Value) -> Option<String> {
    asks(object, |effect| effect == Effect::Confirm)
}

/// Returns when an object is applied. Of several marks, the most restrictive one counts.
pub fn applied(object: &Value) -> Applied {
    let mut applied = Applied::Always;
    for (_, effect) in marks(object) {
        match effect {
            Effect::Never | Effect::LeaveAndKeep => return Applied::Never,
            Effect::IfNotPresent => applied = Applied::IfNotPresent,
            _ => {}
        }
    }
    applied
}

/// True if fields of other managers that are not in Git are kept.
pub fn merges(object: &Value) -> bool {
    asks(object, |effect| effect == Effect::Merge).is_some()
}

/// Returns a message for each mark that is unknown, or that another annotation replaces.
pub fn mistakes(object: &Value) -> Vec<String> {
    let unknown = marks(object).into_iter().filter_map(|(mark, effect)| match effect {
        Effect::Unknown => {
            Some(format!("the mark {mark} is not understood and has no effect; correct it, or remove it"))
        }
        Effect::Instead(other) => Some(format!("the mark {mark} has no effect; {other} does the same")),
        _ => None,
    });
    let mut found: Vec<String> = unknown.collect();
    found.extend(annotations(object).filter_map(|(key, value)| misspelt(key, value)));
    found
}

/// An annotation of Holdfast that is not read, or whose value is not a number.
fn misspelt(key: &str, value: &Value) -> Option<String> {
    if key == "holdfast.dev/wave" || key == "argocd.argoproj.io/sync-wave" {
        let number = value.as_str().and_then(|text| text.trim().parse::<i32>().ok());
        let said = value.as_str().unwrap_or_default();
        return number.is_none().then(|| {
            format!("the mark {key}: {said} is not understood, and the object is in wave 0; correct it to an integer")
        });
    }
    let name = key.strip_prefix(HOLDFAST)?;
    let known = FREE.contains(&name) || MARKS.iter().any(|(known, ..)| *known == key);
    (!known).then(|| format!("the annotation {key} is not known and has no effect; check its spelling"))
}

fn asks(object: &Value, which: impl Fn(Effect) -> bool) -> Option<String> {
    marks(object).into_iter().find(|(_, effect)| which(*effect)).map(|(mark, _)| mark)
}

/// The marks of an object, and what they ask for.
fn marks(object: &Value) -> Vec<(String, Effect)> {
    let mut found = Vec::new();
    let labels = part(object, "labels").into_iter().flatten().filter(|(key, _)| key.starts_with(FLUX));
    for (key, value) in annotations(object).chain(labels) {
        let text = value.as_str().unwrap_or_default().trim();
        if key == SYNC_OPTIONS {
            let options = text.split(',').map(str::trim).filter(|option| !option.is_empty());
            found.extend(options.filter_map(|option| Some((format!("{key}: {option}"), of_option(option)?))));
        } else if MARKS.iter().any(|(known, ..)| known == key) {
            let of = MARKS.iter().find(|(known, word, _)| known == key && word.eq_ignore_ascii_case(text));
            found.push((format!("{key}: {text}"), of.map_or(Effect::Unknown, |(.., effect)| *effect)));
        }
    }
    found
}

/// What an option of Argo CD asks for; `None` if it is of no concern.
fn of_option(option: &str) -> Option<Effect> {
    let known = OPTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(option));
    let name = option.split('=').next().unwrap_or(option);
    let of_no_concern = || OF_NO_CONCERN.iter().any(|known| known.eq_ignore_ascii_case(name));
    match known {
        Some((_, effect)) => Some(*effect),
        None if of_no_concern() => None,
        None => Some(Effect::Unknown),
    }
}

fn annotations(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    part(object, "annotations").into_iter().flatten()
}

fn part<'a>(object: &'a Value, name: &str) -> Option<&'a Map<String, Value>> {
    object.get("metadata")?.get(name)?.as_object()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn annotated(key: &str, value: &str) -> Value {
        json!({"metadata": {"annotations": {key: value}}})
    }

    #[test]
    fn the_keep_marks_of_every_tool_are_honoured() {
        for (key, value, mark) in [
            ("holdfast.dev/prune", "Disabled", "holdfast.dev/prune: Disabled"),
            ("holdfast.dev/prune", "disabled", "holdfast.dev/prune: disabled"),
            ("helm.sh/resource-policy", "keep", "helm.sh/resource-policy: keep"),
            ("helm.sh/resource-policy", " Keep ", "helm.sh/resource-policy: Keep"),
            (
                "client.lifecycle.config.k8s.io/deletion",
                "detach",
                "client.lifecycle.config.k8s.io/deletion: detach",
            ),
            ("cli-utils.sigs.k8s.io/on-remove", "keep", "cli-utils.sigs.k8s.io/on-remove: keep"),
            ("configmanagement.gke.io/managed", "disabled", "configmanagement.gke.io/managed: disabled"),
            ("kapp.k14s.io/delete-strategy", "orphan", "kapp.k14s.io/delete-strategy: orphan"),
            (SYNC_OPTIONS, "Prune=false", "argocd.argoproj.io/sync-options: Prune=false"),
            (SYNC_OPTIONS, "Validate=false, Delete=false", "argocd.argoproj.io/sync-options: Delete=false"),
            (SYNC_OPTIONS, "Prune=false,Replace=true", "argocd.argoproj.io/sync-options: Prune=false"),
            ("kustomize.toolkit.fluxcd.io/prune", "disabled", "kustomize.toolkit.fluxcd.io/prune: disabled"),
            ("kustomize.toolkit.fluxcd.io/prune", "Disabled", "kustomize.toolkit.fluxcd.io/prune: Disabled"),
            (
                "kustomize.toolkit.fluxcd.io/reconcile",
                "disabled",
                "kustomize.toolkit.fluxcd.io/reconcile: disabled",
            ),
        ] {
            assert_eq!(keeps(&annotated(key, value)).as_deref(), Some(mark), "{key}: {value}");
        }
        let label = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}});
        assert!(keeps(&label).is_some());
        for (key, value) in [
            ("holdfast.dev/prune", "Enabled"),
            (SYNC_OPTIONS, "Prune=true,Delete=confirm"),
            ("kustomize.toolkit.fluxcd.io/ssa", "Ignore"),
            ("helm.sh/resource-policy", "delete"),
        ] {
            assert_eq!(keeps(&annotated(key, value)), None, "{key}: {value}");
        }
        let confirm = annotated(SYNC_OPTIONS, "Prune=confirm");
        assert_eq!(confirms(&confirm).as_deref(), Some("argocd.argoproj.io/sync-options: Prune=confirm"));
    }

    #[test]
    fn what_is_left_alone_is_not_applied() {
        let check = |key: &str, value: &str, expected: Applied| {
            assert_eq!(applied(&annotated(key, value)), expected, "{key}: {value}");
        };
        check("holdfast.dev/apply", "IfNotPresent", Applied::IfNotPresent);
        check("holdfast.dev/apply", "Never", Applied::Never);
        check("kustomize.toolkit.fluxcd.io/ssa", "IfNotPresent", Applied::IfNotPresent);
        check("kustomize.toolkit.fluxcd.io/ssa", "Ignore", Applied::Never);
        check("kustomize.toolkit.fluxcd.io/ssa", "Override", Applied::Always);
        check("kustomize.toolkit.fluxcd.io/reconcile", "disabled", Applied::Never);
        check("kustomize.toolkit.fluxcd.io/reconcile", "enabled", Applied::Always);
        let both = json!({"metadata": {"annotations": {"holdfast.dev/apply": "IfNotPresent", "kustomize.toolkit.fluxcd.io/ssa": "Ignore"}}});
        assert_eq!(applied(&both), Applied::Never);
        assert!(merges(&annotated("kustomize.toolkit.fluxcd.io/ssa", "Merge")));
        assert!(!merges(&annotated("kustomize.toolkit.fluxcd.io/ssa", "Override")));
    }

    #[test]
    fn a_mark_that_is_not_understood_is_told() {
        let check = |key: &str, value: &str, part: &str| {
            let said = mistakes(&annotated(key, value));
            assert!(said.len() == 1 && said[0].contains(part), "{key}: {value}: {said:?}");
        };
        check("holdfast.dev/prune", "No", "holdfast.dev/prune: No is not understood");
        check("holdfast.dev/apply", "Once", "holdfast.dev/apply: Once is not understood");
        check("holdfast.dev/prun", "Disabled", "holdfast.dev/prun is not known");
        check("holdfast.dev/wave", "soon", "wave 0");
        check("argocd.argoproj.io/sync-wave", "1.5", "wave 0");
        check("helm.sh/resource-policy", "delete", "not understood");
        check(
            SYNC_OPTIONS,
            "Validate=false,Prune=flase",
            "argocd.argoproj.io/sync-options: Prune=flase is not",
        );
        check(SYNC_OPTIONS, "Keep=true", "Keep=true is not understood");
        check(SYNC_OPTIONS, "Replace=true", "holdfast.dev/recreate: Allowed does the same");
        check("kustomize.toolkit.fluxcd.io/prune", "false", "not understood");
        check("kustomize.toolkit.fluxcd.io/ssa", "Sometimes", "not understood");
        check("kustomize.toolkit.fluxcd.io/force", "enabled", "does the same");
        for (key, value) in [
            ("holdfast.dev/wave", "-3"),
            ("holdfast.dev/prune", "Disabled"),
            (SYNC_OPTIONS, "SkipDryRunOnMissingResource=true, ServerSideApply=true,"),
            ("example.com/anything", "at all"),
            ("kustomize.toolkit.fluxcd.io/checksum", "abc"),
        ] {
            assert_eq!(mistakes(&annotated(key, value)), Vec::<String>::new(), "{key}: {value}");
        }
    }
}

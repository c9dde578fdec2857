//! Kustomization of Flux: a Sync. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::fields::Fields;
use super::super::found::{Found, Index, Key};
use super::super::note::{Advice, Level, Note, Notes};
use super::super::output::{Draft, Drafts};
use super::super::steps::observe;
use super::super::{Options, Place, words};
use super::{Flux, metadata, overlay, source};
use crate::api::{Render, SubstituteMode};

/// Fields of a Kustomization without a counterpart.
const ADVICE: &[Advice] = &[
    (
        "spec.interval",
        Level::NotNeeded,
        "drift is seen by a watch; interval of the Sync is that of the source",
    ),
    ("spec.retryInterval", Level::NotNeeded, "what failed is repeated by itself, after growing pauses"),
    ("spec.validation", Level::NotNeeded, "every change is a server-side dry run first"),
    (
        "spec.ignoreMissingComponents",
        Level::Missing,
        "a component that is missing is an error; remove it from components",
    ),
    (
        "spec.decryption.serviceAccountName",
        Level::Missing,
        "files are decrypted with age or OpenPGP keys, not by a cloud; encrypt them for an age key too, and name its Secret in render.decrypt",
    ),
    (
        "spec.dependsOn[].readyExpr",
        Level::Missing,
        "a dependency is ready when its condition Ready is True; write what else counts to its health.checks",
    ),
    (
        "spec.postBuild.substituteStrategy",
        Level::Missing,
        "all objects with variables are filled in; mark the others with holdfast.dev/substitute: Disabled",
    ),
    (
        "spec.buildMetadata",
        Level::Missing,
        "origin annotations are not added; holdfast explain names file and line of an object",
    ),
];

/// Makes a Sync.
pub fn import(flux: &Flux<'_>, found: &Found, drafts: &mut Drafts, all: &mut Vec<Note>) {
    let key = found.key();
    let spec = Fields::of(&found.value, "spec");
    if spec.below("kubeConfig").is_set() {
        Notes::about(&key, all).refused(
            "spec.kubeConfig",
            "it applies to another cluster; run Holdfast in that cluster, and import it there",
        );
        return;
    }
    let path = spec.text("path");
    let referred = source::referred(flux.index, &spec.below("sourceRef"), found.namespace(), path);
    let (repository, path) = match referred {
        Ok(referred) => referred,
        Err(why) => return Notes::about(&key, all).refused("spec.sourceRef", why),
    };
    let git = match source::git(repository, all) {
        Ok(git) => git,
        Err(why) => return Notes::about(&key, all).refused("spec.sourceRef", why),
    };
    let mut draft = Draft::new("Sync", found.namespace(), found.name(), &key);
    let mut notes = Notes::about(&key, all);
    metadata(found, &mut draft, &mut notes);
    if let Some(path) = path.filter(|path| !matches!(path.as_str(), "" | "." | "./" | "/")) {
        draft.set("path", path.trim_start_matches('/'));
    }
    fields(&spec, &mut draft, &mut notes);
    read_dependencies(&spec);
    for unread in spec.unread(ADVICE) {
        notes.add(unread.level, unread.path, unread.text);
    }
    git.set(&mut draft, all);
    drafts.add(draft, "kustomization");
}

fn fields(spec: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    spec.text("path");
    if let Some(timeout) = spec.text("timeout").and_then(words::duration) {
        draft.set("timeout", timeout);
    }
    if let Some(namespace) = spec.text("targetNamespace") {
        draft.set("targetNamespace", namespace);
        notes.changed(
            "spec.targetNamespace",
            "objects that set another namespace in Git keep it; Flux overrides it. If there are such objects, set namespace in the kustomization.yaml",
        );
    }
    if let Some(account) = spec.text("serviceAccountName") {
        draft.set("serviceAccountName", account);
    }
    if spec.flag("suspend") == Some(true) {
        draft.set("suspend.reason", "it was suspended in Flux");
    }
    let prune = spec.flag("prune").unwrap_or(false);
    draft.set("prune", prune);
    let deletion = match spec.text("deletionPolicy") {
        Some("Orphan") => Some("Orphan"),
        Some("Delete" | "WaitForTermination") => Some("Prune"),
        _ => None,
    };
    observe(draft, None, None, deletion);
    render(spec, draft, notes);
    health(spec, draft, notes);
    overlay::ignore(&spec.items("driftIgnoreRules"), draft, notes);
    if spec.flag("force") == Some(true) {
        notes.missing(
            "spec.force",
            "immutable fields are changed with an Approval; annotate the objects that may be replaced without one with holdfast.dev/recreate: Allowed",
        );
    }
}

fn render(spec: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    overlay::patches(spec, draft, "render.kustomize.patches");
    overlay::common_metadata(spec, draft);
    overlay::images(spec, draft);
    let components: Vec<Value> = spec.texts("components").into_iter().map(Value::from).collect();
    draft.set("render.kustomize.components", components);
    for name in ["namePrefix", "nameSuffix"] {
        draft.set(&format!("render.kustomize.{name}"), spec.text(name));
    }
    let decryption = spec.below("decryption");
    if decryption.is_set() {
        decryption.text("provider");
        match decryption.below("secretRef").text("name") {
            Some(secret) => draft.set("render.decrypt.secretRef.name", secret),
            None => notes.missing(
                decryption.path(),
                "files are decrypted with age or OpenPGP keys in a Secret, not by a cloud; encrypt them for an age key too, and name its Secret in render.decrypt",
            ),
        }
    }
    let build = spec.below("postBuild");
    let vars = build.map("substitute");
    let from = build.items("substituteFrom");
    let has_variables = !vars.is_empty() || !from.is_empty();
    draft.set("render.substitute.vars", vars);
    for entry in from {
        let (Some(kind), Some(name)) = (entry.text("kind"), entry.text("name")) else { continue };
        let mut ours = json!({"kind": kind, "name": name});
        if entry.flag("optional") == Some(true) {
            ours["optional"] = Value::from(true);
        }
        draft.push("render.substitute.from", ours);
    }
    if has_variables {
        notes.changed(
            build.path(),
            "a variable without a value is an error, where Flux makes it empty; give it a value or a default: ${name:=}",
        );
    }
}

fn health(spec: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    let listed = spec.items("healthChecks");
    let waits = spec.flag("wait") == Some(true);
    draft.set("health.wait", waits || !listed.is_empty());
    if !waits && !listed.is_empty() {
        notes.changed(
            "spec.healthChecks",
            "the Sync is Ready when all of its objects are healthy, not only those that are listed",
        );
    }
    for check in &listed {
        check.whole();
    }
    overlay::health_checks(spec, draft);
}

/// Marks dependencies as read, which are set once all Syncs are there.
pub fn read_dependencies(spec: &Fields<'_>) {
    for entry in spec.items("dependsOn") {
        entry.text("name");
        entry.text("namespace");
    }
}

/// Sets the dependencies of Syncs, once all of them are there.
pub fn dependencies(flux: &Flux<'_>, drafts: &mut Drafts, all: &mut Vec<Note>) {
    let names: BTreeMap<String, (String, String)> = drafts
        .iter()
        .filter(|draft| draft.kind() == "Sync")
        .map(|draft| (draft.from.clone(), (draft.namespace.clone(), draft.name.clone())))
        .collect();
    let kinds = ["Kustomization", "HelmRelease"];
    let objects: BTreeMap<String, &Found> = kinds
        .iter()
        .flat_map(|kind| flux.index.of(kind))
        .map(|found| (found.key().to_string(), found))
        .collect();
    let mut edges: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
    for draft in drafts.iter_mut().filter(|draft| draft.kind() == "Sync") {
        let Some(found) = objects.get(&draft.from) else { continue };
        let mut notes = Notes::about(found.key(), all);
        let mut seen = BTreeSet::new();
        let spec = Fields::of(&found.value, "spec");
        for (at, entry) in spec.items("dependsOn").iter().enumerate() {
            let Some(name) = entry.text("name") else { continue };
            let namespace = entry.text("namespace").unwrap_or(found.namespace());
            let other = Key::new(found.kind(), namespace, name);
            if !seen.insert(other.clone()) {
                continue;
            }
            edges.entry(found.key()).or_default().push(other.clone());
            let field = format!("spec.dependsOn[{at}]");
            let Some((namespace, name)) = names.get(&other.to_string()) else {
                notes.missing(
                    field,
                    format!("{other} is not imported; a dependency on it would never be ready"),
                );
                continue;
            };
            let mut dependency = json!({"name": name});
            if *namespace != draft.namespace {
                dependency["namespace"] = Value::from(namespace.as_str());
                notes.changed(
                    field,
                    "it is in another namespace: the agent must run with --allow-cross-namespace-refs",
                );
            }
            draft.push("dependsOn", dependency);
        }
    }
    for cycle in cycles(&edges) {
        let names: Vec<String> = cycle.iter().map(ToString::to_string).collect();
        let mut notes = Notes::about(&cycle[0], all);
        notes.missing(
            "spec.dependsOn",
            format!("circular: {}; none of them would ever be ready, remove one", names.join(" -> ")),
        );
    }
}

/// Cycles in dependencies, each once, from its first object to its first object.
fn cycles(edges: &BTreeMap<Key, Vec<Key>>) -> Vec<Vec<Key>> {
    let mut done = BTreeSet::new();
    let mut found = Vec::new();
    for start in edges.keys() {
        // A way without recursion: each entry is an object, and how many of its dependencies were followed.
        let mut way: Vec<(&Key, usize)> = vec![(start, 0)];
        while let Some((at, next)) = way.last_mut() {
            let (at, to) = (*at, edges.get(*at).and_then(|to| to.get(*next)));
            *next += 1;
            let Some(to) = to else {
                done.insert(at);
                way.pop();
                continue;
            };
            if let Some(from) = way.iter().position(|(key, _)| *key == to) {
                let mut cycle: Vec<Key> = way[from..].iter().map(|(key, _)| (*key).clone()).collect();
                cycle.push(to.clone());
                found.push(cycle);
            } else if !done.contains(to) {
                way.push((to, 0));
            }
        }
    }
    found
}

/// The folder of the repository that a Kustomization reads. Variables of ConfigMaps and Secrets stay as they are.
pub fn place(index: &Index, found: &Found, options: &Options) -> Option<Place> {
    if found.kind() != "Kustomization" {
        return None;
    }
    let mut drafts = Drafts::default();
    import(&Flux { index, options }, found, &mut drafts, &mut Vec::new());
    let draft = drafts.iter().next()?;
    let text = |field: &str| draft.get(field).and_then(Value::as_str).map(str::to_owned);
    let render = draft.get("render").cloned().unwrap_or_else(|| json!({}));
    let mut render: Render = serde_json::from_value(render).ok()?;
    render.decrypt = None;
    if let Some(substitute) = &mut render.substitute {
        substitute.from.clear();
        substitute.mode = SubstituteMode::Declared;
    }
    let namespace = text("targetNamespace").unwrap_or_else(|| draft.namespace.clone());
    Some(Place { folder: text("path").unwrap_or_default(), render, namespace })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_found_once_however_long_the_way_is() {
        let key = |name: &str| Key::new("Kustomization", "x", name);
        let mut edges: BTreeMap<Key, Vec<Key>> =
            (0..5000).map(|at| (key(&format!("k{at:05}")), vec![key(&format!("k{:05}", at + 1))])).collect();
        assert!(cycles(&edges).is_empty());
        edges.insert(key("a"), vec![key("b"), key("k00001")]);
        edges.insert(key("b"), vec![key("c")]);
        edges.insert(key("c"), vec![key("a")]);
        let found = cycles(&edges);
        assert_eq!(found, [vec![key("a"), key("b"), key("c"), key("a")]]);
    }
}

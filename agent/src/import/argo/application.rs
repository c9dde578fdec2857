//! Application: a Sync for each of its sources that renders something. Pure.

use serde_json::{Value, json};

use super::super::fields::Fields;
use super::super::found::{Found, Index, Key};
use super::super::note::{Advice, Level, Note, Notes};
use super::super::output::{Draft, Drafts};
use super::super::{Options, Place};
use super::{Argo, directory, git, helm, hooks, ignore, kustomize, parent, policy};
use crate::api::Render;

/// Fields of an Application without a counterpart.
const ADVICE: &[Advice] = &[
    (
        "spec.project",
        Level::NotNeeded,
        "what a Sync may do is what its ServiceAccount may do: set serviceAccountName",
    ),
    ("spec.revisionHistoryLimit", Level::NotNeeded, "status.history has the last 10 revisions"),
    ("spec.info", Level::Missing, "links and texts are not shown; write them as annotations"),
    ("spec.destination.server", Level::NotNeeded, "it is the cluster that Holdfast runs in"),
    ("spec.destination.name", Level::NotNeeded, "it is the cluster that Holdfast runs in"),
    (
        "spec.sourceHydrator",
        Level::Missing,
        "manifests are rendered when they are applied; commit rendered ones in your pipeline if you need them",
    ),
];

const IN_CLUSTER: [&str; 3] = [
    "https://kubernetes.default.svc",
    "https://kubernetes.default.svc.cluster.local",
    "https://kubernetes.default",
];

/// Makes the Syncs.
pub fn import(argo: &Argo<'_>, found: &Found, drafts: &mut Drafts, all: &mut Vec<Note>) {
    let key = found.key();
    let spec = Fields::of(&found.value, "spec");
    if let Err((field, why)) = destination(&spec.below("destination")) {
        return Notes::about(&key, all).refused(field, why);
    }
    let multiple = spec.items("sources");
    // With sources, source says nothing.
    let sources = if multiple.is_empty() { vec![spec.below("source")] } else { multiple };
    let rendering: Vec<&Fields<'_>> = sources.iter().filter(|source| renders(source)).collect();
    if rendering.is_empty() {
        return Notes::about(&key, all)
            .refused("spec.source", "no source has a path or a chart, so there is nothing to render");
    }
    let several = rendering.len() > 1;
    if several {
        Notes::about(&key, all).changed(
            "spec.sources",
            "each source becomes a Sync of its own, with its own status; an object that two sources have belongs to the first Sync",
        );
    }
    let mut is_made = false;
    for (at, source) in rendering.iter().enumerate() {
        let name = match (several, source.text("name")) {
            (false, _) => found.name().to_owned(),
            (true, Some(name)) => format!("{}-{name}", found.name()),
            (true, None) => format!("{}-{}", found.name(), at + 1),
        };
        let mut draft = Draft::new("Sync", found.namespace(), &name, &key);
        spec.text("project").unwrap_or("default").clone_into(&mut draft.project);
        metadata(found, &mut draft, all);
        let references: Vec<&Fields<'_>> =
            sources.iter().filter(|source| source.text("ref").is_some()).collect();
        match rendered(argo, found, source, &references, &mut draft, all) {
            Ok(()) => {}
            Err((field, why)) => {
                Notes::about(&key, all).refused(field, why);
                continue;
            }
        }
        draft.set("targetNamespace", spec.below("destination").text("namespace"));
        if several && draft.get("render.helm.releaseName").is_none() {
            // If it is a chart, its release has the name of the Application.
            draft.set("render.helm.releaseName", found.name());
        }
        let mut notes = Notes::about(&key, all);
        policy::set(found, &spec, &mut draft, &mut notes);
        ignore::set(&spec, &mut draft, &mut notes);
        is_made = true;
        let plain = draft.name.clone();
        let name = drafts.add(draft, "app");
        if name != plain {
            notes.changed("metadata.name", format!("its Sync is named {name}, because the name is taken"));
        }
    }
    // A source that only gives files is read where these are used.
    for source in sources.iter().filter(|source| !renders(source)) {
        for field in ["ref", "repoURL", "targetRevision", "path", "name"] {
            source.text(field);
        }
    }
    if !is_made {
        return;
    }
    hooks::of_status(found, all);
    let mut notes = Notes::about(&key, all);
    for unread in spec.unread(ADVICE) {
        notes.add(unread.level, unread.path, unread.text);
    }
}

type Refusal = (String, String);

fn destination(from: &Fields<'_>) -> Result<(), Refusal> {
    let (server, name) = (from.text("server"), from.text("name"));
    let is_here = server.is_none_or(|server| IN_CLUSTER.contains(&server.trim_end_matches('/')))
        && name.is_none_or(|name| name == "in-cluster");
    if is_here {
        return Ok(());
    }
    let place = server.or(name).unwrap_or_default();
    Err((
        from.path().to_owned(),
        format!(
            "it is applied to the cluster {place}; run Holdfast in that cluster, and import it there (with destination.server https://kubernetes.default.svc)"
        ),
    ))
}

/// True for a source that makes objects, and does not only give files to others.
fn renders(source: &Fields<'_>) -> bool {
    let is_reference = source.text("ref").is_some();
    source.text("chart").is_some()
        || source.text("path").is_some()
        || (!is_reference && source.text("repoURL").is_some())
}

/// Sets the source of a Sync and how it is rendered.
fn rendered(
    argo: &Argo<'_>,
    found: &Found,
    source: &Fields<'_>,
    references: &[&Fields<'_>],
    draft: &mut Draft,
    all: &mut Vec<Note>,
) -> Result<(), Refusal> {
    let Some(url) = source.text("repoURL") else {
        return Err((source.path_of("repoURL"), "it is missing".to_owned()));
    };
    if source.below("plugin").is_set() {
        return Err((
            source.path_of("plugin"),
            "config management plugins are programs of your own in a container, and Holdfast runs none; commit what the plugin renders, or use a kustomization or a chart".to_owned(),
        ));
    }
    if source.below("directory").below("jsonnet").is_set() {
        return Err((
            source.path_of("directory.jsonnet"),
            "jsonnet is not rendered; commit what it renders".to_owned(),
        ));
    }
    let revision = source.text("targetRevision");
    let path = source.text("path").unwrap_or_default().trim_start_matches("./").trim_matches('/').to_owned();
    source.text("ref");
    source.text("name");
    let mut values = None;
    if let Some(chart) = source.text("chart") {
        helm::chart(argo, url, chart, revision, draft, all);
        values = Some(beside(argo, found, source, references, draft, all)?);
    } else if url.starts_with("oci://") {
        return Err((source.path_of("repoURL"), "the source is an OCI artifact, and a Sync reads Git; make a Sync of the Git repository that it is built from".to_owned()));
    } else {
        git::source(argo, url, revision, draft, all);
        let same = references
            .iter()
            .find(|other| other.text("repoURL") == Some(url) && other.text("targetRevision") == revision);
        values = same.and_then(|other| other.text("ref")).map(str::to_owned).or(values);
        if !path.is_empty() && path != "." {
            draft.set("path", format!("./{path}"));
        }
    }
    let from = helm::Place {
        app: found,
        path: &path,
        url,
        revision: revision.unwrap_or_default(),
        reference: values.as_deref(),
    };
    let mut notes = Notes::about(found.key(), all);
    helm::set(&from, &source.below("helm"), source.text("chart").is_some(), draft, &mut notes);
    kustomize::set(&source.below("kustomize"), draft, &mut notes);
    directory::set(&source.below("directory"), draft, &mut notes);
    Ok(())
}

/// Sets the Git repository of a Sync whose chart is not in Git: that of its values, or that which the Application is in. Returns the
/// name by which value files refer to it.
fn beside(
    argo: &Argo<'_>,
    found: &Found,
    source: &Fields<'_>,
    references: &[&Fields<'_>],
    draft: &mut Draft,
    all: &mut Vec<Note>,
) -> Result<String, Refusal> {
    let files = source.below("helm").texts("valueFiles");
    let is_used = |name: &str| files.iter().any(|file| file.starts_with(&format!("${name}/")));
    let used = references.iter().find(|other| other.text("ref").is_some_and(is_used)).or(references.first());
    if let Some(other) = used {
        let url = other.text("repoURL").unwrap_or_default();
        git::source(argo, url, other.text("targetRevision"), draft, all);
        return Ok(other.text("ref").unwrap_or_default().to_owned());
    }
    let mut seen: Vec<Key> = Vec::new();
    let mut next = parent(argo.index, found);
    while let Some(key) = next.filter(|key| !seen.contains(key) && seen.len() < 100) {
        let Some(other) = argo.index.get(&key.kind, &key.namespace, &key.name) else { break };
        let url = other.at("/spec/source/repoURL");
        if key.kind == "Application" && !url.is_empty() && other.at("/spec/source/chart").is_empty() {
            let revision =
                Some(other.at("/spec/source/targetRevision")).filter(|revision| !revision.is_empty());
            git::source(argo, url, revision, draft, all);
            return Ok(String::new());
        }
        next = parent(argo.index, other);
        seen.push(key);
    }
    if let Some(url) = &argo.options.config_repository {
        draft.set("source.git.url", url.as_str());
        if let Some(secret) = git::login(argo.index, url) {
            let name = git::secret_of(secret, draft, "source.git.secretRef", all);
            draft.set("source.git.secretRef.name", name);
        }
        return Ok(String::new());
    }
    Err((
        source.path_of("chart"),
        "a Sync has a Git repository also if its chart comes from elsewhere, and it is not known which one this Application is in; name it with --config-repository URL".to_owned(),
    ))
}

fn metadata(found: &Found, draft: &mut Draft, all: &mut Vec<Note>) {
    let mut notes = Notes::about(found.key(), all);
    for (name, value) in found.labels().filter(|(name, _)| *name != "app.kubernetes.io/instance") {
        draft.label(name, value);
    }
    for (name, value) in found.annotations() {
        let field = format!("metadata.annotations[{name}]");
        match name {
            "kubectl.kubernetes.io/last-applied-configuration" | "argocd.argoproj.io/tracking-id" => {}
            "argocd.argoproj.io/refresh" => notes.not_needed(field, "use holdfast reconcile"),
            "argocd.argoproj.io/sync-wave" => draft.annotate(name, value),
            "argocd.argoproj.io/manifest-generate-paths" => {
                notes.not_needed(
                    field,
                    "a render records what it reads; a commit that changes none of it renders nothing",
                );
            }
            _ if name.starts_with("notifications.argoproj.io/")
                || name.starts_with("argocd-image-updater.argoproj.io/") => {}
            _ if name.starts_with("argocd.argoproj.io/") => {
                notes.missing(field, "has no counterpart on a Sync");
            }
            _ => draft.annotate(name, value),
        }
    }
}

/// The folders of an Application in the config repository, in which more Applications may be.
pub fn place(index: &Index, found: &Found, options: &Options) -> Vec<Place> {
    if found.kind() != "Application" {
        return Vec::new();
    }
    let mut drafts = Drafts::default();
    import(&Argo { index, options }, found, &mut drafts, &mut Vec::new());
    let mut places = Vec::new();
    for draft in drafts.iter().filter(|draft| draft.get("render.helm.chart").is_none()) {
        let text = |field: &str| draft.get(field).and_then(Value::as_str).map(str::to_owned);
        let render = draft.get("render").cloned().unwrap_or_else(|| json!({}));
        let Ok(render) = serde_json::from_value::<Render>(render) else { continue };
        let namespace = text("targetNamespace").unwrap_or_else(|| draft.namespace.clone());
        places.push(Place { folder: text("path").unwrap_or_default(), render, namespace });
    }
    places
}

//! GitRepository: the source of a Sync. Pure.

use serde_json::{Value, json};

use super::super::fields::Fields;
use super::super::found::{Found, Index};
use super::super::note::{Advice, Level, Note, Notes};
use super::super::output::Draft;
use super::super::{shell, words};

/// Fields of a GitRepository without a counterpart.
const ADVICE: &[Advice] = &[
    ("spec.timeout", Level::NotNeeded, "the timeout of the Sync includes the fetch"),
    ("spec.gitImplementation", Level::NotNeeded, "there is one implementation"),
    ("spec.accessFrom", Level::NotNeeded, "the URL is in each Sync, so nothing refers to another namespace"),
    (
        "spec.sparseCheckout",
        Level::NotNeeded,
        "a commit is fetched without its history, and only what a Sync reads counts",
    ),
    (
        "spec.ignore",
        Level::Missing,
        "write the patterns to a file .sourceignore in the repository, which Holdfast reads, or to render.plain.exclude of the Syncs",
    ),
    (
        "spec.include",
        Level::Missing,
        "a Sync has one repository; make a Sync for each, or a kustomization with a remote base",
    ),
    (
        "spec.recurseSubmodules",
        Level::Missing,
        "submodules are not read; commit their files, or make a Sync for their repository",
    ),
    ("spec.proxySecretRef", Level::Missing, "set HTTPS_PROXY in the environment of the agent"),
    (
        "spec.serviceAccountName",
        Level::Missing,
        "there is no login by workload identity; make a Secret with a token and name it in secretRef",
    ),
];

/// What a Sync takes from a GitRepository.
pub struct Git {
    pub url: String,
    /// Branch, if the ref is one.
    pub branch: Option<String>,
    pub secret: Option<String>,
    /// The fields of `source.git`.
    fields: Value,
    interval: Option<String>,
    is_suspended: bool,
    namespace: String,
    name: String,
}

/// Reads a GitRepository. The error says why it is no source of a Sync.
pub fn git(found: &Found, all: &mut Vec<Note>) -> Result<Git, String> {
    let mut notes = Notes::about(found.key(), all);
    let spec = Fields::of(&found.value, "spec");
    let Some(url) = spec.text("url") else { return Err(format!("{} has no url", found.key())) };
    let (url, had_password) = words::without_password(url);
    if had_password {
        words::password_note(&mut notes, "spec.url");
    }
    let (reference, branch) = reference(&spec, &mut notes);
    let secret = spec.below("secretRef").text("name").map(str::to_owned);
    let mut fields = json!({"url": url, "ref": reference});
    provider(&spec, &mut notes);
    let verify = spec.below("verify");
    if let Some(name) = verify.below("secretRef").text("name") {
        let mode = match verify.text("mode").unwrap_or("HEAD").to_ascii_lowercase().as_str() {
            "tag" => "Tag",
            "tagandhead" => "TagAndHead",
            _ => "Head",
        };
        fields["verify"] = json!({"mode": mode, "secretRef": {"name": name}});
        notes.action(
            spec.path_of("verify.secretRef"),
            "the keys of the Secret must end in .asc; list them, and rename those that do not",
            format!(
                "{} -o json | jq '.data | keys'",
                shell::command(&["kubectl", "-n", found.namespace(), "get", "secret", name])
            ),
        );
    }
    let interval = spec.text("interval").and_then(words::interval).map(str::to_owned);
    if interval.is_none() && spec.below("interval").is_set() {
        notes.changed("spec.interval", "it is no duration of at least 5s; the Sync has the default of 1m");
    }
    let is_suspended = spec.flag("suspend") == Some(true);
    for unread in spec.unread(ADVICE) {
        notes.add(unread.level, unread.path, unread.text);
    }
    let (namespace, name) = (found.namespace().to_owned(), found.name().to_owned());
    Ok(Git { url, branch, secret, fields, interval, is_suspended, namespace, name })
}

/// The ref, as a Sync has it. Flux uses the most exact one that is set.
fn reference(spec: &Fields<'_>, notes: &mut Notes<'_>) -> (Value, Option<String>) {
    let from = spec.below("ref");
    let found: Vec<(&str, &str)> = ["commit", "name", "semver", "tag", "branch"]
        .into_iter()
        .filter_map(|field| Some((field, from.text(field)?)))
        .collect();
    for (field, _) in found.iter().skip(1) {
        notes.not_needed(from.path_of(field), "another field of ref has precedence, in Flux as well");
    }
    match found.first() {
        None => (json!({"branch": "master"}), Some("master".to_owned())),
        Some(("branch", branch)) => (json!({"branch": branch}), Some((*branch).to_owned())),
        Some((field, value)) => {
            let branch =
                found.iter().find(|(field, _)| *field == "branch").map(|(_, value)| (*value).to_owned());
            (json!({*field: value}), branch)
        }
    }
}

fn provider(spec: &Fields<'_>, notes: &mut Notes<'_>) {
    match spec.text("provider") {
        None | Some("generic") => {}
        Some("github") => notes.missing(
            "spec.provider",
            "a Sync does not log in as a GitHub App; make a Secret with the keys username and password, and name it in secretRef",
        ),
        Some(other) => notes.missing(
            "spec.provider",
            format!("there is no login by the identity of {other}; make a Secret with the keys username and password, or bearerToken"),
        ),
    }
}

impl Git {
    /// Sets the source of a Sync.
    pub fn set(&self, draft: &mut Draft, all: &mut Vec<Note>) {
        draft.set("source.git", self.fields.clone());
        draft.reads("GitRepository", &self.namespace, &self.name);
        if let Some(secret) = &self.secret {
            draft.set("source.git.secretRef.name", secret.as_str());
        }
        if let Some(interval) = &self.interval {
            draft.set("interval", interval.as_str());
        }
        if self.is_suspended && draft.get("suspend").is_none() {
            draft.set("suspend.reason", "its source was suspended in Flux");
        }
        let verified = self.fields.pointer("/verify/secretRef/name").and_then(Value::as_str);
        for secret in self.secret.as_deref().into_iter().chain(verified) {
            secret_here(draft, "source.git", (&self.namespace, secret), all);
        }
    }
}

/// Says that a Secret of another namespace must be copied to that of a resource.
pub fn secret_here(draft: &Draft, field: &str, (namespace, name): (&str, &str), all: &mut Vec<Note>) {
    if namespace != draft.namespace {
        Notes::about(format!("{} {}/{}", draft.kind(), draft.namespace, draft.name), all).action(
            field,
            format!("it needs the Secret {name} of the namespace {namespace} in its own namespace"),
            shell::copy_secret((namespace, name), &draft.namespace),
        );
    }
}

/// The source that a reference names, and the folder in it. The error says why there is none.
pub fn referred<'i>(
    index: &'i Index,
    from: &Fields<'_>,
    namespace: &str,
    path: Option<&str>,
) -> Result<(&'i Found, Option<String>), String> {
    let kind = from.text("kind").unwrap_or("GitRepository");
    let name = from.text("name").unwrap_or_default();
    let namespace = from.text("namespace").unwrap_or(namespace);
    from.text("apiVersion");
    match kind {
        "GitRepository" => match index.get(kind, namespace, name) {
            Some(found) => Ok((found, path.map(str::to_owned))),
            None => Err(format!(
                "the GitRepository {namespace}/{name} is not among the imported objects; add it with -f"
            )),
        },
        "ExternalArtifact" => artifact(index, namespace, name, path.unwrap_or_default()),
        "OCIRepository" => Err(format!(
            "the source is the OCIRepository {namespace}/{name}, and a Sync reads Git; make a Sync of the Git repository that the artifact is built from"
        )),
        kind => Err(format!(
            "the source is the {kind} {namespace}/{name}, and a Sync reads Git; put the files into a Git repository"
        )),
    }
}

/// The repository that an artifact is composed of, if its folder is copied as a whole from one.
fn artifact<'i>(
    index: &'i Index,
    namespace: &str,
    name: &str,
    path: &str,
) -> Result<(&'i Found, Option<String>), String> {
    let refused = |why: &str| {
        format!(
            "the source is the ExternalArtifact {namespace}/{name}, {why}; name the repository and the path in a Sync yourself"
        )
    };
    let text =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let wanted = path.trim_start_matches("./").trim_matches('/');
    for generator in index.of("ArtifactGenerator").filter(|generator| generator.namespace() == namespace) {
        let spec = generator.value.get("spec").unwrap_or(&Value::Null);
        let Some(artifact) =
            list(spec, "artifacts").into_iter().find(|artifact| text(artifact, "name") == name)
        else {
            continue;
        };
        let mut best: Option<(usize, String, String)> = None;
        for copy in list(&artifact, "copy") {
            let (from, to) = (text(&copy, "from"), text(&copy, "to"));
            let (Some(from), Some(to)) = (from.strip_prefix('@'), to.strip_prefix("@artifact/")) else {
                continue;
            };
            let (alias, from) = from.split_once('/').unwrap_or((from, ""));
            let Some(from) = from.strip_suffix("**") else { continue };
            let (from, to) = (from.trim_matches('/'), to.trim_matches('/'));
            let rest = if to.is_empty() { Some(wanted) } else { wanted.strip_prefix(to) };
            let Some(rest) = rest.filter(|rest| to.is_empty() || rest.is_empty() || rest.starts_with('/'))
            else {
                continue;
            };
            if best.as_ref().is_none_or(|(length, ..)| to.len() >= *length) {
                let folder = format!("./{from}/{}", rest.trim_matches('/'));
                best = Some((to.len(), alias.to_owned(), folder.trim_end_matches('/').to_owned()));
            }
        }
        let Some((_, alias, folder)) = best else {
            return Err(refused("whose folder is not copied as a whole (from: \"@alias/folder/**\")"));
        };
        let source = list(spec, "sources").into_iter().find(|source| text(source, "alias") == alias);
        let source = source.unwrap_or_default();
        let of = text(&source, "namespace");
        let of = if of.is_empty() { namespace } else { &of };
        return match index.get("GitRepository", of, &text(&source, "name")) {
            Some(found) if text(&source, "kind") == "GitRepository" => Ok((found, Some(folder))),
            _ => Err(refused("which is not made of a GitRepository")),
        };
    }
    Err(refused("which no ArtifactGenerator among the imported objects makes"))
}

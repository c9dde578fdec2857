//! Receiver: the webhook of the Syncs and ImageUpdates that read what it announces. Pure.

use serde_json::json;

use super::super::fields::Fields;
use super::super::found::Found;
use super::super::note::{Advice, Level, Note, Notes};
use super::super::output::Drafts;
use super::source::secret_here;

const ADVICE: &[Advice] = &[
    ("spec.interval", Level::NotNeeded, "the Secret is watched"),
    ("spec.events", Level::NotNeeded, "the payload is not trusted; every call triggers a check"),
    ("spec.resourceFilter", Level::NotNeeded, "a call triggers a check of the source, and nothing else"),
    ("spec.suspend", Level::Missing, "remove webhook of the Syncs"),
];

/// Sets the webhooks.
pub fn import(found: &Found, drafts: &mut Drafts, all: &mut Vec<Note>) {
    let spec = Fields::of(&found.value, "spec");
    let mut notes = Notes::about(found.key(), all);
    let provider = match spec.text("type").unwrap_or_default() {
        "github" => "GitHub",
        "gitlab" => "GitLab",
        "bitbucket" => "Bitbucket",
        "harbor" => "Harbor",
        "dockerhub" => "DockerHub",
        "quay" => "Quay",
        "generic-hmac" => "Generic",
        other => {
            let text = format!(
                "calls of the type {other} are not verified; let the service call with a signature (provider: Generic)"
            );
            return notes.refused("spec.type", text);
        }
    };
    let Some(secret) = spec.below("secretRef").text("name") else {
        return notes.refused("spec.secretRef", "a webhook needs a Secret with the key token");
    };
    if provider == "Generic" {
        notes.changed("spec.type", "the signature is in the header X-Signature-256");
    }
    let mut changed = Vec::new();
    for resource in spec.items("resources") {
        resource.text("apiVersion");
        resource.map("matchLabels");
        let (kind, name) = (resource.text("kind").unwrap_or_default(), resource.text("name").unwrap_or("*"));
        let namespace = resource.text("namespace").unwrap_or(found.namespace());
        let ours = match kind {
            "GitRepository" | "Kustomization" | "HelmRelease" => "Sync",
            "ImageRepository" | "ImagePolicy" | "ImageUpdateAutomation" => "ImageUpdate",
            _ => {
                notes.missing(
                    resource.path(),
                    format!("a {kind} has no webhook; it is asked at its interval"),
                );
                continue;
            }
        };
        for draft in drafts.iter_mut().filter(|draft| draft.kind() == ours) {
            let is_here = match kind {
                "Kustomization" | "HelmRelease" | "ImageUpdateAutomation" => {
                    draft.namespace == namespace
                        && (name == "*" || draft.from == format!("{kind} {namespace}/{name}"))
                }
                _ => draft.sources.iter().any(|(of, from, source)| {
                    of == kind && from == namespace && (name == "*" || source == name)
                }),
            };
            if is_here && draft.get("webhook").is_none() {
                draft.set("webhook", json!({"provider": provider, "secretRef": {"name": secret}}));
                changed.push(draft.clone());
            }
        }
    }
    if changed.is_empty() {
        notes.missing("spec.resources", "no imported resource reads what it announces");
    } else {
        notes.changed(
            "spec.resources",
            "the address to call is another one: status.webhookPath of each Sync or ImageUpdate, at the Service holdfast. The token needs 16 characters or more",
        );
    }
    for unread in spec.unread(ADVICE) {
        notes.add(unread.level, unread.path, unread.text);
    }
    drop(notes);
    for draft in changed {
        secret_here(&draft, "webhook", (found.namespace(), secret), all);
    }
}

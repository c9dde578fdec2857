//! Resources of Flux. Leaves each kind to its file. Pure.

mod alert;
mod automation;
mod chart;
mod kustomization;
mod overlay;
mod receiver;
mod release;
mod source;
mod steps;

use std::collections::BTreeSet;

use serde_json::Value;

use super::found::{Found, Index, Key};
use super::note::{Level, Note, Notes};
use super::output::Drafts;
use super::{Imported, Options};

pub use self::kustomization::place;

/// The API groups of Flux.
pub const GROUPS: [&str; 7] = [
    "kustomize.toolkit.fluxcd.io",
    "helm.toolkit.fluxcd.io",
    "source.toolkit.fluxcd.io",
    "source.extensions.fluxcd.io",
    "image.toolkit.fluxcd.io",
    "notification.toolkit.fluxcd.io",
    "fluxcd.controlplane.io",
];

/// Kinds that are read together with those that refer to them.
const REFERRED: [&str; 9] = [
    "GitRepository",
    "HelmRepository",
    "HelmChart",
    "OCIRepository",
    "ArtifactGenerator",
    "ExternalArtifact",
    "Provider",
    "ImageRepository",
    "ImagePolicy",
];

/// Everything of Flux that an import reads.
struct Flux<'i> {
    index: &'i Index,
    options: &'i Options,
}

/// Imports everything.
pub fn import(index: &Index, options: &Options) -> Imported {
    let flux = Flux { index, options };
    let mut imported = Imported::default();
    let Imported { drafts, notes, .. } = &mut imported;
    index.refused(notes);
    for found in index.of("Kustomization") {
        kustomization::import(&flux, found, drafts, notes);
    }
    for found in index.of("HelmRelease") {
        release::import(&flux, found, drafts, notes);
    }
    kustomization::dependencies(&flux, drafts, notes);
    for found in index.of("ImageUpdateAutomation") {
        automation::import(&flux, found, drafts, notes);
    }
    for found in index.of("Alert") {
        alert::import(&flux, found, drafts, notes);
    }
    for found in index.of("Receiver") {
        receiver::import(found, drafts, notes);
    }
    rest(index, drafts, notes);
    imported.steps = steps::steps(index, drafts, &options.command);
    imported
}

/// Names what nothing was made of.
fn rest(index: &Index, drafts: &Drafts, notes: &mut Vec<Note>) {
    let made = drafts.origins();
    let said: BTreeSet<String> = notes.iter().map(|note| note.object.clone()).collect();
    let referred = references(index);
    let is_referred = |found: &Found| {
        let with = |kind: &str| referred.contains(&(kind.to_owned(), found.name().to_owned()));
        with(found.kind()) || with("")
    };
    for found in index.iter().filter(|found| GROUPS.contains(&found.group())) {
        let key = found.key().to_string();
        match found.kind() {
            "Kustomization" | "HelmRelease" | "ImageUpdateAutomation" | "Alert" | "Receiver" => {}
            "Bucket" => {
                refuse(found, notes, "there is no source of this kind; put the files into a Git repository");
            }
            "ImagePolicy" if !automation::is_used(index, found) => refuse(
                found,
                notes,
                "no ImageUpdateAutomation of its namespace uses it, and an ImageUpdate needs a repository that it writes to",
            ),
            "ArtifactGenerator" => {
                let text = "the Syncs name the folders that it copies";
                Notes::about(key, notes).not_needed("", text);
            }
            kind if REFERRED.contains(&kind) => {
                if !made.contains(key.as_str()) && !said.contains(&key) && !is_referred(found) {
                    let text = "nothing refers to it, so nothing is made of it";
                    Notes::about(key, notes).not_needed("", text);
                }
            }
            _ => refuse(found, notes, "there is no counterpart of this kind; replace what it makes by Syncs"),
        }
    }
}

/// Kind and name of every reference; the kind is empty if a reference has none.
fn references(index: &Index) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Value> = index.iter().filter_map(|object| object.value.get("spec")).collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                let text =
                    |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                if fields.get("name").is_some_and(Value::is_string) {
                    found.insert((text("kind"), text("name")));
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found
}

fn refuse(found: &Found, notes: &mut Vec<Note>, text: &str) {
    Notes::about(found.key(), notes).add(Level::Refused, "", text);
}

/// The object that applied this one, by its labels or because it was found in its path.
fn parent(found: &Found) -> Option<Key> {
    let label = |name: &str| found.label(&format!("kustomize.toolkit.fluxcd.io/{name}"));
    let labelled = label("name").zip(label("namespace"));
    labelled.map(|(name, namespace)| Key::new("Kustomization", namespace, name)).or_else(|| found.via.clone())
}

/// Copies the labels and names the annotations of an object.
fn metadata(found: &Found, draft: &mut super::output::Draft, notes: &mut Notes<'_>) {
    for (name, value) in found.labels() {
        if !name.contains("toolkit.fluxcd.io/") && !name.starts_with("app.kubernetes.io/managed-by") {
            draft.label(name, value);
        }
    }
    for (name, value) in found.annotations() {
        let field = format!("metadata.annotations[{name}]");
        match name {
            "kubectl.kubernetes.io/last-applied-configuration" => {}
            _ if name.starts_with("reconcile.fluxcd.io/") => {
                notes
                    .not_needed(field, "use holdfast reconcile, or the annotation holdfast.dev/reconcile-at");
            }
            // Marks of Flux for an object in Git are read by Holdfast.
            _ => draft.annotate(name, value),
        }
    }
}

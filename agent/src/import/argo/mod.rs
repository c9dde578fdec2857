//! Resources of Argo CD. Leaves each part to its file. Pure.

mod application;
mod directory;
mod git;
mod helm;
mod hooks;
mod ignore;
mod images;
mod kustomize;
mod notifications;
mod policy;
mod project;
mod set;
mod steps;
mod template;

use serde_json::Value;

use super::found::{Found, Index, Key};
use super::note::{Level, Notes};
use super::{Imported, Options};

pub use self::application::place;
pub use self::hooks::scan;
pub use self::set::expand;

/// The API groups of Argo CD.
pub const GROUPS: [&str; 2] = ["argoproj.io", "argocd-image-updater.argoproj.io"];

/// The kinds of these groups that belong to Argo CD: Rollouts and Workflows do not.
pub const KINDS: [&str; 4] = ["Application", "ApplicationSet", "AppProject", "ImageUpdater"];

/// The Secrets with the logins of repositories.
pub const SECRETS: &str = "argocd.argoproj.io/secret-type in (repository, repo-creds)";
pub const SECRET_TYPE: &str = "argocd.argoproj.io/secret-type";

/// Everything of Argo CD that an import reads.
struct Argo<'i> {
    index: &'i Index,
    options: &'i Options,
}

/// Imports everything.
pub fn import(index: &Index, options: &Options) -> Imported {
    let argo = Argo { index, options };
    let mut imported = Imported::default();
    let Imported { drafts, notes, .. } = &mut imported;
    index.refused(notes);
    for found in index.of("Application") {
        application::import(&argo, found, drafts, notes);
    }
    for found in index.of("Application") {
        notifications::import(found, drafts, notes);
        images::import(found, drafts, notes);
    }
    for found in index.of("AppProject") {
        project::import(found, drafts, notes);
    }
    for found in index.of("ImageUpdater") {
        let text = "annotations of Applications are read, and this kind is not; write an ImageUpdate with the same images";
        Notes::about(found.key(), notes).add(Level::Refused, "", text);
    }
    for found in index.of("ApplicationSet") {
        set::remarks(index, found, notes);
    }
    imported.steps = steps::steps(index, drafts, &options.command);
    imported
}

/// The Application or ApplicationSet that made this one.
fn parent(index: &Index, found: &Found) -> Option<Key> {
    if let Some(set) = owner(found) {
        return Some(Key::new("ApplicationSet", found.namespace(), set));
    }
    let tracked = found.annotation("argocd.argoproj.io/tracking-id").and_then(|id| id.split_once(':'));
    let name = tracked.map(|(name, _)| name).or_else(|| found.label("app.kubernetes.io/instance"));
    // With Applications in any namespace, the name has that of the Application before it.
    let name = name.map(|name| name.split_once('_').unwrap_or((found.namespace(), name)));
    let applied = name.map(|(namespace, name)| Key::new("Application", namespace, name));
    applied
        .filter(|key| index.get(&key.kind, &key.namespace, &key.name).is_some() && *key != found.key())
        .or_else(|| found.via.clone())
}

/// The ApplicationSet that owns an Application.
fn owner(found: &Found) -> Option<&str> {
    let owners = found.value.pointer("/metadata/ownerReferences").and_then(Value::as_array)?;
    owners.iter().find(|owner| owner["kind"] == "ApplicationSet")?["name"].as_str()
}

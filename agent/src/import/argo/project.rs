//! AppProject: what of it has a counterpart. Pure.

use serde_json::Value;

use super::super::fields::Fields;
use super::super::found::Found;
use super::super::note::{Advice, Level, Note, Notes};
use super::super::output::Drafts;

const RIGHTS: &str = "what a Sync may write is what its ServiceAccount may write: make one with a Role for this project, and name it in serviceAccountName";

const ADVICE: &[Advice] = &[
    ("spec.description", Level::NotNeeded, "there is no object for a project"),
    (
        "spec.sourceRepos",
        Level::Missing,
        "who may create Syncs in a namespace chooses the repository; limit the hosts with --allow-destinations of the agent",
    ),
    ("spec.sourceNamespaces", Level::NotNeeded, "a Sync is in the namespace of its team"),
    ("spec.destinations", Level::Missing, RIGHTS),
    ("spec.clusterResourceWhitelist", Level::Missing, RIGHTS),
    ("spec.clusterResourceBlacklist", Level::Missing, RIGHTS),
    ("spec.namespaceResourceWhitelist", Level::Missing, RIGHTS),
    ("spec.namespaceResourceBlacklist", Level::Missing, RIGHTS),
    (
        "spec.roles",
        Level::Missing,
        "rights are those of Kubernetes: bind the ClusterRoles holdfast-view, holdfast-edit and holdfast-approve in the namespace of the Syncs",
    ),
    (
        "spec.syncWindows",
        Level::Missing,
        "there are no windows; suspend the Syncs for a time (holdfast suspend --for), or set approval: Always",
    ),
    (
        "spec.signatureKeys",
        Level::Missing,
        "set source.git.verify of the Syncs, with the public keys (not their ids) in a Secret",
    ),
    ("spec.orphanedResources", Level::Missing, "objects that no Sync has are not reported"),
    ("spec.permitOnlyProjectScopedClusters", Level::NotNeeded, "a Sync applies to the cluster of its agent"),
];

/// Sets the ServiceAccounts of a project, and reports the rest.
pub fn import(found: &Found, drafts: &mut Drafts, all: &mut Vec<Note>) {
    let spec = Fields::of(&found.value, "spec");
    let mut notes = Notes::about(found.key(), all);
    let is_default = found.name() == "default"
        && found
            .value
            .pointer("/spec/sourceRepos")
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().any(|repository| repository == "*"));
    if is_default {
        return notes.not_needed("", "the project default allows everything");
    }
    for entry in spec.items("destinationServiceAccounts") {
        entry.text("server");
        let namespace = entry.text("namespace").unwrap_or("*");
        let Some(account) = entry.text("defaultServiceAccount") else { continue };
        let name = account.split_once(':').map_or(account, |(_, name)| name);
        notes.changed(
            entry.path(),
            format!("a Sync acts as a ServiceAccount of its own namespace; make {name} there, with the same Role in the namespaces that match {namespace}"),
        );
        for draft in drafts.iter_mut().filter(|draft| draft.kind() == "Sync" && draft.project == found.name())
        {
            let target =
                draft.get("targetNamespace").and_then(Value::as_str).unwrap_or(&draft.namespace).to_owned();
            let is_here = namespace == "*" || namespace == target;
            if is_here && draft.get("serviceAccountName").is_none() {
                draft.set("serviceAccountName", name);
            }
        }
    }
    for unread in spec.unread(ADVICE) {
        notes.add(unread.level, unread.path, unread.text);
    }
}

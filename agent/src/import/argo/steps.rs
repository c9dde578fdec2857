//! The steps from Argo CD to Holdfast: sets and parents first, and no finalizer is left that would delete objects. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::found::{Found, Index, Key};
use super::super::output::{Draft, Drafts};
use super::super::shell;
use super::super::steps::{Step, first, last, take};
use super::parent;

const APPLICATIONS: &str = "applications.argoproj.io";
const SETS: &str = "applicationsets.argoproj.io";

/// Returns the steps.
pub fn steps(index: &Index, drafts: &Drafts, command: &str) -> Vec<Step> {
    let origins = drafts.origins();
    let syncs: Vec<&Draft> = drafts.iter().filter(|draft| draft.kind() == "Sync").collect();
    let made = |found: &&Found| origins.contains(found.key().to_string().as_str());
    let mut applications: Vec<&Found> = index.of("Application").filter(made).collect();
    applications.sort_by_key(|found| (depth(index, found), found.key()));
    let sets: Vec<&Found> = index.of("ApplicationSet").collect();
    let each = |all: &[&Found], resource: &str, patch: serde_json::Value| -> Vec<String> {
        all.iter().map(|found| shell::patch(found.namespace(), resource, found.name(), &patch)).collect()
    };
    let keep = json!({"spec": {"syncPolicy": {"applicationsSync": "create-only", "preserveResourcesOnDeletion": true}}});
    let mut stop = each(&sets, SETS, keep);
    stop.extend(each(&applications, APPLICATIONS, json!({"spec": {"syncPolicy": {"automated": null}}})));
    let finalizers = each(&applications, APPLICATIONS, json!({"metadata": {"finalizers": null}}));
    let delete = |all: &[&Found], resource: &str, more: &[&str]| -> Vec<String> {
        let command = |found: &&Found| {
            let words =
                ["kubectl", "-n", found.namespace(), "delete", resource, found.name(), "--wait=false"];
            shell::command(&[&words[..], more].concat())
        };
        all.iter().map(command).collect()
    };
    // Applications of a set that are not imported stay.
    let mut remove = delete(&sets, SETS, &["--cascade=orphan"]);
    remove.extend(delete(&applications, APPLICATIONS, &[]));
    let mut steps = first("Argo CD", &syncs, command);
    steps.push(Step::new(
        "Stop Argo CD",
        "An ApplicationSet changes and deletes no Application any more, and no Application is synced by itself. Those that apply others come \
         first, since they would undo what is set on them. Do not sync one by hand from now on.",
        stop,
    ));
    let names: BTreeMap<&str, String> = drafts
        .iter()
        .map(|draft| (draft.from.as_str(), format!("{}/{}", draft.namespace, draft.name)))
        .collect();
    let parents = index.iter().filter_map(|found| parent(index, found)).map(|parent| parent.to_string());
    let parents: BTreeSet<String> =
        parents.filter_map(|parent| names.get(parent.as_str()).cloned()).collect();
    if !parents.is_empty() {
        steps.push(Step::new(
            "Remove the objects of Argo CD from Git",
            format!(
                "The Syncs {} would apply Applications, because these are in their folders. Remove them from Git now, while nothing is synced.",
                parents.into_iter().collect::<Vec<_>>().join(", ")
            ),
            Vec::new(),
        ));
    }
    steps.extend(take("Argo CD", &syncs));
    steps.push(Step::new(
        "Take the finalizers off",
        "Without the finalizer resources-finalizer.argocd.argoproj.io, deleting an Application leaves its objects. Check that it is gone from \
         every Application before you go on.",
        finalizers,
    ));
    steps.push(Step::new(
        "Remove the objects of Argo CD",
        "Do not delete the namespace of Argo CD while resources of Holdfast, or Secrets that \
         they name, are in it: deleting a Sync with deletion: Prune deletes its objects.",
        remove,
    ));
    steps.push(last());
    steps
}

/// How many Applications and sets are above an Application.
fn depth(index: &Index, found: &Found) -> usize {
    let mut seen: Vec<Key> = vec![found.key()];
    let mut next = parent(index, found);
    while let Some(key) = next.take().filter(|key| !seen.contains(key) && seen.len() < 100) {
        next = index.get(&key.kind, &key.namespace, &key.name).and_then(|found| parent(index, found));
        seen.push(key);
    }
    seen.len() - 1
}

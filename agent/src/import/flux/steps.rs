//! The steps from Flux to Holdfast: parents before their children, and nothing is removed that would delete its objects. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::found::{Found, Index, Key};
use super::super::output::{Draft, Drafts};
use super::super::shell;
use super::super::steps::{Step, first, last, take};
use super::parent;

/// Names kubectl uses for the kinds, which others have too.
const KUSTOMIZATIONS: &str = "kustomizations.kustomize.toolkit.fluxcd.io";
const RELEASES: &str = "helmreleases.helm.toolkit.fluxcd.io";
const AUTOMATIONS: &str = "imageupdateautomations.image.toolkit.fluxcd.io";
const ALERTS: &str = "alerts.notification.toolkit.fluxcd.io";

/// Returns the steps.
pub fn steps(index: &Index, drafts: &Drafts, command: &str) -> Vec<Step> {
    let origins = drafts.origins();
    let syncs: Vec<&Draft> = drafts.iter().filter(|draft| draft.kind() == "Sync").collect();
    let of = |kind: &str| -> Vec<&Found> {
        let made = |found: &&Found| origins.contains(found.key().to_string().as_str());
        index.iter().filter(|found| found.kind() == kind).filter(made).collect()
    };
    let mut appliers = of("Kustomization");
    appliers.sort_by_key(|found| (depth(index, found), found.key()));
    let releases = of("HelmRelease");
    let (automations, alerts) = (of("ImageUpdateAutomation"), of("Alert"));
    let each = |all: &[&Found], resource: &str, patch: serde_json::Value| -> Vec<String> {
        all.iter().map(|found| shell::patch(found.namespace(), resource, found.name(), &patch)).collect()
    };
    let mut suspend = each(&appliers, KUSTOMIZATIONS, json!({"spec": {"suspend": true, "prune": false}}));
    suspend.extend(each(&releases, RELEASES, json!({"spec": {"suspend": true}})));
    suspend.extend(each(&automations, AUTOMATIONS, json!({"spec": {"suspend": true}})));
    suspend.extend(each(&alerts, ALERTS, json!({"spec": {"suspend": true}})));
    let delete = |all: &[&Found], resource: &str| -> Vec<String> {
        let command = |found: &&Found| {
            shell::command(&[
                "kubectl",
                "-n",
                found.namespace(),
                "delete",
                resource,
                found.name(),
                "--wait=false",
            ])
        };
        all.iter().map(command).collect()
    };
    let mut remove = delete(&appliers, KUSTOMIZATIONS);
    remove.extend(delete(&releases, RELEASES));
    remove.extend(delete(&automations, AUTOMATIONS));
    remove.extend(delete(&alerts, ALERTS));
    let mut steps = first("Flux", &syncs, command);
    steps.push(Step::new(
        "Suspend Flux",
        "A Kustomization that applies others comes first, since it would undo what is set on them. A Kustomization that is suspended, and has \
         prune: false, removes nothing when it is deleted; a HelmRelease that is suspended is not uninstalled. Check that each command \
         succeeds before you go on.",
        suspend,
    ));
    if let Some(parents) = nested(index, drafts) {
        steps.push(Step::new(
            "Remove the objects of Flux from Git",
            format!(
                "The Syncs {parents} would apply objects of Flux, because these are in their folders. Remove them from Git now, while Flux is \
                 suspended and cannot see it. Their plans then no longer name these objects."
            ),
            Vec::new(),
        ));
    }
    steps.extend(take("Flux", &syncs));
    steps.push(Step::new(
        "Remove the objects of Flux",
        "Only after the steps above, while the controllers of Flux still run: they take their finalizers off and leave everything else. If they \
         do not run any more, take the finalizers off yourself. Sources, policies and providers make nothing by themselves, and can be deleted afterwards. Do not run flux uninstall, and do not delete the namespace flux-system, \
         while resources of Holdfast are in it: deleting a Sync with deletion: Prune deletes its objects.",
        remove,
    ));
    if !releases.is_empty() {
        steps.push(Step::new(
            "Remove the stored releases",
            "helm uninstall would delete the objects that Holdfast has now; without the stored releases it cannot.",
            releases.iter().map(|found| storage(found)).collect(),
        ));
    }
    steps.push(last());
    steps
}

/// How many Kustomizations are above an object. A cycle ends where it began.
fn depth(index: &Index, found: &Found) -> usize {
    let mut seen: Vec<Key> = vec![found.key()];
    let mut next = parent(found);
    while let Some(key) = next.take().filter(|key| !seen.contains(key) && seen.len() < 100) {
        next = index.get(&key.kind, &key.namespace, &key.name).and_then(parent);
        seen.push(key);
    }
    seen.len() - 1
}

/// Names the Syncs that would apply objects of Flux.
fn nested(index: &Index, drafts: &Drafts) -> Option<String> {
    let names: BTreeMap<&str, String> = drafts
        .iter()
        .map(|draft| (draft.from.as_str(), format!("{}/{}", draft.namespace, draft.name)))
        .collect();
    let parents = index.iter().filter_map(parent).map(|parent| parent.to_string());
    let parents: BTreeSet<String> =
        parents.filter_map(|parent| names.get(parent.as_str()).cloned()).collect();
    (!parents.is_empty()).then(|| parents.into_iter().collect::<Vec<_>>().join(", "))
}

/// Deletes what Helm stores of a release.
fn storage(found: &Found) -> String {
    let text = |pointer: &str| Some(found.at(pointer)).filter(|text| !text.is_empty());
    let namespace = text("/spec/storageNamespace").unwrap_or(found.namespace());
    let target = text("/spec/targetNamespace").map(|target| format!("{target}-{}", found.name()));
    let name =
        text("/spec/releaseName").map(str::to_owned).or(target).unwrap_or_else(|| found.name().to_owned());
    shell::command(&[
        "kubectl",
        "-n",
        namespace,
        "delete",
        "secret",
        "-l",
        &format!("owner=helm,name={name}"),
    ])
}

//! HelmRelease: a Sync that renders a chart. Pure.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::fields::Fields;
use super::super::found::Found;
use super::super::note::{Advice, Level, Note, Notes};
use super::super::output::{Draft, Drafts};
use super::super::steps::observe;
use super::super::words;
use super::{Flux, chart, kustomization, metadata, overlay};

const CRDS: &str = "CustomResourceDefinitions of the chart are kept up to date, where Flux leaves them as they are; to leave them out, set render.helm.skipCRDs";
const ROLLBACK: &str = "a failed revision is not rolled back; set rollback.pullRequest: OnFailure to get a pull request that reverts it";

/// Fields of a HelmRelease without a counterpart.
const ADVICE: &[Advice] = &[
    (
        "spec.interval",
        Level::NotNeeded,
        "drift is seen by a watch; interval of the Sync is that of the repository",
    ),
    ("spec.maxHistory", Level::NotNeeded, "no releases are stored; Git has the history"),
    ("spec.persistentClient", Level::NotNeeded, "there are no Helm clients"),
    ("spec.storageNamespace", Level::NotNeeded, "no releases are stored"),
    ("spec.chart.metadata", Level::NotNeeded, "there is no HelmChart"),
    ("spec.chart.spec.interval", Level::NotNeeded, "a chart repository is asked at the interval of the Sync"),
    ("spec.chart.spec.reconcileStrategy", Level::NotNeeded, "every change of the chart counts"),
    (
        "spec.chart.spec.verify",
        Level::Missing,
        "signatures of charts are not verified; name the version of the chart exactly",
    ),
    (
        "spec.chart.spec.version",
        Level::NotNeeded,
        "a chart in a Git repository has the version of the commit",
    ),
    (
        "spec.install.createNamespace",
        Level::Missing,
        "namespaces are not made; the namespace exists already, and should be in Git for a new cluster",
    ),
    ("spec.install.replace", Level::NotNeeded, "objects that exist are adopted"),
    ("spec.install.disableTakeOwnership", Level::NotNeeded, "the plan names the managers that lose fields"),
    ("spec.upgrade.disableTakeOwnership", Level::NotNeeded, "the plan names the managers that lose fields"),
    ("spec.install.remediation", Level::Missing, ROLLBACK),
    ("spec.upgrade.remediation", Level::Missing, ROLLBACK),
    ("spec.rollback", Level::Missing, ROLLBACK),
    ("spec.install.strategy", Level::NotNeeded, "what failed is repeated by itself"),
    ("spec.upgrade.strategy", Level::NotNeeded, "what failed is repeated by itself"),
    ("spec.install.timeout", Level::NotNeeded, "timeout of the Sync is for everything"),
    ("spec.upgrade.timeout", Level::NotNeeded, "timeout of the Sync is for everything"),
    ("spec.install.serverSideApply", Level::NotNeeded, "everything is applied with server-side apply"),
    ("spec.upgrade.serverSideApply", Level::NotNeeded, "everything is applied with server-side apply"),
    (
        "spec.upgrade.cleanupOnFail",
        Level::NotNeeded,
        "what a revision made is in its Sync and leaves with it",
    ),
    (
        "spec.upgrade.preserveValues",
        Level::Missing,
        "values are those in Git; write them to render.helm.values",
    ),
    (
        "spec.upgrade.force",
        Level::Missing,
        "immutable fields are changed with an Approval; annotate the objects that may be replaced without one with holdfast.dev/recreate: Allowed",
    ),
    (
        "spec.install.disableHooks",
        Level::Missing,
        "hooks become waves; there is no field that leaves them out",
    ),
    (
        "spec.upgrade.disableHooks",
        Level::Missing,
        "hooks become waves; there is no field that leaves them out",
    ),
    (
        "spec.install.disableOpenAPIValidation",
        Level::Missing,
        "the API server validates every object; correct what it refuses",
    ),
    (
        "spec.upgrade.disableOpenAPIValidation",
        Level::Missing,
        "the API server validates every object; correct what it refuses",
    ),
    (
        "spec.install.disableWaitForJobs",
        Level::Changed,
        "a Job counts for the health of the Sync; set health.wait: false to wait for nothing",
    ),
    (
        "spec.upgrade.disableWaitForJobs",
        Level::Changed,
        "a Job counts for the health of the Sync; set health.wait: false to wait for nothing",
    ),
    (
        "spec.test",
        Level::Missing,
        "test hooks are not run; make the test a Job in Git with a later holdfast.dev/wave",
    ),
    (
        "spec.uninstall",
        Level::NotNeeded,
        "the objects are deleted in reverse order; deletion of the Sync says whether",
    ),
    ("spec.dependsOn[].readyExpr", Level::Missing, "a dependency is ready when its condition Ready is True"),
    ("spec.waitStrategy", Level::NotNeeded, "health is computed from watches"),
];

/// The longest name of a release, and how much of a longer one is kept before its digest.
const RELEASE: (usize, usize) = (53, 40);

/// Makes a Sync.
pub fn import(flux: &Flux<'_>, found: &Found, drafts: &mut Drafts, all: &mut Vec<Note>) {
    let key = found.key();
    let spec = Fields::of(&found.value, "spec");
    if spec.below("kubeConfig").is_set() {
        let text = "it applies to another cluster; run Holdfast in that cluster, and import it there";
        return Notes::about(&key, all).refused("spec.kubeConfig", text);
    }
    let mut draft = Draft::new("Sync", found.namespace(), found.name(), &key);
    if let Err((field, why)) = chart::set(flux, found, &spec, &mut draft, all) {
        return Notes::about(&key, all).refused(field, why);
    }
    let mut notes = Notes::about(&key, all);
    metadata(found, &mut draft, &mut notes);
    release(found, &spec, &mut draft, &mut notes);
    kustomization::read_dependencies(&spec);
    for unread in spec.unread(ADVICE) {
        notes.add(unread.level, unread.path, unread.text);
    }
    drop(notes);
    let plain = draft.name.clone();
    let name = drafts.add(draft, "release");
    if name != plain {
        Notes::about(&key, all).changed(
            "metadata.name",
            format!("its Sync is named {name}, because there is a Kustomization of the same name"),
        );
    }
}

/// Sets the release: its name, values, and what happens to its objects.
fn release(found: &Found, spec: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    let target = spec.text("targetNamespace");
    let name = spec.text("releaseName").map(str::to_owned);
    let name = name.unwrap_or_else(|| {
        shortened(
            &target.map_or_else(|| found.name().to_owned(), |target| format!("{target}-{}", found.name())),
        )
    });
    draft.set("render.helm.releaseName", name);
    draft.set("targetNamespace", target);
    draft.set("serviceAccountName", spec.text("serviceAccountName"));
    draft.set("timeout", spec.text("timeout").and_then(words::duration));
    draft.set("render.helm.values", spec.take("values").cloned());
    values_from(spec, draft, notes);
    if spec.flag("suspend") == Some(true) {
        draft.set("suspend.reason", "it was suspended in Flux");
    }
    let (install, upgrade) = (spec.below("install"), spec.below("upgrade"));
    let both = |field: &str| [install.flag(field), upgrade.flag(field)].contains(&Some(true));
    draft.set("health.wait", !both("disableWait"));
    if both("disableSchemaValidation") {
        draft.set("render.helm.skipSchemaValidation", true);
    }
    definitions(&install, &upgrade, draft, notes);
    overlay::common_metadata(spec, draft);
    overlay::health_checks(spec, draft);
    for renderer in spec.items("postRenderers") {
        let kustomize = renderer.below("kustomize");
        overlay::patches(&kustomize, draft, "render.helm.patches");
        overlay::images(&kustomize, draft);
    }
    drift(spec, draft, notes);
}

/// CustomResourceDefinitions in the folder `crds` of the chart.
fn definitions(install: &Fields<'_>, upgrade: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    let skips =
        [install.flag("skipCRDs") == Some(true), install.text("crds") == Some("Skip")].contains(&true);
    match upgrade.text("crds").unwrap_or("Skip") {
        "Skip" if skips => draft.set("render.helm.skipCRDs", true),
        "CreateReplace" => {}
        _ => notes.changed(upgrade.path_of("crds"), CRDS),
    }
}

fn drift(spec: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    let detection = spec.below("driftDetection");
    let mode = match detection.text("mode") {
        Some("enabled") => None,
        Some("warn") => Some("Report"),
        _ => {
            notes.changed(
                "spec.driftDetection",
                "Flux does not look for drift of this release; drift.mode of the Sync is Report, set Correct to have it corrected",
            );
            Some("Report")
        }
    };
    observe(draft, None, mode, None);
    overlay::ignore(&detection.items("ignore"), draft, notes);
}

fn values_from(spec: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    for from in spec.items("valuesFrom") {
        let (Some(kind), Some(name)) = (from.text("kind"), from.text("name")) else { continue };
        let mut entry = json!({"kind": kind, "name": name});
        for field in ["valuesKey", "targetPath"] {
            if let Some(value) = from.text(field) {
                entry[field] = Value::from(value);
            }
        }
        if from.flag("optional") == Some(true) {
            entry["optional"] = Value::from(true);
        }
        if from.flag("literal") == Some(true) {
            notes.changed(from.path_of("literal"), "the value is set as one text in any case");
        }
        draft.push("render.helm.valuesFrom", entry);
    }
}

/// The name of a release that is too long, as helm-controller shortens it.
fn shortened(name: &str) -> String {
    if name.len() <= RELEASE.0 {
        return name.to_owned();
    }
    let digest = hex::encode(Sha256::digest(name.as_bytes()));
    let kept: String = name.chars().take(RELEASE.1).collect();
    format!("{kept}-{}", &digest[..RELEASE.0 - RELEASE.1 - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_of_a_release_is_shortened_to_53_characters() {
        let name = shortened(&"a".repeat(60));
        assert_eq!((name.len(), &name[..41]), (53, &*format!("{}-", "a".repeat(40))));
        assert_eq!(shortened("shop-web"), "shop-web");
    }
}

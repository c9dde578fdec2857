//! HelmRelease: a Sync that renders a chart. Pure.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::fields::Fields;
use super::super::found::Found;
use super::super::note::{Advice, Level, Note, Notes};
use super::super::output::{Draft, Drafts};
use super::super::steps::observe;
use super::super::{shell, words};
use super::source::{self, Git};
use super::{Flux, metadata, overlay, parent};

const CRDS: &str = "the CustomResourceDefinitions of the chart are kept up to date with the rest; to leave them out, set render.helm.skipCRDs";
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
    ("spec.install.crds", Level::Changed, CRDS),
    ("spec.upgrade.crds", Level::Changed, CRDS),
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

/// Fields of a HelmRepository without a counterpart.
const REPOSITORY: &[Advice] = &[
    ("spec.interval", Level::NotNeeded, "a chart repository is asked at the interval of the Sync"),
    ("spec.timeout", Level::NotNeeded, "timeout of the Sync is for everything"),
    ("spec.accessFrom", Level::NotNeeded, "the URL is in each Sync"),
    (
        "spec.passCredentials",
        Level::Missing,
        "credentials are not sent to another host; use a repository whose charts are on its own host",
    ),
    ("spec.suspend", Level::Missing, "suspend the Syncs that use it"),
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
    if let Err((field, why)) = chart(flux, found, &spec, &mut draft, all) {
        return Notes::about(&key, all).refused(field, why);
    }
    let mut notes = Notes::about(&key, all);
    metadata(found, &mut draft, &mut notes);
    release(found, &spec, &mut draft, &mut notes);
    for (verb, field) in [("install", "crds"), ("upgrade", "crds")] {
        if spec.below(verb).text(field) == Some("CreateReplace") {
            notes.not_needed(format!("spec.{verb}.{field}"), "CustomResourceDefinitions are kept up to date");
        }
    }
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

type Refusal = (&'static str, String);

/// Sets the chart, and the repository that the Sync reads.
fn chart(
    flux: &Flux<'_>,
    found: &Found,
    spec: &Fields<'_>,
    draft: &mut Draft,
    all: &mut Vec<Note>,
) -> Result<(), Refusal> {
    let reference = spec.below("chartRef");
    if let Some(kind) = reference.text("kind") {
        let name = reference.text("name").unwrap_or_default();
        let namespace = reference.text("namespace").unwrap_or(found.namespace());
        reference.text("apiVersion");
        let Some(other) = flux.index.get(kind, namespace, name) else {
            return Err((
                "spec.chartRef",
                format!("the {kind} {namespace}/{name} is not among the imported objects; add it with -f"),
            ));
        };
        return match kind {
            "OCIRepository" => {
                artifact(other, draft, all).map_err(|why| ("spec.chartRef", why))?;
                beside(flux, found, draft, all)
            }
            "HelmChart" => of_source(flux, found, other, &Fields::of(&other.value, "spec"), draft, all),
            kind => Err((
                "spec.chartRef",
                format!("a {kind} is no source of a chart; name its Git repository in a Sync"),
            )),
        };
    }
    of_source(flux, found, found, &spec.below("chart").below("spec"), draft, all)
}

/// A chart of a HelmRepository or GitRepository. `owner` has the reference.
fn of_source(
    flux: &Flux<'_>,
    found: &Found,
    owner: &Found,
    chart: &Fields<'_>,
    draft: &mut Draft,
    all: &mut Vec<Note>,
) -> Result<(), Refusal> {
    let Some(name) = chart.text("chart") else {
        return Err(("spec.chart.spec.chart", "it is missing".to_owned()));
    };
    let from = chart.below("sourceRef");
    let files: Vec<&str> = chart.text("valuesFile").into_iter().chain(chart.texts("valuesFiles")).collect();
    let optional = chart.flag("ignoreMissingValuesFiles") == Some(true);
    if from.text("kind") != Some("HelmRepository") {
        let (repository, path) = source::referred(flux.index, &from, owner.namespace(), Some(name))
            .map_err(|why| ("spec.chart.spec.sourceRef", why))?;
        let path = path.unwrap_or_default();
        source::git(repository, all).map_err(|why| ("spec.chart.spec.sourceRef", why))?.set(draft, all);
        let folder = path.trim_start_matches("./").trim_matches('/').to_owned();
        draft.set("path", format!("./{folder}"));
        draft.set("render.type", "Helm");
        values_files(&files, &folder, optional, draft);
        return Ok(());
    }
    let (source_name, namespace) =
        (from.text("name").unwrap_or_default(), from.text("namespace").unwrap_or(owner.namespace()));
    from.text("apiVersion");
    let Some(repository) = flux.index.get("HelmRepository", namespace, source_name) else {
        let text = format!(
            "the HelmRepository {namespace}/{source_name} is not among the imported objects; add it with -f"
        );
        return Err(("spec.chart.spec.sourceRef", text));
    };
    draft.set("render.helm.chart.name", name);
    let version = chart.text("version").filter(|version| *version != "*");
    draft.set("render.helm.chart.version", version);
    helm_repository(repository, draft, all).map_err(|why| ("spec.chart.spec.sourceRef", why))?;
    if !files.is_empty() && files != ["values.yaml"] {
        Notes::about(found.key(), all).missing(
            "spec.chart.spec.valuesFiles",
            format!("values files in a chart are not read; copy {} to the repository, and name them in render.helm.valuesFrom", files.join(", ")),
        );
    }
    beside(flux, found, draft, all)
}

/// Values files of a chart in Git, which Flux names from the root of the repository.
fn values_files(files: &[&str], folder: &str, optional: bool, draft: &mut Draft) {
    for file in files {
        let file = file.trim_start_matches("./");
        let below = file.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        let up = folder.split('/').filter(|name| !name.is_empty()).count();
        let file = below.map_or_else(|| format!("{}{file}", "../".repeat(up)), str::to_owned);
        // The values of the chart itself always count.
        if file != "values.yaml" {
            let mut entry = json!({"file": file});
            if optional {
                entry["optional"] = Value::from(true);
            }
            draft.push("render.helm.valuesFrom", entry);
        }
    }
}

fn helm_repository(found: &Found, draft: &mut Draft, all: &mut Vec<Note>) -> Result<(), String> {
    let spec = Fields::of(&found.value, "spec");
    let Some(url) = spec.text("url") else { return Err(format!("{} has no url", found.key())) };
    spec.text("type");
    let (url, had_password) = words::without_password(url);
    draft.set("render.helm.chart.repository", url);
    if spec.flag("insecure") == Some(true) {
        draft.set("render.helm.chart.insecure", true);
    }
    let mut notes = Notes::about(found.key(), all);
    if had_password {
        words::password_note(&mut notes, "spec.url");
    }
    let secret = spec.below("secretRef").text("name");
    let certificate = spec.below("certSecretRef").text("name");
    if let Some(name) = secret.or(certificate) {
        draft.set("render.helm.chart.secretRef.name", name);
    }
    if let (Some(secret), Some(certificate)) = (secret, certificate) {
        notes.action(
            "spec.certSecretRef",
            format!("a Sync names one Secret; add the keys of {certificate} to {secret}"),
            shell::merge_secrets(found.namespace(), secret, certificate),
        );
    }
    cloud(&spec, &mut notes);
    for unread in spec.unread(REPOSITORY) {
        notes.add(unread.level, unread.path, unread.text);
    }
    drop(notes);
    if let Some(name) = secret.or(certificate) {
        source::secret_here(draft, "render.helm.chart.secretRef", (found.namespace(), name), all);
    }
    Ok(())
}

pub fn cloud(spec: &Fields<'_>, notes: &mut Notes<'_>) {
    if let Some(provider) = spec.text("provider").filter(|provider| *provider != "generic") {
        notes.missing(
            "spec.provider",
            format!("there is no login by the identity of {provider}; make a Secret with username and password, and name it in secretRef"),
        );
    }
}

/// A chart that an OCIRepository names with its whole URL.
fn artifact(found: &Found, draft: &mut Draft, all: &mut Vec<Note>) -> Result<(), String> {
    let spec = Fields::of(&found.value, "spec");
    let url = spec.text("url").unwrap_or_default().trim_end_matches('/');
    let Some((repository, name)) =
        url.rsplit_once('/').filter(|(repository, _)| repository.len() > "oci://".len())
    else {
        return Err(format!("{} has no URL with the name of a chart", found.key()));
    };
    draft.set("render.helm.chart.repository", repository);
    draft.set("render.helm.chart.name", name);
    let reference = spec.below("ref");
    draft.set("render.helm.chart.version", reference.text("semver").or(reference.text("tag")));
    if spec.flag("insecure") == Some(true) {
        draft.set("render.helm.chart.insecure", true);
    }
    let secret = spec.below("secretRef").text("name");
    draft.set("render.helm.chart.secretRef.name", secret);
    spec.below("layerSelector").whole();
    let mut notes = Notes::about(found.key(), all);
    if reference.text("digest").is_some() {
        notes.missing(
            "spec.ref.digest",
            "a chart has a version, not a digest; status.chart of the Sync names the digest",
        );
    }
    cloud(&spec, &mut notes);
    let mut advice = REPOSITORY.to_vec();
    advice.push((
        "spec.verify",
        Level::Missing,
        "signatures of charts are not verified; name the version exactly",
    ));
    for unread in spec.unread(&advice) {
        notes.add(unread.level, unread.path, unread.text);
    }
    drop(notes);
    if let Some(secret) = secret {
        source::secret_here(draft, "render.helm.chart.secretRef", (found.namespace(), secret), all);
    }
    Ok(())
}

/// Sets the Git repository of a Sync whose chart is not in Git: the one that the HelmRelease itself came from.
fn beside(flux: &Flux<'_>, found: &Found, draft: &mut Draft, all: &mut Vec<Note>) -> Result<(), Refusal> {
    let mut next = parent(found);
    let mut seen = Vec::new();
    while let Some(key) = next.filter(|key| !seen.contains(key)) {
        let Some(other) = flux.index.get(&key.kind, &key.namespace, &key.name) else { break };
        let spec = Fields::of(&other.value, "spec");
        let referred =
            source::referred(flux.index, &spec.below("sourceRef"), other.namespace(), spec.text("path"));
        if let Ok((repository, _)) = referred {
            return set(source::git(repository, all), draft, all);
        }
        next = parent(other);
        seen.push(key);
    }
    if let Some(url) = &flux.options.config_repository {
        draft.set("source.git.url", url.as_str());
        return Ok(());
    }
    let mut repositories = flux.index.of("GitRepository");
    match (repositories.next(), repositories.next()) {
        (Some(repository), None) => set(source::git(repository, all), draft, all),
        _ => Err((
            "spec.chart",
            "a Sync has a Git repository also if its chart comes from elsewhere, and it is not known which one this HelmRelease is in; \
             name it with --config-repository URL"
                .to_owned(),
        )),
    }
}

fn set(git: Result<Git, String>, draft: &mut Draft, all: &mut Vec<Note>) -> Result<(), Refusal> {
    git.map_err(|why| ("spec.chart", why))?.set(draft, all);
    Ok(())
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
    let skips = [install.flag("skipCRDs") == Some(true), install.text("crds") == Some("Skip")];
    if skips.contains(&true) {
        draft.set("render.helm.skipCRDs", true);
    }
    if install.below("crds").is_set() && !skips[1] {
        // Create: the definitions are there already, and stay.
        install.text("crds");
    }
    overlay::common_metadata(spec, draft);
    overlay::health_checks(spec, draft);
    for renderer in spec.items("postRenderers") {
        let kustomize = renderer.below("kustomize");
        overlay::patches(&kustomize, draft, "render.helm.patches");
        overlay::images(&kustomize, draft);
    }
    drift(spec, draft, notes);
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

    #[test]
    fn values_files_are_relative_to_the_chart() {
        let mut draft = Draft::new("Sync", "x", "y", "z");
        let files = ["./charts/web/values.yaml", "./charts/web/values-prod.yaml", "env/prod.yaml"];
        values_files(&files, "charts/web", false, &mut draft);
        let expected = json!([{"file": "values-prod.yaml"}, {"file": "../../env/prod.yaml"}]);
        assert_eq!(draft.get("render.helm.valuesFrom"), Some(&expected));
    }
}

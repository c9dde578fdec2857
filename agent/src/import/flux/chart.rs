//! The chart of a HelmRelease: of a chart repository, a registry or Git; and the Git repository that its Sync reads. Pure.

use serde_json::{Value, json};

use super::super::fields::Fields;
use super::super::found::Found;
use super::super::note::{Advice, Level, Note, Notes};
use super::super::output::Draft;
use super::super::{shell, words};
use super::source::{self, Git};
use super::{Flux, parent};

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

type Refusal = (&'static str, String);

/// Sets the chart, and the repository that the Sync reads.
pub fn set(
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
        if !files.is_empty() && !files.iter().any(|file| file.rsplit('/').next() == Some("values.yaml")) {
            let text =
                "the values.yaml of the chart counts as well, where Flux leaves it out; check the plan";
            Notes::about(found.key(), all).changed("spec.chart.spec.valuesFiles", text);
        }
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
            return follow(source::git(repository, all), draft, all);
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
        (Some(repository), None) => follow(source::git(repository, all), draft, all),
        _ => Err((
            "spec.chart",
            "a Sync has a Git repository also if its chart comes from elsewhere, and it is not known which one this HelmRelease is in; \
             name it with --config-repository URL"
                .to_owned(),
        )),
    }
}

fn follow(git: Result<Git, String>, draft: &mut Draft, all: &mut Vec<Note>) -> Result<(), Refusal> {
    git.map_err(|why| ("spec.chart", why))?.set(draft, all);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_files_are_relative_to_the_chart() {
        let mut draft = Draft::new("Sync", "x", "y", "z");
        let files = ["./charts/web/values.yaml", "./charts/web/values-prod.yaml", "env/prod.yaml"];
        values_files(&files, "charts/web", false, &mut draft);
        let expected = json!([{"file": "values-prod.yaml"}, {"file": "../../env/prod.yaml"}]);
        assert_eq!(draft.get("render.helm.valuesFrom"), Some(&expected));
    }
}

//! `holdfast import`: what is made of resources of Flux and Argo CD, that the API server accepts it, and that objects are handed over
//! without one being deleted or restarted. `UPDATE_CASES=1` writes the cases anew. I/O: processes, disk, network.

#[path = "import/argocd.rs"]
mod argocd;
#[path = "import/flux.rs"]
mod flux;
#[path = "import/kit.rs"]
mod kit;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use holdfast_tests::agent::holdfast;
use holdfast_tests::root;
use holdfast_tests::shared::run;
use serde_json::Value;

/// The cases: their names, and what the command is called with in their folder.
const CASES: &[(&str, &[&str])] = &[
    ("flux-kustomizations", &["flux", "-f", "flux-kustomizations.yaml"]),
    ("flux-releases", &["flux", "-f", "flux-releases.yaml"]),
    ("flux-images", &["flux", "-f", "flux-images.yaml"]),
    ("flux-alerts", &["flux", "-f", "flux-alerts.yaml"]),
    ("flux-tree", &["flux", "-f", "flux-tree/clusters/production", "--tree", "flux-tree"]),
    ("flux-two-clusters", &["flux", "--tree", "flux-tree"]),
    ("argocd-applications", &["argocd", "-f", "argocd-applications.yaml"]),
    ("argocd-rest", &["argocd", "-f", "argocd-rest.yaml"]),
    ("argocd-tree", &["argocd", "-f", "argocd-tree/root.yaml", "--tree", "argocd-tree"]),
];

fn folder() -> PathBuf {
    root().join("tests/data/import")
}

/// The arguments, with paths that exist from everywhere.
fn arguments(arguments: &[&str]) -> Vec<String> {
    let whole = |argument: &&str| {
        let path = folder().join(argument);
        if path.exists() { path.display().to_string() } else { (*argument).to_owned() }
    };
    std::iter::once("import".to_owned()).chain(arguments.iter().map(whole)).collect()
}

async fn import(case: &[&str], more: &[&str]) -> anyhow::Result<(String, String)> {
    let arguments = arguments(case);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let output = holdfast(Path::new("/nowhere"), &arguments).await?;
    let (printed, said) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.success(), "{arguments:?}: {said}");
    let here = format!("{}/", folder().display());
    Ok((printed.replace(&here, ""), said.replace(&here, "")))
}

#[tokio::test]
async fn resources_and_reports_are_those_of_the_cases() -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for (name, case) in CASES {
        let (printed, said) = import(case, &[]).await?;
        ensure!(!printed.contains("hunter2") && !said.contains("hunter2"), "{name} prints a password");
        let found = format!("{printed}\n=== report\n{said}");
        let path = folder().join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_CASES").is_some() {
            std::fs::write(&path, &found)?;
        } else if std::fs::read_to_string(&path).unwrap_or_default() != found {
            let now = std::env::temp_dir().join(format!("{name}.txt"));
            std::fs::write(&now, &found)?;
            stale.push(format!("{} differs from {}", path.display(), now.display()));
        }
    }
    ensure!(stale.is_empty(), "UPDATE_CASES=1 writes them anew:\n{}", stale.join("\n"));
    Ok(())
}

/// Every path of a field of a spec, without the numbers of items.
fn fields(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(name, value)| self::fields(value, &format!("{path}.{name}"), found));
        }
        Value::Array(items) if !items.is_empty() => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, value)| self::fields(value, &format!("{path}[{at}]"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

#[tokio::test]
async fn a_field_that_nobody_knows_is_named() -> anyhow::Result<()> {
    let text = std::fs::read_to_string(folder().join("flux-kustomizations.yaml"))?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("in.yaml");
    let marked = text.replace("spec:\n  interval:", "spec:\n  zzUnknown: {deep: [1]}\n  interval:");
    ensure!(marked != text);
    std::fs::write(&file, marked)?;
    let file = file.display().to_string();
    let (printed, _) = import(&["flux", "-f", &file], &["-o", "json"]).await?;
    let found: Value = serde_json::from_str(&printed)?;
    let notes = found["notes"].as_array().context("there are notes")?;
    for object in
        ["GitRepository flux-system/fleet", "Kustomization flux-system/infra", "Kustomization team-a/apps"]
    {
        let is_named = |note: &Value| note["object"] == object && note["field"] == "spec.zzUnknown";
        ensure!(notes.iter().any(is_named), "{object}: {notes:#?}");
    }
    let mut all = Vec::new();
    fields(&found["resources"], "", &mut all);
    ensure!(all.iter().all(|path| !path.contains("zzUnknown")), "{all:?}");
    Ok(())
}

#[test]
fn the_api_server_accepts_everything_that_is_made() -> anyhow::Result<()> {
    run(flux::agent(), |shared| async move {
        for (name, case) in CASES {
            for more in [&["-o", "json"][..], &["-o", "json", "--final"]] {
                let (printed, _) = import(case, more).await?;
                let found: Value = serde_json::from_str(&printed)?;
                let resources = found["resources"].as_array().context("there are resources")?;
                for resource in resources {
                    let namespace = resource["metadata"]["namespace"].as_str().unwrap_or_default();
                    let mut resource = resource.clone();
                    // Validation is the same in each namespace.
                    resource["metadata"]["namespace"] = Value::from("default");
                    let arguments =
                        ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
                    let cluster = &shared.env.cluster;
                    let output = cluster
                        .kubectl_with(&cluster.kubeconfig(), &arguments, &resource.to_string())
                        .await?;
                    let said = String::from_utf8_lossy(&output.stderr);
                    ensure!(output.status.success(), "{name}, in {namespace}: {said}\n{resource:#}");
                }
            }
        }
        Ok(())
    })
}

#[tokio::test]
async fn hostile_input_is_an_error_that_names_what_is_wrong() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let said = async |text: &str| -> anyhow::Result<String> {
        let file = folder.path().join("in.yaml");
        std::fs::write(&file, text)?;
        let file = file.display().to_string();
        let output = holdfast(Path::new("/nowhere"), &["import", "flux", "-f", &file]).await?;
        Ok(format!("{} {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    };
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for at in 1..12 {
        let below = format!("*a{}, ", at - 1).repeat(9);
        writeln!(bomb, "a{at}: &a{at} [{}]", below.trim_end_matches(", "))?;
    }
    let found = said(&bomb).await?;
    ensure!(found.contains("in.yaml:"), "{found}");
    let many = "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: rNUMBER, namespace: x}\nspec: {url: \"https://x\"}\n";
    let many: String = (0..10_002).map(|at| many.replace("NUMBER", &at.to_string())).collect();
    let found = said(&many).await?;
    ensure!(
        found.contains("more than 10000 objects") && found.contains("GitRepository x/r"),
        "{}",
        &found[..500.min(found.len())]
    );
    let command = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: \"$(touch /tmp/x)\", namespace: x}\nspec: {sourceRef: {name: r}}\n";
    let found = said(command).await?;
    ensure!(!found.contains(" $(touch") || found.contains("Kustomization x/$(touch"), "{found}");
    let found = said("not: [closed").await?;
    ensure!(found.contains("in.yaml:"), "{found}");
    let found = said("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").await?;
    ensure!(found.contains("no resources of Flux found in the files"), "{found}");
    Ok(())
}

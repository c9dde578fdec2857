//! agent/docs/reference.md and troubleshooting.md are complete: the tables of fields and of the command line are generated
//! from the types, and every metric and every reason in the code is described. `UPDATE_CASES=1` writes the tables, and the
//! definitions in manifests/ (which tests/manifests.rs compares).
//! I/O: disk reads, and writes if asked to.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{Arg, Command, CommandFactory as _};
use holdfast::api::{Alert, Approval, ImageUpdate, Repository, Sync};
use holdfast::cli::{Cli, crd};
use holdfast_tests::root;
use kube::CustomResourceExt as _;
use regex::Regex;
use serde_json::Value;

const REFERENCE: &str = "agent/docs/reference.md";
/// The definitions, and their copy in the chart.
const DEFINITIONS: [&str; 2] = ["manifests/base/crds.yaml", "manifests/chart/files/crds.yaml"];
const TROUBLESHOOTING: &str = "agent/docs/troubleshooting.md";

/// Words of these forms that are no reasons: of a run that ends because there is something newer to do, which is reported
/// nowhere, and the ways of the API server to delete what an object owns.
const OTHERS: &[&str] = &["Superseded", "Background", "Orphan"];

/// Forms in which the code names a reason of a condition.
const REASONS: &[&str] = &[
    r#"Failure::(?:user|transient)\(\s*"\w+",\s*"([A-Z]\w+)""#,
    r#"Class::\w+,\s*"([A-Z]\w+)""#,
    r#"Self::\w+(?: ?\{ ?\.\. ?\}|\(_\))? => "([A-Z]\w+)""#,
    r#"ObjectError::(?:user|transient)\([^;"]*?"([A-Z]\w+)""#,
    r#"Self::(?:user|transient)\([^;"]*?"([A-Z]\w+)""#,
    r#"reason: "([A-Z]\w+)""#,
    r#"Name\("([A-Z]\w+)"\)"#,
    r#"Err\(\("([A-Z]\w+)""#,
    r#"invalid\("([A-Z]\w+)""#,
    r#"\((?:true|false), "([A-Z]\w+)""#,
];

fn read(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {path}"))
}

/// Text for one cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The type of a field, with its values, default and limits.
fn kind(field: &Value, is_required: bool) -> String {
    let text = |name: &str| field.get(name).and_then(Value::as_str);
    let is_duration = text("pattern").is_some_and(|pattern| pattern.contains("|ms|"));
    let mut parts = match (field.get("enum").and_then(Value::as_array), text("type")) {
        (Some(values), _) => {
            let values = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`"));
            vec![values.collect::<Vec<_>>().join(", ")]
        }
        (None, Some("array")) => vec!["list".to_owned()],
        (None, Some("object")) if field.get("additionalProperties").is_some() => vec!["map".to_owned()],
        (None, Some("string")) if is_duration => vec!["duration".to_owned()],
        (None, kind) => vec![text("format").or(kind).unwrap_or("any JSON value").to_owned()],
    };
    if is_required {
        parts.push("required".to_owned());
    }
    let default = field.get("default").filter(|default| !default.is_object());
    parts.extend(default.map(|default| match default {
        Value::String(text) => format!("default `{text}`"),
        other => format!("default `{other}`"),
    }));
    let limits = [("maxLength", "characters"), ("maxItems", "items")];
    let limits = limits.iter().filter(|_| !is_duration);
    parts.extend(limits.filter_map(|(name, unit)| Some(format!("at most {} {unit}", field.get(name)?))));
    let rules = field.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten();
    parts.extend(rules.filter_map(|rule| rule.get("message")?.as_str().map(ToOwned::to_owned)));
    parts.join("; ")
}

/// The rows for all fields below a path.
fn rows(schema: &Value, path: &str, text: &mut String) {
    // The conditions of Kubernetes have a section of their own.
    if path.ends_with(".conditions[]") {
        return;
    }
    let required: BTreeSet<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let said = field.get("description").and_then(Value::as_str).unwrap_or_default();
        let kind = kind(field, required.contains(name.as_str()));
        let _ = writeln!(text, "| `{path}` | {} | {} |", cell(&kind), cell(said));
        rows(field, &path, text);
        if let Some(items) = field.get("items") {
            rows(items, &format!("{path}[]"), text);
        }
        if let Some(values) = field.get("additionalProperties") {
            rows(values, &format!("{path}.*"), text);
        }
    }
}

fn fields() -> anyhow::Result<String> {
    let mut text = String::new();
    for definition in [Sync::crd(), Approval::crd(), ImageUpdate::crd(), Alert::crd(), Repository::crd()] {
        let schema = serde_json::to_value(&definition.spec.versions[0].schema)?;
        let schema = schema.get("openAPIV3Schema").context("a definition has no schema")?;
        for part in ["spec", "status"] {
            let name = &definition.spec.names.kind;
            let _ = write!(text, "\n### {name} {part}\n\n| field | type | description |\n|---|---|---|\n");
            rows(&schema["properties"][part], part, &mut text);
        }
    }
    Ok(text)
}

/// How an argument is written.
fn written(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(|names| names.first().map(ToString::to_string));
    let value = value.unwrap_or_else(|| arg.get_id().as_str().to_uppercase());
    if arg.is_positional() {
        return if arg.is_required_set() { value } else { format!("[{value}]") };
    }
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let long = arg.get_long().unwrap_or_default();
    let value = if arg.get_action().takes_values() { format!(" {value}") } else { String::new() };
    format!("{short}--{long}{value}")
}

fn arguments(command: &Command, text: &mut String) {
    if command.get_arguments().next().is_none() {
        return;
    }
    text.push_str("\n| argument | description |\n|---|---|\n");
    for arg in command.get_arguments() {
        let mut said = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let values = arg.get_possible_values();
        if arg.get_action().takes_values() && !values.is_empty() {
            let values: Vec<String> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
            let _ = write!(said, "; one of {}", values.join(", "));
        }
        let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if arg.get_action().takes_values() && !defaults.is_empty() {
            let _ = write!(said, "; default `{}`", defaults.join(","));
        }
        let is_required = arg.is_required_set() && !arg.is_positional();
        let required = if is_required { "; required" } else { "" };
        let _ = writeln!(text, "| `{}` | {}{required} |", written(arg), cell(&said));
    }
}

fn verbs(command: &Command, path: &str, text: &mut String) {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let path = format!("{path} {}", verb.get_name());
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, "\n### {path}\n\n{}.\n", about.trim_end_matches('.'));
        arguments(verb, text);
        verbs(verb, &path, text);
    }
}

fn command_line() -> String {
    let command = Cli::command();
    let mut text = "\nFlags of every verb:\n".to_owned();
    arguments(&command, &mut text);
    verbs(&command, "holdfast", &mut text);
    text
}

/// The page with this content between the two comments that name the part.
fn with(page: &str, part: &str, content: &str) -> anyhow::Result<String> {
    let (begin, end) =
        (format!("<!-- {part}: generated by tests/reference.rs -->\n"), format!("\n<!-- end of {part} -->"));
    let (before, rest) = page.split_once(&begin).with_context(|| format!("{REFERENCE} lacks {begin}"))?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("{REFERENCE} lacks {end}"))?;
    Ok(format!("{before}{begin}{content}{end}{after}"))
}

#[test]
fn the_tables_are_those_of_the_types() -> anyhow::Result<()> {
    let page = read(REFERENCE)?;
    let made = with(&with(&page, "fields", &fields()?)?, "command line", &command_line())?;
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(root().join(REFERENCE), &made)?;
        for path in DEFINITIONS {
            std::fs::write(root().join(path), crd::yaml()?)?;
        }
        return Ok(());
    }
    let differs = page.lines().zip(made.lines()).position(|(one, other)| one != other);
    ensure!(
        page == made,
        "{REFERENCE}:{} is stale; run: UPDATE_CASES=1 cargo test -p holdfast-tests --test reference",
        differs.unwrap_or_default() + 1
    );
    Ok(())
}

#[test]
fn every_metric_is_described() -> anyhow::Result<()> {
    let (source, page) = (read("agent/src/metrics.rs")?, read(REFERENCE)?);
    let registered = Regex::new(r#"register(?:_with_unit)?\(\s*"(\w+)""#)?;
    let names: BTreeSet<&str> =
        registered.captures_iter(&source).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    ensure!(names.len() > 10, "no metrics are registered in agent/src/metrics.rs");
    let missing: Vec<&&str> = names
        .iter()
        .filter(|name| {
            !["holdfast", "process"].iter().any(|prefix| page.contains(&format!("`{prefix}_{name}")))
        })
        .collect();
    ensure!(missing.is_empty(), "{REFERENCE} does not describe the metrics {missing:?}");
    Ok(())
}

/// The Rust files below a folder, without those of tests.
fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    Ok(found)
}

#[test]
fn every_reason_is_described() -> anyhow::Result<()> {
    let page = read(TROUBLESHOOTING)?;
    let forms = REASONS.iter().map(|form| Regex::new(form)).collect::<Result<Vec<_>, _>>()?;
    let constants = Regex::new(r#"const \w+: &str = "([A-Z]\w+)""#)?;
    // Elsewhere a constant of one word is more often a value of Kubernetes.
    let long_constants = Regex::new(r#"const \w+: &str = "([A-Z][a-z]+[A-Z]\w+)""#)?;
    let mut missing = BTreeSet::new();
    let mut seen = 0;
    for path in sources(&root().join("agent/src"))? {
        let place = path.strip_prefix(root().join("agent/src"))?;
        // The types of the resources name values of fields, which are in the reference.
        if place.starts_with("api") && !place.ends_with("conditions.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(&text);
        let constants = if place.ends_with("conditions.rs") {
            Some(&constants)
        } else {
            let may_name = place.starts_with("cluster") || place.starts_with("reconcile");
            may_name.then_some(&long_constants)
        };
        let forms = forms.iter().chain(constants);
        for found in forms.flat_map(|form| form.captures_iter(code)) {
            let Some(name) = found.get(1).filter(|name| !OTHERS.contains(&name.as_str())) else { continue };
            seen += 1;
            if !page.contains(&format!("`{}`", name.as_str())) {
                missing.insert(format!("{} ({})", name.as_str(), path.display()));
            }
        }
    }
    ensure!(seen > 100, "the code names only {seen} reasons");
    ensure!(missing.is_empty(), "{TROUBLESHOOTING} does not describe {missing:#?}");
    Ok(())
}

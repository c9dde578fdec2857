//! Finds the manifest of an object in the files of a working tree. Reads manifests as the plain renderer does, and refuses
//! objects that another renderer generates. Pure.

use holdfast_diff::yaml::{self, Document};
use serde_json::Value;

use super::target::group;
use crate::cli::files::File;

/// The object that is searched.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    /// Empty for a cluster-scoped object, even if its file sets a namespace.
    pub namespace: &'a str,
    pub name: &'a str,
    /// The namespace of manifests that set none.
    pub fallback: &'a str,
}

/// One object in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The position of its file.
    pub file: usize,
    /// Counts from 0 over the documents that [`yaml::read`] returns.
    pub document: usize,
    /// The path of the object in its document: empty, unless it is an item of a list.
    pub path: String,
}

/// Why an object cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    #[error("the files have errors; correct them first: {}", .0.join("; "))]
    Unreadable(Vec<String>),
    #[error("no file of the working tree contains it")]
    Absent,
    #[error("it is defined twice, at {one} and at {other}; remove one of them")]
    Twice { one: String, other: String },
    #[error(
        "{at}: its apiVersion is {found} here, but {wanted} in the cluster; wait until the tree is applied"
    )]
    Version { at: String, found: String, wanted: String },
    #[error("{renderer} generates it{}", .at.as_ref().map(|at| format!(", maybe from {at}")).unwrap_or_default())]
    Rendered { at: Option<String>, renderer: String },
    #[error("{at}: it is encrypted; edit it with the tool that encrypted it")]
    Encrypted { at: String },
}

/// Files that show that YAML files beside and below them are not applied unchanged.
const RENDERERS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Chart.yaml"];

/// An object that was found, and what decides whether it can be written.
struct Hit {
    place: Located,
    /// `file:line`
    at: String,
    api_version: String,
    encrypted: bool,
    renderer: Option<String>,
}

/// Finds the only place of an object in the files of a folder.
pub fn find(files: &[File], wanted: Wanted<'_>) -> Result<Located, LocateError> {
    let (mut hits, mut mistakes) = (Vec::new(), Vec::new());
    for (number, file) in files.iter().enumerate() {
        let renderer = renderer(files, &file.path);
        let (documents, errors) = yaml::read(&file.path, &file.bytes);
        // A template need not be valid YAML.
        if renderer.is_none() {
            mistakes.extend(errors.iter().map(ToString::to_string));
        }
        for (document, read) in documents.iter().enumerate() {
            for path in objects(&read.value, wanted) {
                let at = format!("{}:{}", file.path, line(read, &path));
                let api_version = text(read.value.pointer(&path), "/apiVersion").to_owned();
                let encrypted = read.value.get("sops").is_some();
                let place = Located { file: number, document, path };
                hits.push(Hit { place, at, api_version, encrypted, renderer: renderer.clone() });
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(LocateError::Unreadable(mistakes));
    }
    let any = || files.iter().find(|file| is_renderer(&file.path)).map(|file| file.path.clone());
    match &*hits {
        [] => Err(any().map_or(LocateError::Absent, |renderer| LocateError::Rendered { at: None, renderer })),
        [hit] => writable(hit, wanted),
        [one, other, ..] => Err(match hits.iter().find_map(|hit| hit.renderer.clone()) {
            Some(renderer) => LocateError::Rendered { at: Some(one.at.clone()), renderer },
            None => LocateError::Twice { one: one.at.clone(), other: other.at.clone() },
        }),
    }
}

fn writable(hit: &Hit, wanted: Wanted<'_>) -> Result<Located, LocateError> {
    let Hit { place, at, api_version, encrypted, renderer } = hit;
    let at = at.clone();
    if let Some(renderer) = renderer.clone() {
        return Err(LocateError::Rendered { at: Some(at), renderer });
    }
    if *encrypted {
        return Err(LocateError::Encrypted { at });
    }
    if api_version != wanted.api_version {
        let (found, wanted) = (api_version.clone(), wanted.api_version.to_owned());
        return Err(LocateError::Version { at, found, wanted });
    }
    Ok(place.clone())
}

/// Returns the line, from 1, of a path, or of the document if the path has no line of its own.
pub fn line(document: &Document, path: &str) -> u32 {
    yaml::edit::line(document, path).unwrap_or(document.line)
}

/// Returns the file that shows that another renderer reads a file: the nearest such file in its folder or above.
fn renderer(files: &[File], path: &str) -> Option<String> {
    let above = |other: &&File| {
        let folder = other.path.rsplit_once('/').map(|(folder, _)| folder);
        is_renderer(&other.path)
            && folder.is_none_or(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    };
    files.iter().filter(above).map(|file| file.path.clone()).max_by_key(String::len)
}

fn is_renderer(path: &str) -> bool {
    RENDERERS.contains(&path.rsplit('/').next().unwrap_or(path))
}

/// Returns the paths in a document at which the object is.
fn objects(document: &Value, wanted: Wanted<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), document)];
    while let Some((path, value)) = open.pop() {
        match value.get("items").and_then(Value::as_array) {
            Some(items) if text(Some(value), "/kind").ends_with("List") => {
                let items = items.iter().enumerate();
                open.extend(items.rev().map(|(at, item)| (format!("{path}/items/{at}"), item)));
            }
            _ if is(value, wanted) => found.push(path),
            _ => {}
        }
    }
    found
}

fn is(value: &Value, wanted: Wanted<'_>) -> bool {
    let Wanted { api_version, kind, namespace, name, fallback } = wanted;
    let text = |path| text(Some(value), path);
    let place = match text("/metadata/namespace") {
        "" => fallback,
        named => named,
    };
    text("/kind") == kind
        && group(text("/apiVersion")) == group(api_version)
        && text("/metadata/name") == name
        && (namespace.is_empty() || place == namespace)
}

/// Returns the string at a path; empty if there is none.
fn text<'a>(value: Option<&'a Value>, path: &str) -> &'a str {
    value.and_then(|value| value.pointer(path)).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted<'_> = Wanted {
        api_version: "apps/v1",
        kind: "Deployment",
        namespace: "shop",
        name: "web",
        fallback: "shop",
    };
    const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n";

    /// Where it is found, as file, document and path, or why it is not.
    fn check(files: &[(&str, &str)], expected: Result<(usize, usize, &str), &str>) {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| File { path: (*path).to_owned(), bytes: text.as_bytes().to_vec() })
            .collect();
        let found = find(&files, WANTED).map_err(|error| error.to_string());
        let expected = expected
            .map(|(file, document, path)| Located { file, document, path: path.to_owned() })
            .map_err(ToOwned::to_owned);
        assert_eq!(found, expected);
    }

    #[test]
    fn an_object_is_found_by_group_kind_namespace_and_name() {
        let named =
            |namespace: &str| WEB.replace("{name: web}", &format!("{{name: web, namespace: {namespace}}}"));
        let service = WEB.replace("apps/v1", "v1").replace("Deployment", "Service");
        check(&[("a.yaml", &format!("# none\n---\n{service}---\n{WEB}"))], Ok((0, 1, "")));
        check(&[("a.yaml", &named("other")), ("b.yml", &named("shop"))], Ok((1, 0, "")));
        check(&[("a.yaml", &named("other"))], Err("no file of the working tree contains it"));
        check(&[("a.yaml", &WEB.replace("apps/", "other/"))], Err("no file of the working tree contains it"));
        check(
            &[(
                "a.json",
                r#"{"kind":"List","apiVersion":"v1","items":[{},{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web"}}]}"#,
            )],
            Ok((0, 0, "/items/1")),
        );
    }

    #[test]
    fn what_cannot_be_written_to_says_why() {
        check(
            &[("a.yaml", WEB), ("b.yaml", &format!("\n{WEB}"))],
            Err("it is defined twice, at a.yaml:1 and at b.yaml:2; remove one of them"),
        );
        check(
            &[("a.yaml", WEB), ("b.yaml", "a: [1\n")],
            Err("the files have errors; correct them first: b.yaml:1:4: a `[` is never closed: add `]`"),
        );
        check(
            &[("a.yaml", &WEB.replace("v1", "v1beta1"))],
            Err(
                "a.yaml:1: its apiVersion is apps/v1beta1 here, but apps/v1 in the cluster; wait until the tree is applied",
            ),
        );
        check(
            &[("a.yaml", &format!("{WEB}sops: {{mac: x}}\n"))],
            Err("a.yaml:1: it is encrypted; edit it with the tool that encrypted it"),
        );
    }

    #[test]
    fn what_another_renderer_makes_is_left_to_it() {
        let base = "x/kustomization.yaml";
        check(
            &[(base, "resources: [a.yaml]\n"), ("x/y/a.yaml", WEB)],
            Err("x/kustomization.yaml generates it, maybe from x/y/a.yaml:1"),
        );
        check(
            &[("Chart.yaml", "name: a\n"), ("templates/a.yaml", "{{ .Values.a }}\n")],
            Err("Chart.yaml generates it"),
        );
        check(&[(base, "resources: [a.yaml]\n"), ("xy/a.yaml", WEB)], Ok((1, 0, "")));
    }
}

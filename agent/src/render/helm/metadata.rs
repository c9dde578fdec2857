//! The metadata of a chart: `Chart.yaml`, and its lock. Charts for Helm 2 have their dependencies in
//! `requirements.yaml`. Pure.

use holdfast_diff::{range, yaml};
use serde_json::Value;

use super::HelmError;

/// `Chart.yaml`, as far as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub name: String,
    pub version: String,
    pub dependencies: Vec<Dependency>,
}

/// Another chart that a chart is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub name: String,
    /// A range.
    pub version: String,
    /// `https://…`, `oci://…`, `file://../x`, or empty for what is in `charts/` already.
    pub repository: String,
}

/// Reads `Chart.yaml`. Errors name it by `file`.
pub fn chart(file: &str, text: &[u8]) -> Result<Metadata, HelmError> {
    let value = document(file, text)?;
    let of = |key: &str| {
        let text = value.get(key).map(plain).filter(|text| !text.is_empty());
        text.ok_or_else(|| bad(file, format!("it has no {key}")))
    };
    Ok(Metadata { name: of("name")?, version: of("version")?, dependencies: dependencies(file, text)? })
}

/// The name of a chart, if it can be read.
pub fn name(text: &[u8]) -> Option<String> {
    let value = document("Chart.yaml", text).ok()?;
    value.get("name").map(plain).filter(|name| !name.is_empty())
}

/// Reads the `dependencies` of `Chart.yaml`, `Chart.lock`, `requirements.yaml` and `requirements.lock`.
pub fn dependencies(file: &str, text: &[u8]) -> Result<Vec<Dependency>, HelmError> {
    let value = document(file, text)?;
    let items = match value.get("dependencies") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(bad(file, "its dependencies are not a list".to_owned())),
    };
    let read = |item: &Value| {
        let of = |key: &str| item.get(key).map(plain).unwrap_or_default();
        let dependency =
            Dependency { name: of("name"), version: of("version"), repository: of("repository") };
        // The name is a part of a path.
        let name = &dependency.name;
        let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
        if is_name {
            Ok(dependency)
        } else {
            Err(bad(file, "a dependency has no name, or a bad one".to_owned()))
        }
    };
    items.iter().map(read).collect()
}

/// Gives each dependency the version that is locked. A lock that does not fit is an error. What is in the tree itself is
/// locked by its commit.
pub fn lock(file: &str, wanted: &mut [Dependency], locked: &[Dependency]) -> Result<(), HelmError> {
    let stale = |said: String| HelmError::StaleLock { file: file.to_owned(), said };
    for one in wanted.iter_mut().filter(|one| !one.repository.starts_with("file://")) {
        let mut same = locked.iter().filter(|other| other.name == one.name).peekable();
        if same.peek().is_none() {
            return Err(stale(format!("it does not have {}", one.name)));
        }
        let range = range::Range::parse(&one.version)
            .map_err(|error| HelmError::BadRange { range: one.version.clone(), why: error.to_string() })?;
        let fits = |other: &&Dependency| {
            other.version == one.version
                || range::version(&other.version).is_some_and(|version| range.matches(&version))
        };
        let Some(found) = same.find(fits) else {
            return Err(stale(format!("it has another version of {} than {}", one.name, one.version)));
        };
        one.version.clone_from(&found.version);
    }
    Ok(())
}

fn document(file: &str, text: &[u8]) -> Result<Value, HelmError> {
    let (mut documents, errors) = yaml::read(file, text);
    if let Some(error) = errors.first() {
        return Err(bad(file, format!("line {}: {}", error.line, error.problem)));
    }
    Ok(documents.pop().map(|document| document.value).unwrap_or_default())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn bad(file: &str, said: String) -> HelmError {
    HelmError::BadChart { file: file.to_owned(), said }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const CHART: &str = "name: web\nversion: 1.2.3\ndependencies:\n- {name: redis, version: 1.x.x, repository: 'https://a.example.com'}\n- {name: common, version: ^2, repository: 'file://../common'}\n";

    fn said<T>(result: Result<T, HelmError>) -> String {
        result.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_lock_says_the_versions() {
        let mut chart = chart("Chart.yaml", CHART.as_bytes()).unwrap();
        assert_eq!((chart.name.as_str(), chart.version.as_str()), ("web", "1.2.3"));
        let locked = dependencies(
            "Chart.lock",
            b"dependencies: [{name: common, version: 2.1.0}, {name: redis, version: 1.4.0}]\ndigest: sha256:0",
        );
        lock("Chart.lock", &mut chart.dependencies, &locked.unwrap()).unwrap();
        let versions: Vec<_> = chart.dependencies.iter().map(|one| one.version.as_str()).collect();
        assert_eq!(versions, ["1.4.0", "^2"]);
    }

    #[test]
    fn a_lock_that_does_not_fit_is_an_error() {
        let locked = |text: &str| {
            let mut wanted = chart("Chart.yaml", CHART.as_bytes()).unwrap().dependencies;
            let locked = dependencies("Chart.lock", text.as_bytes()).unwrap();
            said(lock("web/Chart.lock", &mut wanted, &locked))
        };
        let fit = "web/Chart.lock does not match the dependencies of Chart.yaml";
        assert!(locked("dependencies: []").starts_with(&format!("{fit}: it does not have redis;")));
        assert!(
            locked("dependencies: [{name: redis, version: 2.0.0}]")
                .starts_with(&format!("{fit}: it has another version of redis than 1.x.x;"))
        );
    }

    #[test]
    fn a_chart_that_is_none_is_an_error() {
        for (text, part) in [
            ("name: web", "c: it has no version"),
            ("version: 1.0.0", "c: it has no name"),
            ("- a", "c: it has no name"),
            ("a: [", "c: line "),
            ("name: a\nversion: 1.0.0\ndependencies: x", "its dependencies are not a list"),
            ("name: a\nversion: 1.0.0\ndependencies: [{name: ../x}]", "has no name, or a bad one"),
        ] {
            let said = said(chart("c", text.as_bytes()));
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}

//! Renders a chart to text: one run of Helm, and a second one if the chart can give different results.
//!
//! I/O: disk, a subprocess.

use std::ffi::OsString;
use std::path::Path;

use holdfast_diff::visible;
use serde_json::Value;
use tracing::debug;

use super::archive::{self, Entry};
use super::{Chart, File, HelmError, Release, Rendered, Runner, scan, tree};

/// How deep archives in archives are looked into.
const DEPTH: usize = 5;

impl Runner {
    /// Renders a chart. A run that is dropped is killed. How many run side by side is the caller's business.
    pub async fn template(&self, chart: &Chart, release: &Release) -> Result<Rendered, HelmError> {
        self.version().await?;
        if release.name_template.is_none() {
            check_name(&release.name)?;
        }
        let text = self.once(&chart.place, release).await?;
        let again = self.again(chart, release).await?.filter(|again| *again != text);
        Ok(Rendered { files: split(&text), again: again.map(|again| split(&again)) })
    }

    async fn once(&self, place: &Path, release: &Release) -> Result<Vec<u8>, HelmError> {
        let home = self.folder()?;
        let values = home.path().join("values.json");
        std::fs::write(&values, release.values.to_string())
            .map_err(HelmError::io("write the values for Helm"))?;
        let output = self.run(&arguments(place, release, &values), home.path()).await?;
        if !output.stderr.trim().is_empty() {
            // It can quote values, which may be secret.
            debug!(release = release.name, bytes = output.stderr.len(), "Helm warning");
        }
        Ok(output.stdout)
    }

    /// A second render, if it could be another one. Where the chart reads the clock, at another time.
    async fn again(&self, chart: &Chart, release: &Release) -> Result<Option<Vec<u8>>, HelmError> {
        let files = contents(chart)?;
        let values = release.values.to_string();
        let any = |is: fn(&str) -> bool| {
            files.iter().filter_map(|file| str::from_utf8(&file.bytes).ok()).any(is) || is(&values)
        };
        if !any(scan::is_volatile) {
            return Ok(None);
        }
        if any(scan::reads_clock) {
            let folder = self.folder()?;
            let changed: Vec<Entry> = files.into_iter().map(at_another_time).collect();
            archive::unpack(&changed, folder.path())?;
            let release = Release { values: values_at_another_time(&release.values), ..release.clone() };
            // A chart may refuse another time; then it is rendered again as it is.
            if let Ok(text) = self.once(folder.path(), &release).await {
                return Ok(Some(text));
            }
            debug!("Chart does not render at another time");
        }
        self.once(&chart.place, release).await.map(Some)
    }
}

impl Chart {
    /// Its own `values.yaml`, if it has one.
    pub fn values(&self) -> Result<Option<Vec<u8>>, HelmError> {
        let own = |file: &Entry| file.path.split_once('/').is_some_and(|(_, below)| below == "values.yaml");
        Ok(contents(self)?.into_iter().find(own).map(|file| file.bytes))
    }
}

fn arguments(place: &Path, release: &Release, values: &Path) -> Vec<OsString> {
    let Release { name, name_template, namespace, values: _, skip_crds, .. } = release;
    let Release { skip_hooks, skip_tests, skip_schema_validation, kube_version, api_versions, .. } = release;
    let mut all: Vec<OsString> = vec!["template".into(), format!("--namespace={namespace}").into()];
    all.push("--values".into());
    all.push(values.into());
    if !skip_crds {
        all.push("--include-crds".into());
    }
    let flags = [
        (skip_hooks, "--no-hooks"),
        (skip_tests, "--skip-tests"),
        (skip_schema_validation, "--skip-schema-validation"),
    ];
    all.extend(flags.into_iter().filter(|(is_set, _)| **is_set).map(|(_, flag)| flag.into()));
    all.extend(kube_version.iter().map(|version| format!("--kube-version={version}").into()));
    all.extend(api_versions.iter().map(|version| format!("--api-versions={version}").into()));
    match name_template {
        Some(template) => all.extend([format!("--name-template={template}").into(), "--".into()]),
        None => all.extend(["--".into(), name.into()]),
    }
    all.push(place.into());
    all
}

/// Helm's own rule for the name of a release.
fn check_name(name: &str) -> Result<(), HelmError> {
    let part = |part: &str| {
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(letters)
    };
    if name.len() <= 53 && name.split('.').all(part) {
        return Ok(());
    }
    let said = format!(
        "\"{}\" is not the name of a release: use lowercase letters, digits and -, at most 53",
        visible::line(name)
    );
    Err(HelmError::Refused { said })
}

/// Parts what Helm prints at its lines `# Source: web/templates/a.yaml`.
fn split(text: &[u8]) -> Vec<File> {
    const SOURCE: &[u8] = b"# Source: ";
    let mut files: Vec<File> = Vec::new();
    let mut separated = true;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let bare = line.trim_ascii_end();
        match (bare.strip_prefix(SOURCE).filter(|_| separated), files.last_mut()) {
            (Some(path), last) => {
                // The separator belongs to neither.
                if let Some(last) = last {
                    last.bytes.truncate(last.bytes.len().saturating_sub(b"---\n".len()));
                }
                files.push(File { path: String::from_utf8_lossy(path).into_owned(), bytes: Vec::new() });
            }
            (None, Some(last)) => last.bytes.extend_from_slice(line),
            (None, None) => {}
        }
        separated = line == b"---\n";
    }
    files
}

/// All files of a chart, and of those in it, as if none of them was packed.
fn contents(chart: &Chart) -> Result<Vec<Entry>, HelmError> {
    let files = if chart.place.is_dir() {
        tree::read(&chart.place, &chart.root)?.files
    } else {
        let bytes = std::fs::read(&chart.place).map_err(HelmError::io("read a chart of the cache"))?;
        archive::entries(&chart.name, &bytes)?
    };
    let mut left = archive::ALL;
    Ok(expand(files, 0, &mut left))
}

/// Archives in archives share one limit: each could hold many more. What is over it stays packed.
fn expand(files: Vec<Entry>, depth: usize, left: &mut u64) -> Vec<Entry> {
    let mut all = Vec::new();
    for file in files {
        let packed = file.path.strip_suffix(".tgz").filter(|path| path.contains("/charts/") && depth < DEPTH);
        let unpacked = packed
            .and_then(|path| Some((path, archive::entries_within(&file.path, &file.bytes, *left).ok()?)));
        match unpacked {
            Some((path, inner)) => {
                let size: u64 = inner.iter().map(|file| file.bytes.len() as u64).sum();
                *left = left.saturating_sub(size);
                let below = |inner: Entry| {
                    let below = inner.path.split_once('/').map_or(inner.path.as_str(), |(_, below)| below);
                    Entry { path: format!("{path}/{below}"), bytes: inner.bytes }
                };
                all.extend(expand(inner, depth + 1, left).into_iter().map(below));
            }
            None => all.push(file),
        }
    }
    all
}

fn at_another_time(file: Entry) -> Entry {
    match str::from_utf8(&file.bytes) {
        Ok(text) => Entry { bytes: scan::at_another_time(text).into_bytes(), path: file.path },
        Err(_) => file,
    }
}

/// Charts may render the text of values as templates.
fn values_at_another_time(values: &Value) -> Value {
    match values {
        Value::String(text) => Value::String(scan::at_another_time(text)),
        Value::Array(items) => items.iter().map(values_at_another_time).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.clone(), values_at_another_time(value))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_parted_at_its_sources() {
        let text = b"---\n# Source: web/crds/a.yaml\na: 1\n---\nb: 2\n---\n# Source: web/templates/b.yaml\n# c\nc: |\n  # Source: x\n\n---\n# Source: web/templates/c.yaml\n";
        let files: Vec<(String, String)> = split(text)
            .into_iter()
            .map(|file| (file.path, String::from_utf8_lossy(&file.bytes).into_owned()))
            .collect();
        let expected = [
            ("web/crds/a.yaml", "a: 1\n---\nb: 2\n"),
            ("web/templates/b.yaml", "# c\nc: |\n  # Source: x\n\n"),
            ("web/templates/c.yaml", ""),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned()));
        assert_eq!(files, expected);
        assert!(split(b"").is_empty() && split(b"---\n").is_empty());
    }

    #[test]
    fn a_name_that_helm_refuses_is_refused_before() {
        for (name, taken) in [
            ("web", true),
            ("web.a-1", true),
            ("--post-renderer=x", false),
            ("A", false),
            ("", false),
            ("a..b", false),
        ] {
            assert_eq!(check_name(name).is_ok(), taken, "{name}");
        }
        assert!(check_name(&"a".repeat(54)).is_err());
    }
}

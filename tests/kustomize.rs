//! Kustomize in process against the original: small repositories as data, each rendered by kubectl and by Holdfast.
//!
//! A case is a file of `tests/data/kustomize`: lines `-- path --` begin the files of the repository, `-- path -> target --`
//! is a symlink. The folder of the first file is built. Of a case whose name begins with `error` both refuse the build.
//! I/O: processes, disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use holdfast_diff::yaml;
use holdfast_kustomize::{Options, build};
use holdfast_tests::disk::Disk;
use holdfast_tests::{root, tools};

#[test]
fn every_case_renders_to_the_bytes_of_kubectl_or_fails_as_there() -> anyhow::Result<()> {
    let tools = tools::build()?;
    let mut cases: Vec<PathBuf> = fs::read_dir(root().join("tests/data/kustomize"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    cases.sort();
    ensure!(cases.len() > 60, "only {} cases", cases.len());
    let wrong: Vec<String> =
        cases.iter().map(|case| check(case, &tools.kubectl)).collect::<anyhow::Result<Vec<_>>>()?.concat();
    ensure!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// What is wrong with a case, if something is.
fn check(case: &Path, kubectl: &Path) -> anyhow::Result<Vec<String>> {
    let name = case.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let repository = tempfile::tempdir()?;
    let folder = unpack(&fs::read_to_string(case)?, repository.path()).with_context(|| name.clone())?;
    let original = Command::new(kubectl).arg("kustomize").arg(repository.path().join(&folder)).output()?;
    let disk = Disk { root: repository.path().canonicalize()? };
    let ours = build(&disk, &folder, &Options::default());
    let ours = ours.map(|output| {
        let documents: Vec<_> = output.resources.iter().map(|(value, _)| yaml::write(value)).collect();
        documents.join("---\n")
    });
    let expects_error = name.starts_with("error");
    let problem = match (original.status.success(), ours) {
        (true, _) if expects_error => "kubectl renders it".to_owned(),
        (false, _) if !expects_error => format!("kubectl: {}", String::from_utf8_lossy(&original.stderr)),
        (true, Ok(text)) if text.as_bytes() == original.stdout => return Ok(Vec::new()),
        (true, Ok(text)) => {
            format!("kubectl:\n{}\nours:\n{text}", String::from_utf8_lossy(&original.stdout))
        }
        (true, Err(error)) => format!("ours: {error}"),
        (false, Ok(text)) => format!("ours renders it:\n{text}"),
        (false, Err(error)) if error.file.is_empty() => format!("the error names no file: {error}"),
        (false, Err(_)) => return Ok(Vec::new()),
    };
    Ok(vec![format!("{name}: {problem}")])
}

/// Writes the files of a case. Returns the folder of the first.
fn unpack(text: &str, repository: &Path) -> anyhow::Result<String> {
    let mut first = None;
    let mut file: Option<(PathBuf, String)> = None;
    for line in text.lines() {
        let Some(header) = line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) else {
            let (_, content) = file.as_mut().context("a case begins with `-- path --`")?;
            content.push_str(line);
            content.push('\n');
            continue;
        };
        if let Some((path, content)) = file.take() {
            fs::write(path, content)?;
        }
        let (name, target) =
            header.split_once(" -> ").map_or((header, None), |(name, target)| (name, Some(target)));
        let path = repository.join(name);
        let parent = path.parent().context("a file has a folder")?;
        fs::create_dir_all(parent)?;
        first.get_or_insert_with(|| {
            name.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned())
        });
        match target {
            Some(target) => std::os::unix::fs::symlink(target, path)?,
            None => file = Some((path, String::new())),
        }
    }
    if let Some((path, content)) = file {
        fs::write(path, content)?;
    }
    first.context("a case has a file")
}

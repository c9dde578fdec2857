//! The scripts in `.github/release`, and the workflow that calls them: names, versions, archives, checksums, the plugin of kubectl,
//! the chart. What needs the network is a stand-in that records how it was called. I/O: processes, disk.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use holdfast_tests::{agent, root, tools};
use regex::Regex;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const IMAGE: &str = "registry.example.com/org/holdfast";

fn scripts() -> PathBuf {
    root().join(".github/release")
}

/// A folder for the results of a test, with stand-ins that are found before the real programs.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn make() -> anyhow::Result<Self> {
        let bench = Self { folder: tempfile::tempdir()? };
        std::fs::create_dir(bench.path("bin"))?;
        Ok(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A program that writes its arguments into `calls` and then runs a script.
    fn stand_in(&self, name: &str, script: &str) -> anyhow::Result<()> {
        let path = self.path("bin").join(name);
        let calls = self.text("calls");
        std::fs::write(&path, format!("#!/bin/sh\necho \"{name} $*\" >>{calls}\n{script}\n"))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        Ok(())
    }

    fn link(&self, name: &str, program: &Path) -> anyhow::Result<()> {
        Ok(std::os::unix::fs::symlink(program, self.path("bin").join(name))?)
    }

    fn calls(&self) -> String {
        std::fs::read_to_string(self.path("calls")).unwrap_or_default()
    }

    fn run(&self, script: &str, arguments: &[&str]) -> anyhow::Result<Output> {
        self.run_in(&root(), script, arguments)
    }

    /// Runs a script of a copy of the repository.
    fn run_in(&self, root: &Path, script: &str, arguments: &[&str]) -> anyhow::Result<Output> {
        let path = std::env::var("PATH")?;
        let mut command = Command::new(root.join(".github/release").join(script));
        command.args(arguments).env("PATH", format!("{}:{path}", self.text("bin")));
        command.env("HOME", self.folder.path()).env("SOURCE_DATE_EPOCH", "1700000000");
        command.output().with_context(|| format!("cannot start {script}"))
    }

    /// The output of a script that must succeed.
    fn must(&self, script: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.run(script, arguments)?;
        ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The message of a script that must fail.
    fn refused(&self, script: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.run(script, arguments)?;
        ensure!(!output.status.success(), "{script} {arguments:?} succeeds");
        Ok(String::from_utf8(output.stderr)?)
    }
}

/// The lines of the table of targets: target, system, architecture, runner.
fn targets() -> anyhow::Result<Vec<[String; 4]>> {
    let text = std::fs::read_to_string(scripts().join("targets"))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let words: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
            words.try_into().map_err(|words| anyhow::anyhow!("{words:?} are not four words"))
        })
        .collect()
}

fn archive_name(system: &str, architecture: &str) -> String {
    format!("holdfast_{VERSION}_{system}_{architecture}.tar.gz")
}

fn workflow() -> anyhow::Result<(String, Value)> {
    let text = std::fs::read_to_string(root().join(".github/workflows/release.yaml"))?;
    let value = serde_saphyr::from_str(&text)?;
    Ok((text, value))
}

fn steps(workflow: &Value) -> Vec<&Value> {
    let jobs = workflow["jobs"].as_object().into_iter().flatten();
    jobs.filter_map(|(_, job)| job["steps"].as_array()).flatten().collect()
}

#[test]
fn the_workflow_calls_every_script_and_pins_every_action() -> anyhow::Result<()> {
    let (text, workflow) = workflow()?;
    let pinned = Regex::new(r"^[\w-]+/[\w-]+@[0-9a-f]{40}$")?;
    let mut called = BTreeSet::new();
    let script = Regex::new(r"\.github/release/([\w-]+)")?;
    for step in steps(&workflow) {
        if let Some(uses) = step["uses"].as_str() {
            ensure!(pinned.is_match(uses), "{uses} is not pinned by a digest");
            ensure!(text.contains(&format!("{uses} # v")), "{uses} does not say its version");
        }
        let run = step["run"].as_str().unwrap_or_default();
        called.extend(script.captures_iter(run).map(|found| found[1].to_owned()));
        // What another user chose, such as the name of a tag, is never a part of a script.
        ensure!(!run.contains("${{"), "an expression is in a script: {run}");
    }
    for entry in std::fs::read_dir(scripts())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_script = entry.metadata()?.permissions().mode() & 0o111 != 0;
        let used = called.contains(&name) || ["notes", "tags"].contains(&name.as_str());
        ensure!(!is_script || used, "{name} is not called by the workflow");
        let begin = std::fs::read_to_string(entry.path())?;
        let begin: Vec<&str> = begin.lines().take(2).collect();
        ensure!(!is_script || begin.first() == Some(&"#!/usr/bin/env bash"), "{name} names no shell");
        ensure!(
            !is_script || begin.get(1).is_some_and(|line| line.starts_with("# ")),
            "{name} says not what it does"
        );
        called.remove(&name);
    }
    ensure!(called.is_empty(), "the workflow calls {called:?}, which are not there");
    ensure!(
        workflow["permissions"] == serde_json::json!({"contents": "read"}),
        "a job has more rights than it needs"
    );
    Ok(())
}

#[test]
fn the_workflow_builds_every_target() -> anyhow::Result<()> {
    let (_, workflow) = workflow()?;
    let matrix =
        workflow["jobs"]["programs"]["strategy"]["matrix"]["include"].as_array().context("no matrix")?;
    let built: BTreeSet<(String, String)> = matrix
        .iter()
        .map(|one| {
            (
                one["target"].as_str().unwrap_or_default().into(),
                one["runner"].as_str().unwrap_or_default().into(),
            )
        })
        .collect();
    let listed: BTreeSet<(String, String)> =
        targets()?.into_iter().map(|[target, _, _, runner]| (target, runner)).collect();
    assert_eq!(built, listed);
    Ok(())
}

/// A copy of what `check` reads, with a section of the changelog for the version.
fn released(bench: &Bench) -> anyhow::Result<PathBuf> {
    let copy = bench.path("copy");
    for path in [
        "Cargo.toml",
        "Cargo.lock",
        "manifests/chart/Chart.yaml",
        "manifests/kustomization.yaml",
        "manifests/tenants/kustomization.yaml",
        ".github/release/check",
        ".github/release/notes",
    ] {
        let to = copy.join(path);
        std::fs::create_dir_all(to.parent().context("a file has a folder")?)?;
        std::fs::copy(root().join(path), to)?;
    }
    std::fs::create_dir_all(copy.join("agent"))?;
    let changelog = format!(
        "# Changelog\n\n## Unreleased\n\n## {VERSION} - 2026-12-01\n\n### Added\n\n- All.\n\n## 0.0.1\n\n- Old.\n"
    );
    std::fs::write(copy.join("agent/CHANGELOG.md"), changelog)?;
    Ok(copy)
}

#[test]
fn a_tag_is_refused_unless_everything_has_its_version() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let copy = released(&bench)?;
    let tag = format!("v{VERSION}");
    let output = bench.run_in(&copy, "check", &[&tag])?;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), VERSION, "{output:?}");
    let notes = bench.run_in(&copy, "notes", &[VERSION])?;
    assert_eq!(String::from_utf8_lossy(&notes.stdout), "### Added\n\n- All.\n");
    for bad in ["0.1.0", "v0.1", "v0.1.0 ", "main", "v0.1.0;ls"] {
        assert!(!bench.run_in(&copy, "check", &[bad])?.status.success(), "{bad}");
    }
    for file in ["Cargo.toml", "manifests/chart/Chart.yaml", "manifests/tenants/kustomization.yaml"] {
        let before = std::fs::read_to_string(copy.join(file))?;
        std::fs::write(copy.join(file), before.replace(VERSION, "9.9.9"))?;
        let output = bench.run_in(&copy, "check", &[&tag])?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(file) && said.contains("9.9.9"), "{file}: {said}");
        std::fs::write(copy.join(file), before)?;
    }
    std::fs::write(copy.join("agent/CHANGELOG.md"), "# Changelog\n")?;
    let output = bench.run_in(&copy, "check", &[&tag])?;
    assert!(String::from_utf8_lossy(&output.stderr).contains("CHANGELOG.md has no section"), "{output:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_are_the_same_each_time_and_the_plugin_has_their_sums() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let program = agent::program().await?.display().to_string();
    let dist = bench.text("dist");
    let mut names = Vec::new();
    for [target, system, architecture, _] in targets()? {
        // Another program for each target, so that one in the wrong archive is noticed.
        let built = bench.text(&target);
        std::fs::write(&built, format!("program for {target}"))?;
        let made = bench.must("archive", &[VERSION, &target, &built, &program, &dist])?;
        let name = archive_name(&system, &architecture);
        assert_eq!(made.trim(), format!("{dist}/{name}"));
        let archive = bench.path("dist").join(&name);
        let first = std::fs::read(&archive)?;
        bench.must("archive", &[VERSION, &target, &built, &program, &dist])?;
        ensure!(std::fs::read(&archive)? == first, "{name} differs the second time");
        let unpacked = bench.path(&format!("unpacked-{target}"));
        std::fs::create_dir(&unpacked)?;
        let tar = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&unpacked).status()?;
        ensure!(tar.success(), "tar cannot read {name}");
        assert_eq!(std::fs::read_to_string(unpacked.join("holdfast"))?, format!("program for {target}"));
        assert_eq!(std::fs::metadata(unpacked.join("holdfast"))?.permissions().mode() & 0o777, 0o755);
        for file in [
            "LICENSE",
            "completions/holdfast.bash",
            "completions/holdfast.zsh",
            "man/holdfast.1",
            "man/holdfast-status.1",
        ] {
            ensure!(unpacked.join(file).exists(), "{file} is missing in {name}");
        }
        names.push((system, architecture, hex(&first)));
    }
    let url = format!("https://github.com/org/holdfast/releases/download/v{VERSION}");
    let plugin: Value = serde_saphyr::from_str(&bench.must("krew", &[VERSION, &url, &dist])?)?;
    assert_eq!(plugin["spec"]["version"], format!("v{VERSION}"));
    assert_eq!(plugin["spec"]["homepage"], "https://github.com/org/holdfast");
    let platforms = plugin["spec"]["platforms"].as_array().context("no platforms")?;
    assert_eq!(platforms.len(), names.len());
    for ((system, architecture, sum), platform) in names.iter().zip(platforms) {
        assert_eq!(platform["selector"]["matchLabels"]["os"], system.as_str());
        assert_eq!(platform["selector"]["matchLabels"]["arch"], architecture.as_str());
        assert_eq!(platform["uri"], format!("{url}/{}", archive_name(system, architecture)));
        assert_eq!(platform["sha256"], sum.as_str());
        assert_eq!(platform["bin"], "holdfast");
    }
    bench.must("checksums", &[&dist])?;
    let checked = Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&dist).output()?;
    ensure!(checked.status.success(), "{checked:?}");
    let sums = std::fs::read_to_string(bench.path("dist/SHA256SUMS"))?;
    assert_eq!(sums.lines().count(), names.len());
    let target = &targets()?[0][0];
    assert!(
        bench
            .refused("archive", &["9.9.9", target, &program, &program, &dist])?
            .contains("not version 9.9.9")
    );
    assert!(
        bench.refused("archive", &[VERSION, "riscv", &program, &program, &dist])?.contains("riscv is not in")
    );
    assert!(bench.refused("krew", &[VERSION, &url, &bench.text("bin")])?.contains("is missing"));
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn the_list_of_packages_has_what_is_compiled_and_nothing_else() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    // Cargo's own home is where the index of the packages is.
    bench.stand_in("cargo", &format!("HOME={} exec {} \"$@\"", std::env::var("HOME")?, env!("CARGO")))?;
    let [linux, _, _, darwin] = targets()?.try_into().map_err(|_| anyhow::anyhow!("not four targets"))?;
    let list = |target: &str| -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&bench.must("sbom", &[target])?)?)
    };
    let linux = list(&linux[0])?;
    assert_eq!(linux["metadata"]["component"]["version"], VERSION);
    assert_eq!(linux["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
    let components = linux["components"].as_array().context("no components")?;
    let has = |list: &Value, name: &str| {
        list["components"].as_array().into_iter().flatten().any(|one| one["name"] == name)
    };
    for name in ["tokio", "kube-client", "holdfast-diff", "rustls"] {
        assert!(has(&linux, name), "{name} is missing");
    }
    // Tests and build scripts use these.
    for name in ["proptest", "cc", "holdfast-tests"] {
        assert!(!has(&linux, name), "{name} is listed");
    }
    for component in
        components.iter().filter(|one| !one["name"].as_str().unwrap_or_default().starts_with("holdfast"))
    {
        assert!(component["hashes"][0]["content"].as_str().is_some_and(|sum| sum.len() == 64), "{component}");
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
    let references: BTreeSet<&str> = components.iter().filter_map(|one| one["bom-ref"].as_str()).collect();
    assert_eq!(references.len(), components.len(), "a package is listed twice");
    assert!(has(&list(&darwin[0])?, "security-framework-sys") || !has(&list(&darwin[0])?, "inotify"));
    Ok(())
}

#[test]
fn the_chart_and_the_manifests_have_the_image_of_the_release() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    bench.link("helm", &tools::helm()?)?;
    bench.link("kubectl", &tools::build()?.kubectl)?;
    let dist = bench.text("dist");
    let packed = bench.must("chart", &[VERSION, IMAGE, &dist])?;
    assert_eq!(packed.trim(), format!("{dist}/holdfast-{VERSION}.tgz"));
    let read = |file: &str| -> anyhow::Result<Value> {
        let output = Command::new("tar").args(["-xzOf", packed.trim(), file]).output()?;
        Ok(serde_saphyr::from_str(&String::from_utf8(output.stdout)?)?)
    };
    assert_eq!(read("holdfast/values.yaml")?["image"]["repository"], IMAGE);
    let chart = read("holdfast/Chart.yaml")?;
    let annotation = |name: &str| chart["annotations"][format!("artifacthub.io/{name}")].as_str();
    assert!(annotation("images").is_some_and(|images| images.contains(&format!("{IMAGE}:{VERSION}"))));
    assert_eq!(annotation("prerelease"), Some("false"));
    bench.must("chart", &["9.0.0-rc.1", IMAGE, &dist])?;
    bench.must("manifests", &[VERSION, IMAGE, &dist])?;
    for (file, has) in [("install.yaml", true), ("install-tenants.yaml", false)] {
        let text = std::fs::read_to_string(bench.path("dist").join(file))?;
        assert!(text.contains(&format!("image: {IMAGE}:{VERSION}\n")), "{file}");
        assert_eq!(text.contains("holdfast-cluster-admin"), has, "{file}");
    }
    assert!(
        bench
            .refused("manifests", &["9.9.9", IMAGE, &dist])?
            .contains("does not have the image holdfast:9.9.9")
    );
    Ok(())
}

#[test]
fn images_are_built_tagged_and_signed_by_digest() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let digest = format!("sha256:{}", "a".repeat(64));
    let script = format!(
        "while [ $# -gt 0 ]; do\n\
         if [ \"$1\" = --metadata-file ]; then echo '{{\"containerimage.digest\": \"{digest}\"}}' >\"$2\"; fi\n\
         if [ \"$1\" = inspect ]; then echo '{{\"digest\": \"{digest}\"}}'; fi\nshift\ndone"
    );
    bench.stand_in("docker", &script)?;
    bench.stand_in("cosign", "")?;
    bench.stand_in("helm", &format!("echo Pushed: x >&2; echo 'Digest: {digest}' >&2"))?;
    let digests = bench.text("digests");
    for architecture in ["amd64", "arm64"] {
        for flavour in ["default", "ssh"] {
            bench.must("image", &[architecture, flavour, IMAGE, &digests])?;
            assert_eq!(
                std::fs::read_to_string(bench.path("digests").join(format!("{flavour}-{architecture}")))?
                    .trim(),
                digest
            );
        }
    }
    let calls = bench.calls();
    for part in [
        "--platform linux/arm64",
        "--target ssh",
        "--provenance mode=max",
        "--sbom true",
        "push-by-digest=true",
    ] {
        assert!(calls.contains(part), "{part}: {calls}");
    }
    let subject = bench.must("image-index", &["1.2.3", "ssh", IMAGE, &digests])?;
    assert_eq!(subject.trim(), format!("{IMAGE}@{digest}"));
    let tags = ["1.2.3-ssh", "1.2-ssh", "ssh"].map(|tag| format!("--tag {IMAGE}:{tag}")).join(" ");
    assert!(bench.calls().contains(&tags), "{}", bench.calls());
    assert_eq!(bench.must("tags", &["1.2.3", "default"])?, "1.2.3\n1.2\nlatest\n");
    assert_eq!(bench.must("tags", &["1.2.3-rc.1", "default"])?, "1.2.3-rc.1\n");
    assert!(bench.refused("tags", &["1.2.3", "alpine"])?.contains("alpine is not a flavour"));
    let chart = bench.must("push-chart", &["holdfast-1.2.3.tgz", "registry.example.com/charts"])?;
    assert_eq!(chart.trim(), format!("registry.example.com/charts/holdfast@{digest}"));
    std::fs::write(bench.path("SHA256SUMS"), "")?;
    bench.must("sign", &[subject.trim(), &bench.text("SHA256SUMS")])?;
    assert!(bench.calls().contains(&format!("cosign sign --yes {IMAGE}@{digest}")));
    assert!(bench.calls().contains("cosign sign-blob --yes --bundle"));
    // A tag can be moved between the push and the signature.
    assert!(
        bench
            .refused("sign", &[&format!("{IMAGE}:1.2.3")])?
            .contains("neither a file nor a name with a digest")
    );
    Ok(())
}

#[test]
fn a_release_is_a_draft_until_its_files_are_there() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    bench.stand_in("gh", "")?;
    let copy = released(&bench)?;
    std::fs::copy(scripts().join("publish"), copy.join(".github/release/publish"))?;
    std::fs::create_dir(bench.path("dist"))?;
    std::fs::write(bench.path("dist/SHA256SUMS"), "")?;
    let output = bench.run_in(&copy, "publish", &[&format!("v{VERSION}"), &bench.text("dist")])?;
    ensure!(output.status.success(), "{output:?}");
    let calls = bench.calls();
    let lines: Vec<&str> = calls.lines().collect();
    assert!(lines[0].starts_with(&format!("gh release create v{VERSION} --verify-tag --draft")), "{calls}");
    assert!(lines[0].ends_with("SHA256SUMS") && !lines[0].contains("--prerelease"), "{calls}");
    assert_eq!(lines[1], format!("gh release edit v{VERSION} --draft=false"));
    Ok(())
}

/// As a plugin, kubectl starts `kubectl-holdfast`, and users call `kubectl holdfast`.
#[tokio::test(flavor = "multi_thread")]
async fn the_plugin_of_kubectl_names_itself_as_it_is_called() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    bench.link("kubectl-holdfast", agent::program().await?)?;
    let kubectl = tools::build()?.kubectl;
    let run = |arguments: &[&str]| {
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new(&kubectl)
            .args(arguments)
            .env("PATH", format!("{}:{path}", bench.text("bin")))
            .env("KUBECONFIG", bench.path("none"))
            .output()
    };
    let help = run(&["holdfast", "status", "--help"])?;
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.status.success() && text.contains("Usage: kubectl holdfast status"), "{help:?}");
    let wrong = run(&["holdfast", "statsu"])?;
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = run(&["holdfast", "completion", shell])?;
        let text = String::from_utf8_lossy(&script.stdout).into_owned();
        assert!(text.contains("reconcile"), "{shell}: {script:?}");
    }
    Ok(())
}

//! The real parts, built once from their Go modules with Go's own means, and kept in a cache by the module files.
//!
//! A program of the control plane that is installed in the right version is used in place of a built one (`installed`).
//! `HOLDFAST_TEST_CACHE` names another place than `~/.cache/holdfast-tests`. I/O: processes, disk, network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use crate::installed;

/// Where the built programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    pub etcd: PathBuf,
    pub apiserver: PathBuf,
    pub controller_manager: PathBuf,
    pub kubectl: PathBuf,
    pub gitea: PathBuf,
    /// Gitea's templates and locales, in its module.
    pub gitea_files: PathBuf,
}

/// The oldest Go that builds them.
const GO: (u32, u32) = (1, 26);

/// Says what is going on.
#[expect(clippy::print_stderr, reason = "the harness tells people what takes long")]
pub fn progress(text: &str) {
    eprintln!("holdfast-tests: {text}");
}

/// Builds what is missing. The first time takes about ten minutes on two cores.
pub fn build() -> anyhow::Result<Tools> {
    check_prerequisites()?;
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/go");
    let [apiserver, controller_manager, kubectl] = kubernetes(&modules.join("kubernetes"))?;
    let etcd = etcd(&modules.join("etcd"))?;
    let gitea = part(
        "Gitea",
        &modules.join("gitea"),
        &Recipe {
            packages: &["code.gitea.io/gitea"],
            flags: &["-tags", "sqlite sqlite_unlock_notify"],
            cgo: true,
        },
    )?;
    Ok(Tools {
        etcd,
        apiserver,
        controller_manager,
        kubectl,
        gitea: gitea.join("gitea"),
        gitea_files: go_output(
            &modules.join("gitea"),
            &["list", "-m", "-f", "{{.Dir}}", "code.gitea.io/gitea"],
        )?
        .into(),
    })
}

/// The API server, the controller manager and kubectl: those that are installed, and the others built.
fn kubernetes(module: &Path) -> anyhow::Result<[PathBuf; 3]> {
    let version = go_output(module, &["list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes"])?;
    let programs = [installed::APISERVER, installed::CONTROLLER_MANAGER, installed::KUBECTL];
    let found = programs.map(|program| program.find(&version));
    let packages = [
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kubectl",
    ];
    let missing: Vec<&str> = packages
        .iter()
        .zip(&found)
        .filter(|(_, found)| found.is_none())
        .map(|(package, _)| *package)
        .collect();
    let flags = &["-trimpath", "-ldflags", &*stamp(&version)];
    let built = match missing.as_slice() {
        [] => PathBuf::new(),
        packages => part("the Kubernetes control plane", module, &Recipe { packages, flags, cgo: false })?,
    };
    let [apiserver, controller_manager, kubectl] = found;
    Ok([
        apiserver.unwrap_or_else(|| built.join(installed::APISERVER.name)),
        controller_manager.unwrap_or_else(|| built.join(installed::CONTROLLER_MANAGER.name)),
        kubectl.unwrap_or_else(|| built.join(installed::KUBECTL.name)),
    ])
}

/// etcd: the one that is installed, or built.
fn etcd(module: &Path) -> anyhow::Result<PathBuf> {
    let version = go_output(module, &["list", "-m", "-f", "{{.Version}}", "go.etcd.io/etcd/server/v3"])?;
    if let Some(found) = installed::ETCD.find(&version) {
        return Ok(found);
    }
    let packages = &["go.etcd.io/etcd/server/v3"];
    let flags = &["-trimpath", "-ldflags", "-s -w"];
    Ok(part("etcd", module, &Recipe { packages, flags, cgo: false })?.join("server"))
}

/// Programs that encrypt files, for the suite that decrypts them.
#[derive(Clone, Debug)]
pub struct Sops {
    pub sops: PathBuf,
    pub age_keygen: PathBuf,
}

/// Builds SOPS and age's maker of keys, if they are missing: minutes, and only for the suite that asks.
pub fn sops() -> anyhow::Result<Sops> {
    check_go()?;
    let folder = part(
        "SOPS",
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/go/sops"),
        &Recipe {
            packages: &["github.com/getsops/sops/v3/cmd/sops", "filippo.io/age/cmd/age-keygen"],
            flags: &["-trimpath", "-ldflags", "-s -w"],
            cgo: false,
        },
    )?;
    Ok(Sops { sops: folder.join("sops"), age_keygen: folder.join("age-keygen") })
}

/// The real Helm, of the newest version. Built when a suite asks for it.
pub fn helm() -> anyhow::Result<PathBuf> {
    helm_of("Helm", "helm", "helm.sh/helm/v4/cmd/helm")
}

/// The real Helm 3, which most people still run.
pub fn helm3() -> anyhow::Result<PathBuf> {
    helm_of("Helm 3", "helm3", "helm.sh/helm/v3/cmd/helm")
}

fn helm_of(name: &str, module: &str, package: &str) -> anyhow::Result<PathBuf> {
    check_prerequisites()?;
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/go").join(module);
    let flags = &["-trimpath", "-ldflags", "-s -w"];
    let folder = part(name, &module, &Recipe { packages: &[package], flags, cgo: false })?;
    Ok(folder.join("helm"))
}

struct Recipe<'a> {
    packages: &'a [&'a str],
    flags: &'a [&'a str],
    cgo: bool,
}

/// The linker flags that make `/version` say the truth.
fn stamp(version: &str) -> String {
    let minor = version.split('.').nth(1).unwrap_or_default();
    ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].iter().fold("-s -w".to_owned(), |flags, package| {
        format!("{flags} -X {package}.gitVersion={version} -X {package}.gitMajor=1 -X {package}.gitMinor={minor}")
    })
}

/// Builds one module into its folder of the cache, unless it is there.
fn part(name: &str, module: &Path, recipe: &Recipe) -> anyhow::Result<PathBuf> {
    let mut hasher = Sha256::new();
    for file in ["go.mod", "go.sum"] {
        hasher.update(fs::read(module.join(file))?);
    }
    hasher.update(format!("{:?} {:?} {}", recipe.packages, recipe.flags, recipe.cgo));
    let key = holdfast_diff::digest::Digest::of_bytes(&hasher.finalize()).to_string();
    let cache = cache()?;
    let folder = cache.join(&key);
    if folder.is_dir() {
        return Ok(folder);
    }
    // Two runs at the same time do not build twice.
    let lock = File::create(cache.join(format!("{key}.lock")))?;
    lock.lock()?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let making = tempfile::Builder::new().prefix(&format!("{key}.")).tempdir_in(&cache)?;
    let log = cache.join(format!("{key}.log"));
    let mut go = Command::new("go");
    go.args(["build", "-buildvcs=false"])
        .args(recipe.flags)
        .arg("-o")
        .arg(making.path().join(""))
        .args(recipe.packages);
    go.current_dir(module).env("CGO_ENABLED", if recipe.cgo { "1" } else { "0" });
    run(name, &mut go, &log)?;
    fs::rename(making.keep(), &folder)?;
    Ok(folder)
}

/// Runs a long command and says now and then that it is still at work.
fn run(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<()> {
    progress(&format!("building {name} from its Go module, once; minutes the first time"));
    let output = File::create(log)?;
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
    let mut told = Duration::ZERO;
    loop {
        if let Some(status) = child.try_wait()? {
            if !status.success() {
                bail!("building {name} failed ({status}):\n{}", super::watchdog::tail(log));
            }
            progress(&format!("built {name} in {} s", started.elapsed().as_secs()));
            return Ok(());
        }
        if started.elapsed() > told + Duration::from_secs(20) {
            told = started.elapsed();
            progress(&format!("still building {name} ({} s)", told.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn cache() -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os("HOLDFAST_TEST_CACHE") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()
            .context("there is no home folder; name one by HOLDFAST_TEST_CACHE")?
            .join(".cache/holdfast-tests"),
    };
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn go_output(module: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    // `list` of a module's folder needs the module to be there.
    if arguments.contains(&"{{.Dir}}") {
        let module_name = arguments.last().copied().unwrap_or_default();
        let status = Command::new("go")
            .args(["mod", "download", module_name])
            .current_dir(module)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("go mod download {module_name} failed");
        }
    }
    let output = Command::new("go").args(arguments).current_dir(module).output()?;
    if !output.status.success() {
        bail!("go {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn check_go() -> anyhow::Result<()> {
    let version = Command::new("go").arg("version").output();
    let version = version.context("Go is missing: install Go 1.26 or newer, and have it on the PATH")?;
    let text = String::from_utf8_lossy(&version.stdout).into_owned();
    let number = text.split_whitespace().find_map(|word| word.strip_prefix("go1.")).unwrap_or_default();
    let minor: u32 = number.split('.').next().and_then(|minor| minor.parse().ok()).unwrap_or(0);
    if (1, minor) < GO {
        bail!("Go is too old ({}): install Go {}.{} or newer", text.trim(), GO.0, GO.1);
    }
    Ok(())
}

/// What cannot be installed from here gets one clear sentence.
fn check_prerequisites() -> anyhow::Result<()> {
    check_go()?;
    if Command::new("git").arg("--version").output().is_err() {
        bail!("git is missing: install git, and have it on the PATH");
    }
    if !["cc", "gcc", "clang"].iter().any(|compiler| Command::new(compiler).arg("--version").output().is_ok())
    {
        bail!("a C compiler is missing: install gcc or clang (Gitea's database needs it)");
    }
    Ok(())
}
